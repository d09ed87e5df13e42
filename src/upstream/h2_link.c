/* h2_link.c - frames from a server and to it. */
#include "upstream/h2_link.h"

#include <stdlib.h>

enum {
    OUT_FIRST = 512,
    OUT_MAX = 512 * 1024, /* heads of requests have limits of their own      */
    ACKS_MAX = 100,       /* answers to PING and SETTINGS that wait          */
    CONTINUATIONS_MAX = 8,
    GLITCHES_BURST = 10000,
    GLITCHES_PER_SEC = 330,
    TINY = 64, /* DATA and windows of less bring little forward       */
    STREAM_LAST = H2_STREAM_MAX - 2,
};

struct h2_link *h2_link_create(void)
{
    struct h2_link *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    if (nghttp2_hd_inflate_new(&l->inflater) != 0) {
        free(l);
        return NULL;
    }
    l->send_link = l->peer_window = H2_WINDOW_FIRST;
    l->recv_link = H2_WINDOW_FIRST;
    l->peer_frame = H2_FRAME_MAX_LEAST;
    l->glitches = GLITCHES_BURST;
    return l;
}

void h2_link_destroy(struct h2_link *l)
{
    nghttp2_hd_inflate_del(l->inflater);
    free(l->partial);
    free(l->out.at);
    free(l->flight.at);
    free(l);
}

/* ---- to the server ------------------------------------------------------------------------- */

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

static void put_frame(struct h2_link *l, enum h2_type type, unsigned flags, uint32_t stream,
                      const void *payload, size_t size)
{
    uint8_t head[H2_FRAME_HEAD];

    h2_put_head(head, (uint32_t)size, type, flags, stream);
    put_bytes(l, head, sizeof head);
    if (size > 0)
        put_bytes(l, payload, size);
}

static void put_update(struct h2_link *l, uint32_t stream, int64_t size)
{
    uint8_t payload[4];

    h2_put_u32(payload, (uint32_t)size);
    put_frame(l, H2_WINDOW_UPDATE, 0, stream, payload, sizeof payload);
}

/* What stands before the first request (RFC 9113 §3.4). */
static void greet(struct h2_link *l)
{
    uint8_t settings[2 * H2_SETTING_SIZE];

    put_bytes(l, H2_PREFACE, H2_PREFACE_SIZE);
    h2_put_setting(h2_put_setting(settings, H2_ENABLE_PUSH, 0), H2_INITIAL_WINDOW_SIZE,
                   LINK_WINDOW);
    put_frame(l, H2_SETTINGS, 0, 0, settings, sizeof settings);
}

void h2_link_begin(struct h2_link *l, struct h1_response *answer)
{
    if (l->stream == 0)
        greet(l);
    l->stream = l->stream == 0 ? 1 : l->stream + 2;
    l->open = true;
    l->ended = l->sent_end = l->refused = false;
    l->why = NULL;
    l->send_stream = l->peer_window;
    l->recv_stream = LINK_WINDOW;
    h2_link_expect(l, false, answer);
    h2_link_waiting(l, 0);
}

void h2_link_expect(struct h2_link *l, bool trailers, struct h1_response *answer)
{
    l->answer = answer;
    l->block_trailers = trailers;
}

bool h2_link_lives(const struct h2_link *l)
{
    return l->ended && !l->open && l->sent_end && !l->leaving && !l->no_memory && !l->no_streams &&
           !l->block_open && l->stream < STREAM_LAST;
}

static void open_window(struct h2_link *l, int64_t *window, uint32_t stream, int64_t target)
{
    if (target - *window < LINK_WINDOW / 2)
        return;
    put_update(l, stream, target - *window);
    *window = target;
}

void h2_link_waiting(struct h2_link *l, size_t size)
{
    int64_t target = size < LINK_WINDOW ? LINK_WINDOW - (int64_t)size : 0;

    open_window(l, &l->recv_link, 0, target);
    if (l->open)
        open_window(l, &l->recv_stream, l->stream, target);
}

