/* bench_http2.c - pseudo-fields and fields of a request, written once for all connections. */
#include "tool/bench_http2.h"

#include "base/gather.h"
#include "wire/field.h"
#include "wire/h2_frame.h"
#include "wire/hpack_write.h"

#include <stdlib.h>

enum { BLOCK_MAX = 64 * 1024, TABLE_SIZE_ZERO = 0x20 };

#define SAY(...) (snprintf(why, BENCH_WHY_SIZE, __VA_ARGS__), false)

/* What concerns a connection of HTTP/1 does not exist here (RFC 9113 §8.2.2). */
static bool has_no_place(struct slice name, struct slice value)
{
    switch (field_from(name)) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
        return true;
    case FIELD_TE:
        return !slice_eq_nocase(value, SLICE("trailers"));
    default:
        return false;
    }
}

static struct slice name_of(const char *field)
{
    struct slice all = slice_str(field);

    return slice_head(all, slice_find(all, ':'));
}

static struct slice value_of(const char *field)
{
    struct slice all = slice_str(field);

    return slice_trim(slice_skip(all, slice_find(all, ':') + 1));
}

static bool write_pseudo(const struct bench_words *w, struct gather *g, char why[BENCH_WHY_SIZE])
{
    struct slice authority = w->authority, path = w->target;
    char *rooted = NULL;

    for (unsigned i = 0; i < w->field_count; i++)
        if (slice_eq_nocase(name_of(w->fields[i]), SLICE("host")))
            authority = value_of(w->fields[i]);
    if (path.size == 0 || path.at[0] != '/') {
        if (asprintf(&rooted, "/%.*s", SLICE_FMT(path)) < 0)
            return SAY("no memory for the path");
        path = slice_str(rooted);
    }
    gather_byte(g, TABLE_SIZE_ZERO); /* whatever the server offers: the bytes are always the same */
    bool fine = hpack_known(g, HPACK_METHOD, slice_str(w->method)) &&
                hpack_known(g, HPACK_SCHEME, w->secure ? SLICE("https") : SLICE("http")) &&
                hpack_known(g, HPACK_PATH, path) && hpack_known(g, HPACK_AUTHORITY, authority);
    free(rooted);
    return fine || SAY("line ends in the URL or the host; expected none");
}

static bool write_fields(const struct bench_words *w, struct gather *g, char why[BENCH_WHY_SIZE])
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%zu", w->payload.size);
    bool fine = true;

    if (!bench_gave(w, "User-Agent"))
        fine &= hpack_field(g, SLICE("user-agent"), SLICE("weir-bench"));
    if (w->body != NULL && !bench_gave(w, "Content-Length"))
        fine &= hpack_known(g, HPACK_CONTENT_LENGTH, slice_of(digits, (size_t)size));
    for (unsigned i = 0; i < w->field_count && fine; i++) {
        struct slice name = name_of(w->fields[i]), value = value_of(w->fields[i]);

        if (slice_eq_nocase(name, SLICE("host")))
            continue;
        if (has_no_place(name, value))
            return SAY("-H \"%.160s\": HTTP/2 has no such field; expected others with --http2",
                       w->fields[i]);
        if (!hpack_field(g, name, value))
            return SAY("-H \"%.160s\" is no field; expected \"Name: value\"", w->fields[i]);
    }
    return fine;
}

/* The beginning of a connection up to its first request, for those that trickle. */
static bool write_beginning(struct bench_plan *plan, char why[BENCH_WHY_SIZE])
{
    struct slice piece = slice_head(plan->block, H2_FRAME_MAX_LEAST);
    size_t size = H2_PREFACE_SIZE + 2 * H2_FRAME_HEAD + piece.size;
    unsigned flags = (piece.size == plan->block.size ? H2_END_HEADERS : 0) |
                     (plan->payload.size == 0 ? H2_END_STREAM : 0);
    uint8_t *all = calloc(1, size), *at = all;

    if (all == NULL)
        return SAY("no memory for a request");
    memcpy(at, H2_PREFACE, H2_PREFACE_SIZE);
    at = h2_put_head(at + H2_PREFACE_SIZE, 0, H2_SETTINGS, 0, 0);
    at = h2_put_head(at, (uint32_t)piece.size, H2_HEADERS, flags, 1);
    memcpy(at, piece.at, piece.size);
    plan->request = slice_of((const char *)all, size);
    return true;
}

bool bench_http2_request(struct bench_plan *plan, const struct bench_words *w,
                         char why[BENCH_WHY_SIZE])
{
    char *block = calloc(1, BLOCK_MAX);
    struct gather g;

    if (block == NULL)
        return SAY("no memory for a request");
    plan->block = slice_of(block, 0);
    if (plan->method == METHOD_CONNECT)
        return SAY("-X CONNECT makes a tunnel; expected another method with --http2");
    for (unsigned i = 0; i < w->field_count; i++)
        if (!bench_field_fine(w->fields[i], why))
            return false;
    gather_init(&g, block, BLOCK_MAX, NULL, 0);
    if (!write_pseudo(w, &g, why) || !write_fields(w, &g, why))
        return false;
    if (g.full)
        return SAY("the request's head is too large; expected at most %d KiB", BLOCK_MAX >> 10);
    plan->block = gather_get(&g);
    plan->payload = w->payload;
    return write_beginning(plan, why);
}

void bench_http2_done(struct bench_plan *plan)
{
    free((void *)(uintptr_t)plan->block.at);
    free((void *)(uintptr_t)plan->request.at);
    plan->block = plan->request = (struct slice){ 0 };
}
