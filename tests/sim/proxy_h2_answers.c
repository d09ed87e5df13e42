/* proxy_h2_answers.c - what the streams of proxy_h2_servers.c answer, a frame of one and a frame of
 * another: well, oddly, wrongly, halfway. */
#include "proxy_h2_servers.h"

enum { BLOCK_ROOM = 64 * 1024, FIELDS_MOST = 260, PAUSES = 3, CUTS_MOST = 7, BIG = 17000 };

/* ---- how it goes --------------------------------------------------------------------------- */

static bool is_head(const struct trip *t)
{
    return strcmp(t->method, "HEAD") == 0;
}

static size_t some_size(struct io *io)
{
    static const uint32_t most[] = { 2, 50, 3000, 40000 };

    if (!mood.thin && sim_random(io, 24) == 0)
        return sim_random(io, 600000); /* more than a window */
    return sim_random(io, most[sim_random(io, COUNT_OF(most))]);
}

static uint32_t some_code(struct io *io)
{
    uint32_t code = sim_random(io, H2_ERROR_COUNT + 1);

    return code == H2_REFUSED_STREAM ? H2_CANCEL : code;
}

static enum manner choose_manner(struct io *io, const struct trip *t)
{
    enum manner m = sim_random(io, mood.calm || sim_random(io, 2) ? CALM_MANNERS : MANNERS);

    if (is_head(t) && m >= NO_ANSWER)
        return NO_ANSWER;
    if (is_head(t) && m == LENGTH_WITHOUT_BODY)
        return WRONG_HEAD;
    return m;
}

/* What comes of it, if the connection holds. */
static const struct {
    enum fate fate;
    enum ending ending;
    bool headless;
} ways[MANNERS] = {
    [BY_LENGTH] = { FATE_WHOLE, END_WITH_LAST, false },
    [NO_LENGTH] = { FATE_WHOLE, END_WITH_LAST, false },
    [EMPTY] = { FATE_WHOLE, END_WITH_LAST, false },
    [WITH_INTERIMS] = { FATE_WHOLE, END_WITH_LAST, false },
    [WITH_TRAILERS] = { FATE_WHOLE, END_TRAILERS, false },
    [SLOW] = { FATE_WHOLE, END_WITH_LAST, false },
    [EARLY] = { FATE_WHOLE, END_WITH_LAST, false },
    [EARLY_AND_DEAF] = { FATE_WHOLE, END_WITH_LAST, false },
    [ENDS_ALONE] = { FATE_WHOLE, END_ALONE, false },
    [REFUSED] = { FATE_NONE, END_RESET, true },
    [RESET_AT_ONCE] = { FATE_NONE, END_RESET, true },
    [WRONG_HEAD] = { FATE_NONE, END_WITH_LAST, false },
    [HUGE_HEAD] = { FATE_NONE, END_WITH_LAST, false },
    [MANY_FIELDS] = { FATE_NONE, END_WITH_LAST, false },
    [INTERIMS_FOR_EVER] = { FATE_NONE, END_WITH_LAST, false },
    [INTERIM_AT_END] = { FATE_NONE, END_WITH_LAST, false },
    [LENGTH_WITHOUT_BODY] = { FATE_NONE, END_WITH_LAST, false },
    [NO_ANSWER] = { FATE_NONE, END_NEVER, true },
    [SHORT_BODY] = { FATE_BROKEN, END_WITH_LAST, false },
    [LONG_BODY] = { FATE_EITHER, END_WITH_LAST, false },
    [RESET_IN_BODY] = { FATE_BROKEN, END_RESET, false },
    [RESET_FOR_END] = { FATE_BROKEN, END_RESET, false },
    [BAD_TRAILERS] = { FATE_BROKEN, END_BAD_TRAILERS, false },
    [STALLS_IN_BODY] = { FATE_BROKEN, END_NEVER, false },
};

