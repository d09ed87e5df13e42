/* fuzz_head.c - any bytes, in any pieces, under any limits: the head reader says the same however
 * they are cut, and the same as the slow reader that was written from the ABNF.
 *
 * The first four bytes choose limits and cuts; the rest is the input.
 */
#include "unit/wire/slow_head.h"
#include "unit/wire/outcome.h"

#include <stdlib.h>

enum { KNOBS = 4, CUTS_MAX = 64, OUTCOME_MAX = 1 << 20 };

static char whole[OUTCOME_MAX], cut[OUTCOME_MAX];

static struct outcome_options options_from(const uint8_t *knobs)
{
    struct outcome_options o = OUTCOME_DEFAULTS;
    o.limits.allow_bare_lf = knobs[0] & 1;
    o.limits.underscores = knobs[0] & 2;
    o.limits.ignore_invalid = !(knobs[0] & 4);
    if (knobs[0] & 8) {
        o.limits.line_max = 16u + knobs[1];
        o.limits.head_max = 32u + 4u * knobs[2];
        o.limits.fields_max = knobs[3] & 31;
    }
    if (knobs[0] & 16)
        o.limits.first_size = knobs[1];
    return o;
}

static size_t cuts_from(const uint8_t *knobs, size_t size, size_t cuts[CUTS_MAX])
{
    size_t count = 0, step = 1 + knobs[3] % 23u;
    for (size_t at = 1 + knobs[2]; at < size && count < CUTS_MAX; at += step)
        cuts[count++] = at;
    return count;
}

static void compare_slow(const struct outcome_options *o, struct slice input)
{
    struct arena arena;
    struct h1_head fast, slow;
    struct gather a, b;
    size_t fast_taken, slow_taken;
    arena_init(&arena, NULL, 0, 4096, SIZE_MAX);
    gather_init(&a, whole, sizeof whole, NULL, 0);
    gather_init(&b, cut, sizeof cut, NULL, 0);
    h1_head_init(&fast, &o->limits, &arena);
    enum h1_verdict verdict = h1_head_feed(&fast, input.at, input.size, &fast_taken);
    outcome_head(&a, &fast, verdict);
    outcome_head(&b, &slow,
                 slow_head(input.at, input.size, &o->limits, &arena, &slow, &slow_taken));
    CHECK(slice_eq(gather_get(&a), gather_get(&b)));
    CHECK(verdict != H1_DONE || fast_taken == slow_taken);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char *const kinds[] = { "head", "stream" };
    size_t cuts[CUTS_MAX];
    if (size < KNOBS)
        return 0;
    struct outcome_options o = options_from(bytes);
    struct slice input = slice_of((const char *)bytes + KNOBS, size - KNOBS);
    size_t cut_count = cuts_from(bytes, input.size, cuts);
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct gather a, b;
        gather_init(&a, whole, sizeof whole, NULL, 0);
        gather_init(&b, cut, sizeof cut, NULL, 0);
        outcome_fn *run = outcome_from(slice_str(kinds[i]));
        run(&a, &o, input, NULL, 0);
        run(&b, &o, input, cuts, cut_count);
        CHECK(slice_eq(gather_get(&a), gather_get(&b)));
    }
    compare_slow(&o, input);
    return 0;
}
