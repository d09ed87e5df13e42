/* relay.h - a request that is passed on to a peer, and its answer on the way back.
 *
 *   static enum verdict proxy_content(struct request *r)        a location's content
 *   {
 *       struct relay *y = relay_of(r);
 *       if (y == NULL) { …client_body_read(r)…; y = relay_begin(r, &conf->relay, &http, group); }
 *       return relay_step(y);                      WAIT, until there is an answer, or none
 *   }
 *
 * One request meets one relay (per location it is passed on from), which may ask several peers,
 * one behind the other. What is spoken with them is a relay_protocol's: HTTP, FastCGI …
 *
 * The body of the answer is pulled from the peer as the client takes it: what waits in between is
 * bounded, and a slow client makes a slow peer, not a full memory.
 */
#ifndef UPSTREAM_RELAY_H
#define UPSTREAM_RELAY_H

#include "handler/client_body.h"
#include "http/request.h"
#include "upstream/balance.h"
#include "upstream/cache_conf.h"
#include "upstream/channel.h"
#include "upstream/queue.h"
#include "wire/h1_head.h"

struct cached;
struct keeping;
struct relay;
struct relay_h2;
struct relay_rewrites;
struct spool;

/* Why a peer's answer is none: the words of proxy_next_upstream and its kin. */
enum relay_fault {
    FAULT_ERROR = 1 << 0,
    FAULT_TIMEOUT = 1 << 1,
    FAULT_INVALID = 1 << 2,
    FAULT_500 = 1 << 3,
    FAULT_502 = 1 << 4,
    FAULT_503 = 1 << 5,
    FAULT_504 = 1 << 6,
    FAULT_403 = 1 << 7,
    FAULT_404 = 1 << 8,
    FAULT_429 = 1 << 9,
    FAULT_NON_IDEMPOTENT = 1 << 10, /* in the setting: such requests, too             */
    FAULT_OFF = 1 << 11,
    FAULT_DENIED = 1 << 12, /* by …_allow_upstream                                   */
};

struct name_list {
    struct slice name;
    struct name_list *next;
};

/* …_temp_path */
struct relay_temp {
    struct slice path; /* absolute, NUL-terminated                                       */
    uint8_t levels[3];
    bool said; /* not the default                                                */
};

/* Where connections come from. */
struct relay_bind {
    const struct endpoint *at; /* NULL: anywhere, or … */
    struct expr *text;         /* … as this says       */
    bool transparent;
};

enum { RELAY_ALLOW_MAX = 8 };

/* All must have a value, and none be "0". */
struct relay_allow {
    struct expr *all[RELAY_ALLOW_MAX];
    unsigned count;
};

struct relay_buffers {
    int64_t count, size;
};

struct relay_fetch;
struct tls_made;
struct tls_library;

/* Those …_ssl_…: relay_tls.h. */
struct relay_tls {
    struct relay_tls_file {
        struct slice path; /* absolute; or "data:" and the text; size 0: none                */
        struct expr *expr; /* with variables: then path does not count                       */
    } certificate, key;
    struct slice passwords, ciphers, crl, trusted;
    const char *dir;   /* of relative paths that come out of variables */
    struct expr *name; /* NULL: the host of …_pass */
    struct tls_command *commands;
    struct log_target *key_log;
    int64_t verify_depth;
    unsigned protocols;
    bool tell, resume, verify;
    struct tls_domain *domain;   /* NULL: TLS is not spoken here                            */
    struct tls_library *library; /* of certificates with variables; NULL: they have none    */
    struct tls_made *made;       /* in http{}: all of them                                  */
};

