/* outbox.c - frames into bytes. */
#include "bench/outbox.h"

#include <stdlib.h>

enum { ROOM_FIRST = 1024 };

static uint8_t *room(struct outbox *o, size_t size)
{
    struct outbox_bytes *b = &o->next;

    if (b->used + size > b->room) {
        size_t more = b->room > 0 ? b->room : ROOM_FIRST;

        while (more < b->used + size)
            more *= 2;
        uint8_t *at = realloc(b->at, more);

        if (at == NULL) {
            o->no_memory = true;
            return NULL;
        }
        b->at = at;
        b->room = more;
    }
    b->used += size;
    return b->at + b->used - size;
}

void outbox_bytes(struct outbox *o, struct slice bytes)
{
    uint8_t *at = room(o, bytes.size);

    if (at != NULL && bytes.size > 0)
        memcpy(at, bytes.at, bytes.size);
}

void outbox_frame(struct outbox *o, enum h2_type type, unsigned flags, uint32_t stream,
                  struct slice payload)
{
    uint8_t *at = room(o, H2_FRAME_HEAD + payload.size);

    if (at == NULL)
        return;
    at = h2_put_head(at, (uint32_t)payload.size, type, flags, stream);
    if (payload.size > 0)
        memcpy(at, payload.at, payload.size);
}

static void put_number(struct outbox *o, enum h2_type type, uint32_t stream, uint32_t number)
{
    uint8_t payload[4];

    h2_put_u32(payload, number);
    outbox_frame(o, type, 0, stream, slice_of((const char *)payload, sizeof payload));
}

void outbox_update(struct outbox *o, uint32_t stream, uint32_t size)
{
    put_number(o, H2_WINDOW_UPDATE, stream, size);
}

void outbox_reset(struct outbox *o, uint32_t stream, enum h2_error code)
{
    put_number(o, H2_RST_STREAM, stream, code);
}

void outbox_block(struct outbox *o, uint32_t stream, struct slice block, bool ended)
{
    enum h2_type type = H2_HEADERS;
    unsigned flags = ended ? H2_END_STREAM : 0;

    do {
        struct slice piece = slice_head(block, H2_FRAME_MAX_LEAST);

        block = slice_skip(block, piece.size);
        outbox_frame(o, type, flags | (block.size == 0 ? H2_END_HEADERS : 0), stream, piece);
        type = H2_CONTINUATION;
        flags = 0;
    } while (block.size > 0);
}

struct slice outbox_fly(struct outbox *o)
{
    struct outbox_bytes empty = o->flight;

    o->flight = o->next;
    o->next = empty;
    o->next.used = 0;
    return slice_of((const char *)o->flight.at, o->flight.used);
}

void outbox_done(struct outbox *o)
{
    free(o->next.at);
    free(o->flight.at);
    *o = (struct outbox){ 0 };
}
