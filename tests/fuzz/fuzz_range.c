/* fuzz_range.c - any bytes as a Range and as a list of entity tags: positions are ordered and
 * within the representation, their number and sum within the bounds.
 *
 * The first eight bytes are the representation's size.
 */
#include "wire/range.h"

#include <stdlib.h>

enum { KNOBS = 8 };

static void try_range(struct slice value, uint64_t size)
{
    struct range ranges[RANGES_MAX];
    unsigned count = 0;
    if (range_parse(value, size, ranges, &count) != RANGE_OK)
        return;
    unsigned __int128 sum = 0;
    CHECK(count >= 1 && count <= RANGES_MAX);
    for (unsigned i = 0; i < count; i++) {
        CHECK(ranges[i].first <= ranges[i].last && ranges[i].last < size);
        sum += (unsigned __int128)(ranges[i].last - ranges[i].first) + 1;
    }
    CHECK(sum <= (unsigned __int128)size * 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint64_t total;
    if (size < KNOBS)
        return 0;
    memcpy(&total, bytes, sizeof total);
    size -= KNOBS;
    char *copy = malloc(size + (size == 0));
    CHECK(copy != NULL);
    memcpy(copy, bytes + KNOBS, size);
    struct slice text = slice_of(copy, size);
    try_range(text, total);
    try_range(text, total % 1000);
    bool strong = etag_in_list(text, SLICE("\"a\""), false);
    CHECK(!strong || etag_in_list(text, SLICE("\"a\""), true));
    struct slice list = text, tag = slice_cut(&list, '\n');
    (void)etag_in_list(list, tag, true);
    free(copy);
    return 0;
}
