/* h2_link.h - a connection to a server that speaks HTTP/2 (RFC 9113), as far as it is not one
 * request's: frames, header blocks, windows, what is owed to the server. One request at a time.
 *
 *   l = h2_link_create();
 *   h2_link_begin(l, &answer);                   the next request: l->stream
 *   h2_link_head(l, block, ended);               HEADERS into what is to be sent
 *   size = h2_link_data(l, size, ended);         the head of a DATA frame, as the windows allow
 *   out = h2_link_fly(l);  …send it…  h2_link_flown(l);
 *
 *   switch (h2_link_feed(l, now, bytes, size, &taken, &piece)) {
 *   case LINK_MORE:  wait for bytes
 *   case LINK_HEAD:  a block is complete: h2_response_end(&l->block, l->ended), then
 *                    h2_link_expect() says what the next one is
 *   case LINK_DATA:  piece is content; l->ended may follow
 *   case LINK_END:   the stream ended without more content
 *   case LINK_RESET: the server wants no more of this request: l->why, l->refused
 *   case LINK_BAD:   the connection is of no use any more: l->why
 *   }
 *
 * It makes no I/O: whoever has the channel sends what it wants sent. Both sides are bounded:
 * nothing that a server sends makes it keep more than OUT_MAX bytes, a frame, and a block's
 * fields.
 */
#ifndef UPSTREAM_H2_LINK_H
#define UPSTREAM_H2_LINK_H

#include "wire/h2_frame.h"
#include "wire/h2_response.h"

#include <nghttp2/nghttp2.h>

enum {
    LINK_WINDOW = 256 * 1024,   /* what a server may have sent that nobody has taken       */
    LINK_FRAME_MAX = 64 * 1024, /* the most of a body that goes into one frame             */
};

enum h2_link_event { LINK_MORE, LINK_HEAD, LINK_DATA, LINK_END, LINK_RESET, LINK_BAD };

/* Bytes for the server. */
struct h2_link_out {
    uint8_t *at;
    uint32_t used, room;
};

struct h2_link {
    nghttp2_hd_inflater *inflater;
    const char *why;

    /* the request's stream */
    uint32_t stream; /* 0: there was none yet                                             */
    bool open;       /* it has begun, and its answer has not ended                        */
    bool ended;      /* the server has ended it                                           */
    bool sent_end;   /* we have                                                           */
    bool refused;    /* the server has done nothing with it: it may be asked again        */
    bool leaving;    /* GOAWAY: no more requests                                          */

    /* what comes in */
    uint8_t head[H2_FRAME_HEAD];
    uint8_t head_have, pad_have;
    bool settings_seen;
    struct h2_frame frame;
    uint8_t *partial; /* a payload that comes in pieces */
    uint32_t have;    /* of the payload                 */
    uint32_t padding; /* of a DATA frame                */

    /* the header block being read */
    bool block_open, block_ended, block_trailers;
    uint8_t continuations;
    uint32_t block_bytes;
    struct h1_response *answer; /* where it goes */
    struct h2_response block;

    /* windows */
    int64_t send_link, send_stream, recv_link, recv_stream;
    uint32_t peer_window, peer_frame;
    bool no_streams; /* the server allows none */

    /* frames that bring nothing forward */
    uint32_t glitches;
    uint64_t glitches_ns;

    struct h2_link_out out, flight;
    uint32_t acks;
    bool flying, no_memory;
};

struct h2_link *h2_link_create(void) MUST_USE; /* NULL: no memory */
void h2_link_destroy(struct h2_link *);

/* The next request, whose answer goes there. */
void h2_link_begin(struct h2_link *, struct h1_response *);
/* The next block goes there. */
void h2_link_expect(struct h2_link *, bool trailers, struct h1_response *);
/* May it have another request? */
bool h2_link_lives(const struct h2_link *);

enum h2_link_event h2_link_feed(struct h2_link *, uint64_t now_ns, const char *at, size_t size,
                                size_t *taken, struct slice *piece);

/* So many bytes of content wait for whoever takes them: the windows are opened for the rest. */
void h2_link_waiting(struct h2_link *, size_t size);

/* ---- to the server ------------------------------------------------------------------------- */

void h2_link_head(struct h2_link *, struct slice block, bool ended);
/* What may go into the next DATA frame; 0: a window is shut. */
size_t h2_link_room(const struct h2_link *);
/* The head of a DATA frame of so many bytes, which the caller sends behind all else. */
void h2_link_data(struct h2_link *, size_t size, bool ended);

/* Bytes of a DATA frame whose head was written last: they are copied. */
void h2_link_copy(struct h2_link *, struct slice);

/* What is to be sent now, or nothing; to be sent until h2_link_flown(). */
struct slice h2_link_fly(struct h2_link *);
void h2_link_flown(struct h2_link *);

#endif
