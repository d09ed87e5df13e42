/* http2_private.h - what the files of HTTP/2 share: http2.c (the table, and what others may ask
 * for), http2_input.c (frames), http2_blocks.c (header blocks), http2_streams.c (requests come and
 * go), http2_body.c (their bodies), http2_head.c and http2_answer.c (answers), http2_out.c (what
 * is sent), http2_ledger.c (what a client may waste), http2_end.c (how a connection
 * ends).
 */
#ifndef PROTO_HTTP2_PRIVATE_H
#define PROTO_HTTP2_PRIVATE_H

#include "http/http2_conf.h"
#include "http/site.h"
#include "proto/http1.h"
#include "proto/http2.h"
#include "wire/h2_frame.h"
#include "wire/h2_headers.h"
#include "wire/hpack_read.h"
#include "wire/priority.h"

enum { PREFACE, OPEN, WARNED, DRAINING, ENDING, LINGER, CLOSING, BEGUN };

enum {
    OUT_SLOTS_MAX = 5,         /* the pump stops there: about 80 KiB to be sent         */
    CONN_WINDOW = 1024 * 1024, /* what a connection's requests may have under way       */
    BODY_WINDOW = 256 * 1024,  /* … and one of them, while somebody reads               */
    CONTINUATIONS_MAX = 8,     /* frames of one header block, behind the first          */
    ACKS_MAX = 100,            /* answers to PING and SETTINGS that wait to be sent     */
    RESETS_BURST = 1000,
    RESETS_PER_SEC = 33, /* by either side                        */
    GLITCHES_BURST = 10000,
    GLITCHES_PER_SEC = 330, /* frames that bring nothing forward   */
    UPDATE_LEAST = 64,      /* a WINDOW_UPDATE of less is one of them                */
    SETTINGS_FREE = 16,     /* of one frame; each can cost a step for every stream   */
    EARNED_MAX = 1000,      /* late and small frames that answers may call for       */
    WINDOW_FAIR = 2048,     /* a window that is opened so far is no drip             */
    STREAM_RATE_MIN = 500,  /* bytes a second a client must take                     */
    FILE_PIECE = 64 * 1024, /* read of a file at a time                              */
    BUCKETS = 16,           /* of the table of streams                               */
    RECENT = 16,            /* streams that have ended, remembered                   */
    RECENT_RESETS = 128,    /* … by a reset of ours: more of them may come           */
    EARLY_MAX = 4,          /* priorities that came before their requests            */
    WARN_MS = 1000,         /* from the first GOAWAY to the last, without an answer  */
};

/* Bytes on their way out. A slot of loop->out_slab. */
struct h2_out {
    struct h2_out *next;
    struct iovec iov[IO_IOV_MAX]; /* of a flight, in its first slot */
    uint32_t used;
    uint8_t bytes[];
};
enum { H2_OUT_ROOM = HTTP1_OUT_SLOT - sizeof(struct h2_out) };

struct bucket {
    uint32_t left;
    uint64_t filled_ns;
};

/* A piece of a request's body that nobody has taken yet. */
struct h2_piece {
    struct h2_piece *next;
    uint32_t size, used, room;
    char bytes[];
};

/* One request's exchange, in its arena: r->exchange. */
struct h2_stream {
    struct request *request;
    struct h2 *h2;
    struct h2_stream *same; /* in its bucket                                     */
    uint32_t id;
    struct priority priority;
    bool ordered;          /* a priority was given: not incremental means one by one    */
    struct link ready;     /* in h2->ready: has something to send, as far as is known    */
    struct link feed;      /* in h2->feeding: its reader wants more                     */
    struct io_timer timer; /* the client must send, or take, something until then        */
    struct io_timer pace;  /* limit_rate                                                */
    char key[24];          /* Sec-WebSocket-Key of an extended CONNECT                   */

    /* its body */
    int64_t recv_window;
    uint32_t recv_credit; /* taken, and not yet told                              */
    bool widened;         /* recv_window was raised: it is being read              */
    bool remote_ended, body_wanted, end_told, continued, early_window;
    struct h2_piece *in_first, *in_last;
    uint64_t body_bytes, body_since_ns, body_waited_ns;

