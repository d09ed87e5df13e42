/* channel.h - a connection to a peer: made, or taken from those that were kept alive; sent on,
 * received from; kept again, or closed.
 *
 *   c = channel_open(r, endpoint, &manner, &ops, me, &error);
 *   …ops->event(me, CHANNEL_OPEN, 0)          unless channel_reused(c)
 *   channel_send(c, iov, n, 0)                …CHANNEL_SENT
 *   channel_receive(c)                        …ops->bytes(me, buf), or CHANNEL_ENDED
 *   channel_keep(c, &keeping) or channel_close(c)
 *
 * Laws:
 *   - nothing is told from inside a call;
 *   - nothing is told after channel_keep() or channel_close(): the channel is not yours any more;
 *   - the request's memory stays while a channel is opened for it, until it is kept or its close
 *     has completed: what is being sent may live there;
 *   - a channel that is kept is watched: one whose peer closes, or says what nobody asked for, is
 *     closed, and never given to anybody.
 *
 * A protocol may have streams, of which several share a connection (HTTP/2). Then a channel is one
 * of them: opened on a connection that is there, or on a new one, which is a channel, too: its
 * carrier. What is said on it is a session's, who tells its streams; channel_close() leaves the
 * stream, and the connection stays for others, or for the next.
 */
#ifndef UPSTREAM_CHANNEL_H
#define UPSTREAM_CHANNEL_H

#include "base/list.h"
#include "base/slab.h"
#include "http/request.h"
#include "io/io.h"
#include "upstream/endpoint.h"

struct channel;
struct tls_domain;

enum channel_event {
    CHANNEL_OPEN,  /* connected, hands shaken; or error                          */
    CHANNEL_SENT,  /* what channel_send() was given is with the kernel, or error;
                      a stream that gave nothing: it is its turn                 */
    CHANNEL_ENDED, /* the peer finished sending (0), or error                    */
    CHANNEL_LATE,  /* the deadline passed                                        */
    CHANNEL_HEARD, /* a stream's session knows something new                     */
};

struct channel_ops {
    void (*event)(void *owner, enum channel_event, int error); /* error: 0 or an errno */
    void (*bytes)(void *owner, struct io_buf *);               /* lent: the owner's to release */
};

/* What a protocol with streams knows of a connection. `owner` is a stream's. */
struct channel_session_ops {
    /* So many streams it may have at a time, 0: no more than it has. */
    unsigned (*most)(const void *session);
    /* The peer says this, which is the session's to release. False: the connection is of no use any
     * more. */
    bool (*bytes)(void *session, struct io *, struct io_buf *) MUST_USE;
    /* Tells the owners of its streams what has come, by channel_give() and channel_tell(). */
    void (*tell)(void *session);
    /* A stream's owner leaves, or loses it. */
    void (*leave)(void *session, void *owner);
    /* What it wants sent; lent until flown(), which is called even if it could not be. */
    struct slice (*fly)(void *session);
    void (*flown)(void *session);
    void (*destroy)(void *session);
};

/* TLS on a connection. Two are the same if the domains' identities and all else are. */
struct channel_tls {
    struct tls_domain *domain; /* borrowed until CHANNEL_OPEN                             */
    struct slice name;         /* of at most 255 bytes, or none: checked if the domain
                                  verifies, and …                                         */
    bool tell;                 /* … told to the server (SNI)                               */
    bool resume;               /* sessions are taken up                                    */
    struct slice alpn;         /* in the wire's form; none: nothing is said                */
};

/* How one is kept. */
struct channel_keeping {
    unsigned most;      /* idle ones of one peer and manner, whatever their greeting; 0: none is
                           kept                                                       */
    int64_t requests;   /* a connection is closed behind that many                    */
    int64_t time_ms;    /* … or when it is that old                                   */
    int64_t timeout_ms; /* … or was idle that long                                    */
};

/* How a connection is made. Those made in different manners are not taken for one another. */
struct channel_manner {
    const struct endpoint *bind; /* the address to come from; NULL: any                   */
    bool transparent;            /* it may be somebody else's (IP_TRANSPARENT)             */
    bool keepalive;              /* SO_KEEPALIVE                                           */
    int rcvbuf, sndbuf;          /* bytes; 0: the system's choice                          */
    bool careful;                /* the kernel is asked whether a kept one still holds: for
                                    requests that cannot be sent twice                     */
    uint64_t identity;           /* what else must be the same                             */
    const struct channel_keeping *streams; /* its protocol has streams, and this is how a
                                    connection is kept; NULL: it has not                   */
    struct slice greeting;         /* what its user says before all else, when it is new, and
                                    what is true of every request on it; may be empty. With
                                    TLS, the channel says it: before the handshake         */
    const struct channel_tls *tls; /* NULL: without                                        */
};

