/* block.h - memory that neither an arena nor a slab fits: contents of files, cache entries. */
#ifndef BASE_BLOCK_H
#define BASE_BLOCK_H

#include "base/check.h"

/* Aligned to 16 bytes, not zeroed. NULL: no memory. */
void *block_alloc(size_t size) MUST_USE;
void block_free(void *block); /* NULL: nothing */

#endif
