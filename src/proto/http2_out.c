/* http2_out.c - what is to be sent: frames are written one behind the other into slots, which all
 * leave in one send; the next gather while it is on its way.
 */
#include "proto/http2_private.h"

size_t h2_out_left(const struct h2 *h2)
{
    return h2->out_last != NULL ? H2_OUT_ROOM - h2->out_last->used : 0;
}

uint8_t *h2_out_room(struct h2 *h2, size_t size)
{
    DCHECK(size <= H2_OUT_ROOM);
    if (h2_out_left(h2) < size) {
        struct h2_out *o = slab_take(&h2->conn->loop->out_slab);

        if (o == NULL) {
            h2->no_memory = true;
            return NULL;
        }
        o->next = NULL;
        o->used = 0;
        if (h2->out_last != NULL)
            h2->out_last->next = o;
        else
            h2->out_first = o;
        h2->out_last = o;
        h2->out_count++;
    }
    return h2->out_last->bytes + h2->out_last->used;
}

void h2_out_bytes(struct h2 *h2, const void *from, size_t size)
{
    const uint8_t *at = from;

    while (size > 0) {
        size_t left = h2_out_left(h2), piece;

        if (left == 0 && h2_out_room(h2, 1) == NULL)
            return;
        left = h2_out_left(h2);
        piece = size < left ? size : left;
        memcpy(h2->out_last->bytes + h2->out_last->used, at, piece);
        h2_out_used(h2, piece);
        at += piece;
        size -= piece;
    }
}

bool h2_out_full(const struct h2 *h2)
{
    return h2->out_count >= OUT_SLOTS_MAX && h2_out_left(h2) < H2_OUT_ROOM / 4;
}

static void give_back(struct h2 *h2, struct h2_out **at)
{
    for (struct h2_out *o = *at, *next; o != NULL; o = next) {
        next = o->next;
        slab_give(&h2->conn->loop->out_slab, o);
    }
    *at = NULL;
}

void h2_out_drop(struct h2 *h2)
{
    give_back(h2, &h2->out_first);
    give_back(h2, &h2->flight);
    h2->out_last = NULL;
    h2->out_count = 0;
}

void h2_flush(struct h2 *h2)
{
    struct conn *c = h2->conn;
    struct h2_out *o = h2->out_first;
    int n = 0;

    if (o == NULL || c->closing || conn_sending(c))
        return;
    h2->flight = o;
    for (;; o = o->next) {
        h2->flight->iov[n++] = (struct iovec){ o->bytes, o->used };
        if (o->next == NULL || n == IO_IOV_MAX)
            break;
    }
    h2->out_first = o->next;
    o->next = NULL;
    if (h2->out_first == NULL)
        h2->out_last = NULL;
    h2->out_count -= (uint32_t)n;
    h2->acks = 0;
    c->taken_known = false;
    conn_send(c, h2->flight->iov, n, 0);
}

void h2_flown(struct h2 *h2)
{
    give_back(h2, &h2->flight);
}

void h2_put_frame(struct h2 *h2, enum h2_type type, unsigned flags, uint32_t stream, const void *at,
                  uint32_t size)
{
    uint8_t *room = h2_out_room(h2, H2_FRAME_HEAD + size);

    if (room == NULL)
        return;
    room = h2_put_head(room, size, type, flags, stream);
    if (size > 0)
        memcpy(room, at, size);
    h2_out_used(h2, H2_FRAME_HEAD + size);
}

void h2_put_rst(struct h2 *h2, uint32_t stream, enum h2_error e)
{
    uint8_t code[4];

    h2_put_u32(code, e);
    h2_put_frame(h2, H2_RST_STREAM, 0, stream, code, sizeof code);
}

void h2_put_update(struct h2 *h2, uint32_t stream, uint32_t size)
{
    uint8_t increment[4];

    h2_put_u32(increment, size);
    h2_put_frame(h2, H2_WINDOW_UPDATE, 0, stream, increment, sizeof increment);
}

void h2_put_goaway(struct h2 *h2, uint32_t last, enum h2_error e, const char *why)
{
    uint8_t payload[8 + 100];
    size_t size = why != NULL ? strnlen(why, 100) : 0;

    h2_put_u32(h2_put_u32(payload, last), e);
    if (size > 0)
        memcpy(payload + 8, why, size);
    h2_put_frame(h2, H2_GOAWAY, 0, 0, payload, (uint32_t)(8 + size));
}

void h2_put_settings(struct h2 *h2, uint32_t streams_max, uint32_t list_max)
{
    uint8_t payload[5 * H2_SETTING_SIZE], *at = payload;

    at = h2_put_setting(at, H2_MAX_CONCURRENT_STREAMS, streams_max);
    at = h2_put_setting(at, H2_INITIAL_WINDOW_SIZE, h2->preread);
    at = h2_put_setting(at, H2_MAX_HEADER_LIST_SIZE, list_max);
    at = h2_put_setting(at, H2_ENABLE_CONNECT_PROTOCOL, 1);
    at = h2_put_setting(at, H2_NO_RFC7540_PRIORITIES, 1);
    h2_put_frame(h2, H2_SETTINGS, 0, 0, payload, (uint32_t)(at - payload));
    h2_put_update(h2, 0, CONN_WINDOW - H2_WINDOW_FIRST);
}
