/* plan.h - what a run of the load generator shall do; nobody changes it while it runs.
 *
 * Connections of three kinds talk to one address: active ones, which send requests; idle ones,
 * which only stay open; trickling ones, which send a byte a second. In a closed loop each active
 * connection keeps `depth` requests in flight, pipelined or, in HTTP/2, as streams. In an open loop
 * requests are due at times that do not depend on the answers, and latency counts from when a
 * request was due.
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include "base/slice.h"
#include "io/io.h"
#include "net/tls_domain.h"
#include "wire/method.h"

enum {
    BENCH_SOURCES_MAX = 256,
    BENCH_LOOPBACKS = 250, /* used when ports run out on the way to a loopback address */
    BENCH_DEPTH_MAX = 256,
    BENCH_THREADS_MAX = 64,
    BENCH_CONNECTIONS_MAX = 1000000,
};

enum bench_gaps { GAPS_EXPONENTIAL, GAPS_CONSTANT };

struct bench_protocol;

/* How hands are shaken. */
struct bench_tls {
    struct tls_domain *domain; /* NULL: no TLS                                       */
    struct slice name, alpn;   /* as in struct tls_greeting                          */
    bool tell;                 /* the name goes with the first message (SNI)         */
    bool resume;               /* a connection takes up the session of its last one  */
    bool verify;
    bool agree; /* the server must choose what alpn offers, which is one thing */
};

struct bench_plan {
    const char *url;
    const struct bench_protocol *protocol;
    const struct io_engine *engine;
    struct sockaddr_storage to;
    socklen_t to_size;
    struct sockaddr_storage sources[BENCH_SOURCES_MAX]; /* port 0 */
    unsigned source_count;
    bool more_sources; /* a loopback target, and none said: 127.0.0.2 and so on may be used */

    unsigned connections, depth, idle, trickle, threads;
    bool keep_alive;
    bool marks;  /* "begin" and "end" on standard error, around what is counted */
    double rate; /* requests a second; 0: a closed loop */
    enum bench_gaps gaps;
    uint64_t warmup_ns, duration_ns, timeout_ns;
    uint64_t count;  /* requests; 0: by duration            */
    unsigned expect; /* status; 0: any from 200 to 399      */
    enum http_method method;
    struct bench_tls tls;
    struct slice request;  /* the bytes of one, on a fresh connection       */
    struct slice requests; /* HTTP/1: depth of them, one behind the other   */
    struct slice block;    /* HTTP/2: its fields, with no use of the table  */
    struct slice payload;  /* HTTP/2: its body                              */
};

#endif
