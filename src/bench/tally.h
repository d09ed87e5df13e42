/* tally.h - what was counted: by each loop for itself, then added up on a board.
 *
 *   board_init(&b, threads, live)
 *   board_post(&b, second, &tally)      any thread: what a loop counted in one second
 *   board_finish(&b, last)              all loops are done: what is left becomes seconds
 */
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include "base/histogram.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* clang-format off */
#define BENCH_ERRORS(X) \
    X(CONNECT, connect) X(RESET, reset) X(TIMEOUT, timeout) X(STATUS, status) \
    X(MALFORMED, malformed) X(TLS, tls)
/* clang-format on */

enum bench_error {
#define X(up, low) BENCH_##up,
    BENCH_ERRORS(X)
#undef X
        BENCH_ERROR_COUNT
};

extern const char *const bench_error_names[BENCH_ERROR_COUNT];

struct tally {
    uint64_t requests; /* answers that are whole, whatever their status */
    uint64_t bytes;    /* received                                      */
    uint64_t connections;
    uint64_t handshakes, resumed; /* of TLS: all of them, and those that took up a session */
    uint64_t side_lost;           /* idle and trickling connections that the server closed */
    uint64_t errors[BENCH_ERROR_COUNT];
    struct histogram latency;   /* ns */
    struct histogram handshake; /* ns: of TLS, behind the connect */
};

/* The sum of errors of all kinds. */
uint64_t tally_errors(const struct tally *);

/* Adds `from` to `into`. */
void tally_merge(struct tally *into, const struct tally *from);

struct second {
    uint64_t requests, bytes, errors, p50_ns, p99_ns, p999_ns;
};

enum { BOARD_PENDING = 8 };

struct board {
    pthread_mutex_t lock;
    unsigned loops;
    bool live; /* print a line each second */
    struct tally total;
    struct second *seconds; /* gives: free them with board_done() */
    size_t count, room, first_pending;
    struct tally pending[BOARD_PENDING];
    unsigned posted[BOARD_PENDING];
    uint64_t live_errors;
    char why[BENCH_ERROR_COUNT][160]; /* of the first error of a kind; "": nothing was said */
};

/* Borrows nothing. live: stdout is a terminal. */
void board_init(struct board *, unsigned loops, bool live);

/* Adds a loop's second to the board; `second` counts from the start of what is measured. */
void board_post(struct board *, size_t second, const struct tally *);

/* Copies the first of each kind. Any thread. why may be NULL: nothing is known. */
void board_note(struct board *, enum bench_error, const char *why);

/* Turns what is pending into seconds, though not all loops may have posted. */
void board_finish(struct board *);

void board_done(struct board *);

#endif
