/* channel_private.h - what the files of channels share. */
#ifndef UPSTREAM_CHANNEL_PRIVATE_H
#define UPSTREAM_CHANNEL_PRIVATE_H

#include "http/sleep.h"
#include "upstream/channel.h"

struct secure;

/* All connections to one endpoint that are made in one manner, whatever their greeting and TLS. It
 * lasts as long as there is a channel of it. */
struct kind {
    struct link place;    /* in channels->kinds                                          */
    struct list idle;     /* the one kept last is first                                  */
    struct list carriers; /* of streams, idle or not                                  */
    unsigned idle_count, channels;
    struct endpoint peer, bind;
    struct channel_manner manner;
    struct channel_keeping keeping; /* manner.streams                                 */
    unsigned streams_most;          /* that a connection was allowed, when last heard of          */
};

struct channel {
    uint32_t magic;
#define CHANNEL_MAGIC 0x6368616eu
    bool closing, closed, ended, reused,
        parting; /* to be kept, once nothing is in flight                          */
    bool orphan, /* of a stream: its connection is gone, or going …                   */
        flying,  /* … of what is being sent on it, a piece is the stream's …            */
        late;    /* … and CHANNEL_LATE was told                                         */
    int fd;
    struct channels *home;
    struct loop *loop;
    struct io *io;
    struct request *request; /* pinned, but a stream's only while it is flying; NULL: idle, or
                                a carrier that is the loop's                            */
    const struct channel_ops *ops;
    void *owner; /* NULL: idle                                               */
    struct io_op rx, tx;
    union {
        struct io_op end; /* once closing: the close; all else in this union is over   */
        struct {
            struct io_timer timer;
            uint64_t late_at_ns;  /* 0: no deadline; the timer may ring before         */
            uint64_t patience_ns; /* … of the last one: how long it was from the start  */
            struct link idle;     /* in kind->idle; a stream: in carriage->waiting      */
            int64_t idle_ms;      /* how long it may be idle                           */
        };
    };
    uint64_t opened_ns, requests;
    struct kind *kind;         /* NULL: it is a stream                                        */
    struct carriage *carriage; /* of a connection with streams                        */
    struct channel *carrier;   /* a stream's; NULL: it is gone                        */
    struct link strand;        /* in carriage->streams                                */
    void *last;                /* see channel_frees()                                       */
    void *lent;                /* see channel_lend()                                        */
    void (*let_go)(void *lent);
    struct secure *secure; /* NULL: without TLS                                         */
    struct slice greeting; /* its own copy; mostly empty                               */
    struct iovec greeting_iov;
};

/* Before anything is told to a request: it may sleep. */
static inline void channel_rouse(struct channel *c)
{
    if (c->request != NULL)
        request_awake(c->loop, c->request);
}

/* ---- channel_kind.c ------------------------------------------------------------------------- */

/* NULL: there is no channel of that kind. */
struct kind *kind_find(struct channels *, const struct endpoint *, const struct channel_manner *);
/* One more channel is of this kind. NULL: no memory. */
struct kind *kind_take(struct channels *, const struct endpoint *,
                       const struct channel_manner *) MUST_USE;
void kind_give(struct kind *);

/* Among the idle ones of its kind, and from there (if it is one). */
void channel_rest(struct channel *);
void channel_rise(struct channel *);

/* ---- channel.c ------------------------------------------------------------------------------ */

/* A connection that is not made yet, without an owner. NULL: see channel_open(). */
struct channel *channel_make(struct request *, const struct endpoint *,
                             const struct channel_manner *, int *error) MUST_USE;
void channel_connect(struct channel *);
bool channel_still_holds(const struct channel *, const struct channel_manner *);

io_done_fn channel_on_bytes;
/* Nothing is in flight any more: an idle one from now on. */
void channel_part(struct channel *);
/* Closed, and nothing else is at work: its memory goes. */
void channel_over(struct channel *);

/* ---- channel_stream.c ------------------------------------------------------------------------ */

static inline bool channel_is_stream(const struct channel *c)
{
    return c->kind == NULL;
}

/* Of a connection whose protocol has streams. False: no memory. */
bool carriage_create(struct channel *) MUST_USE;
void carriage_destroy(struct channel *);
/* Takes bytes, and does nothing else. False: the connection is of no use any more. */
bool carriage_hears(struct channel *, struct io_buf *) MUST_USE;

struct channel *stream_open(struct request *, const struct endpoint *,
                            const struct channel_manner *, const struct channel_ops *, void *owner,
                            int *error) MUST_USE;
void stream_send(struct channel *, const struct iovec *, int count, unsigned flags);
void stream_send_file(struct channel *, int file, uint64_t offset, uint32_t size);
void stream_close(struct channel *);

/* ---- channel_tls.c --------------------------------------------------------------------------- */

/* Remembers what manner->tls says. False: no memory. */
bool secure_create(struct channel *, const struct channel_tls *) MUST_USE;
void secure_destroy(struct channel *);
/* Is it what manner->tls (NULL: no TLS) asks for? */
bool secure_fits(const struct channel *, const struct channel_tls *);

bool secure_alike(const struct channel *, const struct channel *);

/* The socket is connected: shakes hands, and tells CHANNEL_OPEN. */
void secure_begin(struct channel *);
/* A receive has completed, whoever the channel belongs to. */
void secure_bytes(struct channel *, struct io_result);
void secure_receive(struct channel *);
void secure_send(struct channel *, const struct iovec *, int count);
void secure_send_file(struct channel *, int file, uint64_t offset, uint32_t size);
bool secure_sending(const struct channel *);
uint64_t secure_taken(const struct channel *);
void secure_finish(struct channel *);

/* Nothing was received that nobody asked for, nothing is on its way. */
bool secure_is_quiet(const struct channel *);
/* Its io will be another one; or the same for somebody else. */
void secure_move(struct channel *, struct io *to);
/* In front of io_close(), and in its completion: false: channel_over() will be called. */
void secure_close(struct channel *);
bool secure_closed(struct channel *);

/* Sessions to be taken up are forgotten. */
void sessions_drop(struct channels *);

#endif
