/* request.h - one request and its answer, whoever speaks it.
 *
 * A protocol (proto/http1.c) fills the head, points `vhosts` at its listener's servers and
 * calls request_start(). The request runs down the pipeline (pipeline.h): steps read the head,
 * pick server and location, and one of them answers. Then filters shape the answer, and the
 * protocol is asked through `ops` to send it, pulling the body. When it is sent, or the client
 * is gone, the protocol calls request_end(): the access log is written and everything dropped.
 *
 *      r->response.status = 200;
 *      r->response.length = (int64_t)size;
 *      r->response.body = body_file(…);
 *      return DONE;
 *
 * All memory of a request is in r->arena, which has a ceiling; an allocation that fails is
 * answered with 500, and only that request is lost.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "base/arena.h"
#include "base/gather.h"
#include "conf/directive.h"
#include "conf/expr.h"
#include "conf/regex.h"
#include "http/body.h"
#include "http/loop.h"
#include "net/addr.h"
#include "wire/h1_head.h"

struct body_sink;
struct client_body;
struct location;
struct proxy_told;
struct rewrite_op;
struct server;
struct step;
struct tls;
struct vhosts;

/* ---- the answer ---------------------------------------------------------------- */

/* A response field beyond those that struct response names. Names and values live in the
 * arena, in the generation, or are constant. value.at == NULL: taken out again. */
struct header {
    struct slice name, value;
    struct header *next;
};

struct response {
    uint16_t status;                 /* 0: not decided yet                                   */
    struct slice content_type;       /* with charset if any; size 0: none                    */
    int64_t length;                  /* of the body; -1: not known before its end            */
    int64_t last_modified;           /* seconds since 1970; -1: none                         */
    struct slice last_modified_text; /* the same as a date, if it is at hand                  */
    struct slice etag;               /* quoted; size 0: none                                 */
    struct slice location;           /* Location; absolute or made so by the redirect filter */
    struct header *headers, **headers_end;
    uint32_t header_count;
    struct header *trailers;        /* behind the body; made at its end: trailers_make()      */
    struct header *passed_trailers; /* another server's, which become the first of them    */
    bool passes_trailers;           /* … there may be some                                */
    struct body *body;              /* NULL: none                                           */
    bool accept_ranges;             /* the body is whole and its length known               */
    bool final;                     /* error_page and the default text leave it alone       */
    bool close;                     /* the connection must not be kept                      */
    bool no_answer;                 /* return 444                                           */
    bool has_date; /* `headers` has this field: the protocol adds none of its own */
    bool has_server;
    bool judged; /* by who made it, conditions too: they are not looked at again     */
    bool tunnel; /* 101: behind the head, bytes go both ways, to r->sink too     */
    bool duplex; /* the request's body is still wanted: see request_ops.duplex    */
};

/* ---- the request --------------------------------------------------------------- */

/* Whose they are: request.slots[]. */
enum request_slot {
    SLOT_OPENING, /* handler/ */
    SLOT_INDEX,
    SLOT_TRY,
    SLOT_LISTING,
    SLOT_LOOK,
    SLOT_PACKED,
    SLOT_DAV,
    SLOT_AUTH,
    SLOT_DELAY,
    SLOT_RESPOND,
    SLOT_MIRROR,
    SLOT_PACKING, /* filter/ */
    SLOT_SSI,
    SLOT_SLICE,
    SLOT_AUTH_REQUEST, /* http/ */
    SLOT_USERID,
    SLOT_RELAY, /* upstream/ */
    SLOT_LAST_RELAY,
    SLOT_ATTEMPTS,
    SLOT_TUNNEL,
    SLOT_PROXIED,
    SLOT_GRPC,
    SLOT_LAST_PROXIED,
    SLOT_ONLY_PEER,
    SLOT_API,
    SLOT_ZONES,
    SLOT_CACHED,
    SLOT_CLIENT_STATUS,
    SLOT_COUNT
};