/* What the directives say that proxy_…, fastcgi_… and their kin have in common. */
struct relay_conf {
    int64_t connect_timeout, send_timeout, read_timeout; /* ms                         */
    int64_t next_timeout, next_tries;                    /* 0: no limit                */
    unsigned next;                                       /* enum relay_fault           */
    int64_t buffer_size;                                 /* most bytes of a head       */
    struct relay_buffers buffers;
    int64_t busy_size, temp_file_max, temp_write_size, limit_rate, send_lowat, rcvbuf, sndbuf;
    struct relay_temp temp;
    struct cache_conf cache;
    bool buffering, request_buffering, ignore_abort, intercept, pass_fields, pass_body, keepalive,
        force_ranges;
    struct name_list *hide, *pass;
    unsigned ignore; /* enum relay_accel                                                */
    struct relay_bind bind;
    bool bind_dynamic;               /* bind is worked out for each server that is asked       */
    bool request_dynamic;            /* … as is what it is asked                               */
    const struct relay_allow *allow; /* who may be asked; NULL: everybody                    */
    struct relay_tls tls;
};

/* Fields of an answer that mean something to weir: …_ignore_headers. */
enum relay_accel {
    ACCEL_REDIRECT = 1 << 0,
    ACCEL_EXPIRES = 1 << 1,
    ACCEL_LIMIT_RATE = 1 << 2,
    ACCEL_BUFFERING = 1 << 3,
    ACCEL_CHARSET = 1 << 4,
    IGNORE_EXPIRES = 1 << 5,
    IGNORE_CACHE_CONTROL = 1 << 6,
    IGNORE_SET_COOKIE = 1 << 7,
    IGNORE_VARY = 1 << 8,
};

enum { RELAY_FRAME_MAX = 24 };

/* How a body is cut on its way to the peer. */
struct relay_framing {
    size_t piece_max; /* 0: no limit                                                    */
    /* What stands before a piece; NULL: nothing. */
    size_t (*before)(struct relay *, size_t size, char into[RELAY_FRAME_MAX]);
    struct slice behind, end;
};

extern const struct relay_framing framing_plain, framing_chunked;

/* What is spoken with a peer. All are given the relay; read_…() as h1_response_feed() and its kin:
 * H1_BAD with relay->why. */
struct relay_protocol {
    const char *name;   /* "proxy"                                                      */
    const char *scheme; /* "http://": for the log …                                      */
    const char *secure; /* … with TLS; NULL: it never is                                 */
    struct slice alpn;  /* offered with TLS, in the wire's form; size 0: nothing is      */
    /* What goes before the body; chooses relay->framing. False: no memory, or a field that must
     * not be sent. */
    bool (*write_head)(struct relay *, struct gather *);
    /* Another answer begins. False: no memory; or what was agreed on is not spoken here, as
     * relay->why says. */
    bool (*begin)(struct relay *);
    enum h1_verdict (*read_head)(struct relay *, const char *at, size_t size, size_t *taken);
    enum h1_verdict (*read_body)(struct relay *, const char *at, size_t size, size_t *taken,
                                 struct slice *piece);
    /* The peer has finished sending. */
    enum h1_verdict (*read_end)(struct relay *);
    /* Fills r->response from the head that was read; DONE, or where an X-Accel-Redirect leads. */
    enum verdict (*answer)(struct relay *);
    /* Sends what it will of head and body, in place of relay_send(), when nothing is being sent.
     * NULL: head and body are bytes in `framing`. */
    void (*send)(struct relay *);
    /* More of the answer may come: in place of channel_receive(). NULL: that. */
    void (*listen)(struct relay *);
    /* The channel may serve the next request: asked at the end of an answer. NULL: it is a stream,
     * and ends with the answer. */
    bool (*may_keep)(const struct relay *);
    /* The answer, which was over without an error, was seen to its end, not merely to the end of
     * the connection. NULL: always. */
    bool (*ends_surely)(const struct relay *);
    const struct relay_rewrites *rewrites; /* of fields; NULL: none                          */
};

enum relay_state {
    RELAY_QUEUED,  /* waits until a peer can be asked              */
    RELAY_CONNECT, /* waits for a connection                       */
    RELAY_HEAD,    /* waits for the head of an answer              */
    RELAY_ANSWER,  /* has one: its body is on its way              */
    RELAY_TUNNEL,  /* … and never ends: bytes go both ways         */
    RELAY_OVER,    /* nothing is asked any more                    */
};

