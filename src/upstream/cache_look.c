/* cache_look.c - what is kept for a request: looked for in the index, then in the file. */
#include "upstream/cache.h"

#include "http/site.h"
#include "http/subrequest.h"
#include "upstream/cache_purge.h"
#include "wire/range.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { HEAD_FIRST = 4096, POLL_FIRST_MS = 5, NS_PER_MS = 1000000 };

static uint64_t now_ns(const struct cached *k)
{
    return loop_now_ns(k->request->loop, k->request->io);
}

static int64_t now_sec(const struct cached *k)
{
    return loop_wall_ns(k->request->loop) / 1000000000;
}

struct cached *cache_of(const struct request *r)
{
    struct cached *k = r->slots[SLOT_CACHED];

    return k != NULL && k->state != CACHED_OVER ? k : NULL;
}

bool cache_serves(const struct request *r)
{
    const struct cached *k = cache_of(r);

    return k != NULL && k->state == CACHED_SERVE;
}

/* ---- files that are of no use -------------------------------------------------------------- */

struct removal {
    struct io_op op;
    struct request *request; /* pinned */
    char path[];
};

static int32_t remove_it(struct io_op *op)
{
    return unlink(container_of(op, struct removal, op)->path) == 0 ? 0 : -errno;
}

static void removed(struct io *io, struct io_op *op, struct io_result result)
{
    struct removal *m = container_of(op, struct removal, op);
    struct request *r = m->request;

    (void)io;
    (void)result;
    free(m);
    (void)request_unpin(r);
}

void cache_remove_file(struct request *r, const char *path)
{
    size_t size = strlen(path) + 1;
    struct removal *m = calloc(1, sizeof *m + size);

    if (m == NULL)
        return;
    m->request = r;
    memcpy(m->path, path, size);
    request_pin(r);
    io_work(r->io, &m->op, remove_it, removed);
}

static void forget_file(struct cached *k)
{
    if (k->file != NULL)
        file_close(k->file);
    k->file = NULL;
    k->bytes_read = false;
    k->bytes_size = 0;
}

/* ---- the end ------------------------------------------------------------------------------- */

static void at_end(void *cached)
{
    struct cached *k = cached;

    io_timer_stop(k->request->io, &k->timer);
    forget_file(k);
    cache_leave(k);
}

/* ---- another request of our own, while this one gets what is stale ------------------------- */

static bool update_behind(struct cached *k)
{
    static const struct subrequest_ops nobody = { NULL, NULL };
    struct request *child = subrequest_clone(k->request, &nobody, NULL);
    struct cached *c = child != NULL ? arena_alloc(&child->arena, sizeof *c) : NULL;

    if (c == NULL) {
        if (child != NULL)
            request_end(child);
        return false;
    }
    *c = (struct cached){ .request = child,
                          .conf = k->conf,
                          .place = k->place,
                          .zone = k->zone,
                          .state = CACHED_ASK,
                          .status = CACHE_EXPIRED,
                          .key = k->key,
                          .main = k->main,
                          .name = k->name,
                          .secondary = k->secondary,
                          .epoch = k->epoch,
                          .main_vary = k->main_vary,
                          .may_keep = true,
                          .revalidates = k->conf->cache.revalidate,
                          .file = file_hold(k->file),
                          .head = k->head,
                          .head_size = k->head_size,
                          .ticket = k->ticket,
                          .path = k->path };
    k->ticket = 0;
    if (!request_at_end(child, at_end, c)) {
        request_end(child);
        return false;
    }
    child->slots[SLOT_CACHED] = c;
    if (!subrequest_detach(child))
        return false;
    subrequest_run(child);
    return true;
}

/* ---- nothing usable is there --------------------------------------------------------------- */

static void on_poll(struct io *io, struct io_timer *timer)
{
    (void)io;
    request_resume(container_of(timer, struct cached, timer)->request);
}

/* Whoever fetches it may run on another loop: it is looked at again and again, less and less
 * often. */
static enum verdict wait_for_other(struct cached *k)
{
    uint64_t now = now_ns(k), most_ns = (uint64_t)k->conf->cache.lock_timeout_ms * NS_PER_MS;
    uint64_t pause_ms;

