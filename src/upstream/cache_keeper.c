/* cache_keeper.c - a keeper for each cache: loads, then watches. */
#include "upstream/cache_keeper.h"

#include "base/clock.h"
#include "http/site.h"
#include "upstream/cache_walk.h"
#include "upstream/gateways.h"
#include "upstream/proxy.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    WATCH_MS = 1000,
    UNFINISHED_SEC = 600, /* a temporary file that was not written to for so long is nobody's */
};

/* It outlives its generation by what it has in flight: nothing here is borrowed. */
struct cache_keeper {
    struct io_op op;
    struct io_timer timer;
    struct loop *loop;
    struct cache_place place; /* path is a copy */
    struct zone *zone;
    struct cache_walk walk;
    uint64_t now_ns;
    bool flying, loading, again, leaving;
    struct cache_keeper *next;
};

/* ---- on a helper thread: loading ----------------------------------------------------------- */

static int64_t now_ms(void)
{
    return (int64_t)(clock_mono_ns() / NS_PER_MS);
}

static void load_file(struct cache_keeper *k, enum walk_found found, const struct cache_name *name)
{
    struct stat s;

    if (lstat(k->walk.path, &s) != 0 || !S_ISREG(s.st_mode))
        return;
    if (found == WALK_FILE && s.st_size > 0)
        cache_index_stored(k->zone, &k->place, name, k->now_ns, (uint64_t)s.st_size);
    else if (s.st_mtim.tv_sec + UNFINISHED_SEC < clock_wall_ns() / NS_PER_SEC)
        (void)unlink(k->walk.path);
}

static int32_t load_some(struct io_op *op)
{
    struct cache_keeper *k = container_of(op, struct cache_keeper, op);
    int64_t until = now_ms() + k->place.loader.threshold_ms;
    struct cache_name name;

    k->again = true;
    for (int64_t n = 0; n < k->place.loader.files && now_ms() <= until; n++) {
        enum walk_found found = cache_walk_next(&k->walk, &name);

        if (found == WALK_END) {
            k->again = false;
            break;
        }
        load_file(k, found, &name);
    }
    return 0;
}

/* ---- on a helper thread: removing ---------------------------------------------------------- */

static bool too_much(const struct cache_keeper *k)
{
    const struct cache_place *p = &k->place;
    struct statvfs s;

    if (p->max_size > 0 && atomic_load(&cache_totals(k->zone)->bytes) > (uint64_t)p->max_size)
        return true;
    return p->min_free > 0 && statvfs(p->path, &s) == 0 &&
           (uint64_t)s.f_bavail * s.f_frsize < (uint64_t)p->min_free;
}

static int32_t remove_some(struct io_op *op)
{
    struct cache_keeper *k = container_of(op, struct cache_keeper, op);
    uint64_t idle_ns = (uint64_t)k->place.inactive_ms * NS_PER_MS, size;
    uint64_t until_ns = k->now_ns > idle_ns ? k->now_ns - idle_ns : 0;
    int64_t until = now_ms() + k->place.manager.threshold_ms;
    struct cache_name name;

    k->again = false;
    for (int64_t n = 0; n < k->place.manager.files && now_ms() <= until; n++) {
        if (!cache_index_oldest(k->zone, too_much(k) ? UINT64_MAX : until_ns, &name, &size))
            return 0;
        cache_path_of(&k->place, &name, k->walk.path);
        if (size > 0)
            (void)unlink(k->walk.path);
    }
    k->again = true;
    return 0;
}

/* ---- on the loop --------------------------------------------------------------------------- */

static void on_timer(struct io *io, struct io_timer *timer);

static void keeper_free(struct cache_keeper *k)
{
    struct cache_keeper **at = &k->loop->cache_keepers;

    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    cache_walk_end(&k->walk);
    if (k->loading) /* it was not finished: whoever comes next begins again */
        atomic_store(&cache_totals(k->zone)->state, CACHE_COLD);
    zone_drop(k->zone);
    free((void *)(uintptr_t)k->place.path);
    free(k);
}

static void on_some(struct io *io, struct io_op *op, struct io_result result)
{
    struct cache_keeper *k = container_of(op, struct cache_keeper, op);
    int64_t sleep_ms = k->loading ? k->place.loader.sleep_ms : k->place.manager.sleep_ms;

    k->flying = false;
    if (k->leaving) {
        keeper_free(k);
        return;
    }
    if (k->loading && (result.res < 0 || !k->again)) {
        k->loading = false;
        cache_walk_end(&k->walk);
        atomic_store(&cache_totals(k->zone)->state, CACHE_WARM);
        sleep_ms = 0;
    } else if (!k->again) {
        sleep_ms = WATCH_MS;
    }
    io_timer_set(io, &k->timer, (uint64_t)sleep_ms * NS_PER_MS, on_timer);
}

/* Once for a zone; who did not finish it has left it cold. */
static void begin_loading(struct cache_keeper *k)
{
    uint32_t cold = CACHE_COLD;

    if (k->loading ||
        !atomic_compare_exchange_strong(&cache_totals(k->zone)->state, &cold, CACHE_LOADING))
        return;
    k->loading = true;
    cache_walk_begin(&k->walk, k->place.path);
}

static void on_timer(struct io *io, struct io_timer *timer)
{
    struct cache_keeper *k = container_of(timer, struct cache_keeper, timer);

    begin_loading(k);
    k->now_ns = loop_now_ns(k->loop, io);
    k->flying = true;
    io_work(io, &k->op, k->loading ? load_some : remove_some, on_some);
}

static void keep(struct loop *loop, const struct cache_place *p)
{
    struct cache_keeper *k = calloc(1, sizeof *k);
    char *path = strdup(p->path);

    if (k == NULL || path == NULL || p->zone->memory == NULL) {
        free(k);
        free(path);
        return; /* nothing is removed: there is no memory for more either */
    }
    k->loop = loop;
    k->place = *p;
    k->place.path = path;
    k->zone = zone_hold(p->zone->memory);
    k->next = loop->cache_keepers;
    loop->cache_keepers = k;
    io_timer_set(loop->io, &k->timer, 0, on_timer);
}

static const struct feature *const features[] = { &feature_proxy, &feature_fastcgi, &feature_uwsgi,
                                                  &feature_scgi };

void cache_keepers_follow(struct loop *loop, struct site *from, struct site *to)
{
    struct cache_keeper *next;

    (void)from;
    for (struct cache_keeper *k = loop->cache_keepers; k != NULL; k = next) {
        next = k->next;
        io_timer_stop(loop->io, &k->timer);
        k->leaving = true;
        if (!k->flying)
            keeper_free(k);
    }
    for (size_t i = 0; to != NULL && to->http != NULL && i < COUNT_OF(features); i++) {
        const struct relay_conf *c = scope_conf(to->http, features[i]);

        for (const struct cache_place *p = c->cache.places; p != NULL; p = p->next)
            keep(loop, p);
    }
}

bool cache_keepers_gone(const struct loop *loop)
{
    return loop->cache_keepers == NULL;
}
