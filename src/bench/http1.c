/* http1.c - HTTP/1.1 for the load generator: requests are the same bytes each time, answers are
 * read by the parser that a proxy needs, too. */
#include "bench/protocol.h"
#include "wire/h1_response.h"

enum { FIRST_SIZE = 2048, ARENA_BLOCK = 16 * 1024, ARENA_MAX = 256 * 1024 };

struct reader {
    struct arena arena;
    struct h1_response response;
    enum http_method method;
    bool in_body;
    _Alignas(ARENA_ALIGN) char first[FIRST_SIZE];
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
    h1_response_init(&r->response, &limits, &r->arena, r->method);
    r->in_body = false;
}

static void http1_begin(void *reader, const struct bench_plan *plan)
{
    struct reader *r = reader;

    arena_init(&r->arena, r->first, sizeof r->first, ARENA_BLOCK, ARENA_MAX);
    r->method = plan->method;
    next(r);
}

static struct slice http1_write(const struct bench_plan *plan, unsigned count)
{
    return slice_head(plan->requests, plan->request.size * count);
}

static enum bench_read answered(struct reader *r, struct bench_answer *answer)
{
    *answer = (struct bench_answer){ r->response.status, !r->response.keep_alive };
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
            return BENCH_BAD;
        if (*taken == size)
            return BENCH_MORE;
    }
}

static enum bench_read http1_read(void *reader, const char *bytes, size_t size, size_t *taken,
                                  struct bench_answer *answer)
{
    struct reader *r = reader;

    *taken = 0;
    while (!r->in_body) {
        size_t used;
        enum h1_verdict verdict =
            h1_response_feed(&r->response, bytes + *taken, size - *taken, &used);

        *taken += used;
        if (verdict != H1_DONE)
            return verdict == H1_MORE ? BENCH_MORE : BENCH_BAD;
        if (r->response.interim)
            next(r);
        else
            r->in_body = true;
    }
    return read_body(r, bytes, size, taken, answer);
}

static enum bench_read http1_end(void *reader, struct bench_answer *answer)
{
    struct reader *r = reader;

    if (h1_response_end(&r->response) == H1_BAD)
        return BENCH_BAD;
    return answered(r, answer);
}

static void http1_done(void *reader)
{
    struct reader *r = reader;

    arena_done(&r->arena);
}

const struct bench_protocol bench_http1 = {
    .name = "HTTP/1.1",
    .reader_size = sizeof(struct reader),
    .begin = http1_begin,
    .write = http1_write,
    .read = http1_read,
    .end = http1_end,
    .done = http1_done,
};
