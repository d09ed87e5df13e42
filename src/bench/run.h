/* run.h - a whole run: loops on threads, the clock and the processor time around them.
 *
 *   struct bench_result r;
 *   if (bench_run(&plan, live, &r)) …print it
 *   bench_result_done(&r);
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "bench/load.h"

struct bench_result {
    struct board board;
    double seconds;          /* measured, without the warm-up        */
    double user_s, system_s; /* the generator's own processor time,
                              * warm-up included                     */
    double wall_s;           /* warm-up included                     */
    uint64_t unfinished;     /* requests in flight at the end, or due and never begun */
};

/* Lifts the limit of descriptors as far as it may be. 0, or -1 after a sentence in why: too few
 * descriptors or ports for this plan, the engine cannot watch as many, or nobody answers. */
int bench_check(const struct bench_plan *, char *why, size_t why_size) MUST_USE;

/* Blocks until the run is over or SIGINT comes. False, after a line on stderr: a loop could not
 * be made. */
bool bench_run(const struct bench_plan *, bool live, struct bench_result *) MUST_USE;

void bench_result_done(struct bench_result *);

#endif