    /* its answer */
    int64_t send_window;
    bool decided, head_written, body_ended, trailing, tunnel, ended;
    bool duplex;    /* its body is brought while its answer is sent */
    uint8_t pulled; /* what was pulled before there was room for it, + 1   */
    uint32_t chunk_size;
    uint64_t answer_left;
    uint64_t rate, rate_after, paced_since_ns, paced_bytes;
    uint64_t stall_mark; /* body_sent when the timer was set                    */
    struct chunk chunk;  /* the rest of the chunk pulled last                    */
    size_t chunk_whole;
    struct io_op read; /* … into room, if it is a file's                      */
    char *room;
    size_t room_size;
    bool reading, read_failed;
};

/* Which stream a header block is for, and what becomes of it. */
enum h2_fate { FATE_RUN, FATE_TRAILERS, FATE_IGNORE, FATE_REFUSE };

struct h2_early {
    uint32_t id;
    struct priority priority;
};

struct h2 {
    struct conn *conn;
    struct io_timer wake; /* something is to be sent or brought: in the next turn   */
    struct hpack_reader *fields;

    /* what comes in */
    uint8_t head[H2_FRAME_HEAD];
    uint8_t head_have;
    bool settings_seen, settings_acked;
    struct h2_frame frame; /* the one whose payload is being read; when head_have is full */
    char *partial;         /* its payload, when it comes in pieces                   */
    uint32_t partial_have;
    uint32_t skip;      /* of a payload that means nothing                        */
    uint32_t feed_left; /* of a DATA frame's bytes; `skip` is its padding then      */
    bool feeding_frame, pad_due;

    /* the header block being read */
    bool block_open, block_ended;
    uint8_t continuations, fate;
    uint32_t block_id, block_bytes;
    uint64_t block_since_ns;
    struct h2_stream *block_stream;
    struct h2_headers block;
    enum h2_error block_error; /* FATE_RUN: its stream's error, found before its end  */

    /* flow control */
    int64_t send_window, recv_window;
    uint32_t recv_credit;
    uint32_t peer_window, peer_frame, preread;
    struct h1_limits limits; /* for blocks that are no request's                    */

    /* streams */
    struct h2_stream *streams[BUCKETS];
    uint32_t stream_count, last_id, goaway_id;
    uint32_t recent[RECENT], recent_at;
    uint32_t *recent_resets, resets_at; /* made at the first one                         */
    struct list ready[URGENCY_COUNT];
    struct list feeding;
    struct h2_early early[EARLY_MAX];
    uint32_t early_at;

    /* what goes out */
    struct h2_out *out_first, *out_last, *flight;
    uint32_t out_count;
    uint32_t acks;
    uint64_t sent_bytes, stall_mark; /* DATA                                           */
    uint64_t stall_until_ns;         /* the connection's window is shut; 0: it is not  */
    uint64_t send_until_ns, idle_since_ns, warned_ns;
    uint32_t head_ms, idle_ms, linger_ms; /* client_header_timeout …                */
    bool table_told;                      /* that our encoder has no table                     */
    bool no_memory;
    bool leaving; /* a graceful end is due                                  */

    struct bucket resets, glitches;
    uint32_t earned;     /* small or late frames that what we sent has called for       */
    enum h2_error error; /* the connection's; H2_NO_ERROR: none */
    const char *why;
};

#define RESET_BY_US 0x80000000u

static inline struct h2 *h2_of(const struct conn *c)
{
    return c->session;
}

static inline struct h2_stream *stream_of(const struct request *r)
{
    return r->exchange;
}

static inline const struct http_core *h2_core(const struct h2_stream *s)
{
    return core_conf(s->request);
}

/* ---- http2.c ------------------------------------------------------------------------------ */

extern const struct request_ops h2_ops;
/* Something is to be done that an event of the connection does: soon. */
void h2_wake(struct h2 *);
/* The connection's error. Always false. The first one counts. */
bool h2_fail(struct h2 *, enum h2_error, const char *why);
/* Finish what was begun; no more. */
void h2_warn(struct h2 *, enum close_reason why);

/* ---- http2_end.c: its states */

conn_event_fn h2_ending_enter, h2_ending_bytes, h2_ending_sent, h2_ending_late, h2_linger_enter,
    h2_linger_bytes, h2_linger_late;

