/* fuzz_coding.c - any bytes as an Accept-Encoding, whole and cut in two fields: weights are within
 * their bounds, and what is chosen was offered and is accepted. */
#include "wire/coding.h"

#include <stdlib.h>

static void judge(const struct coding_accept *a)
{
    for (unsigned offered = 0; offered < 1u << CODING_IDENTITY; offered++) {
        enum coding best = coding_best(a, offered);

        CHECK(best <= CODING_IDENTITY);
        CHECK(best == CODING_IDENTITY || (offered & 1u << best) != 0);
        CHECK(best == CODING_IDENTITY || coding_weight(a, best) > 0);
    }
    for (unsigned i = 0; i < CODING_COUNT; i++)
        CHECK(coding_weight(a, (enum coding)i) >= 0 &&
              coding_weight(a, (enum coding)i) <= CODING_WEIGHT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *copy = malloc(size + (size == 0));
    struct coding_accept a;
    struct slice rest = slice_of(copy, size);

    CHECK(copy != NULL);
    memcpy(copy, bytes, size);
    coding_accept_init(&a);
    coding_accept_read(&a, rest);
    judge(&a);
    coding_accept_init(&a);
    while (rest.size > 0) {
        coding_accept_read(&a, slice_cut(&rest, '\n'));
        judge(&a);
    }
    free(copy);
    return 0;
}
