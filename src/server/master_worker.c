/* master_worker.c - the worker as the master sees it: started, told, missed, started again. */
#include "server/master.h"

#include "base/clock.h"
#include "server/log_files.h"
#include "server/state_files.h"
#include "server/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RESPAWN_FIRST_MS = 100,
    RESPAWN_MAX_MS = 10000,
    STEADY_MS = 5000, /* a worker that lived so long was not a failed start        */
    HURRY_MS = 1000,  /* SIGTERM is given so long before SIGKILL                   */
    FATAL_STATUS = 2, /* the worker says: starting me again will not help          */
};

/* ---- bundles ---------------------------------------------------------------------------- */

struct parcel {
    struct bundle bundle;
    int *fds;
    uint32_t count;
};

static bool pack(struct parcel *p, const struct master *m, const struct config *c, uint32_t number)
{
    uint32_t socket_count, logs = log_files_count(c->logs);
    int *sockets;

    p->bundle = (struct bundle){
        .number = number, .loops = m->loops, .log_count = logs, .respawned = m->respawned
    };
    sockets_list(&m->sockets, &p->bundle.listeners, &p->bundle.listener_count, &sockets,
                 &socket_count);
    p->count = 1 + socket_count + logs;
    p->fds = calloc(p->count, sizeof *p->fds);
    CHECK(p->fds != NULL);
    memcpy(p->fds + 1, sockets, socket_count * sizeof *sockets);
    log_files_list(c->logs, p->fds + 1 + socket_count);
    free(sockets);
    p->fds[0] = bundle_write(&p->bundle, c);
    return p->fds[0] >= 0;
}

static void unpack(struct parcel *p)
{
    if (p->fds[0] >= 0)
        close(p->fds[0]);
    free(p->fds);
    bundle_done(&p->bundle);
}

bool worker_send_generation(struct master *m, const struct config *c, uint32_t number, char *text,
                            size_t size)
{
    struct parcel p;
    bool packed = pack(&p, m, c, number);
    struct order order = {
        .kind = ORDER_GENERATION, .number = number, .descriptors = p.count, .alone = master_alone(m)
    };
    int error = packed ? descriptors_send(m->line.descriptors[0], p.fds, p.count) : p.fds[0];

    if (error == 0)
        error = order_send(m->line.orders[0], &order, sizeof order);
    unpack(&p);
    if (error != 0)
        snprintf(text, size, "the worker cannot be told (%d: %s)", -error, strerror(-error));
    return error == 0;
}

void worker_send_reopen(struct master *m)
{
    uint32_t count = log_files_count(m->config->logs);
    int *fds = calloc((size_t)count + 1, sizeof *fds);
    struct order order = { .kind = ORDER_REOPEN, .number = m->number, .descriptors = count };

    if (m->worker == 0 || fds == NULL) {
        free(fds);
        return;
    }
    log_files_list(m->config->logs, fds);
    int error = descriptors_send(m->line.descriptors[0], fds, count);

    if (error == 0)
        error = order_send(m->line.orders[0], &order, sizeof order);
    if (error != 0)
        log_write(master_log(m), LOG_ALERT, -error, "the worker cannot be told to reopen logs");
    free(fds);
}

/* ---- reports ---------------------------------------------------------------------------- */

static void started(struct master *m)
{
    m->worker_running = true;
    m->never_ran = false;
    if (m->daemon_pipe < 0)
        return;
    master_stderr_to_log(m);
    (void)!write(m->daemon_pipe, "r", 1);
    close(m->daemon_pipe);
    m->daemon_pipe = -1;
}

static void hear(struct master *m, const struct report *r)
{
    bool about_reload = m->next != NULL && r->number == m->number + 1;

    if (about_reload) {
        reload_outcome(m, r->kind == REPORT_RUNNING, r->text);
        return;
    }
    if (r->kind == REPORT_RUNNING) {
        started(m);
        return;
    }
    fprintf(stderr, "weir: [emerg] %s\n", r->text);
    log_write(master_log(m), LOG_EMERG, 0, "the worker cannot start: %s", r->text);
}

static void worker_gone(struct master *m, int status);

static void on_report(struct io *io, struct io_op *op, struct io_result r)
{
    struct master *m = container_of(op, struct master, reports);
    struct report report;

    if (r.buf != NULL) {
        bool whole = r.res == (int32_t)sizeof report;

        if (whole)
            memcpy(&report, r.buf->bytes, sizeof report);
        io_buf_release(io, r.buf);
        report.text[sizeof report.text - 1] = '\0';
        if (whole)
            hear(m, &report);
    }
    if (r.flags & IO_MORE)
        return;
    if (r.res > 0 && m->line.orders[0] >= 0)
        io_recv(io, op, m->line.orders[0], IO_MULTI, on_report);
    else if (m->worker_is_thread && m->worker != 0)
        worker_gone(m, 0);
}

/* ---- starting --------------------------------------------------------------------------- */

/* In the child: nothing of the master's stays open but what the worker is given. */
static void close_others(const struct order_line *line)
{
    int low = line->orders[1] < line->descriptors[1] ? line->orders[1] : line->descriptors[1];
    int high = line->orders[1] < line->descriptors[1] ? line->descriptors[1] : line->orders[1];

    (void)syscall(SYS_close_range, STDERR_FILENO + 1, low - 1, 0);
    (void)syscall(SYS_close_range, low + 1, high - 1, 0);
    (void)syscall(SYS_close_range, high + 1, ~0u, 0);
}

static void *thread_main(void *arg)
{
    struct master *m = arg;

    (void)worker_run(m->registry, m->line.orders[1], m->line.descriptors[1], false);
    order_line_close(&m->line, 1);
    return NULL;
}

