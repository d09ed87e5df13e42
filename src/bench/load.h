/* load.h - one loop of the load generator: its connections, its clock, what it counts.
 *
 *   struct load *l = load_create(&plan, &share, &board, &error);
 *   load_run(l);            returns when the plan is fulfilled, or after load_interrupt()
 *   load_destroy(l);
 *
 * Times: a run begins with the warm-up, whose requests are not counted; a request counts when it
 * began (in an open loop: was due) behind that.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/client.h"
#include "bench/pace.h"
#include "bench/side.h"
#include "bench/tally.h"

/* What one of several loops does of the plan. */
struct load_share {
    unsigned index, connections, idle, trickle;
    double rate;
    uint64_t count;
};

struct load {
    const struct bench_plan *plan;
    struct load_share share;
    struct board *board;
    struct io *io;
    struct tls_ring *tls_ring; /* NULL: no TLS */
    struct tls_home *tls;
    struct client *clients;
    struct side *sides;
    uint64_t *times; /* of all connections */
    char *links;     /* likewise           */
    unsigned side_count;
    struct client *spare; /* open loop: connections that can take a request */
    struct pace pace;
    struct io_timer tick, arrival;
    bool began;                         /* the mark was made */
    uint64_t from_ns, until_ns, end_ns; /* measured: from; no later than until; ended */
    uint64_t ticks;
    uint64_t left;       /* requests that may still begin, when the plan has a count */
    uint64_t flying;     /* requests that began and were neither answered nor lost  */
    uint64_t unfinished; /* at the end: flying, and due but never begun              */
    unsigned open;       /* descriptors that are not closed yet                      */
    unsigned next_source;
    bool elsewhere; /* ports ran out: further loopback addresses are used */
    bool crippled;  /* a thread could not be had: the run is none         */
    bool stopping;
    size_t second;
    struct tally now; /* the current second */
};

/* NULL and *error = -errno. Borrows all but share. Call it on the thread that will run it. */
struct load *load_create(const struct bench_plan *, const struct load_share *, struct board *,
                         int *error);
void load_run(struct load *);
void load_destroy(struct load *);

/* All loops end soon. May be called by a signal handler. */
void load_interrupt(void);

/* ---- for connections ---------------------------------------------------------------------- */

/* May another request begin now? If so it is taken from what is left. */
bool load_take(struct load *, uint64_t now_ns);

/* The opposite, for a request that will not be answered. `again`: it was not the server's fault,
 * another one may begin for it. */
void load_untake(struct load *, uint64_t stamp_ns, bool again);

/* Counts an error, unless the run is warming up or over. */
void load_error(struct load *, enum bench_error, uint64_t count);

/* Open loop: a connection that has room, and is not listed yet, waits for the next request. */
void load_spare(struct load *, struct client *, uint64_t now_ns);

/* A source address has no ports left: true if from now on others are used. */
bool load_elsewhere(struct load *);

/* Opens a socket and binds it to the next source address: the descriptor, or -errno. */
int load_socket(struct load *, struct io *);

#endif
