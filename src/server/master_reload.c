/* master_reload.c - a new configuration beside the old one: all of it comes into force, or
 * nothing changes.
 *
 * load, open sockets and logs -> the worker builds it and its loops switch -> commit; at any
 * failure -> abandon. Whoever asked through `weir -s reload` is told the outcome.
 */
#include "server/master.h"

#include "base/clock.h"
#include "conf/zone.h"
#include "server/log_files.h"
#include "server/state_files.h"
#include "server/temp_dirs.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORKER_LATE_MS = 60000 };

struct config *master_load(const struct master *m)
{
    const struct options *o = m->options;
    struct config_place place = { o->prefix, o->conf, o->globals };
    struct config *c = config_create(m->registry, &place, true);

    if (o->conf_text != NULL)
        source_add(&c->source, SOURCE_FILE, o->conf, 0, slice_str(o->conf_text), false);
    config_to_run(c);
    c->source.before = m->config != NULL ? &m->config->source : NULL;
    config_read(c);
    c->source.before = NULL;
    if (m->config != NULL)
        zones_compare(c->load, m->config->load);
    return c;
}

/* ---- the end of an attempt -------------------------------------------------------------- */

static void move_pid_file(struct master *m)
{
    char path[PID_PATH_SIZE];
    struct slice wanted = m->config->main->pid;
    int error;

    if (slice_eq(wanted, slice_str(m->pid_path)) || m->successor != 0)
        return;
    snprintf(path, sizeof path, "%.*s", SLICE_FMT(wanted));
    error = pid_file_write(path);
    if (error != 0) {
        log_write(master_log(m), LOG_ALERT, -error, "open() \"%s\" failed; the pid file stays",
                  path);
        return;
    }
    (void)unlink(m->pid_path);
    memcpy(m->pid_path, path, sizeof path);
}

static void commit(struct master *m)
{
    sockets_commit(&m->sockets, master_alone(m));
    log_files_close(m->config->logs);
    config_destroy(m->config);
    m->config = m->next;
    m->next = NULL;
    m->number++;
    move_pid_file(m);
    log_write(master_log(m), LOG_NOTICE, 0, "the new configuration is in force");
}

static void abandon(struct master *m, const char *text)
{
    sockets_abandon(&m->sockets);
    if (m->next->logs != NULL)
        log_files_close(m->next->logs);
    config_destroy(m->next);
    m->next = NULL;
    log_write(master_log(m), LOG_ERROR, 0, "%s", text);
    log_write(master_log(m), LOG_ERROR, 0,
              "the new configuration was refused; the old one stays in force");
}

void reload_outcome(struct master *m, bool good, const char *text)
{
    io_timer_stop(m->io, &m->reload_late);
    if (good)
        commit(m);
    else
        abandon(m, text);
    size_t used = strlen(m->text);

    if (text[0] != '\0')
        snprintf(m->text + used, sizeof m->text - used, "%s\n", text);
    command_answer(m, m->attempts, good);
    if (m->reload_again && !m->stopping && !m->quitting) {
        m->reload_again = false;
        reload_begin(m);
    }
}

/* A worker that does not answer has a loop that hangs; what it was told may still happen. */
static void on_late(struct io *io, struct io_timer *timer)
{
    struct master *m = container_of(timer, struct master, reload_late);

    (void)io;
    log_write(master_log(m), LOG_ALERT, 0, "the worker does not answer: it is replaced");
    if (!m->worker_is_thread && m->worker != 0)
        (void)kill(m->worker, SIGKILL);
}

/* ---- its beginning ---------------------------------------------------------------------- */

static bool prepare(struct master *m, char *text, size_t size)
{
    struct gather g;

    m->next = master_load(m);
    gather_init(&g, m->text, sizeof m->text - 1, NULL, 0);
    config_log(m->next, master_log(m), &g);
    m->text[g.used] = '\0';
    if (!config_good(m->next)) {
        snprintf(text, size, "the configuration has errors");
        return false;
    }
    log_files_keep(m->next->logs, m->config->logs);
    if (!log_files_open(m->next->logs, text, size) || !temp_dirs_make(m->next, text, size))
        return false;
    states_prepare(m->next);
    return sockets_prepare(&m->sockets, m->next->site, m->loops, false, text, size);
}

void reload_begin(struct master *m)
{
    char text[REPORT_TEXT_SIZE] = "";

    if (m->next != NULL) {
        m->reload_again = true;
        return;
    }
    m->attempts++;
    m->text[0] = '\0';
    if (!prepare(m, text, sizeof text)) {
        reload_outcome(m, false, text);
        return;
    }
    if (m->worker == 0) { /* between two workers: the next one starts on it */
        reload_outcome(m, true, "");
        return;
    }
    if (!worker_send_generation(m, m->next, m->number + 1, text, sizeof text)) {
        reload_outcome(m, false, text);
        return;
    }
    io_timer_set(m->io, &m->reload_late, (uint64_t)WORKER_LATE_MS * NS_PER_MS, on_late);
}