void h2_link_head(struct h2_link *l, struct slice block, bool ended)
{
    enum h2_type type = H2_HEADERS;
    unsigned flags = ended ? H2_END_STREAM : 0;

    do {
        struct slice piece = slice_head(block, H2_FRAME_MAX_LEAST);

        block = slice_skip(block, piece.size);
        put_frame(l, type, flags | (block.size == 0 ? H2_END_HEADERS : 0), l->stream, piece.at,
                  piece.size);
        type = H2_CONTINUATION;
        flags = 0;
    } while (block.size > 0);
    l->sent_end = ended;
}

size_t h2_link_room(const struct h2_link *l)
{
    int64_t window = l->send_stream < l->send_link ? l->send_stream : l->send_link;
    size_t most = l->peer_frame < LINK_FRAME_MAX ? l->peer_frame : LINK_FRAME_MAX;

    if (window <= 0)
        return 0;
    return (uint64_t)window < most ? (size_t)window : most;
}

void h2_link_data(struct h2_link *l, size_t size, bool ended)
{
    uint8_t head[H2_FRAME_HEAD];

    h2_put_head(head, (uint32_t)size, H2_DATA, ended ? H2_END_STREAM : 0, l->stream);
    put_bytes(l, head, sizeof head);
    l->send_stream -= (int64_t)size;
    l->send_link -= (int64_t)size;
    l->sent_end = ended;
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

/* ---- what a server may waste ---------------------------------------------------------------- */

static enum h2_link_event bad(struct h2_link *l, const char *why)
{
    l->why = why;
    l->leaving = true;
    return LINK_BAD;
}

static enum h2_link_event glitch(struct h2_link *l, uint64_t now)
{
    uint64_t earned = (now - l->glitches_ns) / 1000000u * GLITCHES_PER_SEC / 1000;

    if (earned > 0) {
        l->glitches_ns = now;
        l->glitches =
            earned < GLITCHES_BURST - l->glitches ? l->glitches + (uint32_t)earned : GLITCHES_BURST;
    }
    if (l->glitches == 0)
        return bad(l, "upstream sent too many frames that bring nothing forward");
    l->glitches--;
    return LINK_MORE;
}

/* ---- header blocks -------------------------------------------------------------------------- */

static enum h2_link_event decode(struct h2_link *l, struct slice in, bool final)
{
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t taken = nghttp2_hd_inflate_hd2(l->inflater, &field, &flags, (const uint8_t *)in.at,
                                               in.size, final);

        if (taken < 0)
            return bad(l, "upstream sent a header block that cannot be decoded");
        in = slice_skip(in, (size_t)taken);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) &&
            !h2_response_add(&l->block, slice_of((const char *)field.name, field.namelen),
                             slice_of((const char *)field.value, field.valuelen)))
            return bad(l, "upstream sent too big header");
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            return LINK_MORE;
        if (in.size == 0 && !(flags & NGHTTP2_HD_INFLATE_EMIT))
            return final ? bad(l, "upstream sent a header block that ends too early") : LINK_MORE;
    }
}

static void stream_ended(struct h2_link *l)
{
    l->ended = true;
    l->open = false;
}

static enum h2_link_event block_on(struct h2_link *l, struct slice payload)
{
    bool final = l->frame.flags & H2_END_HEADERS;
    enum h2_link_event e;

    l->block_bytes += (uint32_t)payload.size;
    if (l->block_bytes > l->answer->limits->head_max + H2_FRAME_MAX_LEAST)
        return bad(l, "upstream sent too big header");
    e = decode(l, payload, final);
    if (e != LINK_MORE || !final)
        return e;
    l->block_open = false;
    nghttp2_hd_inflate_end_headers(l->inflater);
    if (l->block_ended)
        stream_ended(l);
    return LINK_HEAD;
}

static enum h2_link_event on_headers(struct h2_link *l, struct slice payload)
{
    uint32_t depends;