static bool spawn_thread(struct master *m)
{
    m->worker_is_thread = true;
    m->worker = getpid();
    return pthread_create(&m->worker_thread, NULL, thread_main, m) == 0;
}

static bool spawn_process(struct master *m)
{
    sigset_t all, before;

    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();

    if (child == 0) {
        master_stderr_to_log(m);
        close_others(&m->line);
        exit(worker_run(m->registry, m->line.orders[1], m->line.descriptors[1], true));
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (child > 0) {
        m->worker = child;
        order_line_close(&m->line, 1);
    }
    return child > 0;
}

static io_fire_fn on_respawn;

static void respawn_later(struct master *m)
{
    io_timer_set(m->io, &m->respawn, (uint64_t)m->respawn_ms * NS_PER_MS, on_respawn);
    m->respawn_ms = m->respawn_ms == 0 ? RESPAWN_FIRST_MS : m->respawn_ms * 2;
    if (m->respawn_ms > RESPAWN_MAX_MS)
        m->respawn_ms = RESPAWN_MAX_MS;
}

void worker_spawn(struct master *m)
{
    char text[REPORT_TEXT_SIZE];
    int error = order_line_open(&m->line);
    bool good = error == 0 && io_adopt(m->io, m->line.orders[0]) == 0;

    m->worker_running = m->worker_quitting = false;
    m->worker_since_ns = io_now_ns(m->io);
    if (good)
        good = m->config->main->master ? spawn_process(m) : spawn_thread(m);
    if (good)
        io_recv(m->io, &m->reports, m->line.orders[0], IO_MULTI, on_report);
    if (good && worker_send_generation(m, m->config, m->number, text, sizeof text)) {
        log_write(master_log(m), LOG_NOTICE, 0, "start worker process %d", (int)m->worker);
        return;
    }
    log_write(master_log(m), LOG_ALERT, errno, "the worker cannot be started");
    if (m->worker == 0) {
        order_line_close(&m->line, 0);
        order_line_close(&m->line, 1);
        respawn_later(m);
    }
}

static void on_respawn(struct io *io, struct io_timer *timer)
{
    struct master *m = container_of(timer, struct master, respawn);

    (void)io;
    if (m->worker != 0 || m->stopping || m->quitting || m->resting)
        return;
    m->respawned++;
    states_read_again(m->config);
    worker_spawn(m);
}

/* ---- ending ----------------------------------------------------------------------------- */

void worker_quit(struct master *m)
{
    struct order order = { .kind = ORDER_QUIT,
                           .number = m->number,
                           .alone = master_alone(m) && !m->resting };
    int error;

    if (m->worker_quitting)
        return;
    m->worker_quitting = true;
    error = order_send(m->line.orders[0], &order, sizeof order);
    if (error != 0)
        log_write(master_log(m), LOG_ALERT, -error, "the worker cannot be told to quit");
}

static void on_hurry(struct io *io, struct io_timer *timer)
{
    struct master *m = container_of(timer, struct master, hurry);

    (void)io;
    if (m->worker != 0 && !m->worker_is_thread)
        (void)kill(m->worker, SIGKILL);
}

void worker_stop(struct master *m)
{
    m->worker_quitting = true;
    if (m->worker_is_thread) {
        log_files_close(m->config->logs);
        (void)unlink(m->pid_path);
        _exit(0); /* its threads end with us */
    }
    (void)kill(m->worker, SIGTERM);
    io_timer_set(m->io, &m->hurry, (uint64_t)HURRY_MS * NS_PER_MS, on_hurry);
}

static void say_how(const struct master *m, int status)
{
    if (WIFSIGNALED(status))
        log_write(master_log(m), LOG_ALERT, 0, "worker process %d exited on signal %d%s",
                  (int)m->worker, WTERMSIG(status), WCOREDUMP(status) ? " (core dumped)" : "");
    else
        log_write(master_log(m), m->worker_quitting ? LOG_NOTICE : LOG_ALERT, 0,
                  "worker process %d exited with code %d", (int)m->worker, WEXITSTATUS(status));
}

static void on_line_closed(struct io *io, struct io_op *op, struct io_result r)
{
    struct master *m = container_of(op, struct master, line_end);

    (void)io;
    (void)r;
    close(m->line.descriptors[0]);
    m->line.descriptors[0] = -1;
    if (m->stopping || m->quitting)
        master_end(m, 0);
    else if (m->hopeless)
        master_end(m, 1);
    else if (!m->resting)
        respawn_later(m);
}

/* What comes next is decided when the line to it is closed: see on_line_closed(). */
static void worker_gone(struct master *m, int status)
{
    uint64_t lived_ms = (io_now_ns(m->io) - m->worker_since_ns) / NS_PER_MS;
    bool fatal = WIFEXITED(status) && WEXITSTATUS(status) == FATAL_STATUS;

    say_how(m, status);
    m->never_ran &= !m->worker_running;
    m->hopeless = fatal && m->never_ran;
    m->worker = 0;
    if (lived_ms >= STEADY_MS)
        m->respawn_ms = 0;
    io_timer_stop(m->io, &m->hurry);
    if (m->next != NULL)
        reload_outcome(m, false, "the worker died while it was loading the configuration");
    int fd = m->line.orders[0];

    m->line.orders[0] = -1;
    io_close(m->io, &m->line_end, fd, on_line_closed);
}

void worker_reap(struct master *m)
{
    int status;

    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == m->worker)
            worker_gone(m, status);
        else if (pid == m->successor)
            upgrade_gone(m, status);
    }
}