    if (k->wait_from_ns == 0)
        k->wait_from_ns = now;
    if (now - k->wait_from_ns >= most_ns) {
        k->timed_out = true;
        return NEXT;
    }
    pause_ms = POLL_FIRST_MS + (now - k->wait_from_ns) / NS_PER_MS / 8;
    io_timer_set(k->request->io, &k->timer, pause_ms * NS_PER_MS, on_poll);
    return WAIT;
}

/* Who got it just now may ask again at once, and shall find it. */
static bool is_being_named(struct cached *k, const struct cache_node *node)
{
    if (node->naming_ns <= now_ns(k))
        return false;
    forget_file(k);
    io_timer_set(k->request->io, &k->timer, NS_PER_MS, on_poll);
    return true;
}

static enum verdict ask(struct cached *k, enum cache_status status, bool may_keep)
{
    k->state = CACHED_ASK;
    k->status = status;
    k->may_keep = may_keep;
    return NEXT;
}

/* A range that begins far behind: who wants it does not want to wait for what is before it. */
static bool range_is_far(const struct cached *k)
{
    struct slice text = request_field(k->request, FIELD_RANGE);
    struct range ranges[RANGES_MAX];
    unsigned count = 0;

    return text.at != NULL && range_parse(text, INT64_MAX, ranges, &count) == RANGE_OK &&
           count > 0 && (int64_t)ranges[0].first > k->conf->cache.range_offset;
}

static enum verdict fetch(struct cached *k, const struct cache_node *node)
{
    const struct cache_conf *c = &k->conf->cache;

    forget_file(k);
    if (node->uses < (uint64_t)c->min_uses)
        return ask(k, CACHE_SCARCE, false);
    if (range_is_far(k))
        return ask(k, CACHE_MISS, false);
    k->ticket = cache_index_lock(k->zone, &k->name, now_ns(k), c->lock_age_ms, node);
    if (c->lock && k->ticket == 0) {
        enum verdict v = wait_for_other(k);

        if (v != NEXT)
            return v;
    }
    return ask(k, CACHE_MISS, !k->timed_out);
}

/* ---- something is there -------------------------------------------------------------------- */

static enum verdict serve(struct cached *k, enum cache_status status)
{
    k->state = CACHED_SERVE;
    k->status = status;
    return NEXT;
}

static enum verdict fetch_again(struct cached *k, const struct cache_node *node)
{
    const struct cache_conf *c = &k->conf->cache;
    bool may_serve = (c->use_stale & STALE_UPDATING) != 0 || now_sec(k) < k->head.update_until;

    k->ticket = cache_index_lock(k->zone, &k->name, now_ns(k), c->lock_age_ms, node);
    if (k->ticket == 0 && may_serve)
        return serve(k, CACHE_UPDATING);
    if (k->ticket == 0 && c->lock) {
        enum verdict v = wait_for_other(k);

        if (v != NEXT) {
            forget_file(k);
            return v;
        }
    }
    if (k->ticket != 0 && may_serve && c->background_update && update_behind(k))
        return serve(k, CACHE_STALE);
    k->revalidates = c->revalidate;
    return ask(k, CACHE_EXPIRED, !k->timed_out && !range_is_far(k));
}

static uint16_t method_flags(const struct request *r)
{
    return r->head.method == METHOD_POST ? CACHE_OF_POST : 0;
}

/* What a GET got is good for a HEAD, and nothing else for another method. */
static bool fits_method(const struct cached *k)
{
    const struct request *r = k->request;

    if ((k->head.flags & CACHE_OF_HEAD) != 0)
        return r->head.method == METHOD_HEAD;
    return (k->head.flags & CACHE_OF_POST) == method_flags(r);
}

/* A variant that this request does not want: there may be one that it does, under another name. */
static bool other_variant(struct cached *k)
{
    unsigned char variant[CACHE_VARIANT_SIZE];

    if (k->head.vary.size == 0)
        return false;
    return !cache_variant(k->request, k->head.vary, variant) ||
           memcmp(variant, k->head.variant, sizeof variant) != 0;
}

static bool look_for_variant(struct cached *k)
{
    unsigned char variant[CACHE_VARIANT_SIZE];

    if (!cache_variant(k->request, k->head.vary, variant) ||
        !cache_variant_name(k->request, k->key, k->head.epoch, variant, &k->name))
        return false;
    k->main_vary = arena_copy(&k->request->arena, k->head.vary);
    k->secondary = true;
    k->counted = false;
    forget_file(k);
    return k->main_vary.at != NULL;
}

