/* fuzz_proxy.c - any bytes as a PROXY header: the verdict does not depend on what follows, what is
 * done was "more" at every byte before, and what was told, written again, reads the same.
 */
#include "wire/proxy_line.h"

#include <stdlib.h>

static bool same_end(const struct proxy_end *a, const struct proxy_end *b)
{
    return memcmp(a->ip, b->ip, sizeof a->ip) == 0 && a->port == b->port &&
           slice_eq(a->path, b->path);
}

static enum proxy_verdict read_copy(struct slice bytes, struct proxy_line *line)
{
    char *copy = malloc(bytes.size + (bytes.size == 0));

    CHECK(copy != NULL);
    if (bytes.size > 0)
        memcpy(copy, bytes.at, bytes.size);
    enum proxy_verdict verdict = proxy_line_read(slice_of(copy, bytes.size), line);

    free(copy);
    return verdict;
}

static void try_again(const struct proxy_line *line, bool checksum)
{
    char space[PROXY_LINE_MAX + 16];
    struct gather g;
    struct proxy_line again;

    gather_init(&g, space, sizeof space, NULL, 0);
    if (!proxy_line_write_v2(&g, line, checksum))
        return;
    if (proxy_line_read(gather_get(&g), &again) != PROXY_DONE) {
        /* the one that stood in its TLVs already does not fit the longer header */
        CHECK(proxy_tlv_find(line->tlvs, PROXY_TLV_CRC32C).at != NULL);
        return;
    }
    CHECK(again.size == g.used && again.local == line->local && again.family == line->family);
    CHECK(same_end(&again.source, &line->source) && same_end(&again.target, &line->target));
    CHECK(slice_eq(slice_head(again.tlvs, line->tlvs.size), line->tlvs));
    gather_init(&g, space, sizeof space, NULL, 0);
    CHECK(proxy_line_write_v1(&g, line) && g.used <= PROXY_V1_MAX);
    CHECK(proxy_line_read(gather_get(&g), &again) == PROXY_DONE && again.size == g.used);
    if (line->family == PROXY_TCP4 || line->family == PROXY_TCP6)
        CHECK(same_end(&again.source, &line->source) && again.family == line->family);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct slice input = slice_of((const char *)bytes, size);
    struct proxy_line line, early;

    if (proxy_line_read(input, &line) != PROXY_DONE) {
        CHECK(size < PROXY_LINE_MAX || line.why != NULL);
        return 0;
    }
    CHECK(line.size <= size && line.size <= PROXY_LINE_MAX);
    for (size_t i = 0; i < line.size; i++)
        CHECK(read_copy(slice_head(input, i), &early) == PROXY_MORE);
    CHECK(read_copy(slice_head(input, line.size), &early) == PROXY_DONE);
    CHECK(early.size == line.size);
    try_again(&line, false);
    try_again(&line, true);
    return 0;
}
