/* loop.c - a loop thread: started, given errands, moved from one generation to the next, ended. */
#include "server/loop.h"

#include "base/clock.h"
#include "base/log_ring.h"
#include "http/pipeline.h"
#include "http/sleep.h"
#include "proto/http1.h"
#include "server/accept.h"
#include "server/features.h"
#include "server/log_book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <unistd.h>

enum {
    CONNS_PER_BLOCK = 64,
    REQUESTS_PER_BLOCK = 16,
    OUTS_PER_BLOCK = 8,
    FRESH_MS = 1000, /* leaving: what a connection without a request is given     */
    PANIC_LINES_SIZE = 16 * 1024,
};

/* ---- errands ---------------------------------------------------------------------------- */

/* Counts down; the control thread waits for zero. */
struct rendezvous {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned left;
};

static void rendezvous_init(struct rendezvous *z, unsigned count)
{
    pthread_mutex_init(&z->mutex, NULL);
    pthread_cond_init(&z->cond, NULL);
    z->left = count;
}

static void rendezvous_arrive(struct rendezvous *z)
{
    pthread_mutex_lock(&z->mutex);
    if (--z->left == 0)
        pthread_cond_signal(&z->cond);
    pthread_mutex_unlock(&z->mutex);
}

static void rendezvous_wait(struct rendezvous *z)
{
    pthread_mutex_lock(&z->mutex);
    while (z->left > 0)
        pthread_cond_wait(&z->cond, &z->mutex);
    pthread_mutex_unlock(&z->mutex);
    pthread_cond_destroy(&z->cond);
    pthread_mutex_destroy(&z->mutex);
}

struct errand {
    errand_fn *run;
    void *arg;
    struct rendezvous *with; /* or NULL: nobody waits                                 */
    struct errand *next;
};

/* False: the thread takes no errands any more. */
static bool post(struct loop_thread *t, struct errand *e)
{
    pthread_mutex_lock(&t->mutex);
    bool open = t->errands_end != NULL;

    if (open) {
        *t->errands_end = e;
        t->errands_end = &e->next;
    }
    pthread_mutex_unlock(&t->mutex);
    if (open)
        bell_ring(&t->bell);
    return open;
}

bool loop_post(struct loop_thread *t, errand_fn *run, void *arg)
{
    struct errand *e = malloc(sizeof *e);

    if (e == NULL)
        return false;
    *e = (struct errand){ run, arg, NULL, NULL };
    if (post(t, e))
        return true;
    free(e);
    return false;
}

static bool call(struct loop *loop, struct loop_call *c)
{
    struct loop_thread *t = thread_of(loop);

    c->next = NULL;
    pthread_mutex_lock(&t->mutex);
    bool open = t->errands_end != NULL;

    if (open) {
        *t->calls_end = c;
        t->calls_end = &c->next;
    }
    pthread_mutex_unlock(&t->mutex);
    if (open)
        bell_ring(&t->bell);
    return open;
}

static void run_calls(struct loop_thread *t)
{
    pthread_mutex_lock(&t->mutex);
    struct loop_call *c = t->calls;

    t->calls = NULL;
    t->calls_end = &t->calls;
    pthread_mutex_unlock(&t->mutex);
    while (c != NULL) {
        struct loop_call *next = c->next; /* c is not ours any more once it runs */

        c->run(&t->loop, c);
        c = next;
    }
}

void loops_do(struct worker *w, errand_fn *run, void *arg)
{
    struct rendezvous z;

    rendezvous_init(&z, w->loop_count);
    for (unsigned i = 0; i < w->loop_count; i++) {
        struct errand *e = malloc(sizeof *e);

        CHECK(e != NULL);
        *e = (struct errand){ run, arg, &z, NULL };
        if (!post(&w->loops[i], e)) {
            free(e);
            rendezvous_arrive(&z);
        }
    }
    rendezvous_wait(&z);
}

static struct errand *take_errands(struct loop_thread *t, bool close)
{
    pthread_mutex_lock(&t->mutex);
    struct errand *first = t->errands;

    t->errands = NULL;
    t->errands_end = close ? NULL : &t->errands;
    pthread_mutex_unlock(&t->mutex);
    return first;
}

static void run_errands(struct loop_thread *t, struct errand *e)
{
    while (e != NULL) {
        struct errand *next = e->next;

        e->run(t, e->arg);
        if (e->with != NULL)
            rendezvous_arrive(e->with);
        free(e);
        e = next;
    }
}

static void on_bell(void *arg)
{
    run_errands(arg, take_errands(arg, false));
    run_calls(arg);
}

/* ---- generations ------------------------------------------------------------------------ */

static void site_unused(struct loop *loop, struct site *site)
{
    struct loop_thread *t = thread_of(loop);

    log_book_forget(loop, site);
    if (generation_left(site->generation))
        bell_ring(&t->worker->bell);
}

static io_fire_fn on_tick;