/* What a protocol does for a request. */
struct request_ops {
    const char *name; /* "HTTP/1.1" …                                         */
    bool duplex;      /* its body is brought while its answer is sent, if response.duplex says so */
    /* Brings the request's body to r->sink, beginning in a later turn or event, never from
     * inside the call; asks again after the sink said "enough". See http/client_body.h. */
    void (*read_body)(struct request *);
    /* The answer is decided: send head and body. Called once. */
    void (*respond)(struct request *);
    /* A body that said BODY_LATER can be pulled again. */
    void (*body_ready)(struct request *);
    /* Sends an interim answer (103) with r->response.headers, if the protocol and version allow
     * it and nothing else is on its way; not before the request is run, nor from a step. */
    void (*interim)(struct request *, unsigned status);
    void (*peer)(struct request *, struct addr *ret);  /* the client's address            */
    void (*local)(struct request *, struct addr *ret); /* ours                            */
    int (*socket)(struct request *);                   /* its fd, or -1 ($tcpinfo_…)      */
    struct tls *(*tls)(struct request *);              /* NULL (also the function): none  */
    /* The request's memory is gone (see request_pin); conn is what request_create() was given. */
    void (*freed)(void *conn);
};

/* Work of other layers that must be undone when the request ends. */
struct cleanup {
    void (*run)(void *arg);
    void *arg;
    struct cleanup *next;
};

struct request {
    uint32_t magic;
#define REQUEST_MAGIC 0x72657175u
    uint16_t step;      /* index into the pipeline's steps                      */
    uint16_t pins;      /* operations in flight that live in the arena          */
    uint8_t redirects;  /* internal redirects so far; at most REDIRECTS_MAX      */
    uint8_t req_limit;  /* enum limit_status (handler/limit.h): of limit_req …    */
    uint8_t conn_limit; /* … and limit_conn; not LIMIT_NONE: it was counted       */
    bool internal;      /* reached by an internal redirect                      */
    bool waiting;       /* a step said WAIT                                     */
    bool running;       /* request_run is on the stack                          */
    bool counted;       /* in loop->stats.writing                               */
    bool ended;
    bool header_only; /* HEAD, or a status without a body: send the head alone */
    bool head_sent;
    bool keep_alive;      /* the connection may be used again after this          */
    bool tried;           /* try_files found a file                               */
    bool routed;          /* the location is already chosen (a named one)         */
    bool no_error_page;   /* after a redirection cycle                            */
    bool from_error_page; /* error_page chose a page, and may not choose again     */
    bool page_asked;      /* error_page sent it to a page: the body is the error's  */
    bool moved;           /* rewrite changed uri: the location is looked for again  */
    bool script_over;     /* break and its kin: no more instructions are run        */
    bool rate_set;        /* `rate` counts, not limit_rate                          */
    bool error_close;     /* … for an error after which the connection closes     */
    bool pipelined;       /* its first bytes came with the request before it: $pipe */
    bool complete;        /* the whole answer was sent: $request_completion        */
    bool tls;
    bool is_check;           /* of a server's health: not counted, in no access log           */
    bool clone;              /* a sub-request for its parent's own path: subrequest_clone()  */
    bool uri_changed;        /* uri is not what the client asked for any more            */
    bool uri_rewritten;      /* … and was changed by rewrite since its location was found */
    bool unhurried;          /* its body is one of messages: it has no least rate        */
    bool leaves_with_client; /* the client's closing ends it: nobody waits for the answer */
    bool access_settled;     /* what the access steps think so far: see http/access.h  */

    struct loop *loop;
    struct io *io; /* the connection's loop: submit ops here               */
    const struct request_ops *ops;
    void *conn;                         /* the protocol's own                                   */
    void *exchange;                     /* the protocol's own for this request, in the arena     */
    struct request *parent;             /* of a sub-request: see subrequest.h                   */
    struct request *children, *sibling; /* sub-requests that end with this one at the latest */
    uint32_t subrequests;               /* made so far, by all that is inside this one       */
    struct arena arena;

