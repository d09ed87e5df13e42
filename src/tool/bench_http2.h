/* bench_http2.h - a request of `weir bench` in the form of HTTP/2 (RFC 9113 §8.3.1). */
#ifndef TOOL_BENCH_HTTP2_H
#define TOOL_BENCH_HTTP2_H

#include "tool/bench_target.h"

/* The plan's block, payload (borrowed from the words) and request. False, with a sentence in why:
 * something in the words has no place in HTTP/2. bench_http2_done() in any case. */
bool bench_http2_request(struct bench_plan *, const struct bench_words *,
                         char why[BENCH_WHY_SIZE]) MUST_USE;
void bench_http2_done(struct bench_plan *);

#endif
