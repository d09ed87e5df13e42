/* http1_private.h - what http1.c (the table, and heads), http1_body.c (request bodies),
 * http1_answer.c (sending), http1_proxy.c and http1_tls.c (what comes before HTTP) share. */
#ifndef PROTO_HTTP1_PRIVATE_H
#define PROTO_HTTP1_PRIVATE_H

#include "http/site.h"
#include "proto/http1.h"
#include "wire/chunked.h"

enum {
    PROXY,
    TLS,
    SNIFF,
    IDLE,
    HEAD,
    RUN,
    BODY,
    DISCARD,
    ANSWER,
    SEND,
    PACE,
    FLUSH,
    LINGER,
    CLOSING
};

enum {
    OUT_SIZE = HTTP1_OUT_SLOT, /* one slot of loop->out_slab                        */
    HEAD_ROOM = 1024,          /* free space worth beginning another answer in       */
    COPY_MAX = 4096,           /* bodies up to this are copied behind their head     */
    DRAIN_MAX = 64 * 1024,     /* request body read for an answer that ignores it    */
    SEND_SECOND_LOOK = 8,      /* part of send_timeout until the second look         */
    RATE_GRACE_SEC = 10,
    TUNNEL_REST_MS = 5000, /* … without a byte: the request may sleep                  */
    RATE_MIN = 500         /* bytes a second a request body must bring           */
};

/* Answers on their way out. Slot of loop->out_slab: held only while something is to be sent. */
struct out {
    uint32_t used;
    struct iovec iov[4];
    struct chunk chunk; /* the borrowed one in flight                         */
    char size_line[24];
    char bytes[];
};
enum { OUT_ROOM = OUT_SIZE - sizeof(struct out) };

/* What HTTP/1 keeps of one request, in its arena. */
struct exchange {
    bool refused;        /* the head was bad: only an error answer follows     */
    bool body_read;      /* the request's body was consumed to its end         */
    bool continued;      /* 100 Continue was sent                              */
    bool decided;        /* respond() was called                               */
    bool body_begun;     /* its decoder is set up                              */
    bool body_wanted;    /* somebody reads it, and has not had enough           */
    bool end_told;       /* … and was told how it ended                        */
    struct conn *conn;   /* once `ask` may be set                              */
    size_t in_taken;     /* of the input, by the decoder's last step           */
    struct io_timer ask; /* read_body() is obeyed in the next turn              */
    bool head_written, chunking, body_ended;
    bool size_written; /* of the chunk that is a file's range            */
    bool line_due;     /* … whose end of line goes before what follows    */
    bool trailing;     /* fields come behind the last chunk               */
    bool tunnel;       /* behind the head, bytes go both ways            */
    bool tunnel_ended; /* the client has finished sending                */
    bool linger;       /* input may still come behind the last answer        */
    uint16_t late_status;
    struct chunked chunked;
    uint64_t body_left; /* of a Content-Length                                */
    uint64_t body_bytes;
    uint64_t body_since_ns, body_waited_ns; /* waiting for the client: since, and before that */
    uint64_t answer_left;                   /* of the answer's body, when its length is known     */
    uint64_t rate, rate_after, paced_since_ns, paced_bytes; /* limit_rate                  */
    uint64_t in_flight; /* bytes of the chunk being sent                      */
    uint8_t pulled;     /* what copy_body() got but could not copy, + 1       */
};

static inline struct exchange *exchange_of(const struct conn *c)
{
    return c->request->exchange;
}

conn_event_fn answer_enter, answer_sent, send_enter, send_sent, send_late, pace_enter, pace_late,
    flush_enter, flush_sent, linger_enter, linger_bytes, linger_late;

/* http1_proxy.c */
conn_event_fn proxy_enter, proxy_bytes, proxy_late;

/* http1_tls.c */
conn_event_fn tls_enter, tls_bytes, tls_late;

/* http1_body.c */
conn_event_fn tunnel_bytes, tunnel_late, body_enter, body_bytes, body_sent, body_late,
    discard_enter, discard_bytes, discard_late;
/* request_ops.read_body: the request's body is wanted, from its beginning or again. */
void h1_read_body(struct request *);

/* The state of a connection that is about to say its first word. */
unsigned h1_first_state(const struct vhosts *);

/* The settings in force for this connection's request, or its default server's. */
const struct http_core *h1_core(const struct conn *);

/* NULL when memory is out (the connection is then closed). */
struct out *h1_out(struct conn *);
/* Gives it back, if there is one: nothing is being sent, and nothing waits in it. */
void h1_out_give(struct conn *);

/* The body was read: how the answer goes on. Declared here because DISCARD ends in it. */
bool h1_body_wanted_first(const struct conn *);

/* http1_head.c: writes the answer's head; false: it does not fit into the room left. */
bool h1_write_head(struct conn *, struct out *);

extern const struct request_ops h1_ops;

#endif
