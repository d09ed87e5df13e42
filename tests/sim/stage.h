/* stage.h - a site made of a text, and a loop on it over the simulated engine: what every
 * simulation stands on.
 *
 *   stage_begin();                                   a directory of its own
 *   snprintf(stage.text, …);  stage_load();
 *   struct loop *loop = stage_open(io);  …  stage_close(loop);
 *   stage_unload();                                  stage_load() may follow
 *   stage_end();
 */
#ifndef SIM_STAGE_H
#define SIM_STAGE_H

#include "http/site.h"
#include "io/sim.h"

#include <stdio.h>
#include <stdlib.h>

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

struct stage {
    struct conf_source source;
    char text[8192];
    char dir[64];
    struct arena arena;
    struct registry *registry;
    struct regex *regexes;
    struct site *site;
    struct site_use uses[1];
    const struct listener_want *by_listener[1];
    struct loop loop;
};
extern struct stage stage;

void stage_begin(void);
void stage_end(void);
void stage_load(void);
void stage_unload(void);
struct loop *stage_open(struct io *);
void stage_close(struct loop *);

#endif