/* ---- http2_input.c: false: h2->error is set ------------------------------------------------ */

bool h2_input(struct h2 *, struct slice bytes);

/* ---- http2_blocks.c: false, likewise -------------------------------------------------------- */

bool h2_block_begin(struct h2 *, const struct h2_frame *, struct slice payload);
bool h2_block_more(struct h2 *, const struct h2_frame *, struct slice payload);

/* ---- http2_streams.c ------------------------------------------------------------------------ */

struct h2_stream *h2_find(const struct h2 *, uint32_t id);
/* Was it, and what became of it: recent[]'s entry, or 0. */
uint32_t h2_recent(const struct h2 *, uint32_t id);
/* NULL: no memory. */
struct h2_stream *h2_stream_create(struct h2 *, uint32_t id, const struct vhosts *);
/* Its request ends; all is given back. */
void h2_stream_end(struct h2_stream *, bool complete, bool by_us);
/* RST_STREAM for a stream that is there or not. False: h2->error is set, there were too many. */
bool h2_reset(struct h2 *, uint32_t id, enum h2_error);
void h2_end_all(struct h2 *);
void h2_prioritise(struct h2_stream *, struct slice text);
/* It may have something to send. */
void h2_make_ready(struct h2_stream *);
/* The time runs until the client sends or takes something. */
void h2_stream_wait(struct h2_stream *, int64_t after_ms);
io_fire_fn h2_stream_late, h2_stream_paced;

/* ---- http2_body.c --------------------------------------------------------------------------- */

/* A piece of DATA for a stream; `charged` bytes of both windows. False: h2->error is set. */
bool h2_body_take(struct h2_stream *, struct slice piece);
bool h2_body_end(struct h2_stream *);
void h2_body_drop(struct h2_stream *);
void h2_body_late(struct h2_stream *);
void h2_feed_all(struct h2 *);
/* Bytes that came are done with: both windows open again in time. s may be NULL. */
void h2_credit(struct h2 *, struct h2_stream *, uint32_t size);
void h2_read_body(struct request *);

/* ---- http2_head.c: false: there is no memory ------------------------------------------------- */

bool h2_write_head(struct h2_stream *, bool ended);
bool h2_write_trailers(struct h2_stream *);
bool h2_write_interim(struct h2_stream *, unsigned status);

/* ---- http2_answer.c -------------------------------------------------------------------------- */

/* Writes answers, the most urgent first, until there is enough to send. */
void h2_answer_all(struct h2 *);

/* ---- http2_out.c ----------------------------------------------------------------------------- */

/* Room for `size` bytes in one piece, at most H2_OUT_ROOM; NULL: no memory (h2->no_memory). */
uint8_t *h2_out_room(struct h2 *, size_t size);
/* The room that is left in the last slot. */
size_t h2_out_left(const struct h2 *);
static inline void h2_out_used(struct h2 *h2, size_t size)
{
    h2->out_last->used += (uint32_t)size;
}
void h2_out_bytes(struct h2 *, const void *at, size_t size);
bool h2_out_full(const struct h2 *);
void h2_out_drop(struct h2 *);
/* Sends what is there, if nothing is on its way. */
void h2_flush(struct h2 *);
/* … has been sent. */
void h2_flown(struct h2 *);
void h2_put_frame(struct h2 *, enum h2_type, unsigned flags, uint32_t stream, const void *at,
                  uint32_t size);
void h2_put_rst(struct h2 *, uint32_t stream, enum h2_error);
void h2_put_update(struct h2 *, uint32_t stream, uint32_t size);
void h2_put_goaway(struct h2 *, uint32_t last, enum h2_error, const char *why);
void h2_put_settings(struct h2 *, uint32_t streams_max, uint32_t list_max);

/* ---- http2_ledger.c -------------------------------------------------------------------------- */

void h2_ledger_open(struct h2 *);
/* A frame that brings nothing forward, a reset: false, and h2->error is set, when there were more
 * than anybody needs. */
bool h2_glitch(struct h2 *);
/* One that would be a glitch, if not some frames of ours had called for it. */
bool h2_late_frame(struct h2 *);
void h2_earn(struct h2 *, unsigned frames);
bool h2_count_reset(struct h2 *);

#endif
