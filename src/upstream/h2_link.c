/* h2_link.c - frames from a server, and its streams. */
#include "upstream/h2_link_private.h"

#include <stdlib.h>

enum {
    ACKS_MAX = 100, /* answers to PING and SETTINGS that wait          */
    CONTINUATIONS_MAX = 8,
    BLOCK_MAX = 128 * 1024, /* of a block, beyond what its answer may have */
    GLITCHES_BURST = 10000,
    GLITCHES_PER_SEC = 330,
    TINY = 64, /* DATA and windows of less bring little forward       */
};

struct h2_link *h2_link_create(void)
{
    struct h2_link *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    l->fields = hpack_reader_create();
    if (l->fields == NULL) {
        free(l);
        return NULL;
    }
    l->next_id = 1;
    l->peer_streams = LINK_STREAMS_MAX;
    l->send_window = l->peer_window = H2_WINDOW_FIRST;
    l->recv_window = H2_WINDOW_FIRST;
    l->peer_frame = H2_FRAME_MAX_LEAST;
    l->glitches = GLITCHES_BURST;
    return l;
}

void h2_link_destroy(struct h2_link *l)
{
    CHECK(l->count == 0);
    hpack_reader_destroy(l->fields);
    free(l->partial);
    free(l->out.at);
    free(l->flight.at);
    free(l);
}

/* ---- streams -------------------------------------------------------------------------------- */

unsigned h2_link_most(const struct h2_link *l)
{
    if (l->leaving || l->no_memory || l->next_id > LINK_STREAM_LAST - 2 * LINK_STREAMS_MAX)
        return 0;
    return l->peer_streams < LINK_STREAMS_MAX ? l->peer_streams : LINK_STREAMS_MAX;
}

void h2_stream_expect(struct h2_stream *s, bool trailers, struct h1_response *answer)
{
    s->answer = answer;
    s->trailers = trailers;
    s->has_head = trailers;
}

void h2_stream_waiting(struct h2_link *l, struct h2_stream *s, size_t size)
{
    int64_t target = size < LINK_WINDOW ? LINK_WINDOW - (int64_t)size : 0;

    if (s->id == 0 || s->ended || target - s->recv_window < LINK_WINDOW / 2)
        return;
    h2_link_update(l, s->id, target - s->recv_window);
    s->recv_window = target;
}

void h2_stream_leave(struct h2_link *l, struct h2_stream *s)
{
    uint8_t code[4];
    unsigned i = 0;

    if (s->id == 0)
        return;
    while (l->ids[i] != s->id)
        i++;
    l->count--;
    l->ids[i] = l->ids[l->count];
    l->streams[i] = l->streams[l->count];
    if (!s->ended || !s->sent_end) {
        h2_put_u32(code, s->ended ? H2_NO_ERROR : H2_CANCEL);
        h2_link_put(l, H2_RST_STREAM, 0, s->id, code, sizeof code);
    }
    if (l->of == s)
        l->of = NULL;
    s->id = 0;
}

/* NULL: it was left. */
static struct h2_stream *find(const struct h2_link *l, uint32_t id)
{
    for (unsigned i = 0; i < l->count; i++)
        if (l->ids[i] == id)
            return l->streams[i];
    return NULL;
}

static bool was_begun(const struct h2_link *l, uint32_t id)
{
    return id % 2 == 1 && id < l->next_id;
}

