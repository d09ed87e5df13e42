/* map.h - from names to pointers. Open addressing; keys are borrowed; keyed hash.
 *
 *   struct map m;  map_init(&m, MAP_NOCASE);
 *   map_put(&m, SLICE("example.com"), server);      false: no memory
 *   struct server *s = map_get(&m, host);           NULL: not there
 *   map_done(&m);
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/arena.h"

enum map_case { MAP_CASE, MAP_NOCASE };

struct map_slot {
    struct slice key;
    uint64_t hash; /* 0: empty, 1: deleted */
    void *value;
};

struct map {
    struct map_slot *slots;
    uint32_t mask, used, live; /* used counts deleted slots too */
    enum map_case fold;
    struct arena *arena; /* where the slots live; NULL: allocated and freed        */
};

void map_init(struct map *, enum map_case);
void map_done(struct map *);

/* For what lives as long as an arena: it takes the slots, and no map_done() is needed. */
void map_init_arena(struct map *, enum map_case, struct arena *);

/* Borrows key's bytes until it is removed. Replaces the value of an equal key. */
bool map_put(struct map *, struct slice key, void *value) MUST_USE;
void *map_get(const struct map *, struct slice key);
/* Returns the value that was there, or NULL. */
void *map_remove(struct map *, struct slice key);

/* Each slot with live(slot): for (struct map_slot *s = NULL; (s = map_next(m, s));) */
struct map_slot *map_next(const struct map *, struct map_slot *after);

#endif
