/* world.h - a server around the protocols under test: a site with files and handlers that read
 * bodies, and a loop over the simulated engine.
 *
 *   world_load();
 *   struct loop *loop = world_open(seed);   …  world_close(loop);
 *   world_unload();
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "proto/http1.h"
#include "sim/stage.h"

enum { BIG_SIZE = 300000 };

struct world {
    bool any_bodies; /* requests' bodies are not the alphabet */
};
extern struct world world;

void world_load(void);
void world_unload(void);
struct loop *world_open(uint64_t seed);
void world_close(struct loop *);

#endif
