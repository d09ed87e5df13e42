/* master.c - starts, listens to signals, ends. */
#include "server/master.h"

#include "base/clock.h"
#include "server/log_files.h"
#include "server/temp_dirs.h"
#include "server/privileges.h"
#include "server/state_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONTROL_BUFS = 16, CONTROL_BUF_SIZE = 4096, TEXT_SIZE = 1024 };

static struct master master;

const struct log *master_log(const struct master *m)
{
    return m->config->site->log;
}

bool master_alone(const struct master *m)
{
    return m->successor == 0 && (m->predecessor == 0 || getppid() != m->predecessor);
}

/* ---- signals ---------------------------------------------------------------------------- */

static volatile sig_atomic_t pending[NSIG];

static void on_signal(int number)
{
    pending[number] = 1;
    bell_ring(&master.bell);
}

static void reopen(struct master *m)
{
    log_write(master_log(m), LOG_NOTICE, 0, "reopening logs");
    for (struct log_target *t = m->config->logs->first; t != NULL; t = t->next) {
        if (!log_target_travels(t))
            continue;
        int fd = log_file_open(t);

        if (fd < 0) {
            log_write(master_log(m), LOG_EMERG, -fd, "open() \"%.*s\" failed", SLICE_FMT(t->path));
            continue;
        }
        log_files_swap(m->config->logs, t, fd);
        close(fd);
    }
    worker_send_reopen(m);
}

static void quit(struct master *m)
{
    m->quitting = true;
    if (m->worker != 0)
        worker_quit(m);
    else
        master_end(m, 0);
}

static void stop(struct master *m)
{
    m->stopping = true;
    if (m->worker != 0)
        worker_stop(m);
    else
        master_end(m, 0);
}

/* The old binary's worker goes; the sockets stay, for the new one and for the way back. */
static void rest(struct master *m)
{
    if (!m->config->main->daemon && m->predecessor == 0 && m->successor == 0)
        return; /* a terminal window that changes its size */
    m->resting = true;
    if (m->worker != 0)
        worker_quit(m);
}

static void reload(struct master *m)
{
    if (m->resting) { /* the way back: what ran before runs again */
        m->resting = false;
        if (m->worker == 0)
            worker_spawn(m);
        return;
    }
    reload_begin(m);
}

static const struct {
    int number;
    void (*act)(struct master *);
    const char *name;
} signals[] = {
    { SIGCHLD, worker_reap, NULL },
    { SIGTERM, stop, "SIGTERM: exiting" },
    { SIGINT, stop, "SIGINT: exiting" },
    { SIGQUIT, quit, "SIGQUIT: shutting down" },
    { SIGHUP, reload, "SIGHUP: reconfiguring" },
    { SIGUSR1, reopen, NULL },
    { SIGUSR2, upgrade_begin, "SIGUSR2: changing binary" },
    { SIGWINCH, rest, NULL },
};

static void on_bell(void *arg)
{
    struct master *m = arg;

    for (size_t i = 0; i < COUNT_OF(signals) && !m->ended; i++) {
        if (!pending[signals[i].number])
            continue;
        pending[signals[i].number] = 0;
        if (signals[i].name != NULL)
            log_write(master_log(m), LOG_NOTICE, 0, "%s", signals[i].name);
        signals[i].act(m);
    }
}

