/* cut.c - frames out of bytes. */
#include "bench/cut.h"

#include <stdlib.h>

static enum cut_step bad(struct cut *c, const char *why)
{
    c->why = why;
    return CUT_BAD;
}

static enum cut_step cut_head(struct cut *c, struct slice *in)
{
    if (c->head_have == 0 && in->size >= H2_FRAME_HEAD) {
        h2_frame_read((const uint8_t *)in->at, &c->frame);
        *in = slice_skip(*in, H2_FRAME_HEAD);
    } else {
        struct slice piece = slice_head(*in, (size_t)H2_FRAME_HEAD - c->head_have);

        if (piece.size > 0)
            memcpy(c->head + c->head_have, piece.at, piece.size);
        c->head_have += (uint8_t)piece.size;
        *in = slice_skip(*in, piece.size);
        if (c->head_have < H2_FRAME_HEAD)
            return CUT_MORE;
        h2_frame_read(c->head, &c->frame);
    }
    c->head_have = 0;
    c->have = 0;
    c->padding = 0;
    c->padded = c->frame.type == H2_DATA && (c->frame.flags & H2_PADDED);
    c->inside = true;
    return CUT_HEAD;
}

static enum cut_step cut_content(struct cut *c, struct slice *in, struct slice *piece)
{
    uint32_t size = c->frame.size;

    if (c->padded) {
        if (in->size == 0 && size > 0)
            return CUT_MORE;
        c->padding = size > 0 ? (uint8_t)in->at[0] : 0;
        if (c->padding >= size)
            return bad(c, "the server sent padding that is longer than its frame");
        *in = slice_skip(*in, 1);
        c->have = 1;
        c->padded = false;
    }
    uint32_t end = size - c->padding;

    *piece = slice_head(*in, c->have < end ? end - c->have : 0);
    *in = slice_skip(*in, piece->size);
    c->have += (uint32_t)piece->size;
    if (c->have >= end) {
        struct slice padding = slice_head(*in, size - c->have);

        *in = slice_skip(*in, padding.size);
        c->have += (uint32_t)padding.size;
    }
    c->inside = c->have < size;
    return c->inside && piece->size == 0 ? CUT_MORE : CUT_CONTENT;
}

static enum cut_step cut_payload(struct cut *c, struct slice *in, struct slice *piece)
{
    uint32_t size = c->frame.size;

    *piece = slice_head(*in, size - c->have);
    *in = slice_skip(*in, piece->size);
    if (piece->size < size) {
        if (c->partial == NULL)
            c->partial = calloc(1, H2_FRAME_MAX_LEAST);
        if (c->partial == NULL)
            return bad(c, "there is no memory left");
        if (piece->size > 0)
            memcpy(c->partial + c->have, piece->at, piece->size);
        c->have += (uint32_t)piece->size;
        if (c->have < size)
            return CUT_MORE;
        *piece = slice_of((const char *)c->partial, size);
    }
    c->inside = false;
    return CUT_PAYLOAD;
}

enum cut_step cut_next(struct cut *c, struct slice *in, struct slice *piece)
{
    *piece = slice_of(in->at, 0);
    if (!c->inside)
        return cut_head(c, in);
    return c->frame.type == H2_DATA ? cut_content(c, in, piece) : cut_payload(c, in, piece);
}

void cut_done(struct cut *c)
{
    free(c->partial);
    c->partial = NULL;
}
