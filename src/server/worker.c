/* worker.c - the control thread of the worker: obeys the master, waits for loops, ends. */
#include "server/worker.h"

#include "net/tls_home.h"
#include "base/clock.h"
#include "server/engine.h"
#include "server/log_book.h"
#include "server/log_files.h"
#include "server/loop.h"
#include "server/privileges.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { CONTROL_BUFS = 16, CONTROL_BUF_SIZE = 4096, CONTROL_FDS_SPARE = 64 };

static const struct log *log_of(const struct worker *w)
{
    return w->now != NULL ? w->now->site->log : NULL;
}

static void report(struct worker *w, enum report_kind kind, uint32_t number, const char *text)
{
    struct report r = { .kind = kind, .number = number };

    snprintf(r.text, sizeof r.text, "%s", text);
    (void)!order_send(w->orders, &r, sizeof r); /* a master that is gone shows elsewhere */
}

/* ---- signals ---------------------------------------------------------------------------- */

static struct bell *signal_bell;
static volatile sig_atomic_t signal_stop, signal_quit;

static void on_signal(int number)
{
    if (number == SIGTERM)
        signal_stop = 1;
    else
        signal_quit = 1;
    bell_ring(signal_bell);
}

static void catch_signals(struct worker *w)
{
    static const int ignored[] = { SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGPIPE };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct sigaction plain = { .sa_handler = SIG_DFL };
    sigset_t none;

    signal_bell = &w->bell;
    for (size_t i = 0; i < COUNT_OF(ignored); i++)
        (void)sigaction(ignored[i], &ignore, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
    (void)sigaction(SIGQUIT, &act, NULL);
    (void)sigaction(SIGCHLD, &plain, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- generations ------------------------------------------------------------------------ */

static void sweep(struct worker *w)
{
    for (struct generation **at = &w->old; *at != NULL;) {
        struct generation *g = *at;

        if (atomic_load(&g->loops_on_it) > 0) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        generation_destroy(g);
    }
    listeners_sweep(&w->leaving);
}

/* The first generation: now it is known who we shall be, and on what we run. */
static bool settle(struct worker *w, char *text, size_t size)
{
    const struct config *c = w->now->config;
    uint64_t connections =
        (uint64_t)(c->events->connections > 0 ? c->events->connections : CONNECTIONS_DEFAULT);

    if (w->as_process && !privileges_drop(c->main, connections * w->loop_count, text, size))
        return false;
    w->limits = engine_limits();
    w->engine = engine_choose(c->events->use, w->loop_count, &w->limits, log_of(w));
    if (privileges_descriptors() < connections)
        log_write(log_of(w), LOG_WARN, 0,
                  "%llu worker_connections are more than the %llu descriptors we may have: "
                  "worker_rlimit_nofile",
                  (unsigned long long)connections, (unsigned long long)privileges_descriptors());
    return loops_start(w, text, size) == 0;
}

/* What a running worker cannot change about itself. */
static void warn_of_fixed(const struct worker *w, const struct generation *g)
{
    const struct main_conf *a = w->now->config->main, *b = g->config->main;
    const struct {
        const char *name;
        bool changed;
    } settings[] = {
        { "worker_processes", g->loops != w->loop_count },
        { "use", w->now->config->events->use != g->config->events->use },
        { "user", !slice_eq(a->user, b->user) || !slice_eq(a->group, b->group) },
        { "worker_rlimit_nofile", a->rlimit_nofile != b->rlimit_nofile },
        { "worker_rlimit_core", a->rlimit_core != b->rlimit_core },
        { "worker_priority", a->priority != b->priority },
        { "working_directory", !slice_eq(a->directory, b->directory) },
    };

    for (size_t i = 0; i < COUNT_OF(settings); i++)
        if (settings[i].changed)
            log_write(g->site->log, LOG_WARN, 0,
                      "\"%s\" was changed: that waits for the next start or binary upgrade",
                      settings[i].name);
}

static void run_generation(struct worker *w, const int *fds, uint32_t count,
                           const struct order *order)
{
    struct generation_around around = { .registry = w->registry,
                                        .loop_count = w->loop_count,
                                        .now = w->now,
                                        .book = &w->book,
                                        .leaving = w->leaving };
    char text[REPORT_TEXT_SIZE] = "";
    struct generation *g = generation_build(&around, fds, count, text, sizeof text);

    if (g == NULL) {
        report(w, REPORT_REFUSED, order->number, text);
        if (w->now == NULL)
            w->ended = true;
        return;
    }
    g->alone = order->alone != 0;
    if (w->now == NULL) {
        w->now = g;
        w->loop_count = g->loops;
        if (!settle(w, text, sizeof text)) {
            log_write(log_of(w), LOG_EMERG, 0, "%s", text);
            report(w, REPORT_REFUSED, order->number, text);
            _exit(2); /* some loops may run already: there is no way back */
        }
    } else {
        warn_of_fixed(w, g);
        g->next = NULL;
        w->now->next = w->old;
        w->old = w->now;
        w->now = g;
        loops_do(w, loop_use, g);
        listeners_give_up(&w->book, &w->leaving, g);
    }
    report(w, REPORT_RUNNING, order->number, "");
    sweep(w);
}

/* ---- logs ------------------------------------------------------------------------------- */

/* The new descriptors go behind the numbers in use, in every generation that writes there. */
static void reopen_logs(struct worker *w, const int *fds, uint32_t count)
{
    uint32_t i = 0;

    if (w->now != NULL && count == log_files_count(w->now->config->logs)) {
        loops_do(w, loop_flush_logs, NULL);
        for (const struct log_target *t = w->now->config->logs->first; t != NULL; t = t->next) {
            if (!log_target_travels(t))
                continue;
            log_files_swap(w->now->config->logs, t, fds[i]);
            for (struct generation *g = w->old; g != NULL; g = g->next)
                log_files_swap(g->config->logs, t, fds[i]);
            i++;
        }
    }
    for (i = 0; i < count; i++)
        close(fds[i]);
}

/* ---- the end ---------------------------------------------------------------------------- */

static void on_deadline(struct io *io, struct io_timer *timer)
{
    struct worker *w = container_of(timer, struct worker, deadline);

    (void)io;
    log_write(log_of(w), LOG_NOTICE, 0,
              "worker_shutdown_timeout: connections that are still open are closed");
    loops_do(w, loop_close_all, NULL);
}

static void quit(struct worker *w, bool alone)
{
    if (w->quitting)
        return;
    w->quitting = true;
    if (w->now == NULL) {
        w->ended = true;
        return;
    }
    log_write(log_of(w), LOG_NOTICE, 0, "gracefully shutting down");
    if (w->now->config->main->shutdown_ms > 0)
        io_timer_set(w->io, &w->deadline, (uint64_t)w->now->config->main->shutdown_ms * NS_PER_MS,
                     on_deadline);
    loops_do(w, loop_begin_leaving, &alone);
    listeners_give_up(&w->book, &w->leaving, NULL);
}

/* Nothing is waited for but lines that are still in buffers. */
static void stop(struct worker *w)
{
    if (w->loops != NULL)
        loops_do(w, loop_flush_logs, NULL);
    log_write(log_of(w), LOG_NOTICE, 0, "exiting");
    if (w->as_process)
        _exit(0);
    w->ended = true;
}

static void on_bell(void *arg)
{
    struct worker *w = arg;

    if (signal_stop) {
        stop(w);
        return;
    }
    if (signal_quit)
        quit(w, false);
    if (!w->quitting || w->loops == NULL) {
        sweep(w);
        return;
    }
    if (loops_ended(w)) {
        sweep(w);
        w->ended = true;
    }
}

/* ---- orders ----------------------------------------------------------------------------- */

static void obey(struct worker *w, const struct order *order)
{
    int *fds = calloc((size_t)order->descriptors + 1, sizeof *fds);
    int error =
        fds != NULL ? descriptors_receive(w->descriptors, fds, order->descriptors) : -ENOMEM;

    if (error != 0) {
        log_write(log_of(w), LOG_ALERT, -error, "descriptors from the master were lost");
        report(w, REPORT_REFUSED, order->number, "the worker could not take the descriptors");
        free(fds);
        return;
    }
    switch (order->kind) {
    case ORDER_GENERATION:
        run_generation(w, fds, order->descriptors, order);
        break;
    case ORDER_REOPEN:
        reopen_logs(w, fds, order->descriptors);
        break;
    case ORDER_QUIT:
        quit(w, order->alone != 0);
        break;
    default:
        NEVER("the master sends known orders");
    }
    free(fds);
}

static void on_order(struct io *io, struct io_op *op, struct io_result r)
{
    struct worker *w = container_of(op, struct worker, rx);
    struct order order;

    if (r.buf != NULL) {
        bool whole = r.res == (int32_t)sizeof order;

        if (whole)
            memcpy(&order, r.buf->bytes, sizeof order);
        io_buf_release(io, r.buf);
        if (whole)
            obey(w, &order);
    }
    if (r.flags & IO_MORE)
        return;
    if (r.res > 0) {
        io_recv(io, op, w->orders, IO_MULTI, on_order);
        return;
    }
    if (!w->ended) {
        log_write(log_of(w), LOG_ALERT, 0, "the master is gone: finishing");
        quit(w, false);
    }
}

static bool control_open(struct worker *w)
{
    uint32_t highest = (uint32_t)(w->orders > w->bell.ends[0] ? w->orders : w->bell.ends[0]);
    struct io_limits limits = { .fds = highest + CONTROL_FDS_SPARE,
                                .bufs = CONTROL_BUFS,
                                .buf_size = CONTROL_BUF_SIZE };
    int error;

    w->io = io_create(&io_engine_epoll, &limits, &error);
    if (w->io == NULL || io_adopt(w->io, w->orders) != 0 ||
        bell_hang(&w->bell, w->io, on_bell, w) != 0)
        return false;
    io_recv(w->io, &w->rx, w->orders, IO_MULTI, on_order);
    return true;
}

static void control_close(struct worker *w)
{
    io_timer_stop(w->io, &w->deadline);
    bell_take_down(&w->bell);
    if (io_busy(&w->rx))
        io_cancel(w->io, &w->rx);
    while (!bell_down(&w->bell) || io_busy(&w->rx))
        io_turn(w->io, UINT64_MAX);
    close(w->bell.ends[1]);
    io_destroy(w->io);
}

int worker_run(const struct registry *registry, int orders, int descriptors, bool as_process)
{
    struct worker w = {
        .registry = registry, .orders = orders, .descriptors = descriptors, .as_process = as_process
    };

    if (bell_open(&w.bell) != 0 || !control_open(&w))
        return 2;
    w.tls_ring = tls_ring_create();
    CHECK(w.tls_ring != NULL); /* boot: no memory is the end */
    if (as_process)
        catch_signals(&w);
    log_writer = &log_book_writer;
    while (!w.ended)
        io_turn(w.io, UINT64_MAX);
    control_close(&w);
    if (w.now != NULL) {
        log_write(log_of(&w), LOG_NOTICE, 0, "exiting");
        generation_destroy(w.now);
    }
    tls_ring_destroy(w.tls_ring);
    return w.exit_status;
}
