/* report.h - what a run says: for people, for programs, for a browser. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/run.h"

/* The summary, as text. */
void report_text(FILE *, const struct bench_plan *, const struct bench_result *);

/* One object: config, seconds, requests, rps, bytes, errors, latency_us with its buckets,
 * per_second, cpu. docs/bench.md describes it. */
void report_json(FILE *, const struct bench_plan *, const struct bench_result *);

/* A line a second. */
void report_csv(FILE *, const struct bench_plan *, const struct bench_result *);

/* A page that needs nothing else: figures, percentile curve, rate over time. */
void report_html(FILE *, const struct bench_plan *, const struct bench_result *);

#endif
