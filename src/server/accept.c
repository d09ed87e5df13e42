/* accept.c - accepts on the shared listening sockets and spreads connections over the loops.
 *
 * One socket per listener, accepted from by every loop, and not one per loop with SO_REUSEPORT:
 * a shared queue loses nothing when the number of loops changes, keeps a busy loop's share from
 * waiting behind it, and makes "address in use" mean what it says. The kernel wakes loops
 * unevenly, though (io_uring always the same one), so a loop that has more connections than
 * another hands new ones over. `listen … reuseport` asks for a socket per loop and gets it;
 * then the kernel spreads, and nothing is handed over.
 */
#include "server/accept.h"

#include "base/clock.h"
#include "io/io.h"
#include "net/listen.h"
#include "proto/http1.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    MUTE_MS = 500,      /* no descriptors, nothing to reclaim                        */
    MUTE_SHORT_MS = 10, /* something was reclaimed: it is closed by then             */
    RECLAIM_AT_ONCE = 32,
    FULL_PERCENT = 90,  /* of worker_connections: idle ones begin to make room       */
    LEAVE_MIN_MS = 200, /* handshakes that have begun may still end                  */
    LEAVE_MAX_MS = 5000,
};

struct accepting {
    struct io_op op, end;
    int fd; /* a duplicate of the listener's: a loop closes what it has watched */
    struct io_timer unmute;
    struct loop_thread *thread;
    struct listener *listener;
    uint32_t listener_id, socket; /* and which of its sockets                              */
    bool leaving, alone;
    bool over; /* the op is at rest for good */
    uint64_t leaving_since_ns;
    struct site *last_site; /* held: the last one with this listener; its connections'   */
    struct accepting *next;
};

static struct log_limit limit_shortage, limit_full;

static io_done_fn on_accept;

static const struct log *log_of(const struct loop_thread *t)
{
    return t->loop.site->log;
}

/* ---- a connection ----------------------------------------------------------------------- */

unsigned loop_reclaim(struct loop *loop, unsigned most)
{
    return conn_close_idle(loop, most, CLOSE_reclaimed);
}

/* Is there room for one more? Idle connections make some. */
static bool room(struct loop_thread *t)
{
    struct loop *loop = &t->loop;
    uint32_t held;

    if ((uint64_t)loop->conn_count * 100 < (uint64_t)loop->conn_max * FULL_PERCENT)
        return true;
    if (loop_reclaim(loop, 1) > 0 || loop->conn_count < loop->conn_max)
        return true;
    if (log_limit_pass(&limit_full, &held))
        log_write(log_of(t), LOG_ALERT, 0,
                  "%u worker_connections are not enough: new connections are closed",
                  loop->conn_max);
    return false;
}

static void begin(struct loop_thread *t, int fd, uint32_t listener_id)
{
    struct io *branch = NULL;

    stat_add(&t->loop.stats.accepted, 1);
    if (room(t) && (branch = io_branch(t->loop.io)) != NULL &&
        http1_open(&t->loop, branch, fd, listener_id)) {
        stat_add(&t->loop.stats.handled, 1);
        return;
    }
    close(fd);
    if (branch != NULL)
        io_branch_end(branch);
}

/* ---- handing over ----------------------------------------------------------------------- */

struct handed {
    int fd;
    uint32_t listener_id;
};

static void take_handed(struct loop_thread *t, void *arg)
{
    struct handed *h = arg;

    atomic_fetch_sub_explicit(&t->promised, 1, memory_order_relaxed);
    begin(t, h->fd, h->listener_id);
    free(h);
}

static uint64_t load_of(struct loop_thread *t)
{
    return __atomic_load_n((uint64_t *)&t->loop.stats.active, __ATOMIC_RELAXED) +
           atomic_load_explicit(&t->promised, memory_order_relaxed);
}

/* The loop with the fewest connections, ours if it is as good as any. */
static struct loop_thread *choose(struct loop_thread *here)
{
    struct loop_thread *best = here;
    uint64_t least = load_of(here);

    for (unsigned i = 0; i < here->worker->loop_count; i++) {
        struct loop_thread *t = &here->worker->loops[i];
        uint64_t load = load_of(t);

        if (load < least && atomic_load_explicit(&t->ready, memory_order_acquire) &&
            !atomic_load_explicit(&t->gone, memory_order_relaxed)) {
            best = t;
            least = load;
        }
    }
    return best;
}

static void spread(struct accepting *a, int fd)
{
    struct loop_thread *here = a->thread, *there = here;
    struct handed *h = NULL;

    if (a->listener->sockets == 1 && here->worker->loop_count > 1 && !here->leaving)
        there = choose(here);
    if (there != here)
        h = malloc(sizeof *h);
    if (h == NULL) {
        begin(here, fd, a->listener_id);
        return;
    }
    *h = (struct handed){ fd, a->listener_id };
    atomic_fetch_add_explicit(&there->promised, 1, memory_order_relaxed);
    if (loop_post(there, take_handed, h))
        return;
    atomic_fetch_sub_explicit(&there->promised, 1, memory_order_relaxed);
    free(h);
    begin(here, fd, a->listener_id);
}

/* ---- accepting -------------------------------------------------------------------------- */

static void go(struct accepting *a)
{
    io_accept(a->thread->loop.io, &a->op, a->fd, IO_MULTI, on_accept);
}

static void on_unmute(struct io *io, struct io_timer *timer)
{
    struct accepting *a = container_of(timer, struct accepting, unmute);

    (void)io;
    if (!a->leaving && !io_busy(&a->op))
        go(a);
}

