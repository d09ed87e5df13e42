/* h2_link_out.c - frames to a server: requests, and what else it is owed. */
#include "upstream/h2_link_private.h"

#include <stdlib.h>

enum {
    OUT_FIRST = 512,
    OUT_FULL = 64 * 1024,
    OUT_MAX = 512 * 1024, /* heads of requests have limits of their own      */
};

/* Room for so many bytes more; NULL: there is none, and the connection is lost. */
static uint8_t *out_room(struct h2_link *l, size_t size)
{
    struct h2_link_out *o = &l->out;

    if (o->used + size > OUT_MAX)
        l->no_memory = true;
    if (o->used + size > o->room && !l->no_memory) {
        size_t room = o->room > 0 ? o->room : OUT_FIRST;

        while (room < o->used + size)
            room *= 2;
        uint8_t *at = realloc(o->at, room);

        l->no_memory = at == NULL;
        if (at != NULL) {
            o->at = at;
            o->room = (uint32_t)room;
        }
    }
    return l->no_memory ? NULL : o->at + o->used;
}

static void put_bytes(struct h2_link *l, const void *bytes, size_t size)
{
    uint8_t *at = out_room(l, size);

    if (at == NULL)
        return;
    memcpy(at, bytes, size);
    l->out.used += (uint32_t)size;
}

void h2_link_put(struct h2_link *l, enum h2_type type, unsigned flags, uint32_t stream,
                 const void *payload, size_t size)
{
    uint8_t head[H2_FRAME_HEAD];

    h2_put_head(head, (uint32_t)size, type, flags, stream);
    put_bytes(l, head, sizeof head);
    if (size > 0)
        put_bytes(l, payload, size);
}

void h2_link_update(struct h2_link *l, uint32_t stream, int64_t size)
{
    uint8_t payload[4];

    h2_put_u32(payload, (uint32_t)size);
    h2_link_put(l, H2_WINDOW_UPDATE, 0, stream, payload, sizeof payload);
}

/* What stands before the first request (RFC 9113 §3.4). */
static void greet(struct h2_link *l)
{
    uint8_t settings[2 * H2_SETTING_SIZE];

    put_bytes(l, H2_PREFACE, H2_PREFACE_SIZE);
    h2_put_setting(h2_put_setting(settings, H2_ENABLE_PUSH, 0), H2_INITIAL_WINDOW_SIZE,
                   LINK_WINDOW);
    h2_link_put(l, H2_SETTINGS, 0, 0, settings, sizeof settings);
    h2_link_update(l, 0, LINK_CONNECTION - l->recv_window);
    l->recv_window = LINK_CONNECTION;
}

bool h2_link_is_full(const struct h2_link *l)
{
    return l->out.used >= OUT_FULL;
}

static void begin_stream(struct h2_link *l, struct h2_stream *s)
{
    CHECK(s->id == 0 && l->count < LINK_STREAMS_MAX && l->next_id <= LINK_STREAM_LAST);
    if (l->next_id == 1)
        greet(l);
    s->id = l->next_id;
    s->send_window = l->peer_window;
    s->recv_window = LINK_WINDOW;
    l->next_id += 2;
    l->ids[l->count] = s->id;
    l->streams[l->count++] = s;
}

void h2_link_head(struct h2_link *l, struct h2_stream *s, struct slice block, bool ended)
{
    enum h2_type type = H2_HEADERS;
    unsigned flags = ended ? H2_END_STREAM : 0;

    begin_stream(l, s);
    do {
        struct slice piece = slice_head(block, H2_FRAME_MAX_LEAST);

        block = slice_skip(block, piece.size);
        h2_link_put(l, type, flags | (block.size == 0 ? H2_END_HEADERS : 0), s->id, piece.at,
                    piece.size);
        type = H2_CONTINUATION;
        flags = 0;
    } while (block.size > 0);
    s->sent_end = ended;
}

size_t h2_link_room(const struct h2_link *l, const struct h2_stream *s)
{
    int64_t window = s->send_window < l->send_window ? s->send_window : l->send_window;
    size_t most = l->peer_frame < LINK_FRAME_MAX ? l->peer_frame : LINK_FRAME_MAX;

    if (window <= 0)
        return 0;
    return (uint64_t)window < most ? (size_t)window : most;
}

void h2_link_data(struct h2_link *l, struct h2_stream *s, size_t size, bool ended)
{
    uint8_t head[H2_FRAME_HEAD];

    h2_put_head(head, (uint32_t)size, H2_DATA, ended ? H2_END_STREAM : 0, s->id);
    put_bytes(l, head, sizeof head);
    s->send_window -= (int64_t)size;
    l->send_window -= (int64_t)size;
    s->sent_end = ended;
}

void h2_link_copy(struct h2_link *l, struct slice bytes)
{
    put_bytes(l, bytes.at, bytes.size);
}

struct slice h2_link_fly(struct h2_link *l)
{
    struct h2_link_out empty = l->flight;

    CHECK(!l->flying);
    if (l->out.used == 0)
        return (struct slice){ 0 };
    l->flying = true;
    l->flight = l->out;
    l->out = empty;
    l->out.used = 0;
    l->acks = 0;
    return slice_of((const char *)l->flight.at, l->flight.used);
}

void h2_link_flown(struct h2_link *l)
{
    l->flying = false;
}
