/* master_upgrade.c - USR2: a new binary takes over the listening sockets while this one goes on.
 *
 * Both accept until somebody decides: WINCH rests the old worker, QUIT ends the old master; or
 * HUP to the old one and QUIT to the new one is the way back.
 */
#include "server/master.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIST_SIZE = 64 * 1024 };

static bool rename_pid(struct master *m, bool aside)
{
    char old[PID_PATH_SIZE + sizeof PID_OLD_SUFFIX];
    size_t size = strlen(m->pid_path), suffix = sizeof PID_OLD_SUFFIX - 1;

    if (aside)
        snprintf(old, sizeof old, "%s" PID_OLD_SUFFIX, m->pid_path);
    else
        snprintf(old, sizeof old, "%.*s", (int)(size - suffix), m->pid_path);
    if (strlen(old) >= sizeof m->pid_path || rename(m->pid_path, old) != 0) {
        log_write(master_log(m), LOG_ALERT, errno, "rename() \"%s\" to \"%s\" failed", m->pid_path,
                  old);
        return false;
    }
    memcpy(m->pid_path, old, strlen(old) + 1);
    return true;
}

/* In the child. */
static void become(struct master *m)
{
    static char list[LIST_SIZE];
    sigset_t none;

    sigemptyset(&none);
    if (sockets_hand_down(&m->sockets, list, sizeof list) &&
        setenv(SOCKETS_VARIABLE, list, 1) == 0) {
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        execvp(m->options->argv[0], m->options->argv);
    }
    log_write(master_log(m), LOG_ALERT, errno, "execve() of \"%s\" failed", m->options->argv[0]);
    _exit(1);
}

void upgrade_begin(struct master *m)
{
    sigset_t all, before;

    if (m->successor != 0 || m->next != NULL || m->stopping || m->quitting) {
        log_write(master_log(m), LOG_NOTICE, 0,
                  "the binary is not changed: a change or a reload is on its way");
        return;
    }
    if (!rename_pid(m, true))
        return;
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();

    if (child == 0)
        become(m);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0) {
        log_write(master_log(m), LOG_ALERT, errno, "fork() failed");
        (void)rename_pid(m, false);
        return;
    }
    m->successor = child;
    log_write(master_log(m), LOG_NOTICE, 0, "start new binary process %d", (int)child);
}

void upgrade_gone(struct master *m, int status)
{
    log_write(master_log(m), LOG_NOTICE, 0, "new binary process %d exited with code %d",
              (int)m->successor, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    m->successor = 0;
    if (!rename_pid(m, false))
        return;
    if (m->resting && !m->stopping && !m->quitting) {
        m->resting = false;
        if (m->worker == 0)
            worker_spawn(m);
    }
}
