/* proxy_h2_rules.c - what weir sends to a server of HTTP/2, frame by frame: requests for the
 * streams, and all of it as RFC 9113 demands. */
#include "proxy_h2_servers.h"

enum { BLOCK_ROOM = 64 * 1024 };

static struct stream *stream_at(struct conn *c, uint32_t id)
{
    MUST(id % 2 == 1 && id / 2 < c->stream_count);
    return &c->streams[id / 2];
}

/* ---- requests ------------------------------------------------------------------------------ */

struct asked {
    struct slice method, scheme, path, authority;
    bool regular, has_length;
    uint64_t length;
};

static void take_field(struct asked *a, struct slice name, struct slice value)
{
    static const struct {
        struct slice name;
        size_t at;
    } pseudo[] = {
        { { ":method", 7 }, offsetof(struct asked, method) },
        { { ":scheme", 7 }, offsetof(struct asked, scheme) },
        { { ":path", 5 }, offsetof(struct asked, path) },
        { { ":authority", 10 }, offsetof(struct asked, authority) },
    };
    static const struct slice forbidden[] = {
        { "connection", 10 },       { "keep-alive", 10 }, { "transfer-encoding", 17 },
        { "proxy-connection", 16 }, { "upgrade", 7 },     { "host", 4 },
    };
    size_t i = 0;

    for (size_t k = 0; k < COUNT_OF(forbidden); k++)
        MUST(!slice_eq(name, forbidden[k]));
    for (size_t k = 0; k < name.size; k++)
        MUST(name.at[k] < 'A' || name.at[k] > 'Z');
    if (name.at[0] != ':') {
        a->regular = true;
        if (slice_eq(name, SLICE("content-length"))) {
            MUST(!a->has_length && slice_to_u64(value, SIZE_MAX / 2, &a->length));
            a->has_length = true;
        }
        return;
    }
    MUST(!a->regular);
    while (i < COUNT_OF(pseudo) && !slice_eq(name, pseudo[i].name))
        i++;
    MUST(i < COUNT_OF(pseudo));
    struct slice *at = (struct slice *)((char *)a + pseudo[i].at);

    MUST(at->size == 0 && value.size > 0);
    at->at = memcpy(malloc(value.size), value.at, value.size);
    at->size = value.size;
}

static bool add_field(void *asked, struct slice name, struct slice value)
{
    take_field(asked, name, value);
    return true;
}

static void read_block(struct conn *c, struct asked *a)
{
    struct slice block = slice_of((const char *)c->block, c->block_size);

    MUST(hpack_read(c->decoder, block, true, add_field, a) == HPACK_FINE);
}

static struct trip *trip_of(const struct asked *a)
{
    uint64_t number;

    MUST(slice_eq(a->scheme, SLICE("http")) && a->authority.size > 0 && a->path.size > 3);
    MUST(slice_to_u64(slice_skip(a->path, 3), TRIPS_MAX - 1, &number));
    MUST(trips[number].method != NULL && slice_eq(a->method, slice_str(trips[number].method)));
    return &trips[number];
}

static unsigned open_count(const struct conn *c)
{
    unsigned count = 0;

    for (unsigned i = 0; i < c->stream_count; i++)
        count += !stream_is_closed(&c->streams[i]);
    return count;
}

static struct stream *add_stream(struct conn *c)
{
    if (c->stream_count == c->stream_room) {
        c->stream_room = c->stream_room * 2 + 8;
        c->streams = realloc(c->streams, c->stream_room * sizeof *c->streams);
        MUST(c->streams != NULL);
    }
    memset(&c->streams[c->stream_count], 0, sizeof *c->streams);
    return &c->streams[c->stream_count++];
}

static bool is_idempotent(const struct trip *t)
{
    return strcmp(t->method, "POST") != 0;
}

static void count(struct stream *s)
{
    struct trip *t = s->trip;

    MUST(t->asked++ == 0 || is_idempotent(t) || t->repeats);
    s->counted = true;
}

/* A server that goes away looks at it no more; one that raves says nothing more: weir may have
 * asked another before this comes to be read. */
