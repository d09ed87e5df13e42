/* slab.c - slots of one size, cut from larger blocks and kept in a list while free. */
#include "base/slab.h"
#include "base/poison.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT_ALIGN = 16, PAGE = 4096 };

struct slab_block {
    struct slab_block *next;
    char *slots;
    size_t size; /* of all of them */
};

void slab_init(struct slab *s, size_t slot_size, uint32_t slots_per_block)
{
    CHECK(slot_size > 0 && slot_size < SIZE_MAX / 2 / UINT32_MAX && slots_per_block > 0);
    slot_size = (slot_size + SLOT_ALIGN - 1) & ~(size_t)(SLOT_ALIGN - 1);
    *s = (struct slab){ .slot_size = slot_size, .slots_per_block = slots_per_block };
}

static void free_push(struct slab *s, void *slot)
{
    memcpy(slot, &s->free, sizeof s->free);
    s->free = slot;
    POISON(slot, s->slot_size);
}

static bool block_add(struct slab *s)
{
    size_t size = s->slot_size * s->slots_per_block;
    struct slab_block *block = malloc(sizeof *block);
    char *slots = aligned_alloc(s->slot_size % PAGE == 0 ? PAGE : SLOT_ALIGN, size);
    if (block == NULL || slots == NULL) {
        free(block);
        free(slots);
        return false;
    }
    *block = (struct slab_block){ s->blocks, slots, size };
    s->blocks = block;
    s->total += s->slots_per_block;
    for (uint32_t i = s->slots_per_block; i-- > 0;) /* the first slot is taken first */
        free_push(s, slots + i * s->slot_size);
    return true;
}

void *slab_take(struct slab *s)
{
    if (s->free == NULL && !block_add(s))
        return NULL;
    void *slot = s->free;
    UNPOISON(slot, s->slot_size);
    memcpy(&s->free, slot, sizeof s->free);
    s->taken++;
    return slot;
}

void slab_give(struct slab *s, void *slot)
{
    CHECK(slot != NULL && s->taken > 0);
    s->taken--;
    free_push(s, slot);
}

void slab_done(struct slab *s)
{
    CHECK(s->taken == 0);
    while (s->blocks != NULL) {
        struct slab_block *block = s->blocks;
        s->blocks = block->next;
        UNPOISON(block->slots, block->size);
        free(block->slots);
        free(block);
    }
    *s = (struct slab){ 0 };
}