/* Those that tell their size, and those that say less, or more. */
static void choose_content(struct io *io, struct stream *s)
{
    struct trip *t = s->trip;

    t->down_size = some_size(io);
    s->has_length = s->manner != NO_LENGTH && sim_random(io, 3) > 0;
    switch (s->manner) {
    case BY_LENGTH:
        s->has_length = true;
        break;
    case EMPTY:
        t->status = sim_random(io, 2) ? 204 : 304;
        t->down_size = 0;
        s->has_length = false;
        break;
    case LENGTH_WITHOUT_BODY:
        s->has_length = true;
        t->down_size++;
        s->down_left = 0;
        return;
    case SHORT_BODY:
        s->has_length = true;
        s->down_left = sim_random(io, (uint32_t)++t->down_size);
        return;
    case LONG_BODY:
        s->has_length = true;
        s->down_left = t->down_size + 1 + sim_random(io, 100);
        return;
    case RESET_IN_BODY:
    case STALLS_IN_BODY:
        s->down_left = sim_random(io, (uint32_t)++t->down_size);
        return;
    default:
        break;
    }
    s->down_left = t->down_size;
}

void stream_begins(struct io *io, struct stream *s)
{
    struct trip *t = s->trip;

    s->manner = choose_manner(io, t);
    s->early = s->manner == EARLY || s->manner == EARLY_AND_DEAF ||
               (s->manner >= REFUSED && sim_random(io, 2));
    s->ending = ways[s->manner].ending;
    s->headless = ways[s->manner].headless;
    s->code = s->manner == REFUSED ? H2_REFUSED_STREAM : some_code(io);
    if (s->manner == RESET_IN_BODY && sim_random(io, 8) == 0)
        s->code = H2_REFUSED_STREAM;
    t->status = 200;
    t->fate = ways[s->manner].fate;
    choose_content(io, s);
    if ((s->manner == RESET_FOR_END || s->manner == BAD_TRAILERS) && s->has_length)
        t->fate = FATE_EITHER;
    if (s->manner == WITH_INTERIMS || s->manner == INTERIMS_FOR_EVER)
        s->interims = sim_random(io, INTERIMS_MOST + 1);
    if (s->manner == INTERIMS_FOR_EVER)
        s->interims = INTERIMS_MOST + 1;
    if (is_head(t)) {
        s->down_left = sim_random(io, 8) == 0 ? s->down_left : 0; /* some do not know better */
        t->down_size = 0;
    }
    mood.silent |= s->ending == END_NEVER;
}

/* ---- blocks -------------------------------------------------------------------------------- */

struct fields {
    nghttp2_nv all[FIELDS_MOST];
    size_t count;
};

static void add(struct fields *f, const char *name, const char *value)
{
    MUST(f->count < FIELDS_MOST);
    f->all[f->count++] = (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value,
                                       strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE };
}

/* In one frame or several, some of them empty; the first may be padded, and speak of priority. */
static void put_block(struct io *io, struct conn *c, uint32_t id, const struct fields *f, bool end)
{
    static uint8_t block[BLOCK_ROOM];
    uint8_t first[H2_FRAME_MAX_LEAST];
    ssize_t size = nghttp2_hd_deflate_hd(c->encoder, block, sizeof block, f->all, f->count);
    unsigned flags = end ? H2_END_STREAM : 0, padding = sim_random(io, 4) == 0 ? 1 : 0;
    unsigned cuts = sim_random(io, 3) == 0 ? 1 + sim_random(io, CUTS_MOST - 3) : 0;
    size_t at = 0, head = 0, left, n;

    MUST(size > 0);
    left = (size_t)size;
    if (padding > 0) {
        flags |= H2_PADDED;
        padding = sim_random(io, 50);
        first[head++] = (uint8_t)padding;
    }
    if (sim_random(io, 8) == 0) {
        flags |= H2_WITH_PRIORITY;
        memcpy(first + head, "\0\0\0\0\x10", 5);
        head += 5;
    }
    n = cuts > 0 ? sim_random(io, (uint32_t)left) : left;
    n = n < sizeof first - head - padding ? n : sizeof first - head - padding;
    memcpy(first + head, block, n);
    memset(first + head + n, 0, padding);
    at = n;
    left -= n;
    conn_put(c, H2_HEADERS, flags | (left == 0 ? H2_END_HEADERS : 0), id, first,
             head + n + padding);
    while (left > 0) {
        n = cuts-- > 1 && cuts < CUTS_MOST ? sim_random(io, (uint32_t)left) : left;
        n = n < H2_FRAME_MAX_LEAST ? n : H2_FRAME_MAX_LEAST;
        left -= n;
        conn_put(c, H2_CONTINUATION, left == 0 ? H2_END_HEADERS : 0, id, block + at, n);
        at += n;
    }
}

