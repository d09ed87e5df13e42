/* queue.c - waiting for a peer, in order, whichever loops the requests are on. */
#include "upstream/queue.h"

#include "base/clock.h"
#include "upstream/peers.h"

enum { TIMEOUT_MS = 60 * 1000, LENGTH_MAX = 1000 * 1000 };

/* ---- behind the lock -------------------------------------------------------------------- */

static struct waiter *waiter_of(struct link *l)
{
    return container_of(l, struct waiter, link);
}

bool queue_first(struct group *g, const struct waiter *w)
{
    return w == NULL || w->state == WAITER_TURN || g->queue.length == 0;
}

void queue_enter(struct group *g, struct waiter *w, struct request *r)
{
    if (w->state != WAITER_TURN && g->queue.length >= g->queue.most) {
        g->queue.overflows++;
        w->state = WAITER_FULL;
        return;
    }
    if (w->state == WAITER_TURN)
        list_prepend(&g->queue.list, &w->link);
    else
        list_append(&g->queue.list, &w->link);
    w->group = g;
    w->request = r;
    w->linked = true;
    w->state = WAITER_QUEUED;
    g->queue.length++;
}

static void unlink_one(struct waiter *w)
{
    list_remove(&w->link);
    w->linked = false;
    w->group->queue.length--;
}

static void on_turn(struct loop *loop, struct loop_call *call)
{
    struct waiter *w = container_of(call, struct waiter, call);
    struct request *r = w->request;

    (void)loop;
    if (r->ended) { /* its turn is the next one's */
        pthread_mutex_lock(&w->group->lock);
        queue_wake(w->group);
        pthread_mutex_unlock(&w->group->lock);
    }
    w->called = false;
    if (request_unpin(r))
        return;
    io_timer_stop(r->io, &w->timer);
    w->state = WAITER_TURN;
    w->ready(w);
}

/* A request that waits keeps its loop. */
void queue_wake(struct group *g)
{
    struct waiter *w;

    if (g->queue.length == 0)
        return;
    w = waiter_of(g->queue.list.head.next);
    unlink_one(w);
    w->called = true;
    w->call.run = on_turn;
    CHECK(w->request->loop->call(w->request->loop, &w->call));
}

/* Until a server that failed is given another chance; 0: none will be. */
static uint64_t chance_ms(const struct group *g, uint64_t now_ms)
{
    uint64_t least = 0;

    for (const struct peer *p = g->peers; p != NULL; p = p->next) {
        if (p->down || !peer_unavailable(g, p, now_ms))
            continue;
        uint64_t ms = p->tried_ms + (uint64_t)p->fail_timeout_ms - now_ms + 1;

        least = least == 0 || ms < least ? ms : least;
    }
    return least;
}

/* ---- on the request's loop -------------------------------------------------------------- */

static io_fire_fn on_timer;

/* At the deadline, or when a server may be tried again: nobody else would say so. */
static void set_timer(struct waiter *w, uint64_t chance)
{
    struct io *io = w->request->io;
    uint64_t now = io_now_ns(io), after = w->deadline_ns > now ? w->deadline_ns - now : 1;

    if (chance > 0 && chance * NS_PER_MS < after)
        after = chance * NS_PER_MS;
    io_timer_set(io, &w->timer, after, on_timer);
}

static void on_timer(struct io *io, struct io_timer *timer)
{
    struct waiter *w = container_of(timer, struct waiter, timer);
    struct group *g = w->group;
    bool late;
    uint64_t now = io_now_ns(io), chance = 0;

    pthread_mutex_lock(&g->lock);
    late = w->linked && now >= w->deadline_ns;
    if (late)
        unlink_one(w);
    else if (w->linked)
        queue_wake(g);
    chance = chance_ms(g, now / NS_PER_MS);
    pthread_mutex_unlock(&g->lock);
    if (!late) {
        set_timer(w, chance);
        return;
    }
    w->state = WAITER_LATE;
    request_unpin(w->request);
    w->ready(w);
}

void queue_wait(struct waiter *w)
{
    struct group *g = w->group;
    uint64_t now = io_now_ns(w->request->io), chance;

    request_pin(w->request);
    if (!w->began)
        w->deadline_ns = now + (uint64_t)g->queue.timeout_ms * NS_PER_MS;
    w->began = true;
    pthread_mutex_lock(&g->lock);
    chance = chance_ms(g, now / NS_PER_MS);
    pthread_mutex_unlock(&g->lock);
    set_timer(w, chance);
}

void queue_leave(struct waiter *w)
{
    bool linked;

    if (w->state != WAITER_QUEUED)
        return;
    io_timer_stop(w->request->io, &w->timer);
    pthread_mutex_lock(&w->group->lock);
    linked = w->linked;
    if (linked)
        unlink_one(w);
    pthread_mutex_unlock(&w->group->lock);
    if (linked)
        request_unpin(w->request); /* else on_turn() does */
}

/* ---- the directive ---------------------------------------------------------------------- */

bool queue_set(struct conf_load *load, const struct conf_node *node, void *own,
               const struct directive *row)
{
    struct group *g = conf_scope(load)->object;
    struct slice time = SLICE("timeout=");
    uint64_t n;

    (void)own;
    (void)row;
    g->queue.timeout_ms = TIMEOUT_MS;
    if (!slice_to_u64(conf_arg(node, 0), LENGTH_MAX, &n) || n == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is no length of a queue",
                      SLICE_FMT(conf_arg(node, 0)));
        conf_hint(load, "expected: 1 to %d", LENGTH_MAX);
        return false;
    }
    g->queue.most = (unsigned)n;
    if (node->arg_count < 2 ||
        (slice_starts(conf_arg(node, 1), time) &&
         conf_parse_msec(slice_skip(conf_arg(node, 1), time.size), &g->queue.timeout_ms) &&
         g->queue.timeout_ms > 0))
        return true;
    conf_complain(load, CONF_EMERG, node, 1, "\"%.*s\" means nothing here",
                  SLICE_FMT(conf_arg(node, 1)));
    conf_hint(load, "expected: timeout=time");
    return false;
}
