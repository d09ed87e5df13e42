/* fuzz_uri.c - any bytes as a path: what comes out has no dot segments, no merged slashes, no NUL
 * and never grows; encoding it and normalising again gives it back. The escapers must make any
 * text harmless.
 */
#include "wire/uri.h"

#include <stdlib.h>

enum { SIZE_MAX_TRIED = 1 << 16 };

static void check_segments(struct slice path, bool merged)
{
    struct slice rest = slice_skip(path, 1);
    CHECK(path.at[0] == '/' && slice_find(path, '\0') == path.size);
    while (rest.size > 0) {
        struct slice segment = slice_cut(&rest, '/');
        CHECK(!merged || segment.size > 0);
        CHECK(!slice_eq(segment, SLICE(".")) && !slice_eq(segment, SLICE("..")));
    }
}

static void try_path(struct slice raw, bool merge)
{
    char *into = malloc(raw.size + (raw.size == 0)), *again_into = malloc(3 * raw.size + 1);
    char *encoded = malloc(3 * raw.size + 1);
    struct slice path, again;
    CHECK(into != NULL && again_into != NULL && encoded != NULL);
    if (uri_normalise(raw, merge, into, &path) == URI_OK) {
        struct gather g;
        CHECK(path.size <= raw.size);
        check_segments(path, merge);
        gather_init(&g, encoded, 3 * raw.size, NULL, 0);
        uri_encode_path(&g, path);
        CHECK(!g.full);
        CHECK(uri_normalise(gather_get(&g), merge, again_into, &again) == URI_OK);
        CHECK(slice_eq(path, again));
    }
    free(into);
    free(again_into);
    free(encoded);
}

static void try_escapes(struct slice text)
{
    size_t room = 6 * text.size;
    char *space = malloc(room + 1);
    struct gather g;
    CHECK(space != NULL);
    gather_init(&g, space, room, NULL, 0);
    html_escape(&g, text);
    struct slice out = gather_get(&g);
    CHECK(!g.full && slice_find(out, '<') == out.size && slice_find(out, '"') == out.size);
    gather_init(&g, space, room, NULL, 0);
    json_escape(&g, text);
    out = gather_get(&g);
    CHECK(!g.full);
    for (size_t i = 0; i < out.size; i++)
        CHECK((unsigned char)out.at[i] >= 0x20 &&
              (out.at[i] != '"' || (i > 0 && out.at[i - 1] == '\\')));
    free(space);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > SIZE_MAX_TRIED)
        return 0;
    char *copy = malloc(size + (size == 0));
    CHECK(copy != NULL);
    memcpy(copy, bytes, size);
    try_path(slice_of(copy, size), true);
    try_path(slice_of(copy, size), false);
    try_escapes(slice_of(copy, size));
    free(copy);
    return 0;
}
