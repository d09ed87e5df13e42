/* protocol.h - what the load generator must know of a protocol: HTTP/1 and HTTP/2.
 *
 * A connection has a link of link_size() bytes, zeroed at first:
 *
 *   begin(link, &plan)                      the connection is about to be opened
 *   while (room(link) > 0) slot = ask(link, now);
 *   bytes = write(link);                    …send them; whenever nothing is being sent
 *   switch (read(link, now, bytes, size, &taken, &answer)) …
 *   done(link)                              it is closed
 *
 * A request has a slot below the plan's depth from ask() until its end was told. Pure functions of
 * bytes and times: no I/O.
 */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include "bench/plan.h"
#include "bench/tally.h"

enum bench_read {
    BENCH_MORE,   /* all bytes were taken                                             */
    BENCH_ANSWER, /* a request was answered: slot, status, last                       */
    BENCH_LOST,   /* a request will not be, and others may: slot, error, why          */
    BENCH_AGAIN, /* the server has not begun a request, which is free to be asked elsewhere: slot */
    BENCH_OVER,  /* nothing is in flight, and nothing more may be asked: close it    */
    BENCH_BAD,   /* the connection is of no use: why                                 */
};

struct bench_answer {
    unsigned slot, status;
    bool last; /* no answer follows it, whatever is in flight */
    enum bench_error error;
    const char *why; /* static text, or NULL */
};

enum { BENCH_NO_SLOT = -1 };

struct bench_protocol {
    const char *name;
    /* Requests in flight are streams: they end in any order, and each for itself. Else they are
     * pipelined. */
    bool streams;
    size_t (*link_size)(const struct bench_plan *);
    /* Borrows the plan. False: no memory; done() must be called all the same. */
    bool (*begin)(void *link, const struct bench_plan *) MUST_USE;
    /* How many requests may begin now. */
    unsigned (*room)(const void *link);
    /* One begins: its slot. There is room. */
    unsigned (*ask)(void *link, uint64_t now_ns);
    /* All that is to be sent now; lent until the next call. */
    struct slice (*write)(void *link);
    /* Behind all but MORE there may be more in the same bytes, or in none: go on behind *taken. */
    enum bench_read (*read)(void *link, uint64_t now_ns, const char *bytes, size_t size,
                            size_t *taken, struct bench_answer *);
    /* The peer finished sending: BENCH_ANSWER if an answer ends with that, else BENCH_BAD. */
    enum bench_read (*end)(void *link, struct bench_answer *);
    /* Of streams: gives up a request that has not come forward for so long: its slot, or NO_SLOT.
     * NULL: one that waits makes all wait. */
    int (*give_up)(void *link, uint64_t now_ns, uint64_t timeout_ns);
    /* Gives back what the link holds; begin may follow. */
    void (*done)(void *link);
};

extern const struct bench_protocol bench_http1, bench_http2;

#endif
