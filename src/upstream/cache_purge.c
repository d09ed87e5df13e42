/* cache_purge.c - one file by its name, or all whose keys begin like this one. */
#include "upstream/cache_purge.h"

#include "upstream/cache_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { NS_PER_MS = 1000000 };

/* On the heap: a request may end before its purge has. */
struct purging {
    struct io_op op;
    struct io_timer timer;
    struct cached *cached;
    struct request *request; /* pinned */
    struct zone *zone;
    struct cache_pace pace;
    struct slice prefix; /* of keys; at NULL: `name` alone                            */
    struct cache_name name;
    struct cache_walk walk;
    bool over, any;
};

/* ---- on a helper thread -------------------------------------------------------------------- */

static bool key_fits(const struct purging *p, int fd)
{
    char bytes[CACHE_FIXED_SIZE], *all;
    size_t size = pread(fd, bytes, sizeof bytes, 0) == sizeof bytes ? cache_head_peek(bytes) : 0;
    struct arena arena;
    struct cache_head head;
    bool fits;

    arena_init(&arena, NULL, 0, 16 * 1024, 2 * CACHE_HEAD_MAX);
    all = size > 0 ? arena_bytes(&arena, size) : NULL;
    fits = all != NULL && pread(fd, all, size, 0) == (ssize_t)size &&
           cache_head_read(slice_of(all, size), &arena, &head) && slice_starts(head.key, p->prefix);
    arena_done(&arena);
    return fits;
}

static void try_file(struct purging *p, const struct cache_name *name)
{
    int fd = open(p->walk.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0)
        return;
    if (key_fits(p, fd) && unlink(p->walk.path) == 0) {
        (void)cache_index_gone(p->zone, name);
        p->any = true;
    }
    close(fd);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / NS_PER_MS;
}

static int32_t purge_some(struct io_op *op)
{
    struct purging *p = container_of(op, struct purging, op);
    int64_t until = now_ms() + p->pace.threshold_ms;
    struct cache_name name;

    if (p->prefix.at == NULL) {
        p->any = unlink(p->walk.path) == 0;
        p->any |= cache_index_gone(p->zone, &p->name);
        p->over = true;
        return 0;
    }
    for (int64_t n = 0; n < p->pace.files && now_ms() <= until; n++) {
        enum walk_found found = cache_walk_next(&p->walk, &name);

        p->over = found == WALK_END;
        if (p->over)
            break;
        if (found == WALK_FILE)
            try_file(p, &name);
    }
    return 0;
}

/* ---- on the loop --------------------------------------------------------------------------- */

static void on_pause(struct io *io, struct io_timer *timer);

static void finish(struct purging *p)
{
    struct request *r = p->request;

    cache_walk_end(&p->walk);
    zone_drop(p->zone);
    if (!r->ended) {
        p->cached->removed = p->any;
        p->cached->state = CACHED_SERVE; /* of the outcome */
    }
    free(p);
    if (!request_unpin(r))
        request_resume(r);
}

static void on_some(struct io *io, struct io_op *op, struct io_result result)
{
    struct purging *p = container_of(op, struct purging, op);

    if (result.res < 0 || p->over)
        finish(p);
    else
        io_timer_set(io, &p->timer, (uint64_t)p->pace.sleep_ms * NS_PER_MS, on_pause);
}

static void on_pause(struct io *io, struct io_timer *timer)
{
    struct purging *p = container_of(timer, struct purging, timer);

    io_work(io, &p->op, purge_some, on_some);
}

static enum verdict begin(struct cached *k)
{
    struct purging *p = calloc(1, sizeof *p);

    if (p == NULL)
        return request_fail(k->request, 500);
    p->cached = k;
    p->request = k->request;
    p->zone = zone_hold(k->zone);
    p->pace = k->place->purger;
    p->name = k->main;
    if (slice_ends(k->key, SLICE("*"))) {
        p->prefix = slice_of(k->key.at, k->key.size - 1);
        cache_walk_begin(&p->walk, k->place->path);
    } else {
        cache_path_of(k->place, &k->main, p->walk.path);
    }
    request_pin(k->request);
    io_work(k->request->io, &p->op, purge_some, on_some);
    return WAIT;
}

enum verdict cache_purge(struct cached *k)
{
    struct request *r = k->request;

    if (k->state == CACHED_LOOK)
        return begin(k);
    k->state = CACHED_OVER;
    return request_fail(r, k->removed ? 204 : 404);
}
