/* map.c - open addressing with linear probing; at most three quarters of the slots are used. */
#include "base/map.h"

#include <stdlib.h>

enum { SLOT_EMPTY, SLOT_DELETED, SLOT_HASH_MIN };
enum { SLOTS_MIN = 8 };
#define SLOTS_MAX (UINT32_C(1) << 30)

void map_init(struct map *m, enum map_case fold)
{
    *m = (struct map){ .fold = fold };
}

void map_init_arena(struct map *m, enum map_case fold, struct arena *arena)
{
    *m = (struct map){ .fold = fold, .arena = arena };
}

void map_done(struct map *m)
{
    if (m->arena == NULL)
        free(m->slots);
    *m = (struct map){ .fold = m->fold, .arena = m->arena };
}

static uint64_t key_hash(const struct map *m, struct slice key)
{
    uint64_t hash = m->fold == MAP_NOCASE ? slice_hash_nocase(key) : slice_hash(key);
    return hash < SLOT_HASH_MIN ? hash + SLOT_HASH_MIN : hash;
}

static struct map_slot *slot_of(const struct map *m, struct slice key, uint64_t hash)
{
    if (m->slots == NULL)
        return NULL;
    for (uint32_t i = (uint32_t)hash & m->mask;; i = (i + 1) & m->mask) {
        struct map_slot *slot = &m->slots[i];
        if (slot->hash == SLOT_EMPTY)
            return NULL;
        if (slot->hash == hash &&
            (m->fold == MAP_NOCASE ? slice_eq_nocase(slot->key, key) : slice_eq(slot->key, key)))
            return slot;
    }
}

/* For a key that is not there. */
static struct map_slot *slot_free(const struct map *m, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & m->mask;
    while (m->slots[i].hash >= SLOT_HASH_MIN)
        i = (i + 1) & m->mask;
    return &m->slots[i];
}

/* Into a table with room for one more key and no deleted slots. */
static bool rebuild(struct map *m)
{
    uint32_t count = SLOTS_MIN;
    while (count / 2 <= m->live) {
        if (count >= SLOTS_MAX)
            return false;
        count *= 2;
    }
    struct map larger = {
        .mask = count - 1, .used = m->live, .live = m->live, .fold = m->fold, .arena = m->arena
    };
    larger.slots = m->arena != NULL ? arena_zalloc(m->arena, count * sizeof *larger.slots)
                                    : calloc(count, sizeof *larger.slots);
    if (larger.slots == NULL)
        return false;
    for (struct map_slot *s = NULL; (s = map_next(m, s)) != NULL;)
        *slot_free(&larger, s->hash) = *s;
    if (m->arena == NULL)
        free(m->slots);
    *m = larger;
    return true;
}

bool map_put(struct map *m, struct slice key, void *value)
{
    uint64_t hash = key_hash(m, key);
    struct map_slot *slot = slot_of(m, key, hash);
    if (slot != NULL) {
        slot->value = value;
        return true;
    }
    if ((m->slots == NULL || m->used >= m->mask - m->mask / 4) && !rebuild(m))
        return false;
    slot = slot_free(m, hash);
    m->used += slot->hash == SLOT_EMPTY;
    m->live++;
    *slot = (struct map_slot){ key, hash, value };
    return true;
}

void *map_get(const struct map *m, struct slice key)
{
    struct map_slot *slot = m->live > 0 ? slot_of(m, key, key_hash(m, key)) : NULL;
    return slot != NULL ? slot->value : NULL;
}

void *map_remove(struct map *m, struct slice key)
{
    struct map_slot *slot = m->live > 0 ? slot_of(m, key, key_hash(m, key)) : NULL;
    if (slot == NULL)
        return NULL;
    void *value = slot->value;
    *slot = (struct map_slot){ .hash = SLOT_DELETED };
    m->live--;
    return value;
}

struct map_slot *map_next(const struct map *m, struct map_slot *after)
{
    if (m->slots == NULL)
        return NULL;
    for (size_t i = after != NULL ? (size_t)(after - m->slots) + 1 : 0; i <= m->mask; i++)
        if (m->slots[i].hash >= SLOT_HASH_MIN)
            return &m->slots[i];
    return NULL;
}
