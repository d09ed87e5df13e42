/* bench_tls.h - what the words of `weir bench` say of TLS becomes a part of the plan. */
#ifndef TOOL_BENCH_TLS_H
#define TOOL_BENCH_TLS_H

#include "tool/bench_target.h"

/* The plan's tls: resume and verify are set before. False, with a sentence in why. */
bool bench_tls(struct bench_plan *, struct bench_words *, char why[BENCH_WHY_SIZE]) MUST_USE;
void bench_tls_done(struct bench_plan *, struct bench_words *);

#endif