static void arm_tick(struct loop_thread *t)
{
    io_timer_set(t->loop.io, &t->tick, (uint64_t)ACCEPT_TICK_MS * NS_PER_MS, on_tick);
}

void loop_use(struct loop_thread *t, void *arg)
{
    struct generation *g = arg;
    struct site *old = t->loop.site;

    t->loop.site = g->site;
    t->loop.conn_max =
        (uint32_t)(g->config->events->connections > 0 ? g->config->events->connections
                                                      : CONNECTIONS_DEFAULT);
    atomic_store_explicit(&t->ready, true, memory_order_release);
    accept_follow(t, g, old, g->alone);
    features_loop_use(&t->loop, old, g->site);
    arm_tick(t);
    if (old != NULL && old->uses[t->index].count == 0)
        site_unused(&t->loop, old);
}

/* ---- leaving ---------------------------------------------------------------------------- */

/* Idle connections go at once, except ones that have not said anything yet: their request may
 * be on its way. */
static void close_idle(struct loop_thread *t)
{
    uint64_t now = io_now_ns(t->loop.io);

    for (struct link *l = t->loop.idle.head.next, *next; l != &t->loop.idle.head; l = next) {
        struct conn *c = container_of(l, struct conn, idle);

        next = l->next;
        if (c->requests > 0 || now - c->opened_ns > (uint64_t)FRESH_MS * NS_PER_MS)
            conn_leave(c, CLOSE_shutting_down);
    }
}

static void on_tick(struct io *io, struct io_timer *timer)
{
    struct loop_thread *t = container_of(timer, struct loop_thread, tick);
    bool listening = accept_leaving(t);

    (void)io;
    if (!t->leaving) {
        if (listening)
            arm_tick(t);
        return;
    }
    close_idle(t);
    if (!features_loop_leave(&t->loop) || listening || t->loop.conn_count > 0 ||
        t->loop.detached > 0) {
        arm_tick(t);
        return;
    }
    run_errands(t, take_errands(t, true));
    run_calls(t);
    if (t->loop.conn_count > 0) { /* one was handed over at the last moment */
        arm_tick(t);
        return;
    }
    bell_take_down(&t->bell);
    t->ended = true;
}

void loop_begin_leaving(struct loop_thread *t, void *arg)
{
    const bool *alone = arg;

    t->loop.draining = t->leaving = true;
    t->leaving_since_ns = io_now_ns(t->loop.io);
    accept_follow(t, NULL, NULL, *alone);
    for (struct link *l = t->loop.conns.head.next, *next; l != &t->loop.conns.head; l = next) {
        struct conn *c = container_of(l, struct conn, all);

        next = l->next;
        if (c->session != NULL)
            conn_leave(c, CLOSE_shutting_down);
    }
    on_tick(t->loop.io, &t->tick);
}

void loop_close_all(struct loop_thread *t, void *arg)
{
    (void)arg;
    for (struct link *l = t->loop.conns.head.next, *next; l != &t->loop.conns.head; l = next) {
        next = l->next;
        conn_close(container_of(l, struct conn, all), CLOSE_shutting_down);
    }
}

void loop_flush_logs(struct loop_thread *t, void *arg)
{
    (void)arg;
    log_book_flush(&t->loop);
}

/* ---- the thread ------------------------------------------------------------------------- */

struct starting {
    struct worker *worker;
    struct rendezvous *with;
    struct loop_thread *thread;
};