static void put_interim(struct io *io, struct conn *c, uint32_t id, bool end)
{
    struct fields f = { .count = 0 };
    bool hints = sim_random(io, 2);

    add(&f, ":status", hints ? "103" : "100");
    if (hints)
        add(&f, "link", "<a>");
    put_block(io, c, id, &f, end);
}

/* Heads that are none: up to three fields. */
static const char *const wrong_heads[][6] = {
    { ":status", "abc" },
    { ":status", "99" },
    { ":status", "600" },
    { ":status", "0200" },
    { ":status", "101" },
    { "x", "no status" },
    { ":status", "200", ":status", "200" },
    { "x", "y", ":status", "200" },
    { ":status", "200", ":path", "/" },
    { ":status", "200", ":what", "" },
    { ":status", "200", "X-Upper", "y" },
    { ":status", "200", "connection", "close" },
    { ":status", "200", "transfer-encoding", "chunked" },
    { ":status", "200", "content-length", "5 5" },
    { ":status", "200", "content-length", "5", "content-length", "6" },
    { ":status", "200", "x", "a\rb" },
    { ":status", "200", "x\n", "y" },
    { ":status", "200", "", "y" },
};

static void add_wrong(struct io *io, struct fields *f)
{
    const char *const *w = wrong_heads[sim_random(io, COUNT_OF(wrong_heads))];

    for (unsigned i = 0; i < 6 && w[i] != NULL; i += 2)
        add(f, w[i], w[i + 1]);
}

static void put_head(struct io *io, struct conn *c, struct stream *s, uint32_t id, bool end)
{
    static char big[BIG + 1];
    struct fields f = { .count = 0 };
    char status[8], number[8], length[24];

    if (s->manner == WRONG_HEAD) {
        add_wrong(io, &f);
        put_block(io, c, id, &f, end);
        return;
    }
    snprintf(status, sizeof status, "%u", s->trip->status);
    snprintf(number, sizeof number, "%u", s->trip->number);
    snprintf(length, sizeof length, "%zu", s->trip->down_size);
    add(&f, ":status", status);
    add(&f, "x-trip", number);
    if (s->has_length)
        add(&f, "content-length", length);
    if (sim_random(io, 4) == 0)
        add(&f, "x-many", "words that have a place in the table");
    if (s->manner == HUGE_HEAD) {
        memset(big, 'x', sim_random(io, 2) ? BIG : BIG / 2 + 1000);
        add(&f, "long", big);
    }
    for (unsigned n = 0; s->manner == MANY_FIELDS && n < 250; n++)
        add(&f, "a", "b");
    put_block(io, c, id, &f, end);
    memset(big, 0, sizeof big);
}

static void put_trailers(struct io *io, struct conn *c, const struct stream *s, uint32_t id)
{
    static const char *const wrong[][2] = {
        { ":status", "200" },
        { "content-length", "5" },
        { "Upper", "t" },
        { "connection", "t" },
    };
    struct fields f = { .count = 0 };
    unsigned i = sim_random(io, COUNT_OF(wrong) + 1);
    bool bad = s->ending == END_BAD_TRAILERS;

    add(&f, bad && i < COUNT_OF(wrong) ? wrong[i][0] : "t",
        bad && i < COUNT_OF(wrong) ? wrong[i][1] : "railer");
    put_block(io, c, id, &f, !bad || i < COUNT_OF(wrong)); /* else they end nothing */
}

/* ---- one frame of a stream ----------------------------------------------------------------- */

/* True: that was all. */
static bool say_end(struct io *io, struct conn *c, struct stream *s, uint32_t id)
{
    switch (s->ending) {
    case END_WITH_LAST:
    case END_ALONE:
        conn_put(c, H2_DATA, H2_END_STREAM, id, NULL, 0);
        break;
    case END_TRAILERS:
    case END_BAD_TRAILERS:
        put_trailers(io, c, s, id);
        break;
    case END_RESET:
        conn_put_u32(c, H2_RST_STREAM, id, s->code);
        s->reset = true;
        break;
    case END_NEVER:
        s->wait_until = UINT64_MAX;
        return false;
    }
    return true;
}