    if (l->frame.stream != l->stream || !l->open)
        return bad(l, "upstream sent HEADERS for a request that there is none of");
    if (!h2_payload_cut(&l->frame, &payload, &depends))
        return bad(l, "upstream sent padding that is longer than its frame");
    l->block_open = true;
    l->block_ended = l->frame.flags & H2_END_STREAM;
    l->block_bytes = 0;
    l->continuations = 0;
    h2_response_begin(&l->block, l->block_trailers, l->answer);
    return block_on(l, payload);
}

static enum h2_link_event on_continuation(struct h2_link *l, struct slice payload)
{
    if (!l->block_open)
        return bad(l, "upstream sent CONTINUATION of nothing");
    if (++l->continuations > CONTINUATIONS_MAX)
        return bad(l, "upstream sent a header block of too many frames");
    return block_on(l, payload);
}

/* ---- other frames --------------------------------------------------------------------------- */

static enum h2_link_event acknowledge(struct h2_link *l, enum h2_type type, struct slice payload)
{
    if (++l->acks > ACKS_MAX)
        return bad(l, "upstream sent PING or SETTINGS faster than answers can leave");
    put_frame(l, type, H2_ACK, 0, payload.at, payload.size);
    return LINK_MORE;
}

static enum h2_link_event set(struct h2_link *l, unsigned id, uint32_t value)
{
    if (h2_setting_judge(id, value) != H2_NO_ERROR)
        return bad(l, "upstream sent a setting that cannot be");
    switch (id) {
    case H2_ENABLE_PUSH:
        return value == 0 ? LINK_MORE : bad(l, "upstream sent ENABLE_PUSH");
    case H2_MAX_CONCURRENT_STREAMS:
        l->no_streams = value == 0;
        return LINK_MORE;
    case H2_MAX_FRAME_SIZE:
        l->peer_frame = value;
        return LINK_MORE;
    case H2_INITIAL_WINDOW_SIZE:
        l->send_stream += (int64_t)value - l->peer_window;
        l->peer_window = value;
        if (l->send_stream > H2_WINDOW_MAX)
            return bad(l, "upstream opened a window too far");
        return LINK_MORE;
    default: /* our encoder has no table */
        return LINK_MORE;
    }
}

static enum h2_link_event on_settings(struct h2_link *l, struct slice payload)
{
    enum h2_link_event e = LINK_MORE;

    l->settings_seen = true;
    if (l->frame.flags & H2_ACK)
        return LINK_MORE;
    for (; payload.size > 0 && e == LINK_MORE; payload = slice_skip(payload, H2_SETTING_SIZE)) {
        const uint8_t *at = (const uint8_t *)payload.at;

        e = set(l, (unsigned)at[0] << 8 | at[1], h2_u32(at + 2));
    }
    return e == LINK_MORE ? acknowledge(l, H2_SETTINGS, (struct slice){ 0 }) : e;
}

static enum h2_link_event on_ping(struct h2_link *l, struct slice payload)
{
    return l->frame.flags & H2_ACK ? LINK_MORE : acknowledge(l, H2_PING, payload);
}

static enum h2_link_event on_goaway(struct h2_link *l, struct slice payload)
{
    l->leaving = true;
    if (!l->open || l->stream <= h2_u31((const uint8_t *)payload.at))
        return LINK_MORE;
    l->refused = true;
    l->open = false;
    l->why = "upstream goes away, and has not begun this request";
    return LINK_RESET;
}

static enum h2_link_event on_reset(struct h2_link *l, struct slice payload)
{
    uint32_t code = h2_u32((const uint8_t *)payload.at);