/* Descriptors or memory are short. Waiting costs nothing: the queue is the kernel's. */
static void shortage(struct accepting *a, int error)
{
    struct loop *loop = &a->thread->loop;
    unsigned reclaimed = loop_reclaim(loop, RECLAIM_AT_ONCE);
    uint64_t wait_ms = reclaimed > 0 ? MUTE_SHORT_MS : MUTE_MS;
    uint32_t held;

    if (log_limit_pass(&limit_shortage, &held))
        log_write(log_of(a->thread), LOG_CRIT, -error,
                  "accept4() failed; %u idle connections were closed to make room; accepting "
                  "goes on in %u ms",
                  reclaimed, (unsigned)wait_ms);
    io_timer_set(loop->io, &a->unmute, wait_ms * NS_PER_MS, on_unmute);
}

static void on_accept(struct io *io, struct io_op *op, struct io_result r)
{
    struct accepting *a = container_of(op, struct accepting, op);

    (void)io;
    if (r.res >= 0)
        spread(a, r.res);
    if (r.flags & IO_MORE)
        return;
    if (a->leaving)
        a->over = true;
    else if (r.res >= 0 || r.res == -ECANCELED)
        go(a);
    else
        shortage(a, r.res);
}

static bool accepts(const struct loop_thread *t, const struct listener *l, uint32_t socket)
{
    for (const struct accepting *a = t->accepting; a != NULL; a = a->next)
        if (a->listener == l && a->socket == socket)
            return true;
    return false;
}

static void start(struct loop_thread *t, struct listener *l, uint32_t socket)
{
    struct accepting *a = calloc(1, sizeof *a);
    int fd = a != NULL ? fcntl(l->fds[socket], F_DUPFD_CLOEXEC, 0) : -1;
    int error = fd < 0 ? -errno : io_adopt(t->loop.io, fd);

    if (error != 0) {
        log_write(log_of(t), LOG_ALERT, -error, "cannot accept on descriptor %d", l->fds[socket]);
        if (fd >= 0)
            close(fd);
        free(a);
        return;
    }
    a->thread = t;
    a->listener = l;
    a->listener_id = l->id;
    a->socket = socket;
    a->fd = fd;
    a->next = t->accepting;
    t->accepting = a;
    listener_use(l);
    go(a);
}

/* ---- leaving a listener ----------------------------------------------------------------- */

static void leave(struct accepting *a, bool alone)
{
    struct io *io = a->thread->loop.io;

    a->leaving = true;
    a->alone = alone;
    a->leaving_since_ns = io_now_ns(io);
    io_timer_stop(io, &a->unmute);
    if (!io_busy(&a->op))
        a->over = true;
    else if (!alone)
        io_cancel(io, &a->op); /* who else accepts on it serves what waits */
    else
        (void)listen_stop_syns(a->fd);
}

/* The queue is given time to run dry before the op is cancelled. */
static void hurry(struct accepting *a)
{
    struct io *io = a->thread->loop.io;
    uint64_t spent_ms = (io_now_ns(io) - a->leaving_since_ns) / NS_PER_MS;
    int waiting = listen_waiting(a->fd);

    if (io_busy(&a->op) && !a->op.doomed &&
        ((waiting <= 0 && spent_ms >= LEAVE_MIN_MS) || spent_ms >= LEAVE_MAX_MS))
        io_cancel(io, &a->op);
}

static void on_closed(struct io *io, struct io_op *op, struct io_result r)
{
    struct accepting *a = container_of(op, struct accepting, end);

    (void)io;
    (void)r;
    a->fd = -1;
    listener_release(a->listener);
    a->listener = NULL;
    bell_ring(&a->thread->worker->bell);
}

static void let_go(struct accepting *a)
{
    if (a->fd >= 0 && !io_busy(&a->end))
        io_close(a->thread->loop.io, &a->end, a->fd, on_closed);
}

/* Idle connections of a listener that left are closed; true if any other is there. */
static bool conns_left(struct loop *loop, uint32_t listener_id)
{
    bool any = false;

    for (struct link *l = loop->conns.head.next, *next; l != &loop->conns.head; l = next) {
        struct conn *c = container_of(l, struct conn, all);

        next = l->next;
        if (c->listener_id != listener_id)
            continue;
        any = true;
        if (!c->closing && list_linked(&c->idle) && c->requests > 0)
            conn_leave(c, CLOSE_listener_gone);
    }
    return any;
}

bool accept_leaving(struct loop_thread *t)
{
    bool any = false;

    for (struct accepting **at = &t->accepting; *at != NULL;) {
        struct accepting *a = *at;

        if (a->leaving && !a->over && a->alone)
            hurry(a);
        if (a->over)
            let_go(a);
        if (a->fd >= 0 || (a->last_site != NULL && conns_left(&t->loop, a->listener_id))) {
            any |= a->leaving;
            at = &a->next;
            continue;
        }
        *at = a->next;
        if (a->last_site != NULL)
            site_drop(&t->loop, a->last_site);
        free(a);
    }
    return any;
}

void accept_follow(struct loop_thread *t, const struct generation *g, struct site *old, bool alone)
{
    for (struct accepting *a = t->accepting; a != NULL; a = a->next) {
        uint32_t id = a->listener_id;

        if (a->leaving ||
            (g != NULL && id < g->site->listener_count && g->listeners[id] == a->listener))
            continue;
        leave(a, alone);
        if (old != NULL && old != t->loop.site) {
            a->last_site = old;
            site_hold(&t->loop, old);
        }
    }
    for (unsigned i = 0; g != NULL && i < g->site->listener_count; i++) {
        struct listener *l = g->listeners[i];

        for (uint32_t k = 0; l != NULL && k < l->sockets; k++)
            if ((l->sockets == 1 || k % t->worker->loop_count == t->index) && !accepts(t, l, k))
                start(t, l, k);
    }
}