/* The server wants to hear no more of it. */
static void lose(struct h2_stream *s, bool refused, const char *why)
{
    s->ended = s->sent_end = true;
    s->refused = refused;
    s->why = why;
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

/* A field for the stream, if there is one that wants it. */
static bool add(void *link, struct slice name, struct slice value)
{
    struct h2_stream *s = ((struct h2_link *)link)->of;

    if (s != NULL && s->why == NULL && !h2_response_add(&s->block, name, value))
        s->why = "upstream sent too big header";
    return true;
}

static enum h2_link_event decode(struct h2_link *l, struct slice in, bool final)
{
    switch (hpack_read(l->fields, in, final, add, l)) {
    case HPACK_FINE:
    case HPACK_STOPPED:
        break;
    case HPACK_BROKEN:
        return bad(l, "upstream sent a header block that cannot be decoded");
    case HPACK_SHORT:
        return bad(l, "upstream sent a header block that ends too early");
    }
    return LINK_MORE;
}

static enum h2_link_event block_done(struct h2_link *l)
{
    struct h2_stream *s = l->of;

    l->block_open = false;
    if (s == NULL)
        return LINK_MORE;
    s->ended |= l->block_ended;
    return s->why != NULL ? LINK_RESET : LINK_BLOCK;
}

static enum h2_link_event block_on(struct h2_link *l, struct slice payload)
{
    const struct h2_stream *s = l->of;
    bool final = l->frame.flags & H2_END_HEADERS;
    enum h2_link_event e;

    l->block_bytes += (uint32_t)payload.size;
    if (l->block_bytes > BLOCK_MAX + (s != NULL ? s->answer->limits->head_max : 0))
        return bad(l, "upstream sent too big header");
    e = decode(l, payload, final);
    return e == LINK_MORE && final ? block_done(l) : e;
}

static enum h2_link_event on_headers(struct h2_link *l, struct slice payload, uint64_t now)
{
    struct h2_stream *s = l->of;
    uint32_t depends;

    if (!was_begun(l, l->frame.stream) || (s != NULL && s->ended && s->why == NULL))
        return bad(l, "upstream sent HEADERS for a request that there is none of");
    if (!h2_payload_cut(&l->frame, &payload, &depends))
        return bad(l, "upstream sent padding that is longer than its frame");
    l->block_open = true;
    l->block_ended = l->frame.flags & H2_END_STREAM;
    l->block_bytes = 0;
    l->continuations = 0;
    if (s == NULL && glitch(l, now) == LINK_BAD)
        return LINK_BAD;
    if (s != NULL)
        h2_response_begin(&s->block, s->trailers, s->answer);
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
    h2_link_put(l, type, H2_ACK, 0, payload.at, payload.size);
    return LINK_MORE;
}

/* RFC 9113 §6.9.2: of the streams that there are, too. */
static enum h2_link_event set_window(struct h2_link *l, uint32_t value)
{
    int64_t more = (int64_t)value - l->peer_window;

    l->peer_window = value;
    l->opened = true;
    for (unsigned i = 0; i < l->count; i++) {
        l->streams[i]->send_window += more;
        if (l->streams[i]->send_window > H2_WINDOW_MAX)
            return bad(l, "upstream opened a window too far");
    }
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
        l->peer_streams = value;
        return LINK_MORE;
    case H2_MAX_FRAME_SIZE:
        l->peer_frame = value;
        return LINK_MORE;
    case H2_INITIAL_WINDOW_SIZE:
        return set_window(l, value);
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
    uint32_t last = h2_u31((const uint8_t *)payload.at);
    enum h2_link_event e = LINK_MORE;

    l->leaving = true;
    for (unsigned i = 0; i < l->count; i++) {
        if (l->ids[i] <= last || l->streams[i]->ended)
            continue;
        lose(l->streams[i], true, "upstream goes away, and has not begun this request");
        e = LINK_GOAWAY;
    }
    return e;
}

static const char *why_reset(uint32_t code)
{
    static const char *const words[H2_ERROR_COUNT] = {
        [H2_NO_ERROR] = "upstream ended the request early (NO_ERROR)",
        [H2_PROTOCOL_ERROR] = "upstream rejected the request (PROTOCOL_ERROR)",
        [H2_INTERNAL_ERROR] = "upstream failed the request (INTERNAL_ERROR)",
        [H2_REFUSED_STREAM] = "upstream refused the request (REFUSED_STREAM)",
        [H2_CANCEL] = "upstream cancelled the request (CANCEL)",
        [H2_ENHANCE_YOUR_CALM] = "upstream rejected the request (ENHANCE_YOUR_CALM)",
        [H2_HTTP_1_1_REQUIRED] = "upstream wants HTTP/1.1 (HTTP_1_1_REQUIRED)",
    };

    return code < H2_ERROR_COUNT && words[code] != NULL
               ? words[code]
               : "upstream rejected the request (RST_STREAM)";
}

/* Who refuses a request has enough of them: the next ones go over another connection. */
static enum h2_link_event on_reset(struct h2_link *l, struct slice payload, uint64_t now)
{
    uint32_t code = h2_u32((const uint8_t *)payload.at);
    struct h2_stream *s = l->of;

    if (!was_begun(l, l->frame.stream))
        return bad(l, "upstream reset a request that there is none of");
    if (s == NULL)
        return glitch(l, now);
    if (s->ended) { /* the server wants no more of the body */
        s->sent_end = true;
        return LINK_MORE;
    }
    l->leaving |= code == H2_REFUSED_STREAM;
    lose(s, code == H2_REFUSED_STREAM, why_reset(code));
    return LINK_RESET;
}

static enum h2_link_event on_window(struct h2_link *l, struct slice payload, uint64_t now)
{
    uint32_t size = h2_u31((const uint8_t *)payload.at);
    int64_t *window = &l->send_window;

    if (l->frame.stream != 0 && !was_begun(l, l->frame.stream))
        return bad(l, "upstream opened a window of no request");
    if (size == 0)
        return bad(l, "upstream opened a window by nothing");
    if (l->frame.stream != 0 && l->of == NULL)
        return glitch(l, now);
    if (l->frame.stream != 0)
        window = &l->of->send_window;
    *window += size;
    if (*window > H2_WINDOW_MAX)
        return bad(l, "upstream opened a window too far");
    l->opened = true;
    return size < TINY ? glitch(l, now) : LINK_MORE;
}

/* ---- frames --------------------------------------------------------------------------------- */

static enum h2_link_event on_frame(struct h2_link *l, struct slice payload, uint64_t now)
{
    enum h2_link_event e;

    switch (l->frame.type) {
    case H2_HEADERS:
        return on_headers(l, payload, now);
    case H2_CONTINUATION:
        return on_continuation(l, payload);
    case H2_RST_STREAM:
        return on_reset(l, payload, now);
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

/* What nobody waits for any more counts for the connection all the same. */
static enum h2_link_event begin_data(struct h2_link *l, uint64_t now)
{
    const struct h2_frame *f = &l->frame;
    struct h2_stream *s = l->of;

    if (!was_begun(l, f->stream) || (s != NULL && s->why == NULL && (s->ended || !s->has_head)))
        return bad(l, "upstream sent DATA where none can be");
    l->recv_window -= f->size;
    if (s != NULL)
        s->recv_window -= f->size;
    if (l->recv_window < 0 || (s != NULL && s->recv_window < 0))
        return bad(l, "upstream sent more than its window allows");
    if (l->recv_window < LINK_CONNECTION / 2) {
        h2_link_update(l, 0, LINK_CONNECTION - l->recv_window);
        l->recv_window = LINK_CONNECTION;
    }
    return f->size < TINY && !(f->flags & H2_END_STREAM) ? glitch(l, now) : LINK_MORE;
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
    if (l->block_open && f->stream != l->block_stream)
        return bad(l, "upstream sent CONTINUATION of another request");
    l->of = f->stream != 0 ? find(l, f->stream) : NULL;
    if (l->of != NULL)
        l->of->received += H2_FRAME_HEAD + f->size;
    if (f->type == H2_HEADERS)
        l->block_stream = f->stream;
    return f->type == H2_DATA ? begin_data(l, now) : LINK_MORE;
}

static enum h2_link_event data_end(struct h2_link *l, struct slice piece)
{
    struct h2_stream *s = l->of;

    l->head_have = 0;
    if (s == NULL || s->why != NULL)
        return LINK_MORE;
    s->ended |= (l->frame.flags & H2_END_STREAM) != 0;
    if (piece.size > 0)
        return LINK_DATA;
    return s->ended ? LINK_END : LINK_MORE;
}

/* Some of a DATA frame's payload: the padding's size, content, padding. */
static enum h2_link_event data_on(struct h2_link *l, const char *at, size_t size, size_t *taken,
                                  struct slice *piece)
{
    piece->size = 0; /* a frame before may have had content that nobody waits for */
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
    l->at = l->of;
    if (l->have == l->frame.size)
        return data_end(l, *piece);
    return piece->size > 0 && l->of != NULL && l->of->why == NULL ? LINK_DATA : LINK_MORE;
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
    l->at = l->of;
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
