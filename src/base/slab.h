/* slab.h - many slots of one size: taken and given back in a few instructions.
 *
 *   struct slab conns;  slab_init(&conns, sizeof(struct conn), 64);
 *   struct conn *c = slab_take(&conns);     NULL: no memory
 *   slab_give(&conns, c);
 *   slab_done(&conns);                      CHECKs that every slot came back
 *
 * Not thread-safe: a slab belongs to one loop. Slots are 16-byte aligned, those of
 * whole pages (4096 bytes) begin at one, and not zeroed.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "base/check.h"

struct slab_block;

struct slab {
    void *free; /* linked through the slots' first word */
    struct slab_block *blocks;
    size_t slot_size;
    uint32_t slots_per_block;
    uint32_t taken, total; /* slots in use, slots that exist       */
};

void slab_init(struct slab *, size_t slot_size, uint32_t slots_per_block);
void *slab_take(struct slab *) MUST_USE;
void slab_give(struct slab *, void *slot);
void slab_done(struct slab *);

#endif
