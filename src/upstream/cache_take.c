/* cache_take.c - which answers are kept, and for how long; and which are saved (…_store). */
#include "upstream/cache.h"
#include "upstream/keeping.h"

#include "http/map_path.h"
#include "http/site.h"
#include "wire/cache_control.h"
#include "wire/date.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_MIN = 4096, MODE = 0600, DIRECTORY_MODE = 0700 };

/* What an answer's fields say about keeping it. */
struct terms {
    struct cache_control control;
    bool has_control, has_cookie, varies_unknown;
    struct slice accel, expires, vary, etag, modified, content_range;
    int64_t age, length, last_modified;
};

typedef void term_fn(struct relay *, struct terms *, struct slice value);

/* ---- the fields ---------------------------------------------------------------------------- */

static void on_control(struct relay *y, struct terms *t, struct slice value)
{
    if ((y->conf->ignore & IGNORE_CACHE_CONTROL) != 0)
        return;
    t->has_control = true;
    cache_control_read(&t->control, value);
}

static void on_accel(struct relay *y, struct terms *t, struct slice value)
{
    if ((y->conf->ignore & ACCEL_EXPIRES) == 0)
        t->accel = value;
}

static void on_expires(struct relay *y, struct terms *t, struct slice value)
{
    if ((y->conf->ignore & IGNORE_EXPIRES) == 0)
        t->expires = value;
}

static void on_cookie(struct relay *y, struct terms *t, struct slice value)
{
    (void)value;
    t->has_cookie |= (y->conf->ignore & IGNORE_SET_COOKIE) == 0;
}

static void on_vary(struct relay *y, struct terms *t, struct slice value)
{
    if ((y->conf->ignore & IGNORE_VARY) != 0)
        return;
    t->vary = t->vary.size == 0 ? value
                                : arena_printf(&y->request->arena, "%.*s, %.*s", SLICE_FMT(t->vary),
                                               SLICE_FMT(value));
    t->varies_unknown |= t->vary.at == NULL;
}

static void on_etag(struct relay *y, struct terms *t, struct slice value)
{
    (void)y;
    t->etag = value;
}

static void on_modified(struct relay *y, struct terms *t, struct slice value)
{
    int64_t now = loop_wall_ns(y->request->loop) / 1000000000;

    t->modified = value;
    if (!date_parse(value, now, &t->last_modified))
        t->last_modified = -1;
}

static void on_age(struct relay *y, struct terms *t, struct slice value)
{
    uint64_t n;

    (void)y;
    if (slice_to_u64(value, CACHE_SECONDS_MAX, &n))
        t->age = (int64_t)n;
}

static void on_length(struct relay *y, struct terms *t, struct slice value)
{
    uint64_t n;

    (void)y;
    if (slice_to_u64(value, INT64_MAX, &n))
        t->length = (int64_t)n;
}

static void on_range(struct relay *y, struct terms *t, struct slice value)
{
    (void)y;
    t->content_range = value;
}

static const struct {
    struct slice name;
    term_fn *read;
} readers[] = {
    { { "Cache-Control", 13 }, on_control },
    { { "X-Accel-Expires", 15 }, on_accel },
    { { "Expires", 7 }, on_expires },
    { { "Set-Cookie", 10 }, on_cookie },
    { { "Vary", 4 }, on_vary },
    { { "ETag", 4 }, on_etag },
    { { "Last-Modified", 13 }, on_modified },
    { { "Age", 3 }, on_age },
    { { "Content-Length", 14 }, on_length },
    { { "Content-Range", 13 }, on_range },
};

static void read_terms(struct relay *y, struct terms *t)
{
    *t = (struct terms){ .length = -1, .last_modified = -1 };
    cache_control_init(&t->control);
    for (uint32_t i = 0; i < y->field_count; i++)
        for (size_t k = 0; k < COUNT_OF(readers); k++)
            if (slice_eq_nocase(y->fields[i].name, readers[k].name))
                readers[k].read(y, t, y->fields[i].value);
}

/* ---- how long ------------------------------------------------------------------------------ */

/* "@1700000000", or seconds from now. */
static bool read_accel(struct slice text, int64_t now, int64_t *ret)
{
    bool at = slice_starts(text, SLICE("@"));
    uint64_t n;

    if (!slice_to_u64(slice_skip(text, at), INT64_MAX / 2, &n))
        return false;
    *ret = at ? (int64_t)n - now : (int64_t)n;
    return true;
}