/* One peer that was asked, for $upstream_…: newest last. Times in ns, 0: not reached. */
struct attempt {
    struct slice peer, name;
    unsigned status;
    uint64_t began_ns, connected_ns, head_ns, over_ns;
    uint64_t received, length, sent;
    uint64_t queued_ns; /* so long it waited in the queue; 0: it did not */
    bool first;         /* of its relay: behind an internal redirect, ":" stands before it */
    struct attempt *next;
};

/* What goes to the peer behind the head. */
enum relay_source {
    SOURCE_NONE,
    SOURCE_READ,   /* the request's body, which has been read                    */
    SOURCE_STREAM, /* … as it comes: it cannot be sent twice                     */
    SOURCE_FIXED,  /* other bytes                                                */
};

struct relay {
    struct request *request;
    const struct relay_conf *conf;
    const struct relay_protocol *protocol;
    void *own;           /* the protocol's                                              */
    struct relay_h2 *h2; /* of one that is HTTP/2: relay_h2.h; else NULL                */
    struct pick pick;
    struct waiter waiter;
    uint64_t queue_began_ns;
    struct channel *channel; /* NULL: none                                   */
    struct endpoint bind;    /* of the settings, worked out                  */
    bool bind_known, bind_used;
    bool tls_wanted;           /* write_head() said so: for what names the scheme */
    struct channel_tls tls;    /* domain NULL: without                          */
    struct relay_fetch *fetch; /* its certificate is looked for; NULL: it is there */
    enum relay_state state;
    unsigned tries_left;
    uint64_t began_ns;
    struct attempt *attempt;
    bool waits;           /* the step said WAIT */
    uint16_t failed_with; /* a status, when no answer is to be had; 0: there is one */

    /* to the peer */
    struct slice head;     /* what protocol->write_head() wrote                           */
    struct slice greeting; /* … and what stands before it on a new connection; empty: nothing */
    const struct relay_framing *framing;
    enum relay_source source;
    struct slice fixed;  /* of SOURCE_FIXED                                            */
    struct body *up;     /* NULL: all of it was pulled                                 */
    struct body *stream; /* of SOURCE_STREAM: the same, from its beginning              */
    int64_t up_left;     /* -1: until its end                                          */
    struct chunk chunk;
    char frame[RELAY_FRAME_MAX];
    struct iovec iov[5];
    bool head_sent, file_next, end_sent, any_sent, all_sent;
    bool deaf;   /* the peer takes no more; its answer may be on its way                */
    bool duplex; /* body and answer go their ways at the same time                      */
    bool taken_known;
    uint64_t taken; /* channel_taken() when the time for a send was over               */

    /* from the peer */
    struct io_buf *in_first, *in_last;       /* as it came                                   */
    struct io_buf *ready_first, *ready_last; /* content of it that waits for the client   */
    size_t ready_size;
    uint64_t came, gone; /* bytes of content so far: received, taken by the client     */
    struct spool *spool; /* relay_file.c: for content that the client is too slow for  */
    uint64_t spool_at;   /* the content's offset at which it begins                    */
    bool file_failed;    /* no more goes there                                         */
    bool any_received, in_ended, paused;
    bool buffering;    /* as conf, or as the answer said                             */
    bool lent, pulled; /* a chunk is being sent; somebody waits for the next         */
    bool over, broken; /* the answer has ended; … before its time                    */
    const char *why;
    bool refused; /* the peer says that it has done nothing: it is no fault to ask again */
    const struct field *fields; /* of its head, for $upstream_http_…                   */
    uint32_t field_count;
    const struct field *trailers; /* behind its body, for $upstream_trailer_…              */
    uint32_t trailer_count;
    struct body body;

    struct cached *cached;   /* what the cache makes of it; NULL: nothing                    */
    struct keeping *keeping; /* its body is being kept; NULL: it is not                      */
    bool as_get;             /* a HEAD, asked as a GET so that it can be kept                */
    bool from_cache;         /* no peer has said this                                        */
    bool alone;              /* nobody wants the body but who keeps it                       */
    bool holds_request;      /* … and the request has ended                                  */
    unsigned faults;         /* of all that was tried: enum relay_fault                      */

    char *tunnel; /* bytes of the client on their way to the peer: relay_tunnel.c     */
};