/* Some of its content, as far as windows allow. */
static bool say_content(struct io *io, struct conn *c, struct stream *s, uint32_t id)
{
    uint8_t payload[H2_FRAME_MAX_LEAST];
    int64_t most = s->window < c->window ? s->window : c->window;
    size_t head = 0, padding = 0,
           n = 1 + sim_random(io, mood.thin || sim_random(io, 2) ? 500 : 16000);
    unsigned flags = 0;

    if (sim_random(io, 6) == 0) {
        flags = H2_PADDED;
        padding = sim_random(io, 256);
        head = 1;
        payload[0] = (uint8_t)padding;
    }
    if (most <= (int64_t)(head + padding))
        return false;
    if (n > s->down_left)
        n = s->down_left;
    if ((int64_t)(n + head + padding) > most)
        n = (size_t)most - head - padding;
    for (size_t i = 0; i < n; i++)
        payload[head + i] = (uint8_t)trip_byte(s->trip->number, false, s->down_at + i);
    memset(payload + head + n, 0, padding);
    s->down_at += n;
    s->down_left -= n;
    s->window -= (int64_t)(n + head + padding);
    c->window -= (int64_t)(n + head + padding);
    if (s->down_left == 0 && s->ending == END_WITH_LAST)
        flags |= H2_END_STREAM;
    conn_put(c, H2_DATA, flags, id, payload, n + head + padding);
    if (s->content_end == 0 && s->down_at >= s->trip->down_size)
        s->content_end = conn_said(c) - padding;
    return flags & H2_END_STREAM;
}

static bool say_head(struct io *io, struct conn *c, struct stream *s, uint32_t id)
{
    bool end = s->down_left == 0 && s->ending == END_WITH_LAST && s->manner != SHORT_BODY &&
               sim_random(io, 2);

    if (s->manner == INTERIM_AT_END) {
        put_interim(io, c, id, true);
        return true;
    }
    put_head(io, c, s, id, end || s->manner == LENGTH_WITHOUT_BODY);
    s->head_said = true;
    s->head_end = conn_said(c);
    if (s->trip->down_size == 0)
        s->content_end = s->head_end;
    return end || s->manner == LENGTH_WITHOUT_BODY;
}

static void act(struct io *io, struct conn *c, struct stream *s)
{
    uint32_t id = 2 * (uint32_t)(s - c->streams) + 1;
    bool over = false;

    if (s->interims > 0) {
        s->interims--;
        put_interim(io, c, id, false);
    } else if (!s->head_said && !s->headless) {
        over = say_head(io, c, s, id);
    } else if (s->down_left > 0 && !s->headless) {
        over = say_content(io, c, s, id);
    } else {
        over = say_end(io, c, s, id);
    }
    if (s->manner == SLOW && s->pauses++ < PAUSES)
        s->wait_until = io_now_ns(io) + (uint64_t)sim_random(io, 2000) * MS;
    if (id / 2 >= c->answered_most && s->ending != END_NEVER && s->manner != REFUSED)
        c->answered_most = id / 2 + 1;
    if (!over)
        return;
    s->over = true;
    s->end = conn_said(c);
    if (s->manner == EARLY_AND_DEAF && !s->up_ended && !s->reset) {
        conn_put_u32(c, H2_RST_STREAM, id, H2_NO_ERROR);
        s->reset = true;
    }
}

static bool is_ready(struct io *io, const struct stream *s)
{
    return !s->over && !s->reset && !s->up_reset && (s->up_ended || s->early) &&
           io_now_ns(io) >= s->wait_until;
}

void conn_answers(struct io *io, struct conn *c)
{
    bool burst = mood.wide && sim_random(io, 4) == 0;
    unsigned many = 1 + sim_random(io, burst ? 200 : 8), from;
    size_t full = burst ? OUT_FULL : OUT_MORE;

    while (many-- > 0 && c->stream_count > 0 && c->out_size - c->out_done < full) {
        from = sim_random(io, c->stream_count);
        for (unsigned i = 0; i < c->stream_count; i++) {
            struct stream *s = &c->streams[(from + i) % c->stream_count];

            if (!is_ready(io, s))
                continue;
            act(io, c, s);
            break;
        }
    }
}
