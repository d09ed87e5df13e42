/* proxy_judge.c - is what a client of proxy_sim.c got what it must be? */
#include "sim/proxy_sim.h"

/* One answer, as a client finds it. */
struct got {
    unsigned status;
    bool close, chunked, has_length, whole, ended;
    size_t length;
};

static void read_field(struct slice line, struct got *g, const struct trip *t)
{
    size_t colon = slice_search(line, SLICE(": "));
    struct slice value = slice_skip(line, colon < line.size ? colon + 2 : colon);
    uint64_t n = 0;

    if (slice_starts(line, SLICE("Content-Length: "))) {
        MUST(!g->has_length && !g->chunked && slice_to_u64(value, SIZE_MAX / 2, &n));
        g->length = (size_t)n;
        g->has_length = true;
    } else if (slice_starts(line, SLICE("Transfer-Encoding: "))) {
        MUST(!g->has_length && !g->chunked && slice_eq(value, SLICE("chunked")));
        g->chunked = true;
    } else if (slice_starts(line, SLICE("Connection: "))) {
        g->close |= slice_eq(value, SLICE("close"));
    } else if (slice_starts(line, SLICE("X-Trip: "))) {
        MUST(slice_to_u64(value, TRIPS_MAX, &n) && n == t->number);
    }
}

/* False: the head is not there, or not whole. */
static bool read_head(struct slice *in, struct got *g, const struct trip *t)
{
    size_t end = slice_search(*in, SLICE("\r\n\r\n"));
    struct slice head = slice_head(*in, end + 2);
    uint64_t status;

    memset(g, 0, sizeof *g);
    if (end == in->size)
        return false;
    MUST(slice_starts(head, SLICE("HTTP/1.1 ")));
    MUST(slice_to_u64(slice_head(slice_skip(head, 9), 3), 999, &status));
    g->status = (unsigned)status;
    while (head.size > 0) {
        size_t line = slice_search(head, SLICE("\r\n"));

        read_field(slice_head(head, line), g, t);
        head = slice_skip(head, line + 2);
    }
    *in = slice_skip(*in, end + 4);
    return true;
}

static void check_down(const struct trip *t, struct slice piece, size_t from)
{
    for (size_t i = 0; i < piece.size; i++)
        MUST(piece.at[i] == trip_byte(t->number, false, from + i));
}

/* Behind the last chunk; some of it, if the client left. */
static void skip_trailer(struct slice *in)
{
    struct slice trailer = SLICE("t: railer\r\n");

    if (slice_starts(*in, trailer))
        *in = slice_skip(*in, trailer.size);
    else if (in->size > 0 && slice_starts(trailer, *in))
        *in = slice_skip(*in, in->size);
}

/* Cuts a body in chunks off; its size. */
static size_t read_chunks(struct slice *in, struct got *g, const struct trip *t, bool check)
{
    size_t size = 0, n, end;
    char line[16];

    for (;;) {
        end = slice_search(*in, SLICE("\r\n"));
        if (end == in->size) {
            MUST(end < sizeof line);
            *in = slice_skip(*in, end);
            return size;
        }
        MUST(end > 0 && end < sizeof line);
        memcpy(line, in->at, end);
        line[end] = '\0';
        n = strtoul(line, NULL, 16);
        *in = slice_skip(*in, end + 2);
        struct slice piece = slice_head(*in, n);

        if (check)
            check_down(t, piece, size);
        size += piece.size;
        *in = slice_skip(*in, piece.size);
        if (n == 0)
            skip_trailer(in);
        if (in->size < 2) {
            *in = slice_of(in->at + in->size, 0);
            return size;
        }
        MUST(slice_starts(*in, SLICE("\r\n")));
        *in = slice_skip(*in, 2);
        if (n == 0) {
            g->whole = true;
            return size;
        }
    }
}

static size_t read_body(struct slice *in, struct got *g, const struct trip *t, bool reset)
{
    bool theirs = g->status == 200 || g->status == 101;
    bool cut = g->status == 408 || g->status == 400; /* the method may not be known then */
    struct slice body;

    if (g->status == 204 || g->status == 304 || (strcmp(t->method, "HEAD") == 0 && !cut)) {
        g->whole = true;
        return 0;
    }
    if (g->chunked)
        return read_chunks(in, g, t, theirs);
    body = g->has_length ? slice_head(*in, g->length) : *in;
    MUST(g->has_length || g->close || g->status == 101);
    g->whole = g->has_length ? body.size == g->length : !reset;
    if (theirs)
        check_down(t, body, 0);
    *in = slice_skip(*in, body.size);
    return body.size;
}

static bool may_be_made_up(const struct trip *t)
{
    return t->fate <= FATE_NONE && (!mood.calm || t->frail);
}

static void judge_answer(const struct trip *t, const struct got *g, size_t size)
{
    bool made_up = g->status == 502 || g->status == 504;

    if (verbose)
        fprintf(stderr, "  trip %u: %u, %zu bytes, %swhole; fate %d, %zu\n", t->number, g->status,
                size, g->whole ? "" : "not ", t->fate, t->down_size);
    MUST(!made_up || (g->whole && (t->blurred || may_be_made_up(t))));
    MUST(made_up || g->status == t->status || (t->blurred && g->status < 400));
    MUST(g->status != 504 || mood.silent);
    if (made_up || t->blurred)
        return;
    MUST(t->fate != FATE_WHOLE || g->whole);
    MUST(t->fate != FATE_BROKEN || !g->whole);
    MUST(t->fate != FATE_TUNNEL || size == t->down_size);
    if (t->fate == FATE_WHOLE && strcmp(t->method, "HEAD") != 0)
        MUST(size == t->down_size);
    MUST(size <= t->down_size);
}

void judge(const struct outcome *o)
{
    struct slice in = o->in;
    struct got g = { 0 };

    for (unsigned i = 0; i < o->ask_count; i++) {
        const struct trip *t = o->asks[i];
        bool any;

        while ((any = read_head(&in, &g, t)) && (g.status == 100 || g.status == 103))
            ;
        if (!any) {
            MUST(!o->polite);
            return;
        }
        size_t size = read_body(&in, &g, t, o->reset);

        if (o->polite)
            judge_answer(t, &g, size);
        if (!g.whole || g.close || g.status == 101)
            break;
    }
    if (verbose && in.size > 0)
        fprintf(stderr, "  behind the last answer: %.*s\n", SLICE_FMT(in));
    MUST(in.size == 0);
}