static bool forbidden(const struct cache_control *c)
{
    return c->no_store || c->no_cache || c->is_private;
}

/* Seconds that it is fresh from now on; 0: it is not to be kept. X-Accel-Expires, then
 * Cache-Control, then Expires, then …_cache_valid. */
static int64_t lifetime(struct relay *y, const struct terms *t, unsigned status, int64_t now)
{
    const struct cache_control *c = &t->control;
    int64_t sec = 0;
    bool exact;

    if (t->accel.at != NULL && read_accel(t->accel, now, &sec))
        return sec > 0 ? sec : 0;
    if (t->has_control && forbidden(c))
        return 0;
    if (c->s_maxage >= 0 || c->max_age >= 0) {
        sec = (c->s_maxage >= 0 ? c->s_maxage : c->max_age) - t->age;
        return sec > 0 ? sec : 0;
    }
    if (t->expires.at != NULL)
        return date_parse(t->expires, now, &sec) && sec > now ? sec - now : 0;
    sec = cache_valid_of(&y->conf->cache, status, &exact);
    return sec > 0 ? sec : 0;
}

static void set_times(struct relay *y, const struct terms *t, int64_t fresh, struct cache_head *h)
{
    int64_t now = loop_wall_ns(y->request->loop) / 1000000000;
    int64_t update = t->control.stale_while_revalidate, error = t->control.stale_if_error;

    h->stored = now;
    h->fresh_until = fresh < INT64_MAX / 4 ? now + fresh : INT64_MAX / 4;
    h->update_until = update > 0 ? h->fresh_until + update : 0;
    h->error_until = error > 0 ? h->fresh_until + error : 0;
}

/* ---- whether ------------------------------------------------------------------------------- */

/* A part is kept only under a key that says which one it is, and where the configuration says that
 * parts are: slice. */
static bool part_is_meant(struct relay *y, const struct terms *t)
{
    struct slice from = t->content_range, first, mark;
    bool exact;

    (void)cache_valid_of(&y->conf->cache, 206, &exact);
    if (!exact || !slice_starts(from, SLICE("bytes ")))
        return false;
    from = slice_skip(from, 6);
    first = slice_cut(&from, '-');
    mark = arena_printf(&y->request->arena, "bytes=%.*s-", SLICE_FMT(first));
    return mark.at != NULL && slice_search(y->cached->key, mark) < y->cached->key.size;
}

/* RFC 9111 §3.5: the answer to one who has shown who he is belongs to him, unless it says
 * otherwise, or the key tells him from others. */
static bool belongs_to_one(struct relay *y, const struct terms *t)
{
    struct slice shown = request_field(y->request, FIELD_AUTHORIZATION);
    const struct cache_control *c = &t->control;

    if (shown.at == NULL || (y->conf->ignore & IGNORE_CACHE_CONTROL) != 0)
        return false;
    return !c->is_public && !c->must_revalidate && c->s_maxage < 0 && t->accel.at == NULL &&
           slice_search(y->cached->key, shown) == y->cached->key.size;
}

static bool may_keep(struct relay *y, const struct terms *t, unsigned status)
{
    if (!y->buffering || status < 200 || status == 304 || t->has_cookie || t->varies_unknown ||
        belongs_to_one(y, t))
        return false;
    if (status == 206 && !part_is_meant(y, t))
        return false;
    return !cache_any(y->request, y->conf->cache.no_cache);
}

/* ---- into the cache ------------------------------------------------------------------------ */

/* What was looked for may turn out to depend on other fields than it did: then it is the key's
 * main answer from now on. */
static bool name_answer(struct relay *y, const struct terms *t, struct cache_head *h,
                        struct cache_name *name)
{
    struct cached *k = y->cached;

    h->vary = t->vary;
    h->epoch = k->epoch;
    *name = k->main;
    if (t->vary.size > 0 && !cache_variant(y->request, t->vary, h->variant))
        return false;
    if (k->secondary && slice_eq_nocase(t->vary, k->main_vary))
        *name = k->name;
    if (h->epoch == 0)
        h->epoch = (uint64_t)loop_wall_ns(y->request->loop) ^ y->request->number << 48;
    return true;
}

