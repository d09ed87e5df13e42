/* http1.c - HTTP/1.1 for the load generator: requests are the same bytes each time, answers are
 * read by the parser that a proxy needs, too. */
#include "bench/protocol.h"
#include "wire/h1_response.h"

enum { FIRST_SIZE = 2048, ARENA_BLOCK = 16 * 1024, ARENA_MAX = 256 * 1024 };

struct reader {
    const struct bench_plan *plan;
    unsigned first, flying; /* requests in flight have slots in a ring: answers come in order */
    unsigned unsent;
    struct arena arena;
    struct h1_response response;
    bool in_body;
    _Alignas(ARENA_ALIGN) char first_block[FIRST_SIZE];
};

static const struct h1_limits limits = {
    .line_max = 32 * 1024,
    .head_max = 128 * 1024,
    .fields_max = 1000,
    .first_size = 1024,
};

static void next(struct reader *r)
{
    arena_reset(&r->arena);
    h1_response_init(&r->response, &limits, &r->arena, r->plan->method);
    r->in_body = false;
}

static size_t http1_size(const struct bench_plan *plan)
{
    (void)plan;
    return sizeof(struct reader);
}

static bool http1_begin(void *link, const struct bench_plan *plan)
{
    struct reader *r = link;

    arena_init(&r->arena, r->first_block, sizeof r->first_block, ARENA_BLOCK, ARENA_MAX);
    r->plan = plan;
    r->first = r->flying = r->unsent = 0;
    next(r);
    return true;
}

static unsigned http1_room(const void *link)
{
    const struct reader *r = link;

    return r->plan->depth - r->flying;
}

static unsigned http1_ask(void *link, uint64_t now_ns)
{
    struct reader *r = link;
    unsigned at = r->first + r->flying;

    (void)now_ns;
    r->flying++;
    r->unsent++;
    return at < r->plan->depth ? at : at - r->plan->depth;
}

static struct slice http1_write(void *link)
{
    struct reader *r = link;
    struct slice bytes = slice_head(r->plan->requests, r->plan->request.size * r->unsent);

    r->unsent = 0;
    return bytes;
}

static enum bench_read bad(struct reader *r, struct bench_answer *answer)
{
    answer->why = r->response.why;
    return BENCH_BAD;
}

static enum bench_read answered(struct reader *r, struct bench_answer *answer)
{
    *answer = (struct bench_answer){ .slot = r->first,
                                     .status = r->response.status,
                                     .last = !r->response.keep_alive || !r->plan->keep_alive };
    if (++r->first == r->plan->depth)
        r->first = 0;
    r->flying--;
    next(r);
    return BENCH_ANSWER;
}

static enum bench_read read_body(struct reader *r, const char *bytes, size_t size, size_t *taken,
                                 struct bench_answer *answer)
{
    if (r->response.body == H1_BODY_TUNNEL)
        return answered(r, answer);
    for (;;) {
        struct slice piece;
        size_t used;
        enum h1_verdict verdict =
            h1_response_body(&r->response, bytes + *taken, size - *taken, &used, &piece);

        *taken += used;
        if (verdict == H1_DONE)
            return answered(r, answer);
        if (verdict == H1_BAD)
            return bad(r, answer);
        if (*taken == size)
            return BENCH_MORE;
    }
}

static enum bench_read http1_read(void *link, uint64_t now_ns, const char *bytes, size_t size,
                                  size_t *taken, struct bench_answer *answer)
{
    struct reader *r = link;

    (void)now_ns;
    *taken = 0;
    if (size == 0)
        return BENCH_MORE;
    if (r->flying == 0) {
        answer->why = "nobody asked for what the server sent";
        return BENCH_BAD;
    }
    while (!r->in_body) {
        size_t used;
        enum h1_verdict verdict =
            h1_response_feed(&r->response, bytes + *taken, size - *taken, &used);

        *taken += used;
        if (verdict != H1_DONE)
            return verdict == H1_MORE ? BENCH_MORE : bad(r, answer);
        if (r->response.interim)
            next(r);
        else
            r->in_body = true;
    }
    return read_body(r, bytes, size, taken, answer);
}

static enum bench_read http1_end(void *link, struct bench_answer *answer)
{
    struct reader *r = link;

    if (r->flying == 0 || h1_response_end(&r->response) == H1_BAD)
        return BENCH_BAD;
    return answered(r, answer);
}

static void http1_done(void *link)
{
    struct reader *r = link;

    arena_done(&r->arena);
}

const struct bench_protocol bench_http1 = {
    .name = "HTTP/1.1",
    .link_size = http1_size,
    .begin = http1_begin,
    .room = http1_room,
    .ask = http1_ask,
    .write = http1_write,
    .read = http1_read,
    .end = http1_end,
    .done = http1_done,
};
