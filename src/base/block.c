/* block.c - the one door to the allocator for layers above. */
#include "base/block.h"

#include <stdlib.h>

void *block_alloc(size_t size)
{
    return malloc(size);
}

void block_free(void *block)
{
    free(block);
}