    if (l->frame.stream > l->stream || l->frame.stream % 2 == 0)
        return bad(l, "upstream reset a request that there is none of");
    if (l->frame.stream != l->stream)
        return LINK_MORE;
    if (!l->open) { /* it has ended: the server wants no more of the body */
        l->leaving |= !l->sent_end;
        return LINK_MORE;
    }
    l->open = false;
    l->leaving = true;
    l->refused = code == H2_REFUSED_STREAM;
    l->why = code == H2_REFUSED_STREAM      ? "upstream refused the request (REFUSED_STREAM)"
             : code == H2_CANCEL            ? "upstream cancelled the request (CANCEL)"
             : code == H2_ENHANCE_YOUR_CALM ? "upstream rejected the request (ENHANCE_YOUR_CALM)"
             : code == H2_HTTP_1_1_REQUIRED ? "upstream wants HTTP/1.1 (HTTP_1_1_REQUIRED)"
             : code == H2_NO_ERROR          ? "upstream ended the request early (NO_ERROR)"
             : code == H2_INTERNAL_ERROR    ? "upstream failed the request (INTERNAL_ERROR)"
             : code == H2_PROTOCOL_ERROR    ? "upstream rejected the request (PROTOCOL_ERROR)"
                                            : "upstream rejected the request (RST_STREAM)";
    return LINK_RESET;
}

static enum h2_link_event on_window(struct h2_link *l, struct slice payload, uint64_t now)
{
    uint32_t size = h2_u31((const uint8_t *)payload.at);
    int64_t *window = l->frame.stream == 0 ? &l->send_link : &l->send_stream;

    if (l->frame.stream > l->stream || (l->frame.stream != 0 && l->frame.stream % 2 == 0))
        return bad(l, "upstream opened a window of no request");
    if (size == 0)
        return bad(l, "upstream opened a window by nothing");
    if (l->frame.stream != 0 && l->frame.stream != l->stream)
        return glitch(l, now);
    *window += size;
    if (*window > H2_WINDOW_MAX)
        return bad(l, "upstream opened a window too far");
    return size < TINY ? glitch(l, now) : LINK_MORE;
}

/* ---- frames --------------------------------------------------------------------------------- */

static enum h2_link_event on_frame(struct h2_link *l, struct slice payload, uint64_t now)
{
    enum h2_link_event e;

    switch (l->frame.type) {
    case H2_HEADERS:
        return on_headers(l, payload);
    case H2_CONTINUATION:
        return on_continuation(l, payload);
    case H2_RST_STREAM:
        return on_reset(l, payload);
    case H2_GOAWAY:
        return on_goaway(l, payload);
    case H2_WINDOW_UPDATE:
        return on_window(l, payload, now);
    case H2_SETTINGS:
        e = glitch(l, now);
        return e == LINK_MORE ? on_settings(l, payload) : e;
    case H2_PING:
        e = glitch(l, now);
        return e == LINK_MORE ? on_ping(l, payload) : e;
    case H2_PUSH_PROMISE:
        return bad(l, "upstream sent PUSH_PROMISE, which was forbidden");
    default: /* what is unknown means nothing */
        return glitch(l, now);
    }
}

/* The head of a frame is complete. */
static enum h2_link_event begin_frame(struct h2_link *l, uint64_t now)
{
    const struct h2_frame *f = &l->frame;

    h2_frame_read(l->head, &l->frame);
    l->have = 0;
    l->padding = 0;
    l->pad_have = 0;
    if (h2_frame_judge(f, H2_FRAME_MAX_LEAST) != H2_NO_ERROR)
        return bad(l, "upstream sent a frame whose size or stream cannot be");
    if (!l->settings_seen && (f->type != H2_SETTINGS || (f->flags & H2_ACK)))
        return bad(l, "upstream does not speak HTTP/2: no SETTINGS at first");
    if (l->block_open && f->type != H2_CONTINUATION)
        return bad(l, "upstream sent a frame inside a header block");
    if (l->block_open && f->stream != l->stream)
        return bad(l, "upstream sent CONTINUATION of another request");
    if (f->type != H2_DATA)
        return LINK_MORE;
    if (f->stream != l->stream || !l->open || !l->block_trailers)
        return bad(l, "upstream sent DATA where none can be");
    l->recv_link -= f->size;
    l->recv_stream -= f->size;
    if (l->recv_link < 0 || l->recv_stream < 0)
        return bad(l, "upstream sent more than its window allows");
    return f->size < TINY && !(f->flags & H2_END_STREAM) ? glitch(l, now) : LINK_MORE;
}