static void catch_signals(void)
{
    struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigset_t none;

    for (size_t i = 0; i < COUNT_OF(signals); i++)
        (void)sigaction(signals[i].number, &act, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- starting --------------------------------------------------------------------------- */

/* Before the logs are open, and while somebody waits at a terminal. */
static bool fail(const char *format, ...) PRINTF_LIKE(1, 2);
static bool fail(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "weir: [emerg] ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

static bool open_all(struct master *m)
{
    const char *inherited = getenv(SOCKETS_VARIABLE);
    char text[TEXT_SIZE];

    if (inherited != NULL) {
        m->predecessor = getppid();
        sockets_inherit(&m->sockets, inherited);
        (void)unsetenv(SOCKETS_VARIABLE);
    }
    m->loops = main_conf_loops(m->config->main);
    if (!log_files_open(m->config->logs, text, sizeof text))
        return fail("%s", text);
    if (m->options->conf_text == NULL && !temp_dirs_make(m->config, text, sizeof text))
        return fail("%s", text);
    states_prepare(m->config);
    if (sockets_prepare(&m->sockets, m->config->site, m->loops, true, text, sizeof text))
        return true;
    log_write(master_log(m), LOG_EMERG, 0, "%s", text);
    return fail("%s", text);
}

/* The command waits for a byte that says the server runs, or for the pipe's end. */
static bool wait_for_daemon(int fd)
{
    char byte;
    ssize_t n;

    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

static bool to_background(struct master *m)
{
    int ends[2], null;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return fail("pipe2() failed (%d: %s)", errno, strerror(errno));
    pid_t child = fork();

    if (child < 0)
        return fail("fork() failed (%d: %s)", errno, strerror(errno));
    if (child > 0) {
        close(ends[1]);
        _exit(wait_for_daemon(ends[0]) ? 0 : 1);
    }
    close(ends[0]);
    m->daemon_pipe = ends[1];
    if (setsid() < 0)
        return fail("setsid() failed (%d: %s)", errno, strerror(errno));
    umask(0);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return fail("open(/dev/null) failed (%d: %s)", errno, strerror(errno));
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    close(null);
    return true;
}

void master_stderr_to_log(const struct master *m)
{
    if (!m->background)
        return;
    for (const struct log_sink *s = master_log(m)->sinks; s != NULL; s = s->next) {
        if (s->fd == STDERR_FILENO || s->syslog_facility >= 0 || s->ring != NULL)
            continue;
        (void)dup2(s->fd, STDERR_FILENO);
        return;
    }
}

static bool write_pid(struct master *m)
{
    int error;

    snprintf(m->pid_path, sizeof m->pid_path, "%.*s", SLICE_FMT(m->config->main->pid));
    error = pid_file_write(m->pid_path);
    if (error != 0) {
        log_write(master_log(m), LOG_EMERG, -error, "open() \"%s\" failed", m->pid_path);
        return fail("open() \"%s\" failed (%d: %s)", m->pid_path, -error, strerror(-error));
    }
    m->pid_written = true;
    return true;
}

static bool open_loop(struct master *m)
{
    struct io_limits limits = { .fds = (uint32_t)privileges_descriptors(),
                                .bufs = CONTROL_BUFS,
                                .buf_size = CONTROL_BUF_SIZE };
    int error;

    /* poll has no object in the kernel that a forked worker would share. */
    m->io = io_create(&io_engine_poll, &limits, &error);
    if (m->io == NULL || bell_open(&m->bell) != 0 || bell_hang(&m->bell, m->io, on_bell, m) != 0)
        return fail("the master's loop cannot be made (%d: %s)", -error, strerror(-error));
    return true;
}

static bool start(struct master *m)
{
    m->background = m->config->main->daemon && getenv(SOCKETS_VARIABLE) == NULL;
    if (!open_all(m) || (m->background && !to_background(m)) || !open_loop(m))
        return false;
    catch_signals();
    if (!command_open(m))
        log_write(master_log(m), LOG_WARN, 0,
                  "no socket for commands: weir -s reload cannot tell how it went");
    if (!write_pid(m)) /* the last thing: who reads it may send signals and commands */
        return false;
    sockets_commit(&m->sockets, false);
    m->number = 1;
    log_write(master_log(m), LOG_NOTICE, 0, "weir/" WEIR_VERSION " starts");
    worker_spawn(m);
    return true;
}

/* ---- ending ----------------------------------------------------------------------------- */

void master_end(struct master *m, int exit_status)
{
    m->ended = true;
    m->exit_status = exit_status;
}

static void close_loop(struct master *m)
{
    io_timer_stop(m->io, &m->respawn);
    io_timer_stop(m->io, &m->hurry);
    io_timer_stop(m->io, &m->reload_late);
    bell_take_down(&m->bell);
    while (command_close(m) || !bell_down(&m->bell))
        io_turn(m->io, UINT64_MAX);
    io_destroy(m->io);
    m->io = NULL;
}

static void tidy_up(struct master *m)
{
    if (m->worker_is_thread)
        (void)pthread_join(m->worker_thread, NULL);
    if (m->pid_written)
        log_write(master_log(m), LOG_NOTICE, 0, "exit");
    if (m->pid_written)
        (void)unlink(m->pid_path);
    sockets_close(&m->sockets, master_alone(m) && m->pid_written);
    log_files_close(m->config->logs);
    config_destroy(m->config);
}

int master_run(const struct options *options, const struct registry *registry)
{
    struct master *m = &master;

    m->options = options;
    m->registry = registry;
    m->daemon_pipe = m->command_fd = -1;
    m->never_ran = true;
    m->line = (struct order_line){ { -1, -1 }, { -1, -1 } };
    m->config = master_load(m);
    config_print(m->config, false);
    if (!config_good(m->config)) {
        config_destroy(m->config);
        return 1;
    }
    if (!start(m)) {
        tidy_up(m);
        return 1;
    }
    while (!m->ended)
        io_turn(m->io, UINT64_MAX);
    close_loop(m);
    tidy_up(m);
    return m->exit_status;
}
