/* fuzz_cache_file.c - any bytes as the head of a cache's file: what is read of them can be written
 * again, byte for byte; and what is read with a right checksum is within its bounds.
 */
#include "upstream/cache_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { CHECKSUM_AT = 8, SUMMED_FROM = 16, SIZE_AT = 16 };

static char bytes[CACHE_HEAD_MAX], again[CACHE_HEAD_MAX];

/* Most inputs would fail at the mark, the size or the checksum: the second try has them right. */
static void repair(size_t size)
{
    uint64_t sum;

    memcpy(bytes, "weir\rc\n\1", 8);
    for (unsigned i = 0; i < 4; i++)
        bytes[SIZE_AT + i] = (char)(size >> 8 * i);
    sum = XXH3_64bits(bytes + SUMMED_FROM, size - SUMMED_FROM);
    for (unsigned i = 0; i < 8; i++)
        bytes[CHECKSUM_AT + i] = (char)(sum >> 8 * i);
}

static void read_and_write(size_t size)
{
    struct cache_head head;
    struct arena arena;

    if (cache_head_peek(bytes) == 0)
        return;
    arena_init(&arena, NULL, 0, 4096, 1 << 20);
    if (cache_head_read(slice_of(bytes, size), &arena, &head)) {
        CHECK(cache_head_size(&head) == size);
        cache_head_write(&head, again);
        CHECK(cache_head_peek(again) == size);
        struct cache_head other;

        CHECK(cache_head_read(slice_of(again, size), &arena, &other));
        CHECK(slice_eq(other.key, head.key) && other.field_count == head.field_count &&
              other.body_size == head.body_size && other.fresh_until == head.fresh_until);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < CACHE_FIXED_SIZE || size > 1 << 16)
        return 0;
    memcpy(bytes, input, size);
    read_and_write(size);
    repair(size);
    read_and_write(size);
    return 0;
}
