/* bench_target.h - what a URL and the options make of a plan: an address and a request. */
#ifndef TOOL_BENCH_TARGET_H
#define TOOL_BENCH_TARGET_H

#include "bench/plan.h"

enum { BENCH_FIELDS_MAX = 64, BENCH_WHY_SIZE = 256, BENCH_CIPHERS_MAX = 1024 };

/* What the options said; borrowed words. */
struct bench_words {
    const char *url, *method, *body, *sources;
    const char *sni, *authorities, *tls_version, *ciphers, *groups; /* NULL: not said */
    const char *fields[BENCH_FIELDS_MAX];                           /* "Name: value" */
    unsigned field_count;
    bool http2;
    bool secure;                         /* made here, like the rest: https */
    struct slice payload;                /* the request's body; freed by bench_target_done() */
    struct slice host;                   /* of the URL         */
    struct slice authority, target;      /* likewise; the target may be empty */
    char ciphers_old[BENCH_CIPHERS_MAX]; /* up to TLS 1.2, and of 1.3 */
    char ciphers_new[BENCH_CIPHERS_MAX];
    struct tls_command suites;
    struct slice trusted; /* freed likewise     */
};

/* Fills protocol, to, sources, method, tls, and a request's bytes of the plan from the words; its
 * depth and keep_alive must be set. A name is looked up, once. False, with a sentence in why, if
 * something is wrong. bench_target_done() in any case. */
bool bench_target(struct bench_plan *, struct bench_words *, char why[BENCH_WHY_SIZE]) MUST_USE;
/* Did a -H give this field? */
bool bench_gave(const struct bench_words *, const char *name);
/* False, with a sentence in why: it is not "Name: value". */
bool bench_field_fine(const char *text, char why[BENCH_WHY_SIZE]) MUST_USE;
void bench_target_done(struct bench_plan *, struct bench_words *);

#endif