/* What it is kept as. */
struct taking {
    struct cache_head head;
    struct cache_name name, looked_for;
    uint32_t ticket;
    const struct cache_place *place;
    struct zone *zone;
};

static bool make_head(struct keeping *keeping, uint64_t body_size, struct spool_keep *keep)
{
    struct taking *t = keeping->own;
    struct request *r = keeping->relay->request;

    t->head.body_size = body_size;
    keep->head_size = cache_head_size(&t->head);
    keep->head = calloc(1, keep->head_size);
    if (keep->head == NULL)
        return false;
    cache_head_write(&t->head, keep->head);
    cache_index_naming(t->zone, t->place, &t->name, loop_now_ns(r->loop, r->io));
    return true;
}

static void taken(struct keeping *keeping, int error)
{
    struct taking *t = keeping->own;
    struct request *r = keeping->relay->request;

    if (error > 0)
        request_log(r, error == ENOSPC || error == EDQUOT ? LOG_WARN : LOG_CRIT, error,
                    "an answer cannot be kept below \"%s\"", t->place->path);
    if (error != 0)
        cache_index_named(t->zone, &t->name);
    else
        cache_index_stored(t->zone, t->place, &t->name, loop_now_ns(r->loop, r->io),
                           cache_head_size(&t->head) + t->head.body_size);
    if (t->ticket != 0)
        cache_index_unlock(t->zone, &t->looked_for, t->ticket);
}

static uint16_t flags_of(const struct relay *y)
{
    const struct request *r = y->request;

    if (r->head.method == METHOD_HEAD && !y->as_get)
        return CACHE_OF_HEAD;
    return r->head.method == METHOD_POST ? CACHE_OF_POST : 0;
}

static struct keeping *into_cache(struct relay *y, struct terms *t, int64_t fresh, unsigned status)
{
    struct cached *k = y->cached;
    struct taking *own = arena_zalloc(&y->request->arena, sizeof *own);
    char *path = arena_bytes(&y->request->arena, strlen(k->place->path) + CACHE_NAME_ROOM);
    struct keeping like = { .length = t->length, .head = make_head, .over = taken, .own = own };
    struct spool_plan plan = { .path = path,
                               .mode = MODE,
                               .directory_mode = DIRECTORY_MODE,
                               .piece = (size_t)y->conf->temp_write_size };

    if (own == NULL || path == NULL)
        return NULL;
    own->head = (struct cache_head){ .last_modified = t->last_modified,
                                     .status = (uint16_t)status,
                                     .flags = flags_of(y),
                                     .key = k->key,
                                     .etag = t->etag,
                                     .modified = t->modified,
                                     .fields = y->fields,
                                     .field_count = y->field_count };
    set_times(y, t, fresh, &own->head);
    if (!name_answer(y, t, &own->head, &own->name) || cache_head_size(&own->head) == 0)
        return NULL;
    plan.skip = cache_head_size(&own->head);
    if (plan.piece < PIECE_MIN)
        plan.piece = PIECE_MIN;
    like.no_body = own->head.flags == CACHE_OF_HEAD;
    own->place = k->place;
    own->zone = k->zone;
    own->looked_for = k->name;
    own->ticket = k->ticket;
    cache_path_of(k->place, &own->name, path);
    struct keeping *made = keeping_begin(y, &plan, &like);

    if (made != NULL)
        k->ticket = 0; /* given back when it is there */
    return made;
}

/* ---- into a file --------------------------------------------------------------------------- */

struct saving {
    char *path;
    int64_t modified;
};

static bool no_head(struct keeping *keeping, uint64_t body_size, struct spool_keep *keep)
{
    (void)body_size;
    keep->modified = ((struct saving *)keeping->own)->modified;
    return true;
}

static void saved(struct keeping *keeping, int error)
{
    const struct saving *s = keeping->own;

    if (error > 0)
        request_log(keeping->relay->request, LOG_CRIT, error, "an answer cannot be saved as \"%s\"",
                    s->path);
}

/* NULL: nowhere. Names that lead upwards have been made by somebody else than who configured it. */
static char *place_to_save(struct relay *y)
{
    const struct cache_conf *c = &y->conf->cache;
    struct request *r = y->request;
    struct slice path, below;
    char *into;

    if (c->store_here ? !map_path(r, r->uri, &path, &below)
                      : !expr_eval(c->store, r, &r->arena, PATH_MAX - 1, &path))
        return NULL;
    if (path.size == 0 || path.at[path.size - 1] == '/' || path.at[0] != '/' ||
        memchr(path.at, '\0', path.size) != NULL || slice_search(path, SLICE("/../")) < path.size ||
        slice_ends(path, SLICE("/..")))
        return NULL;
    into = arena_bytes(&r->arena, path.size + 1);
    if (into != NULL)
        ((char *)memcpy(into, path.at, path.size))[path.size] = '\0';
    return into;
}

