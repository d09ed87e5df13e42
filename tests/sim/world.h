/* world.h - a server around the protocols under test: a site with files and handlers that read
 * bodies, and a loop over the simulated engine.
 *
 *   world_load();
 *   struct loop *loop = world_open(seed);   …  world_close(loop);
 *   world_unload();
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "http/site.h"
#include "io/sim.h"
#include "proto/http1.h"

enum { BIG_SIZE = 300000 };

/* For messages of MUST. */
extern uint64_t seed_now;

#define MUST(x)                                                                               \
    do {                                                                                      \
        if (!(x)) {                                                                           \
            fprintf(stderr, "seed %llu: %s:%d: %s\n", (unsigned long long)seed_now, __func__, \
                    __LINE__, #x);                                                            \
            abort();                                                                          \
        }                                                                                     \
    } while (0)

struct world {
    struct conf_source source;
    char text[4096];
    char dir[64];
    struct arena arena;
    struct registry *registry;
    struct regex *regexes;
    struct site *site;
    struct site_use uses[1];
    const struct listener_want *by_listener[1];
    struct loop loop;
    bool any_bodies; /* requests' bodies are not the alphabet                */
};
extern struct world world;

void world_load(void);
void world_unload(void);
struct loop *world_open(uint64_t seed);
void world_close(struct loop *);

#endif
