/* http2_control.c - what a server says of the connection and of its streams, besides answers. */
#include "bench/http2.h"

enum { ACKS_MAX = 20000 }; /* more than one read of the socket can bring */

typedef enum bench_read frame_fn(struct http2 *, struct slice payload);

static const uint8_t *bytes_of(struct slice payload)
{
    return (const uint8_t *)payload.at;
}

static enum bench_read ignore(struct http2 *h, struct slice payload)
{
    (void)h;
    (void)payload;
    return BENCH_MORE;
}

static enum bench_read acknowledge(struct http2 *h, enum h2_type type, struct slice payload)
{
    if (++h->acks > ACKS_MAX)
        return http2_bad(h, "the server sent PING or SETTINGS faster than answers can leave");
    outbox_frame(&h->out, type, H2_ACK, 0, payload);
    return BENCH_MORE;
}

static enum bench_read on_ping(struct http2 *h, struct slice payload)
{
    return h->in.frame.flags & H2_ACK ? BENCH_MORE : acknowledge(h, H2_PING, payload);
}

/* ---- SETTINGS ------------------------------------------------------------------------------- */

/* Windows of what is in flight move, too (RFC 9113 §6.9.2). */
static bool move_windows(struct http2 *h, uint32_t first)
{
    int64_t by = (int64_t)first - h->peer_window;

    h->peer_window = first;
    for (unsigned i = 0; i < h->streams.count; i++) {
        struct stream *s = &h->streams.all[i];

        s->send_window += s->state != STREAM_NONE ? by : 0;
        if (s->send_window > H2_WINDOW_MAX)
            return false;
    }
    return true;
}

static enum bench_read set(struct http2 *h, unsigned id, uint32_t value)
{
    if (h2_setting_judge(id, value) != H2_NO_ERROR)
        return http2_bad(h, "the server sent a setting that cannot be");
    switch (id) {
    case H2_ENABLE_PUSH:
        return value == 0 ? BENCH_MORE : http2_bad(h, "the server sent ENABLE_PUSH");
    case H2_MAX_CONCURRENT_STREAMS:
        h->peer_streams = value;
        return BENCH_MORE;
    case H2_MAX_FRAME_SIZE:
        h->peer_frame = value;
        return BENCH_MORE;
    case H2_INITIAL_WINDOW_SIZE:
        return move_windows(h, value) ? BENCH_MORE
                                      : http2_bad(h, "the server opened a window too far");
    default: /* our header blocks need no table, whatever its size */
        return BENCH_MORE;
    }
}

static enum bench_read on_settings(struct http2 *h, struct slice payload)
{
    h->settled = true;
    if (h->in.frame.flags & H2_ACK)
        return BENCH_MORE;
    for (; payload.size > 0; payload = slice_skip(payload, H2_SETTING_SIZE)) {
        const uint8_t *at = bytes_of(payload);
        enum bench_read verdict = set(h, (unsigned)at[0] << 8 | at[1], h2_u32(at + 2));

        if (verdict != BENCH_MORE)
            return verdict;
    }
    return acknowledge(h, H2_SETTINGS, (struct slice){ 0 });
}

/* ---- streams -------------------------------------------------------------------------------- */

static bool is_idle(const struct http2 *h, uint32_t id)
{
    return id % 2 == 0 || id >= h->next_id;
}

static enum bench_read on_reset(struct http2 *h, struct slice payload)
{
    struct stream *s = streams_find(&h->streams, h->in.frame.stream);

    if (is_idle(h, h->in.frame.stream))
        return http2_bad(h, "the server sent RST_STREAM for a request that there is none of");
    if (s == NULL)
        return BENCH_MORE;
    return http2_lose(h, s, BENCH_RESET, h2_error_name(h2_u32(bytes_of(payload))));
}

static enum bench_read on_window(struct http2 *h, struct slice payload)
{
    uint32_t id = h->in.frame.stream, size = h2_u31(bytes_of(payload));
    struct stream *s = id != 0 ? streams_find(&h->streams, id) : NULL;
    int64_t *window = s != NULL ? &s->send_window : &h->send_window;

    if (id != 0 && is_idle(h, id))
        return http2_bad(h, "the server opened a window of no request");
    if (id != 0 && s == NULL)
        return BENCH_MORE;
    *window += size;
    if (size > 0 && *window <= H2_WINDOW_MAX)
        return BENCH_MORE;
    const char *why =
        size == 0 ? "the server opened a window by nothing" : "the server opened a window too far";

    if (s == NULL)
        return http2_bad(h, why);
    return http2_reset(h, s, size == 0 ? H2_PROTOCOL_ERROR : H2_FLOW_CONTROL_ERROR, BENCH_MALFORMED,
                       why);
}

static enum bench_read on_promise(struct http2 *h, struct slice payload)
{
    (void)payload;
    return http2_bad(h, "the server sent PUSH_PROMISE, which was forbidden");
}

/* It may come twice: a warning first, then what was really begun (RFC 9113 §6.8). */
static enum bench_read on_goaway(struct http2 *h, struct slice payload)
{
    uint32_t last = h2_u31(bytes_of(payload));

    if (last < h->last_id)
        h->last_id = last;
    h->left_code = h2_u32(bytes_of(payload) + 4);
    h->leaving = h->sweep = true;
    return BENCH_MORE;
}

static frame_fn *const FRAMES[H2_TYPE_COUNT] = {
    [H2_DATA] = NULL, /* content, which comes in pieces */
    [H2_HEADERS] = NULL,
    [H2_PRIORITY] = ignore,
    [H2_RST_STREAM] = on_reset,
    [H2_SETTINGS] = on_settings,
    [H2_PUSH_PROMISE] = on_promise,
    [H2_PING] = on_ping,
    [H2_GOAWAY] = on_goaway,
    [H2_WINDOW_UPDATE] = on_window,
    [H2_CONTINUATION] = NULL,
};

enum bench_read http2_control(struct http2 *h, struct slice payload)
{
    unsigned type = h->in.frame.type;
    frame_fn *on = type < H2_TYPE_COUNT ? FRAMES[type] : ignore; /* unknown: RFC 9113 §4.1 */

    return on(h, payload);
}
