/* http2.h - HTTP/2 (RFC 9113) for the load generator: a connection's state, which three files
 * share. http2.c asks and reads frames, http2_answer.c knows header blocks and content,
 * http2_control.c what else frames say.
 *
 * An answer is judged as whole as a proxy's would be, and its content thrown away. A request that
 * a server answers wrongly is reset (a stream's error, RFC 9113 §5.4.2), and others go on; a server
 * that breaks the connection's rules is left (§5.4.1).
 */
#ifndef BENCH_HTTP2_H
#define BENCH_HTTP2_H

#include "bench/cut.h"
#include "bench/outbox.h"
#include "bench/streams.h"
#include "bench/protocol.h"
#include "wire/h2_response.h"
#include "wire/hpack_read.h"

enum {
    H2_STREAM_WINDOW = 16 * 1024 * 1024, /* no answer waits for us: windows are opened again when
                                          * half of them is gone */
    H2_LINK_WINDOW = 64 * 1024 * 1024,
    H2_HEAD_FIRST = 2048,
};

/* A header block that is being read. */
struct http2_block {
    bool open, ended, trailers;
    uint8_t continuations;
    uint32_t stream, bytes;
    struct h2_response fields;
};

struct http2 {
    const struct bench_plan *plan;
    struct hpack_reader *fields;
    struct cut in;
    struct outbox out;
    struct streams streams;
    uint32_t next_id;

    bool settled;       /* the server's SETTINGS have come                        */
    bool leaving;       /* no more requests: GOAWAY, or there is no use for more  */
    bool sweep;         /* streams behind last_id have not been told of yet       */
    uint32_t last_id;   /* of GOAWAY                                              */
    uint32_t left_code; /* likewise                                               */

    uint32_t peer_streams, peer_frame, peer_window;
    int64_t send_window, recv_window; /* of the connection                        */
    uint32_t bodies;                  /* streams whose request is not wholly sent */
    uint32_t acks;                    /* answers to PING and SETTINGS that wait   */
    uint32_t resets;                  /* by us: frames that were on their way may come */
    uint16_t turn;                    /* which of the bodies goes on              */

    struct http2_block block;
    struct h1_response response;
    struct arena arena;
    uint64_t now_ns;
    uint64_t look_ns; /* when the first request may have to be given up */
    struct bench_answer *answer;
    _Alignas(ARENA_ALIGN) char first_block[H2_HEAD_FIRST];
};

/* ---- what all of them say ------------------------------------------------------------------- */

/* The connection is of no use: BENCH_BAD. */
enum bench_read http2_bad(struct http2 *, const char *why);
/* Ends a stream that will have no answer: BENCH_LOST. */
enum bench_read http2_lose(struct http2 *, struct stream *, enum bench_error, const char *why);
/* The same, and tells the server. */
enum bench_read http2_reset(struct http2 *, struct stream *, enum h2_error, enum bench_error,
                            const char *why);
/* Ends a stream without a word. */
void http2_forget(struct http2 *, struct stream *);
/* No stream of this number is open: may a frame of it come nevertheless? */
bool http2_is_late(const struct http2 *, uint32_t id);

/* ---- http2_answer.c ------------------------------------------------------------------------- */

enum bench_read http2_headers(struct http2 *, struct slice payload);
enum bench_read http2_continuation(struct http2 *, struct slice payload);
/* The head of a DATA frame, then its content piece by piece. */
enum bench_read http2_content_head(struct http2 *);
enum bench_read http2_content(struct http2 *, struct slice piece);

/* ---- http2_control.c ------------------------------------------------------------------------ */

/* The payload of any other frame. */
enum bench_read http2_control(struct http2 *, struct slice payload);

#endif
