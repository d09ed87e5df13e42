/* h2_link.h - a connection to a server that speaks HTTP/2 (RFC 9113), and its streams: frames,
 * header blocks, windows, what is owed to the server.
 *
 *   l = h2_link_create();
 *   h2_link_head(l, &stream, block, ended);      a request: HEADERS into what is to be sent
 *   size = h2_link_room(l, &stream);             so much of a body may follow
 *   h2_link_data(l, &stream, size, ended);       the head of a DATA frame
 *   out = h2_link_fly(l);  …send it…  h2_link_flown(l);
 *
 *   do switch (h2_link_feed(l, now, bytes, size, &taken, &piece)) {
 *   case LINK_MORE:   wait for bytes
 *   case LINK_BLOCK:  l->at->block is complete: h2_response_end(), then h2_stream_expect()
 *   case LINK_DATA:   piece is content of l->at
 *   case LINK_END:    l->at ended: nothing of it follows
 *   case LINK_RESET:  the server wants no more of l->at: its why, its refused
 *   case LINK_GOAWAY: some of l->streams are refused; the others go on
 *   case LINK_BAD:    the connection is of no use any more: l->why
 *   } while (…);
 *   h2_stream_leave(l, &stream);                 nobody waits for it any more
 *
 * Behind LINK_BLOCK and LINK_DATA, l->at->ended says whether that was all of the stream.
 *
 * It makes no I/O: whoever has the channel sends what it wants sent. Both sides are bounded:
 * nothing that a server sends makes it keep more than OUT_MAX bytes, a frame, and a block's
 * fields for each stream.
 */
#ifndef UPSTREAM_H2_LINK_H
#define UPSTREAM_H2_LINK_H

#include "wire/h2_frame.h"
#include "wire/h2_response.h"
#include "wire/hpack_read.h"

enum {
    LINK_WINDOW = 256 * 1024,   /* what a stream may have sent that nobody has taken       */
    LINK_FRAME_MAX = 64 * 1024, /* the most of a body that goes into one frame             */
    LINK_STREAMS_MAX = 100,     /* at a time, whatever the server allows; before it has said so,
                                   too: RFC 9113 §6.5.2 advises no less                    */
};

enum h2_link_event {
    LINK_MORE,
    LINK_BLOCK,
    LINK_DATA,
    LINK_END,
    LINK_RESET,
    LINK_GOAWAY,
    LINK_BAD
};

/* Bytes for the server. */
struct h2_link_out {
    uint8_t *at;
    uint32_t used, room;
};

/* One request and its answer; whoever asks has it among its own. */
struct h2_stream {
    uint32_t id;       /* 0: its head was not sent, or it was left                       */
    bool ended;        /* the server has ended it, or reset it                           */
    bool sent_end;     /* we have ended it, or the server has reset it                    */
    bool refused;      /* the server has done nothing with it: it may be asked again     */
    bool has_head;     /* DATA may come                                                  */
    const char *why;   /* it was reset, or lost: the reason; NULL: it was not            */
    uint64_t received; /* bytes of frames                                                */
    int64_t send_window, recv_window;
    struct h1_response *answer; /* where the next block goes */
    bool trailers;              /* … which is what stands behind the body */
    struct h2_response block;
};

struct h2_link {
    struct hpack_reader *fields;
    const char *why;
    struct h2_stream *at; /* what an event is about */
    uint32_t next_id;
    uint32_t peer_streams; /* that the server allows at a time                              */
    bool leaving;          /* no more requests                                              */
    bool opened;           /* a window was: for whoever waits to clear                      */

    /* those that were begun and not left, in no order */
    unsigned count;
    uint32_t ids[LINK_STREAMS_MAX];
    struct h2_stream *streams[LINK_STREAMS_MAX];

    /* what comes in */
    uint8_t head[H2_FRAME_HEAD];
    uint8_t head_have, pad_have;
    bool settings_seen;
    struct h2_frame frame;
    struct h2_stream *of; /* the frame's stream; NULL: it has none, or nobody waits for it */
    uint8_t *partial;     /* a payload that comes in pieces */
    uint32_t have;        /* of the payload                 */
    uint32_t padding;     /* of a DATA frame                */

    /* the header block being read */
    bool block_open, block_ended;
    uint8_t continuations;
    uint32_t block_stream, block_bytes;

    /* the connection's windows */
    int64_t send_window, recv_window;
    uint32_t peer_window, peer_frame;

    /* frames that bring nothing forward */
    uint32_t glitches;
    uint64_t glitches_ns;

    struct h2_link_out out, flight;
    uint32_t acks;
    bool flying, no_memory;
};

struct h2_link *h2_link_create(void) MUST_USE; /* NULL: no memory */
void h2_link_destroy(struct h2_link *);

/* So many streams may be open at a time from now on; 0: it takes no more requests. */
unsigned h2_link_most(const struct h2_link *);

/* Reads frames up to the next event. Bytes are lent for the call; what is kept of them is copied.
 * *taken: how many of them were read. */
enum h2_link_event h2_link_feed(struct h2_link *, uint64_t now_ns, const char *at, size_t size,
                                size_t *taken, struct slice *piece);

/* ---- a stream ------------------------------------------------------------------------------ */

/* Where its next block goes; the first one before h2_link_head(). Borrows the answer. */
void h2_stream_expect(struct h2_stream *, bool trailers, struct h1_response *);

/* So many bytes of its content wait for whoever takes them: its window is opened for the rest. */
void h2_stream_waiting(struct h2_link *, struct h2_stream *, size_t size);

/* It is forgotten; what is not over is cancelled (RST_STREAM). */
void h2_stream_leave(struct h2_link *, struct h2_stream *);

/* ---- to the server ------------------------------------------------------------------------- */

/* So much waits to be sent that only what must go may join it. */
bool h2_link_is_full(const struct h2_link *);

/* Begins the stream, of which h2_link_most() allows one more. */
void h2_link_head(struct h2_link *, struct h2_stream *, struct slice block, bool ended);
/* What may go into the next DATA frame; 0: a window is shut. */
size_t h2_link_room(const struct h2_link *, const struct h2_stream *);
/* The head of a DATA frame of so many bytes, which the caller sends behind all else. */
void h2_link_data(struct h2_link *, struct h2_stream *, size_t size, bool ended);
/* Bytes of a DATA frame whose head was written last: they are copied. */
void h2_link_copy(struct h2_link *, struct slice);

/* What is to be sent now, or nothing; to be sent until h2_link_flown(). */
struct slice h2_link_fly(struct h2_link *);
void h2_link_flown(struct h2_link *);

#endif