static void pin(const struct loop_thread *t)
{
    const struct main_conf *main = t->worker->now->config->main;
    const struct cpu_mask *mask = main->masks;
    cpu_set_t allowed, one;
    unsigned nth = t->index;

    if (!main->affinity_auto) {
        for (unsigned i = 0; mask != NULL && i < t->index && mask->next != NULL; i++)
            mask = mask->next; /* the last mask is for all further loops */
        if (mask != NULL)
            (void)sched_setaffinity(0, sizeof mask->set, &mask->set);
        return;
    }
    if (mask != NULL)
        allowed = mask->set;
    else if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    if (CPU_COUNT(&allowed) == 0)
        return;
    nth %= (unsigned)CPU_COUNT(&allowed);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || nth-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        (void)sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

static int loop_open(struct loop_thread *t)
{
    struct loop *loop = &t->loop;
    int error;

    loop->io = io_create(t->worker->engine, &t->worker->limits, &error);
    if (loop->io == NULL)
        return error;
    error = bell_hang(&t->bell, loop->io, on_bell, t);
    if (error != 0)
        return error;
    loop->now = io_now_ns;
    loop->real_path = realpath;
    loop->index = t->index;
    loop->tls_ring = t->worker->tls_ring;
    loop->site_unused = site_unused;
    loop->call = call;
    loop->pipeline = &pipeline;
    loop->conn_numbers = t->index + 1;
    loop->conn_number_step = t->worker->loop_count;
    list_init(&loop->conns);
    list_init(&loop->idle);
    slab_init(&loop->conn_slab, sizeof(struct conn), CONNS_PER_BLOCK);
    slab_init(&loop->request_slab, REQUEST_SLOT, REQUESTS_PER_BLOCK);
    slab_init(&loop->out_slab, HTTP1_OUT_SLOT, OUTS_PER_BLOCK);
    loop->log_book = log_book_create(loop);
    return loop->log_book != NULL ? features_loop_open(loop) : -ENOMEM;
}

static void loop_shut(struct loop_thread *t)
{
    struct loop *loop = &t->loop;

    features_loop_close(loop);
    log_book_destroy(loop);
    while (!bell_down(&t->bell))
        io_turn(loop->io, UINT64_MAX);
    sleepers_destroy(loop);
    slab_done(&loop->conn_slab);
    slab_done(&loop->request_slab);
    slab_done(&loop->out_slab);
    io_destroy(loop->io);
}

/* ---- the panic report ------------------------------------------------------------------ */

static _Thread_local const struct loop_thread *on_this_thread;

/* What stood last in the log in memory. */
static void panic_lines(int fd, const struct log_ring *ring)
{
    char room[LOG_RING_LINE_MAX];
    struct log_ring_cursor cursor;
    struct slice line;

    if (ring == NULL)
        return;
    dprintf(fd, "  the latest lines of error_log memory:\n");
    log_ring_begin(ring, PANIC_LINES_SIZE, &cursor);
    while ((line = log_ring_next(ring, &cursor, room)).size > 0)
        dprintf(fd, "    %.*s", SLICE_FMT(line));
}

static void panic_about(int fd)
{
    const struct loop_thread *t = on_this_thread;

    if (t != NULL)
        dprintf(fd, "  loop %u of %u on %s, %u connections, generation %u\n", t->index,
                t->worker->loop_count, io_engine_name(t->worker->engine), t->loop.conn_count,
                t->loop.site != NULL ? t->loop.site->generation->number : 0);
    if (t != NULL && t->loop.site != NULL)
        panic_lines(fd, log_ring_of(t->loop.site->log));
}

static void *loop_main(void *arg)
{
    struct starting *s = arg;
    struct loop_thread *t = s->thread;
    char name[16];

    snprintf(name, sizeof name, "weir loop %u", t->index);
    (void)pthread_setname_np(pthread_self(), name);
    on_this_thread = t;
    pin(t);
    t->error = loop_open(t);
    rendezvous_arrive(s->with); /* s is gone now */
    if (t->error != 0)
        return NULL;
    while (!t->ended)
        io_turn(t->loop.io, UINT64_MAX);
    loop_shut(t);
    atomic_store(&t->gone, true);
    bell_ring(&t->worker->bell);
    return NULL;
}

static int start_one(struct worker *w, unsigned i, struct starting *s)
{
    struct loop_thread *t = &w->loops[i];

    t->worker = w;
    t->index = i;
    t->errands_end = &t->errands;
    t->calls_end = &t->calls;
    pthread_mutex_init(&t->mutex, NULL);
    int error = bell_open(&t->bell);

    s->worker = w;
    s->thread = t;
    return error != 0 ? error : -pthread_create(&t->thread, NULL, loop_main, s);
}

int loops_start(struct worker *w, char *text, size_t size)
{
    struct starting *starting = calloc(w->loop_count, sizeof *starting);
    struct rendezvous z;

    check_on_panic(panic_about);
    w->loops = aligned_alloc(64, (w->loop_count * sizeof *w->loops + 63) & ~(size_t)63);
    CHECK(w->loops != NULL && starting != NULL);
    memset(w->loops, 0, w->loop_count * sizeof *w->loops);
    rendezvous_init(&z, w->loop_count);
    for (unsigned i = 0; i < w->loop_count; i++)
        w->loops[i].loop.next = &w->loops[(i + 1) % w->loop_count].loop;
    for (unsigned i = 0; i < w->loop_count; i++) {
        starting[i].with = &z;
        int error = start_one(w, i, &starting[i]);

        if (error != 0) {
            w->loops[i].error = error;
            rendezvous_arrive(&z);
        }
    }
    rendezvous_wait(&z);
    free(starting);
    for (unsigned i = 0; i < w->loop_count; i++) {
        if (w->loops[i].error == 0)
            continue;
        snprintf(text, size, "loop %u cannot be started on %s (%d: %s)", i,
                 io_engine_name(w->engine), -w->loops[i].error, strerror(-w->loops[i].error));
        return w->loops[i].error;
    }
    loops_do(w, loop_use, w->now);
    return 0;
}

bool loops_ended(struct worker *w)
{
    for (unsigned i = 0; i < w->loop_count; i++)
        if (!atomic_load(&w->loops[i].gone))
            return false;
    for (unsigned i = 0; i < w->loop_count; i++) {
        struct loop_thread *t = &w->loops[i];

        pthread_join(t->thread, NULL);
        pthread_mutex_destroy(&t->mutex);
        close(t->bell.ends[1]);
    }
    free(w->loops);
    w->loops = NULL;
    w->loop_count = 0;
    return true;
}
