/* generation.h - a configuration that runs: built beside the one in force, freed when the last
 * request on it has ended.
 *
 *   struct generation *g = generation_build(registry, fds, count, …);   control thread
 *   …each loop: loop_use(t, g)                                           between two turns
 *   …the last request of each loop that left it: generation_left(g)
 *   generation_destroy(g)                                                control thread
 *
 * A loop counts its own requests on a site (site_hold, site_drop) without atomics; only when a
 * loop's count reaches zero after it moved on does it touch what the loops share.
 */
#ifndef SERVER_GENERATION_H
#define SERVER_GENERATION_H

#include "server/config.h"

#include <stdatomic.h>

/* A listening socket of the worker, or several (reuseport). The control thread keeps a book of
 * them; once one is out of the book and the last loop let go of it, it is swept away. */
struct listener {
    uint32_t id, sockets;
    _Atomic uint32_t users; /* loops that accept on it, and the book                 */
    struct listener *next;
    int fds[];
};

struct generation {
    uint32_t number;
    struct config *config;
    struct site *site;
    struct listener **listeners;  /* by id, or NULL; as many as site->listener_count        */
    unsigned loops;               /* wanted by this configuration                          */
    bool alone;                   /* nobody else accepts on listeners that it gives up      */
    _Atomic uint32_t loops_on_it; /* that run it, or have requests that do                  */
    struct generation *next;
};

/* What is there already, for a new generation to fit in. */
struct generation_around {
    const struct registry *registry;
    unsigned loop_count;          /* 0: as many as the bundle says             */
    const struct generation *now; /* in force, or NULL                         */
    struct listener **book;
    const struct listener *leaving;
};

/* Takes the descriptors (bundle, sockets, logs, as bundle.h orders them), whatever the outcome.
 * Listeners already in the book are kept, new ones are entered. NULL: text says why not. */
struct generation *generation_build(const struct generation_around *, const int *fds,
                                    uint32_t count, char *text, size_t size) MUST_USE;
void generation_destroy(struct generation *);

/* A loop has nothing to do with it any more. True: it was the last one. */
bool generation_left(struct generation *);

/* A loop begins to accept on it; lets go of it. */
void listener_use(struct listener *);
void listener_release(struct listener *);
/* Takes those out of the book that `now` (NULL: nobody) does not have. */
void listeners_give_up(struct listener **book, struct listener **leaving,
                       const struct generation *now);
/* Closes and frees those of `leaving` that nobody uses any more. */
void listeners_sweep(struct listener **leaving);

#endif
