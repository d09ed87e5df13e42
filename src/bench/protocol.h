/* protocol.h - what the load generator must know of a protocol; HTTP/1 is the one there is.
 *
 * A connection has a reader of reader_size bytes, zeroed, that is told all bytes that arrive.
 */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include "bench/plan.h"

enum bench_read {
    BENCH_MORE,   /* all bytes were taken                          */
    BENCH_ANSWER, /* an answer ended behind *taken                 */
    BENCH_BAD,    /* no answer: the connection is of no use        */
};

struct bench_answer {
    unsigned status;
    bool last; /* the connection cannot be used again */
};

struct bench_protocol {
    const char *name;
    size_t reader_size;
    /* A connection begins. Borrows the plan. */
    void (*begin)(void *reader, const struct bench_plan *);
    /* The bytes of `count` requests; lent as long as the plan lives. */
    struct slice (*write)(const struct bench_plan *, unsigned count);
    enum bench_read (*read)(void *reader, const char *bytes, size_t size, size_t *taken,
                            struct bench_answer *);
    /* The peer finished sending: BENCH_ANSWER if an answer ends with that, else BENCH_BAD. */
    enum bench_read (*end)(void *reader, struct bench_answer *);
    /* Gives back what the reader holds; begin may follow. */
    void (*done)(void *reader);
};

extern const struct bench_protocol bench_http1;

#endif
