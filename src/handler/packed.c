/* packed.c - files that were compressed beforehand: "a.css.br", "a.css.zst" and "a.css.gz" stand
 * for "a.css". */
#include "conf/load.h"
#include "handler/file_cache.h"
#include "handler/static.h"
#include "http/encoding.h"
#include "http/map_path.h"

enum { PACKED_OFF, PACKED_ON, PACKED_ALWAYS };

struct packed_conf {
    int how[CODING_IDENTITY]; /* PACKED_… by enum coding */
};

static uint32_t packed_index;

static const struct slice suffixes[CODING_IDENTITY] = {
    [CODING_BR] = { ".br", 3 },
    [CODING_ZSTD] = { ".zst", 4 },
    [CODING_GZIP] = { ".gz", 3 },
};

/* The codings, as bits, that are set to `how` in this place. */
static unsigned codings_that(const struct packed_conf *c, int how)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < CODING_IDENTITY; i++)
        bits |= c->how[i] == how ? 1u << i : 0;
    return bits;
}

static bool may_ask(const struct request *r)
{
    return (r->head.method == METHOD_GET || r->head.method == METHOD_HEAD) && r->uri.size > 0 &&
           r->uri.at[r->uri.size - 1] != '/';
}

/* FILE_FAILED also for what is no file. */
static enum file_result open_packed(struct request *r, enum coding coding, struct file **ret)
{
    struct slice path, below, full;
    enum file_result result;
    size_t root;
    int error;

    if (!map_path(r, r->uri, &path, &below))
        return FILE_FAILED;
    root = below.size > 0 ? (size_t)(below.at - path.at) : SIZE_MAX;
    full = arena_printf(&r->arena, "%.*s%.*s", SLICE_FMT(path), SLICE_FMT(suffixes[coding]));
    if (full.at == NULL)
        return FILE_FAILED;
    below = slice_skip(full, root < full.size ? root : full.size);
    result = file_open(r, full, below, ret, &error);
    if (result == FILE_FAILED && file_status(error) != 404)
        file_log(r, full, error);
    if (result == FILE_OPEN && (*ret)->directory) {
        file_close(*ret);
        return FILE_FAILED;
    }
    return result;
}

/* Takes f. */
static enum verdict answer(struct request *r, struct file *f, enum coding coding, bool varies)
{
    if (static_answer(r, f) == DONE && r->response.status == 200 &&
        !(encoding_set(r, coding) && (!varies || encoding_vary(r))))
        return request_fail(r, 500);
    return DONE;
}

static enum coding first_of(unsigned bits)
{
    return bits != 0 ? (enum coding)__builtin_ctz(bits) : CODING_IDENTITY;
}

/* Which coding is to be looked for next among those left: what the client likes best, then what
 * is always given, then what another client would have got, for Vary alone. */
static enum coding next_coding(struct request *r, unsigned always, unsigned left, bool *ret_given)
{
    enum coding best = encoding_choose(r, left);

    *ret_given = true;
    if (best == CODING_IDENTITY)
        best = first_of(left & always);
    if (best != CODING_IDENTITY || !encoding_varies(r))
        return best;
    *ret_given = false;
    return first_of(left);
}

bool packed_idle(const struct scope *scope)
{
    const struct packed_conf *c = scope_conf(scope, &feature_packed);

    return (codings_that(c, PACKED_ON) | codings_that(c, PACKED_ALWAYS)) == 0;
}

/* The slot remembers which codings have no file while a helper thread looks for another. */
enum verdict step_packed(struct request *r)
{
    const struct packed_conf *c = request_conf(r, &feature_packed);
    unsigned on = codings_that(c, PACKED_ON), always = codings_that(c, PACKED_ALWAYS);
    unsigned left = (on | always) & ~(unsigned)(uintptr_t)r->slots[SLOT_PACKED];
    enum coding coding;
    bool given;

    r->slots[SLOT_PACKED] = NULL;
    if ((on | always) == 0 || !may_ask(r))
        return NEXT;
    while ((coding = next_coding(r, always, left, &given)) != CODING_IDENTITY) {
        struct file *f;

        switch (open_packed(r, coding, &f)) {
        case FILE_WAIT:
            r->slots[SLOT_PACKED] = (void *)(uintptr_t)((on | always) & ~left);
            return WAIT;
        case FILE_OPEN:
            if (given)
                return answer(r, f, coding, (on & 1u << coding) != 0);
            file_close(f);
            return encoding_vary(r) ? NEXT : request_fail(r, 500);
        case FILE_FAILED:
            left &= ~(1u << coding);
            break;
        }
    }
    return NEXT;
}

/* ---- directives ------------------------------------------------------------------------ */

static const struct conf_word words[] = {
    { "off", PACKED_OFF }, { "on", PACKED_ON }, { "always", PACKED_ALWAYS }, { NULL, 0 }
};

#define ROW(name, coding, suffix, use)                                                         \
    {                                                                                          \
        name, CTX_HTTP | CTX_SERVER | CTX_LOCATION, 1, 1, CONF_ENUM,                           \
            offsetof(struct packed_conf, how) + (coding) * sizeof(int), "off",                 \
            .words = words, .syntax = "on | off | always",                                     \
            .help = "Answers with the file beside the one asked for whose name has " suffix    \
                    " behind it, if there is one: to clients that accept it (on), or to all.", \
            .example = use                                                                     \
    }

static const struct directive rows[] = {
    ROW("gzip_static", CODING_GZIP, ".gz", "gzip_static on;"),
    ROW("brotli_static", CODING_BR, ".br", "brotli_static on;"),
    ROW("zstd_static", CODING_ZSTD, ".zst", "zstd_static on;"),
};

const struct feature feature_packed = {
    .name = "packed",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct packed_conf),
    .about = "Files that were compressed beforehand. Where several are there, the client's weights "
             "decide, then the order br, zstd, gzip.",
    .index = &packed_index,
};