static void damaged(struct cached *k, const char *what)
{
    request_log(k->request, LOG_CRIT, 0, "the cache file \"%s\" %s: it is removed", k->path, what);
    cache_remove_file(k->request, k->path);
    (void)cache_index_gone(k->zone, &k->name);
    forget_file(k);
}

/* ---- its head ------------------------------------------------------------------------------ */

static void on_head(struct io *io, struct io_op *op, struct io_result result)
{
    struct cached *k = container_of(op, struct cached, op);
    struct request *r = k->request;

    (void)io;
    file_close(k->reading);
    k->bytes_read = true;
    k->bytes_size = result.res > 0 ? (size_t)result.res : 0;
    if (!request_unpin(r))
        request_resume(r);
}

static bool read_bytes(struct cached *k, size_t size)
{
    if (size > k->file->size)
        size = (size_t)k->file->size;
    k->bytes = arena_bytes(&k->request->arena, size);
    if (k->bytes == NULL)
        return false;
    k->reading = file_hold(k->file); /* the request may end meanwhile */
    request_pin(k->request);
    io_read(k->request->io, &k->op, k->file->fd, k->bytes, (uint32_t)size, 0, on_head);
    return true;
}

/* NEXT: it is there, or k->file is NULL; WAIT. */
static enum verdict read_head(struct cached *k)
{
    const struct file *f = k->file;
    struct slice bytes = f->content != NULL ? slice_of(f->content, (size_t)f->size)
                                            : slice_of(k->bytes, k->bytes_size);
    size_t size;

    if (f->content == NULL && !k->bytes_read)
        return read_bytes(k, HEAD_FIRST) ? WAIT : request_fail(k->request, 500);
    size = bytes.size >= CACHE_FIXED_SIZE ? cache_head_peek(bytes.at) : 0;
    if (size > bytes.size && f->content == NULL && bytes.size == HEAD_FIRST) {
        k->bytes_read = false;
        return read_bytes(k, size) ? WAIT : request_fail(k->request, 500);
    }
    if (size == 0 || size > bytes.size ||
        !cache_head_read(slice_head(bytes, size), &k->request->arena, &k->head))
        damaged(k, "is damaged");
    else if (f->size != size + k->head.body_size)
        damaged(k, "is not as long as it should be");
    k->head_size = size;
    return NEXT;
}

/* ---- the file ------------------------------------------------------------------------------ */

/* The directory is ours: links in it have been put there by who may. NEXT: k->file, or NULL. */
static enum verdict open_file(struct cached *k)
{
    static const struct file_policy policy = { .symlinks = SYMLINKS_OFF };
    struct slice path, below;
    int error;

    cache_path_of(k->place, &k->name, k->path);
    path = slice_str(k->path);
    k->opening = false;
    below = slice_of(path.at + path.size - 2 * CACHE_NAME_SIZE, 2 * CACHE_NAME_SIZE);
    switch (file_open_by(k->request, &policy, path, below, &k->file, &error)) {
    case FILE_OPEN:
        break;
    case FILE_WAIT:
        k->file = NULL;
        k->opening = true; /* what is found must be asked for, or it would be found later */
        return WAIT;
    case FILE_FAILED:
        k->file = NULL;
        if (error != ENOENT && error != ENOTDIR)
            request_log(k->request, LOG_CRIT, error, "open() \"%s\" failed", k->path);
        else
            (void)cache_index_gone(k->zone, &k->name);
        return NEXT;
    }
    if (k->file->directory || k->file->size == 0)
        damaged(k, "is no file of a cache");
    return NEXT;
}

/* NEXT: k->file and k->head, or NULL. */
static enum verdict find_file(struct cached *k, const struct cache_node *node)
{
    bool maybe =
        k->opening || node->size > 0 || atomic_load(&cache_totals(k->zone)->state) != CACHE_WARM;
    enum verdict v = NEXT;

    if (k->file == NULL && maybe)
        v = open_file(k);
    if (v == NEXT && k->file != NULL)
        v = read_head(k);
    return v;
}

static enum verdict look(struct cached *k)
{
    struct cache_node node;
    enum verdict v;