    struct site *site; /* the generation it runs on; counted                   */
    const struct vhosts *vhosts;
    const struct server *server;
    const struct location *location; /* NULL before one was found                            */
    const struct scope *scope;       /* configuration now in force: server's, location's …   */
    const struct log *log;           /* of that scope                                        */

    struct h1_head head;    /* what came: method, target, fields …                  */
    struct slice host;      /* lower case, without port                             */
    uint16_t host_port;     /* 0: none given                                        */
    struct slice uri;       /* decoded, normalised path; changed by redirects       */
    struct slice args;      /* changed by redirects; at == NULL: none               */
    struct slice extension; /* of uri's last segment, without the dot; size 0: none */

    /* Whose captures are below: the location's or rewrite's, and server_name's. */
    const struct regex *captures_of, *server_captures_of;

    struct response response;

    const struct body_sink *sink;    /* who takes the request's body                         */
    struct client_body *client_body; /* what was read of it; NULL: nobody asked for it       */

    uint64_t number;           /* of the connection, $connection                       */
    uint64_t conn_opened_ns;   /* when the connection began                             */
    uint32_t nth;              /* request on it, $connection_requests                  */
    uint64_t started_ns;       /* io_now_ns() at the head's first byte                 */
    uint64_t head_bytes;       /* $request_length so far                               */
    uint64_t head_sent_bytes;  /* size of the answer's head                            */
    uint64_t body_sent;        /* $body_bytes_sent                                     */
    uint64_t rate;             /* what `set $limit_rate` said                          */
    uint16_t error_status;     /* what an error page is sent with; 0: its own status    */
    uint16_t access_status;    /* what the access steps refuse it with so far; 0: nothing */
    struct header *challenges; /* of those that said 401: see access_challenge()        */
    struct header *carried;    /* fields that an internal redirect takes to its answer  */
    struct slice id;           /* $request_id, made when first asked for               */

    struct cleanup *cleanups;
    struct slice *values; /* of set and of named captures, by conf_place(); NULL: none yet */
    const struct rewrite_op *script_at; /* the instruction that said WAIT            */
    struct slice root_path;             /* cache of $document_root for this location            */
    void *slots[SLOT_COUNT];            /* what features keep of this request while they wait   */
    const struct proxy_told *told;      /* the connection's PROXY header; NULL: none           */
    const struct addr *peer;            /* the connection's own, when client is another's     */
    struct addr client;                 /* filled at first use: request_client()                */
    bool client_known;

    /* Frozen captures; not cleared at the beginning: they mean nothing while …_of is NULL. */
    struct slice captures[CAPTURES_MAX];
    struct slice server_captures[CAPTURES_MAX];
};

enum { REDIRECTS_MAX = 10, REQUEST_ARENA_MAX = 512 * 1024, HEADERS_MAX = 256 };

/* ---- for steps, filters and handlers --------------------------------------------- */

enum verdict {
    NEXT,     /* go on with the next step                                              */
    WAIT,     /* request_resume() will be called; the same step's `resume` runs then     */
    DONE,     /* answered: go to the filters                                           */
    REROUTE,  /* uri and args were changed: go on with the server's own instructions   */
    RELOCATE, /* the same for a rewrite in a location or a named location (which is chosen
                 already): go on with looking for the location                          */
};

/* Decides an error answer (or any answer made of a status alone): drops what was there.
 * Returns DONE, so a step can `return request_fail(r, 403);`. error_page is consulted by the
 * pipeline afterwards. */
enum verdict request_fail(struct request *, unsigned status);

/* An answer of bytes that outlive it. Returns DONE. */
enum verdict request_reply(struct request *, unsigned status, struct slice content_type,
                           struct slice bytes);

/* Redirects to a path ("/dir/") or an absolute URI. Returns DONE. */
enum verdict request_redirect_out(struct request *, unsigned status, struct slice to);

