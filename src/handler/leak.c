/* leak.c - a leaky bucket in drops and milliseconds. */
#include "handler/leak.h"

bool leak_parse_rate(struct slice text, int64_t *ret)
{
    bool a_minute = slice_ends(text, SLICE("r/m"));
    uint64_t n;

    if ((!a_minute && !slice_ends(text, SLICE("r/s"))) ||
        !slice_to_u64(slice_head(text, text.size - 3), LEAK_REQUESTS_MAX, &n) || n == 0)
        return false;
    *ret = (int64_t)n * (LEAK_REQUEST / (a_minute ? 60 * 1000 : 1000));
    return true;
}

void leak_first(struct leak *l, uint64_t now_ms)
{
    *l = (struct leak){ .last_ms = now_ms };
}

int64_t leak_next(const struct leak *l, int64_t rate, uint64_t now_ms)
{
    uint64_t passed = now_ms > l->last_ms ? now_ms - l->last_ms : 0;
    int64_t leaked, excess;

    if (__builtin_mul_overflow(passed, rate, &leaked))
        return 0; /* more than any excess */
    excess = l->excess - leaked + LEAK_REQUEST;
    return excess > 0 ? excess : 0;
}

void leak_store(struct leak *l, int64_t excess, uint64_t now_ms)
{
    l->excess = excess;
    if (now_ms > l->last_ms)
        l->last_ms = now_ms;
}

uint64_t leak_wait_ms(int64_t drops, int64_t rate)
{
    return drops > 0 ? ((uint64_t)drops + (uint64_t)rate - 1) / (uint64_t)rate : 0;
}
