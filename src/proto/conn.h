/* conn.h - a client connection is always in exactly one named state.
 *
 * A protocol is a table: one row per state, one column per event. An empty cell means "cannot
 * happen here" and is checked. conn_goto() is the only way to change state: it checks the
 * row's exits and writes the trace record; entering sets the row's deadline, so no state can
 * forget any of the three.
 *
 *   static void idle_bytes(struct conn *c) { conn_goto(c, HEAD); }
 *
 * An idle connection owns no buffer, no arena and no request: this struct is all it costs.
 */
#ifndef PROTO_CONN_H
#define PROTO_CONN_H

#include "http/request.h"
#include "io/io.h"
#include "net/tls.h"

struct conn;

typedef void conn_event_fn(struct conn *);

struct conn_state {
    const char *name;
    conn_event_fn *enter; /* arrive: do the work, start the ops                        */
    conn_event_fn *bytes; /* c->in grew, or c->in_ended was set                        */
    conn_event_fn *sent;  /* what we sent is with the kernel, or failed (c->send_failed)  */
    conn_event_fn *late;  /* the deadline passed                                        */
    uint16_t exits;       /* bit set of states it may go to                             */
};

#define TO(state) (1u << (state))

struct out;
struct ssl_load;

/* What a protocol that keeps more than one request keeps of a connection. */
struct session_ops {
    void (*leave)(struct conn *, enum close_reason); /* finish what was begun; no more     */
    void (*closed)(struct conn *);                   /* ends its requests                  */
    void (*freed)(struct conn *); /* the connection is about to be freed: frees itself     */
};

struct conn {
    uint32_t magic;
#define CONN_MAGIC 0x77656972u
    uint8_t state, next;
    bool running;   /* an event is on the stack                             */
    bool in_ended;  /* the peer finished sending                            */
    bool in_failed; /* … by a reset                                         */
    bool in_paused; /* receiving was cancelled: enough is queued             */
    bool send_failed;
    bool file_short;        /* … because the file ended before its length */
    bool file_sent;         /* what was sent last, or is being sent, is a file's range       */
    bool taken_known;       /* progress was asked since this send began              */
    bool last_answer;       /* the connection ends behind what is in `out`           */
    bool closing, closed;   /* conn_close() was called; the close has completed       */
    bool plain_on_tls;      /* what came on a TLS port was not TLS                   */
    uint16_t live_requests; /* whose memory is not gone yet: they may outlive the fd   */
    uint16_t in_count;      /* buffers queued                                        */
    uint8_t why;            /* enum close_reason, once closing                       */
    uint8_t tls_step;       /* enum tls_step: what its last bytes came to            */
    uint8_t preface_seen;   /* bytes of HTTP/2's preface, taken off the input        */
    int fd;
    uint32_t listener_id;
    uint32_t keepalive_ms;             /* how long it may be idle                              */
    uint32_t send_ms;                  /* send_timeout of the last request                     */
    uint32_t linger_ms, linger_all_ms; /* lingering_timeout (0: none), lingering_time   */
    uint32_t requests;                 /* begun on this connection                              */
    const struct conn_state *states;
    struct loop *loop;
    struct io *io;
    struct io_op rx, tx; /* L8: one in, one out                                    */
    union {
        struct io_op end; /* once closing: the close; all else in this union is over */
        struct {
            struct io_timer timer;
            uint64_t late_at_ns; /* the state's deadline; 0: none                     */
            struct io_buf *in_first, *in_last;
            struct link idle; /* in loop->idle                                        */
            union {
                uint64_t taken;           /* sending: its progress when last looked    */
                uint64_t linger_until_ns; /* after the last answer                     */
            };
        };
    };
    struct request *request;
    struct tls *tls;         /* NULL: in the clear                                   */
    struct ssl_load *load;   /* its certificate is looked for: ssl_load.h; NULL: none    */
    struct site *shaking_on; /* held while hands are shaken: its servers are chosen from */
    struct proxy_told *told; /* its PROXY header; NULL: none                     */
    void *session;           /* the protocol's own; NULL: `request` is all it has             */
    const struct session_ops *session_ops;
    struct out *out; /* answers on their way; NULL while idle                         */
    struct link all; /* in loop->conns                                                */
    uint64_t number, opened_ns;
    struct addr peer; /* AF_UNSPEC until asked for                              */
};