static void begin(struct io *io, struct conn *c, struct trip *t, bool ended)
{
    uint32_t id = 2 * c->stream_count + 1;
    struct stream *s = add_stream(c);

    s->trip = t;
    s->up_ended = ended;
    s->up_window = c->first_up_window;
    s->window = c->first_window;
    t->blurred |= c->blurs;
    if (c->away && id > c->last_id) {
        s->reset = s->over = true;
        return;
    }
    if (c->raved) {
        count(s);
        return;
    }
    s->attempt = ++t->attempt;
    stream_begins(io, s);
    if (s->manner != REFUSED)
        count(s);
    if (verbose)
        fprintf(stderr,
                "  %llu: trip %u: asked %u on %p/%u, manner %d, fate %d, ending %d, down %zu\n",
                (unsigned long long)io_now_ns(io) / MS, t->number, t->asked, (void *)c, id,
                s->manner, t->fate, s->ending, t->down_size);
    if (c->silent) {
        t->fate = FATE_NONE;
        mood.silent = true;
    }
}

static void block_done(struct io *io, struct conn *c)
{
    struct asked a = { 0 };
    struct trip *t;

    MUST(open_count(c) < c->streams_most);
    MUST(!c->knows_goodbye);
    read_block(c, &a);
    t = trip_of(&a);
    MUST(a.has_length ? a.length == t->up_size : t->up_size == 0 || t->up_chunked);
    MUST(!c->block_ends || t->up_size == 0);
    begin(io, c, t, c->block_ends);
    c->block_stream = 0;
    c->block_size = 0;
    free((char *)(uintptr_t)a.method.at);
    free((char *)(uintptr_t)a.scheme.at);
    free((char *)(uintptr_t)a.path.at);
    free((char *)(uintptr_t)a.authority.at);
}

/* ---- frames -------------------------------------------------------------------------------- */

static void on_block(struct io *io, struct conn *c, const struct h2_frame *f, struct slice payload)
{
    uint32_t depends;

    if (f->type == H2_HEADERS) {
        MUST(c->block_stream == 0 && f->stream == 2 * c->stream_count + 1);
        MUST(h2_payload_cut(f, &payload, &depends));
        c->block_stream = f->stream;
        c->block_ends = f->flags & H2_END_STREAM;
    } else {
        MUST(c->block_stream == f->stream);
    }
    MUST(c->block_size + payload.size < BLOCK_ROOM);
    if (c->block == NULL)
        c->block = malloc(BLOCK_ROOM);
    MUST(c->block != NULL);
    if (payload.size > 0)
        memcpy(c->block + c->block_size, payload.at, payload.size);
    c->block_size += payload.size;
    if (f->flags & H2_END_HEADERS)
        block_done(io, c);
}

/* What we have reset may still come, within its windows. */
static void on_content(struct conn *c, const struct h2_frame *f, struct slice payload)
{
    struct stream *s = stream_at(c, f->stream);

    MUST(!s->up_ended && !s->up_reset);
    c->up_window -= f->size;
    s->up_window -= f->size;
    MUST(f->size == 0 || (c->up_window >= 0 && s->up_window >= 0));
    for (size_t i = 0; i < payload.size; i++, s->up_at++)
        MUST(payload.at[i] == trip_byte(s->trip->number, true, s->up_at));
    MUST(s->up_at <= s->trip->up_size);
    s->up_ended = f->flags & H2_END_STREAM;
    MUST(!s->up_ended || s->up_at == s->trip->up_size);
}

static void on_reset(struct io *io, struct conn *c, const struct h2_frame *f)
{
    struct stream *s = stream_at(c, f->stream);

    MUST(!s->up_reset);
    s->up_reset = true;
    if (verbose)
        fprintf(stderr, "  %llu: trip %u: reset on %p/%u\n", (unsigned long long)io_now_ns(io) / MS,
                s->trip->number, (void *)c, f->stream);
}

static void on_window(struct conn *c, const struct h2_frame *f, uint32_t more)
{
    int64_t *window = f->stream == 0 ? &c->window : &stream_at(c, f->stream)->window;

    MUST(more > 0 && (f->stream == 0 || !stream_at(c, f->stream)->up_reset));
    *window += more;
    MUST(*window <= H2_WINDOW_MAX);
}

