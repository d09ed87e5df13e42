/* fuzz_fcgi.c - any bytes as a FastCGI answer: the same content, errors and end however they are
 * cut; and what is written as parameters and records is read again.
 */
#include "wire/fcgi.h"

enum { OUTCOME_MAX = 1 << 19, STEPS_MAX = 1 << 20 };

static char whole[OUTCOME_MAX], cut[OUTCOME_MAX];

/* What the reader says of it, in pieces of `step` bytes: content and errors, then how it ended. */
static struct slice outcome(struct slice input, size_t step, char *into)
{
    struct fcgi f = { 0 };
    struct gather g;
    enum fcgi_verdict v = FCGI_MORE;
    size_t at = 0;

    gather_init(&g, into, OUTCOME_MAX, NULL, 0);
    for (unsigned n = 0; v != FCGI_BAD && v != FCGI_END && n < STEPS_MAX; n++) {
        size_t some = input.size - at < step ? input.size - at : step, taken = 0;
        struct slice piece;

        v = fcgi_feed(&f, input.at + at, some, &taken, &piece);
        CHECK(taken <= some && piece.size <= some);
        CHECK(v != FCGI_MORE || taken == some);
        at += taken;
        for (size_t i = 0; v != FCGI_MORE && i < piece.size; i++) {
            gather_byte(&g, v == FCGI_OUT ? 'o' : 'e');
            gather_byte(&g, piece.at[i]);
        }
        if (v == FCGI_MORE && at == input.size)
            break;
    }
    gather_byte(&g, v == FCGI_BAD ? 'B' : v == FCGI_END ? 'E' : 'M');
    gather_byte(&g, f.out_ended ? '1' : '0');
    return gather_get(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1 || size > 1 << 16)
        return 0;
    struct slice input = slice_of((const char *)bytes + 1, size - 1);
    struct slice one = outcome(input, input.size + 1, whole);
    struct slice two = outcome(input, 1 + bytes[0] % 31u, cut);

    CHECK(slice_eq(one, two));
    return 0;
}