enum { CHANNEL_GREETING_MAX = 128 };

/* All channels of one loop: loop->channels. */
struct channels {
    struct slab slab;
    struct list kinds[64]; /* by endpoint: see channel.c                                  */
    uint32_t open, idle_count;
    struct list sessions; /* of TLS, that may be taken up: those met last are first       */
    uint32_t session_count;
    bool leaving;
};

enum {
    CHANNELS_IDLE_MAX = 4096,
    CHANNELS_SESSIONS_MAX = 256,
    CHANNEL_STREAMS_MAX = 100, /* at a time, whatever the peer allows                   */
};

struct channels *channels_create(void) MUST_USE; /* NULL: no memory */
/* The loop leaves: idle ones are closed, and none is kept any more. */
void channels_leave(struct channels *);
/* Every channel is gone. */
bool channels_gone(const struct channels *);
void channels_destroy(struct channels *);

/* Borrows all until it is kept or closed; endpoint, bind and greeting are copied. NULL: *error (an
 * errno) is why not even trying was possible: descriptors, memory, an address that cannot be
 * bound. */
struct channel *channel_open(struct request *, const struct endpoint *,
                             const struct channel_manner *, const struct channel_ops *, void *owner,
                             int *error) MUST_USE;

/* Where one goes that was kept with this identity; NULL: there is none. Borrowed for now. */
const struct endpoint *channels_kept_for(const struct channels *, uint64_t identity);

/* It is open already: CHANNEL_OPEN will not be told. */
bool channel_is_open(const struct channel *);

/* Others have used the connection before: a request on it may be lost without anybody's fault. */
bool channel_reused(const struct channel *);

/* Behind an error: what TLS has to say of it; NULL: nothing. */
const char *channel_why(const struct channel *);
/* Connected, but hands are still being shaken. */
bool channel_shakes(const struct channel *);
/* What was agreed on by ALPN; size 0: nothing. */
struct slice channel_protocol(const struct channel *);

/* ---- streams: all are given one ------------------------------------------------------------- */

/* Its connection's; NULL: there is none yet. The session is the connection's from then on. */
void *channel_session(const struct channel *);
void channel_begin_session(struct channel *, const struct channel_session_ops *, void *session);

/* For the session, from its tell(): as ops->bytes() and ops->event(). */
void channel_give(struct channel *, struct io_buf *);
void channel_tell(struct channel *, enum channel_event);

/* Nothing is being sent: channel_send() may be called, of one piece or none. */
bool channel_has_turn(const struct channel *);
/* CHANNEL_SENT will be told when it has. */
void channel_await_turn(struct channel *);
/* What the session wants sent goes, as soon as nothing is being sent. */
void channel_flush(struct channel *);

/* ---- bytes ---------------------------------------------------------------------------------- */

/* As io_send(), io_sendfile(): one at a time. A stream's go behind what its session wants sent. */
void channel_send(struct channel *, const struct iovec *, int count, unsigned flags);
void channel_send_file(struct channel *, int file, uint64_t offset, uint32_t size);
bool channel_sending(const struct channel *);
/* Grows while the kernel or the peer takes bytes of what is being sent. */
uint64_t channel_taken(const struct channel *);

/* Asks for one piece; does nothing when it is asked for already, or after the end. */
void channel_receive(struct channel *);

/* No more will be sent on it. */
void channel_finish(struct channel *);

/* after_ms 0: no deadline. */
void channel_deadline(struct channel *, int64_t after_ms);

/* For the peer's next request, whoever makes it; closes it instead if it must not be kept. Only
 * when all was sent and all was received; not of a stream. */
void channel_keep(struct channel *, const struct channel_keeping *);
void channel_close(struct channel *);

/* Memory of free() that goes with the channel, when its close has completed. May be NULL. */
void channel_frees(struct channel *, void *memory);

/* What is lent to the channel for this request: let_go(lent) when it is kept, or its close has
 * completed. */
void channel_lend(struct channel *, void *lent, void (*let_go)(void *lent));

#endif