static void apply(struct conn *c, const struct unacked *u)
{
    if (u->has[H2_MAX_CONCURRENT_STREAMS])
        c->streams_most = u->settings[H2_MAX_CONCURRENT_STREAMS];
    if (u->has[H2_MAX_FRAME_SIZE])
        c->frame_most = u->settings[H2_MAX_FRAME_SIZE];
    if (!u->has[H2_INITIAL_WINDOW_SIZE])
        return;
    for (unsigned i = 0; i < c->stream_count; i++)
        c->streams[i].up_window +=
            (int64_t)u->settings[H2_INITIAL_WINDOW_SIZE] - (int64_t)c->first_up_window;
    c->first_up_window = u->settings[H2_INITIAL_WINDOW_SIZE];
}

/* Answers come in the order of what they answer. */
static void on_ack(struct conn *c, bool ping, struct slice payload)
{
    struct unacked *u = c->unacked;

    MUST(c->unacked_count > 0 && u->ping == ping);
    MUST(!ping || memcmp(payload.at, u->payload, sizeof u->payload) == 0);
    if (!ping)
        apply(c, u);
    c->knows_goodbye |= u->goodbye;
    c->unacked_count--;
    memmove(u, u + 1, c->unacked_count * sizeof *u);
}

/* Only once, in front of all else. */
static void on_settings(struct conn *c, struct slice payload)
{
    MUST(!c->settings_seen);
    c->settings_seen = true;
    for (; payload.size > 0; payload = slice_skip(payload, H2_SETTING_SIZE)) {
        const uint8_t *at = (const uint8_t *)payload.at;
        unsigned id = (unsigned)at[0] << 8 | at[1];
        uint32_t value = h2_u32(at + 2);

        MUST(h2_setting_judge(id, value) == H2_NO_ERROR);
        MUST(id != H2_ENABLE_PUSH || value == 0);
        if (id == H2_INITIAL_WINDOW_SIZE)
            c->first_window = value;
    }
    if (c->greeted)
        conn_put(c, H2_SETTINGS, H2_ACK, 0, NULL, 0);
}

static void on_frame(struct io *io, struct conn *c, const struct h2_frame *f, struct slice payload)
{
    MUST(h2_frame_judge(f, c->frame_most) == H2_NO_ERROR);
    MUST(c->settings_seen || f->type == H2_SETTINGS);
    MUST(c->block_stream == 0 || f->type == H2_CONTINUATION);
    switch (f->type) {
    case H2_DATA:
        on_content(c, f, payload);
        return;
    case H2_HEADERS:
    case H2_CONTINUATION:
        on_block(io, c, f, payload);
        return;
    case H2_RST_STREAM:
        on_reset(io, c, f);
        return;
    case H2_WINDOW_UPDATE:
        on_window(c, f, h2_u31((const uint8_t *)payload.at));
        return;
    case H2_SETTINGS:
        if (f->flags & H2_ACK)
            on_ack(c, false, payload);
        else
            on_settings(c, payload);
        return;
    case H2_PING:
        MUST(f->flags & H2_ACK);
        on_ack(c, true, payload);
        return;
    default:
        MUST(!"a frame that weir does not send");
    }
}

void conn_reads(struct io *io, struct conn *c)
{
    size_t at = 0;

    if (!c->preface_seen && c->in_size >= H2_PREFACE_SIZE) {
        MUST(memcmp(c->in, H2_PREFACE, H2_PREFACE_SIZE) == 0);
        c->preface_seen = true;
        at = H2_PREFACE_SIZE;
    }
    while (c->preface_seen && c->in_size - at >= H2_FRAME_HEAD) {
        struct h2_frame f;
        const char *payload = (const char *)c->in + at + H2_FRAME_HEAD;

        h2_frame_read(c->in + at, &f);
        MUST(f.size <= c->frame_most);
        if (c->in_size - at < H2_FRAME_HEAD + f.size)
            break;
        on_frame(io, c, &f, slice_of(payload, f.size));
        at += H2_FRAME_HEAD + f.size;
    }
    c->in_size -= at;
    memmove(c->in, c->in + at, c->in_size);
}
