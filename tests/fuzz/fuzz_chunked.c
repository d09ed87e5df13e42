/* fuzz_chunked.c - any bytes as a chunked body, in any pieces: the same content and the same end
 * however they are cut; and what a correct sender would send comes out as it went in.
 */
#include "unit/wire/outcome.h"
#include "wire/chunked.h"
#include "wire/h1_write.h"

#include <stdlib.h>

enum { KNOBS = 4, CUTS_MAX = 64, OUTCOME_MAX = 1 << 20 };

static char whole[OUTCOME_MAX], cut[OUTCOME_MAX];

static void same_when_cut(const uint8_t *knobs, struct slice input)
{
    size_t cuts[CUTS_MAX], count = 0;
    struct outcome_options o = OUTCOME_DEFAULTS;
    struct gather a, b;
    o.limits.allow_bare_lf = knobs[0] & 1;
    o.trailer_max = knobs[1];
    for (size_t at = 1 + knobs[2]; at < input.size && count < CUTS_MAX; at += 1 + knobs[3] % 17u)
        cuts[count++] = at;
    gather_init(&a, whole, sizeof whole, NULL, 0);
    gather_init(&b, cut, sizeof cut, NULL, 0);
    outcome_fn *run = outcome_from(SLICE("chunked"));
    run(&a, &o, input, NULL, 0);
    run(&b, &o, input, cuts, count);
    CHECK(slice_eq(gather_get(&a), gather_get(&b)));
}

/* The input as content, sent in chunks of different sizes. */
static void round_trip(const uint8_t *knobs, struct slice content)
{
    struct gather sent;
    struct chunked c;
    struct slice piece, rest = content;
    size_t at = 0, got = 0, taken, size = 16 + knobs[0];
    enum chunked_verdict verdict = CHUNKED_MORE;
    gather_init(&sent, whole, sizeof whole, NULL, 0);
    while (rest.size > 0) {
        struct slice chunk = slice_head(rest, size);
        h1_chunk_size(&sent, chunk.size);
        gather_slice(&sent, chunk);
        gather_lit(&sent, "\r\n");
        rest = slice_skip(rest, chunk.size);
        size += knobs[1];
    }
    gather_lit(&sent, "0\r\n\r\n");
    CHECK(!sent.full);
    chunked_init(&c, false, 0);
    while (at < sent.used && verdict != CHUNKED_DONE) {
        verdict = chunked_feed(&c, sent.at + at, sent.used - at, &taken, &piece);
        CHECK(verdict != CHUNKED_BAD && got + piece.size <= content.size);
        CHECK(slice_eq(piece, slice_of(content.at + got, piece.size)));
        got += piece.size;
        at += taken;
    }
    CHECK(verdict == CHUNKED_DONE && got == content.size && at == sent.used);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < KNOBS || size > 1 << 18)
        return 0;
    struct slice input = slice_of((const char *)bytes + KNOBS, size - KNOBS);
    same_when_cut(bytes, input);
    round_trip(bytes, input);
    return 0;
}