/* NULL: no memory. The connection is in `states[first]`, not yet entered: conn_start(). */
struct conn *conn_create(struct loop *, struct io *, int fd, unsigned listener_id,
                         const struct conn_state *states) MUST_USE;
void conn_start(struct conn *, unsigned first);

/* Asks for the next state. It is entered when the current event returns, by conn_run():
 * states never nest, stacks never grow. */
static inline void conn_goto(struct conn *c, unsigned next)
{
    OBJ(c, CONN_MAGIC);
    CHECK(c->states[c->state].exits & TO(next));
    c->next = (uint8_t)next;
}

/* Runs an event (NULL: cannot happen, checked) and then enters states until none is asked for. */
void conn_run(struct conn *, conn_event_fn *event);

/* after_ms 0: the state has no deadline. */
void conn_deadline(struct conn *, int64_t after_ms);

/* Sending, as io_send() and io_sendfile(): one at a time; the completion is the state's `sent`
 * event. Borrows the vector and its bytes until then. */
void conn_send(struct conn *, const struct iovec *, int count, unsigned flags);
void conn_send_file(struct conn *, int file, uint64_t offset, uint32_t size);
bool conn_sending(const struct conn *);
/* A number that grows while the peer takes bytes of what is being sent. */
uint64_t conn_progress(const struct conn *);
/* Nothing more is sent: the peer is told. */
void conn_finish(struct conn *);

/* conn_tls.c: what came so far, and all that follows, is TLS; `first` is the domain to begin with.
 * False: no memory. What it comes to is c->tls_step, and the `bytes` event when it changes. */
bool conn_tls_begin(struct conn *, struct tls_domain *first) MUST_USE;
/* The handshake is over, or the connection. */
void conn_tls_shaken(struct conn *);
/* For conn.c: takes what was received, and queues what was in it. */
void conn_tls_take(struct conn *, struct io_buf *lent);
void conn_enqueue(struct conn *, struct io_buf *);
/* For conn.c: the completion of a send. */
void conn_sent(struct conn *, int error);
void conn_over(struct conn *);

/* Receiving: starts if it is not on and not paused for want of room. */
void conn_receive(struct conn *);
/* Drops `size` bytes off the front of c->in. */
void conn_consume(struct conn *, size_t size);
/* The bytes at the front of c->in; size 0: none. */
static inline struct slice conn_peek(const struct conn *c)
{
    const struct io_buf *b = c->in_first;

    DCHECK(!c->closing);
    return b == NULL ? (struct slice){ 0 }
                     : slice_of((const char *)b->bytes + b->used, b->filled - b->used);
}
void conn_discard_input(struct conn *);

/* conn_tell.c: a request of this connection, with what it is told of it; in the default server's
 * scope, until its own is known. NULL: no memory. conn_request_freed() is its request_ops.freed. */
struct request *conn_request(struct conn *, const struct request_ops *,
                             const struct vhosts *) MUST_USE;
void conn_request_freed(void *conn);

/* Whom it may reach; NULL: its listener left the configuration. Borrowed. */
const struct vhosts *conn_vhosts(struct conn *);
/* The client's address; asked of the socket once. */
const struct addr *conn_peer(struct conn *);
/* To the log of its default server, with the connection's number and the client's address. */
void conn_log(struct conn *, enum log_level, const char *format, ...) PRINTF_LIKE(3, 4);

/* For request_ops of protocols whose request->conn it is. */
void conn_ops_peer(struct request *, struct addr *ret);
void conn_ops_local(struct request *, struct addr *ret);
int conn_ops_socket(struct request *);
struct tls *conn_ops_tls(struct request *);

/* Ends it: nothing closes without a reason. Counted, logged at info. The struct is freed when
 * the close completes; do not touch it after returning to the loop. */
void conn_close(struct conn *, enum close_reason why);

/* Idle bookkeeping: conn_idle() when it waits for a request, conn_busy() when one begins. */
void conn_idle(struct conn *);
void conn_busy(struct conn *);

/* Closes it if it is idle; one with a session is told, and finishes what was begun. */
void conn_leave(struct conn *, enum close_reason why);

/* Closes up to `most` of the longest-idle connections of this loop; returns how many. For
 * shutdown (shutting_down) and for want of descriptors (reclaimed). */
unsigned conn_close_idle(struct loop *, unsigned most, enum close_reason why);

#endif