/* Internal redirect: new uri ("?" separates args, else args stay unset). Returns REROUTE
 * (RELOCATE for a named location), or DONE with 500 after REDIRECTS_MAX. uri is copied. */
enum verdict request_reroute(struct request *, struct slice uri);
enum verdict request_reroute_args(struct request *, struct slice uri, struct slice args);
enum verdict request_reroute_named(struct request *, struct slice name);

/* r->uri was changed by rewrite in a location. Returns RELOCATE, or DONE with 500 likewise. */
enum verdict request_relocate(struct request *);

/* The request's own values, by conf_place(): zeroed at first. NULL when memory ran out. */
struct slice *request_values(struct request *);

/* re matched last, r->captures being its captures (the server's, r->server_captures, if `re` is
 * its name's): remembers it and the values of its named groups. False: memory ran out. */
bool request_matched(struct request *, const struct regex *) MUST_USE;

/* The step that said WAIT is to be run again (it keeps its progress in its slot). */
void request_resume(struct request *);

/* The body of r->response has more. */
void request_body_ready(struct request *);

/* A header behind the others; both slices must outlive the answer. False: no memory, or
 * more than HEADERS_MAX. */
bool response_add(struct request *, struct slice name, struct slice value) MUST_USE;
struct header *response_find(struct request *, struct slice name);

/* run(arg) when the request ends. False (and run is called at once) when memory is out. */
bool request_at_end(struct request *, void (*run)(void *), void *arg) MUST_USE;

/* The field's value, or at == NULL. */
static inline struct slice request_field(const struct request *r, enum field_id id)
{
    return r->head.known[id] ? r->head.known[id]->value : (struct slice){ 0 };
}

const struct addr *request_client(struct request *);

/* The client's own request, of which this one may be a part. */
static inline struct request *request_main(struct request *r)
{
    while (r->parent != NULL)
        r = r->parent;
    return r;
}

#define request_conf(r, feature) scope_conf((r)->scope, (feature))

/* Writes to the error log of the scope in force, with nginx's about-part. */
void request_log(struct request *, enum log_level, int error, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* An op that lives in the arena (or reads into it) is in flight: the memory stays, even past
 * request_end(), until it is unpinned by the op's completion. After unpinning, look at
 * r->ended first: true means nobody waits for the result and r may be gone. Returns r->ended. */
void request_pin(struct request *);
bool request_unpin(struct request *);

/* Splits uri's extension off again after uri was changed. */
void request_set_uri(struct request *, struct slice uri);

/* ---- for protocols ------------------------------------------------------------- */

/* `memory` is a slot of loop->request_slab (REQUEST_SLOT bytes): the request itself and its
 * arena's first block. Only pages that are written to cost memory. */
enum { REQUEST_SLOT = 12288 };
struct request *request_create(struct loop *, struct io *, const struct request_ops *,
                               void *conn) MUST_USE;

/* The same on a generation that is not the latest. */
struct request *request_create_on(struct loop *, struct io *, struct site *,
                                  const struct request_ops *, void *conn) MUST_USE;

/* The head is complete: normalises, picks the server, runs the pipeline. ops->respond() will
 * be called, from here or later. */
void request_start(struct request *, const struct vhosts *);

/* The head was refused (head.status): the answer of the default server's error pages. */
void request_start_refused(struct request *, const struct vhosts *, unsigned status);

/* Throws away an answer that was decided but not begun, for an error found while the request's
 * body was read (400, 408, 413). */
void request_replace(struct request *, unsigned status);

/* limit_rate in force, bytes a second (0: none), and limit_rate_after. */
uint64_t request_rate(struct request *, uint64_t *ret_after);

/* The answer was sent, or cannot be. Logs, drops, ends its sub-requests, frees. */
void request_end(struct request *);

/* A sub-request is no longer ended with its parent. */
void request_leave_parent(struct request *);

#endif
