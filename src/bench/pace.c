/* pace.c - the schedule of an open loop. */
#include "bench/pace.h"

#include "base/clock.h"

#include <math.h>

enum { MANTISSA_BITS = 53 };

/* xorshift64*: fast, and good enough for gaps. 0 < result <= 1. */
static double draw(struct pace *p)
{
    uint64_t x = p->seed;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    p->seed = x;
    x *= UINT64_C(0x2545F4914F6CDD1D);
    return (double)((x >> (64 - MANTISSA_BITS)) + 1) / (double)(UINT64_C(1) << MANTISSA_BITS);
}

static void step(struct pace *p)
{
    p->at_ns += p->gaps == GAPS_CONSTANT ? p->gap_ns : -log(draw(p)) * p->gap_ns;
}

void pace_init(struct pace *p, double rate, enum bench_gaps gaps, uint64_t now_ns, uint64_t seed)
{
    *p = (struct pace){
        .gap_ns = (double)NS_PER_SEC / rate,
        .at_ns = (double)now_ns,
        .gaps = gaps,
        .seed = seed | 1,
    };
    step(p);
}

uint64_t pace_take(struct pace *p)
{
    uint64_t at = pace_due(p);

    step(p);
    return at;
}