static enum h2_link_event data_end(struct h2_link *l, struct slice piece)
{
    l->head_have = 0;
    if (!(l->frame.flags & H2_END_STREAM))
        return piece.size > 0 ? LINK_DATA : LINK_MORE;
    stream_ended(l);
    return piece.size > 0 ? LINK_DATA : LINK_END;
}

/* Some of a DATA frame's payload: the padding's size, content, padding. */
static enum h2_link_event data_on(struct h2_link *l, const char *at, size_t size, size_t *taken,
                                  struct slice *piece)
{
    if ((l->frame.flags & H2_PADDED) && l->pad_have == 0) {
        if (l->frame.size == 0)
            return bad(l, "upstream sent padding that is longer than its frame");
        if (size == *taken)
            return LINK_MORE;
        l->padding = (uint8_t)at[(*taken)++];
        l->pad_have = 1;
        l->have = 1;
        if (l->padding >= l->frame.size)
            return bad(l, "upstream sent padding that is longer than its frame");
    }
    uint32_t content_end = l->frame.size - l->padding;

    if (l->have < content_end) {
        *piece = slice_head(slice_of(at + *taken, size - *taken), content_end - l->have);
        *taken += piece->size;
        l->have += (uint32_t)piece->size;
    }
    if (l->have >= content_end) {
        size_t rest = l->frame.size - l->have;

        if (rest > size - *taken)
            rest = size - *taken;
        *taken += rest;
        l->have += (uint32_t)rest;
    }
    if (l->have == l->frame.size)
        return data_end(l, *piece);
    return piece->size > 0 ? LINK_DATA : LINK_MORE;
}

/* The payload of another frame, when all of it is there. */
static enum h2_link_event payload_on(struct h2_link *l, uint64_t now, const char *at, size_t size,
                                     size_t *taken)
{
    struct slice payload =
        slice_head(slice_of(at + *taken, size - *taken), l->frame.size - l->have);

    *taken += payload.size;
    if (payload.size < l->frame.size) {
        if (l->partial == NULL)
            l->partial = calloc(1, H2_FRAME_MAX_LEAST);
        if (l->partial == NULL)
            return bad(l, "there is no memory left");
        if (payload.size > 0)
            memcpy(l->partial + l->have, payload.at, payload.size);
        l->have += (uint32_t)payload.size;
        if (l->have < l->frame.size)
            return LINK_MORE;
        payload = slice_of((const char *)l->partial, l->frame.size);
    }
    l->head_have = 0;
    return on_frame(l, payload, now);
}

enum h2_link_event h2_link_feed(struct h2_link *l, uint64_t now, const char *at, size_t size,
                                size_t *taken, struct slice *piece)
{
    enum h2_link_event e = LINK_MORE;

    *taken = 0;
    *piece = slice_of(at, 0);
    while (e == LINK_MORE) {
        if (l->head_have < H2_FRAME_HEAD) {
            while (l->head_have < H2_FRAME_HEAD && *taken < size)
                l->head[l->head_have++] = (uint8_t)at[(*taken)++];
            if (l->head_have < H2_FRAME_HEAD)
                return LINK_MORE;
            e = begin_frame(l, now);
            if (e != LINK_MORE)
                return e;
        }
        size_t before = *taken;
        bool whole = l->frame.size == l->have;

        e = l->frame.type == H2_DATA ? data_on(l, at, size, taken, piece)
                                     : payload_on(l, now, at, size, taken);
        if (e == LINK_MORE && *taken == before && !whole && l->head_have != 0)
            return LINK_MORE; /* all was taken */
    }
    if (l->no_memory && e != LINK_BAD)
        return bad(l, "there is no memory left");
    return e;
}