/* Everything is borrowed until the request ends; own is the protocol's. The request's body is sent
 * as well if conf says so. NULL: no memory. */
struct relay *relay_begin(struct request *, const struct relay_conf *,
                          const struct relay_protocol *, struct group *, void *own) MUST_USE;

/* Answers with what the cache has, without asking a peer. */
enum verdict relay_serve(struct request *, const struct relay_conf *, const struct relay_protocol *,
                         void *own);

/* The request's, for the location that it is in now; NULL: there is none yet. */
struct relay *relay_of(const struct request *);

/* The first call asks a peer; WAIT until the answer's head is there. */
enum verdict relay_step(struct relay *);

/* The body of the answer, for protocol->answer() to hand to r->response. */
struct body *relay_body(struct relay *);

/* For protocol->answer(): there is no body. */
void relay_end(struct relay *);

/* For protocol->write_head(): not the request's body is passed on, but these bytes. */
void relay_use_bytes(struct relay *, struct slice);

/* relay_send.c: goes on sending. */
void relay_send(struct relay *);
void relay_sent(struct relay *, int error);
/* For protocol->send(): the first `count` of relay->iov are sent … */
void relay_send_iov(struct relay *, int count, unsigned flags);
/* … or the chunk, which is in a file. */
void relay_send_file(struct relay *);
/* … nothing more follows. */
void relay_all_sent(struct relay *);
/* … the chunk that was pulled is done with. */
void relay_piece_sent(struct relay *);
/* … its client's body cannot be had. */
void relay_body_failed(struct relay *);
/* The deadline is over: true if the peer takes bytes of a send, and has more time for it. */
bool relay_still_sends(struct relay *);

/* relay_body.c */
void relay_take(struct relay *, struct io_buf *);
void relay_drop_input(struct relay *);
void relay_drop_body(struct relay *); /* and what was content of it */
void relay_listen(struct relay *);
void relay_settle(struct relay *);
/* No more of the answer is read: what has come is not all of it. */
void relay_break(struct relay *);
/* The body is not kept any more; who waited for that alone has nothing more to do. */
void relay_kept(struct relay *);
/* The request ends: goes on alone, if the body is being kept. False: it is not. */
bool relay_go_on(struct relay *) MUST_USE;

/* relay_file.c */
/* Content that has come and is neither gone nor in memory: it is in the file. */
uint64_t relay_filed(const struct relay *);
/* Could content that comes now go there? */
bool relay_may_file(const struct relay *);
/* Puts it there. False: no memory. */
bool relay_file(struct relay *, struct slice) MUST_USE;
enum body_status relay_file_pull(struct relay *, size_t max, struct chunk *ret);
void relay_file_close(struct relay *);

/* relay_try.c: how connections are made; may the peer of the attempt be asked? */
struct channel_manner relay_manner(struct relay *);
bool relay_allowed(struct relay *);
/* Of an upstream with ntlm: the client's connection has one there already. */
void relay_follow_client(struct relay *);

/* relay_queue.c: the next peer, or NULL: with RELAY_QUEUED, relay_ask() is called again, else there
 * is none, for the reason given. */
const struct peer *relay_pick(struct relay *, const char **why);
/* So long it has waited for the peer that it has now. */
uint64_t relay_queued_ns(const struct relay *);
void relay_ask(struct relay *);

/* What the attempt came to so far, for balance_done(). */
void relay_count(struct relay *);

/* The answer has ended, well or not: its channel is kept or closed. */
void relay_finish(struct relay *);

/* Nothing comes of this peer: the next one, or an error. `said` goes to the log. */
void relay_fail(struct relay *, enum relay_fault, const char *said, int error);

/* Nobody is asked any more. */
void relay_give_up(struct relay *, unsigned status);

/* relay_tunnel.c: from now on bytes go both ways. */
void relay_tunnel(struct relay *);
void relay_tunnel_sent(struct relay *, int error);

/* relay_fault.c: the status that an enum relay_fault is answered with; the fault that a status is
 * (0: none). */
unsigned relay_status_of(enum relay_fault);
unsigned relay_fault_of(unsigned status);

/* relay_vars.c */
extern const struct feature feature_relay;

#endif