static struct keeping *into_file(struct relay *y, unsigned status)
{
    struct saving *own = arena_zalloc(&y->request->arena, sizeof *own);
    struct spool_plan plan = { .mode = y->conf->cache.store_mode,
                               .directory_mode = y->conf->cache.store_directory_mode,
                               .piece = (size_t)y->conf->temp_write_size };
    struct keeping like = { .head = no_head, .over = saved, .own = own };
    struct terms t;

    if (own == NULL || status != 200 || !y->buffering || y->request->head.method == METHOD_HEAD)
        return NULL;
    own->path = place_to_save(y);
    if (own->path == NULL)
        return NULL;
    read_terms(y, &t);
    own->modified = t.last_modified;
    like.length = t.length;
    plan.path = own->path;
    if (plan.piece < PIECE_MIN)
        plan.piece = PIECE_MIN;
    return keeping_begin(y, &plan, &like);
}

/* ---- for the relay ------------------------------------------------------------------------- */

void cache_take(struct relay *y, unsigned status)
{
    struct request *r = y->request;
    struct cached *k = y->cached;
    struct terms t;
    int64_t fresh;

    if (y->conf->cache.store_here || y->conf->cache.store != NULL) {
        y->keeping = into_file(y, status);
        return;
    }
    if (k == NULL || !cache_asks_whole(k))
        return;
    read_terms(y, &t);
    fresh = lifetime(y, &t, status, loop_wall_ns(r->loop) / 1000000000);
    if (fresh > 0 && may_keep(y, &t, status))
        y->keeping = into_cache(y, &t, fresh, status);
}

/* ---- fresh again --------------------------------------------------------------------------- */

/* The head of a file, written anew where it is. */
struct renewal {
    struct io_op op;
    struct request *request; /* pinned */
    struct cached *cached;
    uint64_t dev, ino;
    struct zone *zone;
    struct cache_name name;
    uint32_t ticket;
    const char *path;
    char *head;
    size_t head_size;
};

/* Unless another file has come there: its head is another one. */
static int32_t write_head(struct io_op *op)
{
    struct renewal *n = container_of(op, struct renewal, op);
    int fd = open(n->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW), error = 0;
    struct stat s;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &s) == 0 && s.st_dev == n->dev && s.st_ino == n->ino)
        error = temp_file_write(fd, n->head, n->head_size, 0);
    close(fd);
    return error;
}

static void renewed(struct io *io, struct io_op *op, struct io_result result)
{
    struct renewal *n = container_of(op, struct renewal, op);
    struct request *r = n->request;

    (void)io;
    if (result.res < 0)
        request_log(r, LOG_CRIT, -result.res, "the cache file \"%s\" cannot be renewed", n->path);
    if (n->ticket != 0)
        cache_index_unlock(n->zone, &n->name, n->ticket);
    (void)request_unpin(r);
}

void cache_renew(struct relay *y)
{
    struct cached *k = y->cached;
    struct request *r = y->request;
    struct renewal *n = arena_zalloc(&r->arena, sizeof *n);
    struct terms t;
    int64_t fresh;

    read_terms(y, &t);
    fresh = lifetime(y, &t, k->head.status, loop_wall_ns(r->loop) / 1000000000);
    if (fresh == 0 || n == NULL)
        return; /* it is given once more, and asked for again */
    set_times(y, &t, fresh, &k->head);
    n->head_size = k->head_size;
    n->head = arena_bytes(&r->arena, n->head_size);
    if (n->head == NULL || cache_head_size(&k->head) != k->head_size)
        return;
    cache_head_write(&k->head, n->head);
    n->request = r;
    n->dev = k->file->dev;
    n->ino = k->file->ino;
    n->zone = k->zone;
    n->name = k->name;
    n->ticket = k->ticket;
    n->path = k->path;
    k->ticket = 0;
    request_pin(r);
    io_work(r->io, &n->op, write_head, renewed);
}