    for (;;) {
        if (!cache_index_ask(k->zone, k->place, &k->name, now_ns(k), !k->counted, &node))
            return ask(k, CACHE_MISS, false);
        k->counted = true;
        v = find_file(k, &node);
        if (v != NEXT)
            return v;
        if (k->file == NULL || !slice_eq(k->head.key, k->key) || !fits_method(k))
            return is_being_named(k, &node) ? WAIT : fetch(k, &node);
        if (!k->secondary)
            k->epoch = k->head.epoch;
        if (!other_variant(k))
            break;
        if (k->secondary || !look_for_variant(k))
            return fetch(k, &node);
    }
    if (now_sec(k) <= k->head.fresh_until)
        return serve(k, CACHE_HIT);
    return is_being_named(k, &node) ? WAIT : fetch_again(k, &node);
}

/* ---- the beginning ------------------------------------------------------------------------- */

/* A GET with a body: who knows what the server makes of that. */
static bool may_be_kept(const struct request *r, const struct cache_conf *c)
{
    bool has_body = r->parent == NULL && (r->head.chunked || r->head.length > 0);

    return (c->methods & 1u << r->head.method) != 0 && !r->is_check && !r->head.upgrade &&
           (!has_body || r->head.method == METHOD_POST);
}

static struct cached *start(struct request *r, const struct relay_conf *conf)
{
    const struct cache_place *place = cache_place_of(r, &conf->cache);
    struct cached *k;

    if (place == NULL || place->zone->memory == NULL)
        return NULL;
    bool purges = cache_any(r, conf->cache.purge);

    if (!purges && !may_be_kept(r, &conf->cache))
        return NULL;
    k = arena_zalloc(&r->arena, sizeof *k);
    if (k == NULL)
        return NULL;
    *k = (struct cached){ .request = r,
                          .conf = conf,
                          .place = place,
                          .zone = place->zone->memory,
                          .path = arena_bytes(&r->arena, strlen(place->path) + CACHE_NAME_ROOM),
                          .purges = purges };
    if (k->path == NULL || !expr_eval(conf->cache.key, r, &r->arena, EXPR_MAX, &k->key) ||
        !cache_name_of(k->key, &k->main) || !request_at_end(r, at_end, k))
        return NULL;
    k->name = k->main;
    return k;
}

enum verdict cache_begin(struct request *r, const struct relay_conf *conf)
{
    struct cached *k = cache_of(r);

    if (conf->cache.zone == NULL && conf->cache.zone_name == NULL)
        return NEXT;
    if (k == NULL) {
        k = start(r, conf);
        if (k == NULL)
            return NEXT;
        r->slots[SLOT_CACHED] = k;
        if (!k->purges && cache_any(r, conf->cache.bypass))
            return ask(k, CACHE_BYPASS, true);
    }
    if (k->purges)
        return cache_purge(k);
    return k->state == CACHED_LOOK ? look(k) : NEXT;
}

/* ---- for the relay ------------------------------------------------------------------------- */

bool cache_asks_whole(const struct cached *k)
{
    return k != NULL && k->state == CACHED_ASK && k->may_keep;
}

struct slice cache_if_none_match(const struct cached *k)
{
    return k != NULL && k->revalidates && k->file != NULL ? k->head.etag : (struct slice){ 0 };
}

struct slice cache_if_modified_since(const struct cached *k)
{
    return k != NULL && k->revalidates && k->file != NULL ? k->head.modified : (struct slice){ 0 };
}

bool cache_rescue(struct cached *k, unsigned fault)
{
    if (k == NULL || k->state != CACHED_ASK || k->file == NULL || fault == 0)
        return false;
    if ((k->conf->cache.use_stale & fault) == 0 && now_sec(k) >= k->head.error_until)
        return false;
    k->state = CACHED_SERVE;
    k->status = CACHE_STALE;
    return true;
}

bool cache_confirms(struct cached *k, unsigned status)
{
    if (status != 304 || k == NULL || k->state != CACHED_ASK || !k->revalidates || k->file == NULL)
        return false;
    k->state = CACHED_SERVE;
    k->status = CACHE_REVALIDATED;
    return true;
}

void cache_leave(struct cached *k)
{
    if (k == NULL)
        return;
    k->state = CACHED_OVER;
    if (k->ticket != 0)
        cache_index_unlock(k->zone, &k->name, k->ticket);
    k->ticket = 0;
}
