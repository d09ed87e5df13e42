/* zone.h - states by key, in memory of a given size that all threads share.
 *
 *   struct zone *z = zone_create(10 << 20, sizeof(struct count));
 *   struct zone_spot spot;
 *   if (zone_enter(z, key, ZONE_EVICT, &spot)) {     false: it is full
 *       struct count *c = spot.value;                zeroed if spot.fresh
 *       c->n++;
 *       zone_leave(&spot);
 *   }
 *   zone_drop(z);
 *
 * Index and states together never take more than the given size. It is cut into cells; a state
 * takes one cell, and more of them if its key is long, wherever they are: memory cannot fall to
 * pieces. States are kept in the order of their last use, so that the oldest can make room.
 *
 * Large zones are divided by the hash of the key into parts, each with a lock, an index and an
 * order of its own. Between zone_enter() or zone_find() and zone_leave() or zone_remove() the lock
 * of one part is held: look, count, leave. Never wait in between, nor enter a second zone.
 */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include "base/slice.h"

enum {
    ZONE_COMMON_SIZE = 128, /* bytes that a zone's owner has for what is about all of it   */
    ZONE_SIZE_MIN = 32 * 1024,
    ZONE_PARTS_MAX = 16,
    ZONE_PART_SIZE = 1024 * 1024, /* no part is smaller, if there are several             */
    ZONE_CELL_MIN = 64,           /* bytes; larger values have larger cells               */
    ZONE_KEY_ROOM = 24            /* at least so much of a key fits into the first cell   */
};

struct zone;
struct zone_part;

/* A state that is looked at: its part is locked. `value` is aligned to 8 bytes. */
struct zone_spot {
    struct zone_part *part;
    uint32_t cell;
    bool fresh; /* made just now */
    void *value;
};

/* What zone_enter() does when there is no room for a new state. */
enum zone_full { ZONE_REFUSE, ZONE_EVICT };

/* `size` is at least ZONE_SIZE_MIN; its pages are taken as states come. Gives the zone with one
 * reference; NULL: no memory. */
struct zone *zone_create(uint64_t size, uint32_t value_size) MUST_USE;

/* One more reference; one less, and with the last of them the zone is gone. */
struct zone *zone_hold(struct zone *);
void zone_drop(struct zone *);

/* Finds the state or makes it, as the latest used. False: no room (ZONE_EVICT: the key is too
 * long for a part), and nothing is locked. The key is copied. */
bool zone_enter(struct zone *, struct slice key, enum zone_full, struct zone_spot *ret) MUST_USE;

/* Finds the state. False: there is none, and nothing is locked. Its place in the order stays. */
bool zone_find(struct zone *, struct slice key, struct zone_spot *ret) MUST_USE;

/* Done with it; or: the state shall be forgotten. */
void zone_leave(struct zone_spot *);
void zone_remove(struct zone_spot *);

/* The state of part `part` that was used longest ago; `key` (size bytes of it at most are copied)
 * is its key. False: there is none, and nothing is locked. */
unsigned zone_parts(const struct zone *);
bool zone_oldest(struct zone *, unsigned part, char *key, size_t size,
                 struct zone_spot *ret) MUST_USE;

/* ZONE_COMMON_SIZE bytes, aligned to 8, zero at first, behind no lock: for atomics. */
void *zone_common(struct zone *);

/* States now; states with keys of at most ZONE_KEY_ROOM bytes for which there is memory. */
uint64_t zone_count(struct zone *);
uint64_t zone_capacity(const struct zone *);

#endif
