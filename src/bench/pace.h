/* pace.h - when requests of an open loop are due, whatever becomes of them.
 *
 *   pace_init(&p, requests_a_second, GAPS_EXPONENTIAL, now);
 *   while (pace_due(&p) <= now) { send one that was due at pace_take(&p) }
 *
 * The next time is known before the one before it was used, so a late sender catches up and the
 * times stay those of the schedule.
 */
#ifndef BENCH_PACE_H
#define BENCH_PACE_H

#include "bench/plan.h"

struct pace {
    double gap_ns; /* on average */
    double at_ns;  /* with fractions, so that they add up */
    enum bench_gaps gaps;
    uint64_t seed;
};

/* rate > 0. */
void pace_init(struct pace *, double rate, enum bench_gaps, uint64_t now_ns, uint64_t seed);

/* When the next one is due. */
static inline uint64_t pace_due(const struct pace *p)
{
    return (uint64_t)p->at_ns;
}

/* The same; and goes on to the one behind it. */
uint64_t pace_take(struct pace *);

#endif
