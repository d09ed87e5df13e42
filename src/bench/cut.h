/* cut.h - cuts what a server sends into frames of HTTP/2, however it arrives (RFC 9113 §4.1).
 *
 *   struct slice in = …what came, piece;
 *   switch (cut_next(&c, &in, &piece)) {
 *   case CUT_MORE:     all was taken: wait for bytes
 *   case CUT_HEAD:     c.frame is there; judge it before going on: a payload other than DATA's
 *                         must have at most H2_FRAME_MAX_LEAST bytes
 *   case CUT_CONTENT:  piece is content of a DATA frame, without its padding; may be empty
 *   case CUT_PAYLOAD:  piece is the whole payload of another frame
 *   case CUT_BAD:      c.why
 *   }
 *
 * Content is lent from what came. Other payloads are too, unless they came in pieces.
 */
#ifndef BENCH_CUT_H
#define BENCH_CUT_H

#include "wire/h2_frame.h"

enum cut_step { CUT_MORE, CUT_HEAD, CUT_CONTENT, CUT_PAYLOAD, CUT_BAD };

/* Zeroed: at the beginning of a connection. */
struct cut {
    struct h2_frame frame; /* the current one, or the last                       */
    bool inside;           /* its head is there, and its payload has not ended   */
    const char *why;

    bool padded;      /* how much padding there is has not come yet */
    uint8_t padding;  /* of a DATA frame                            */
    uint32_t have;    /* of the payload                             */
    uint8_t *partial; /* a payload that comes in pieces; owned      */
    uint8_t head[H2_FRAME_HEAD], head_have;
};

/* Takes bytes off *in. BAD: the padding is longer than its frame (PROTOCOL_ERROR), or there is no
 * memory; then it must not be called again. */
enum cut_step cut_next(struct cut *, struct slice *in, struct slice *piece) MUST_USE;

/* Gives back what it holds. */
void cut_done(struct cut *);

#endif
