/* master.h - the process with the privileges: it holds the sockets, the logs and the worker.
 *
 *   master_run(options, registry)            start, until the end; the exit status
 *
 * It parses configuration files and nothing that comes from a network. All it does happens in
 * callbacks of one small I/O loop: signals and the worker's reports come in there, reloads and
 * upgrades are steps that follow one another, never a wait.
 */
#ifndef SERVER_MASTER_H
#define SERVER_MASTER_H

#include "server/bell.h"
#include "server/config.h"
#include "server/order.h"
#include "server/pid_file.h"
#include "server/sockets.h"

#include <pthread.h>
#include <signal.h>

enum { MASTER_CLIENTS_MAX = 16, MASTER_TEXT_SIZE = 32 * 1024 };

struct master;

/* Somebody who waits for a reload's outcome: `weir -s reload`. */
struct master_client {
    struct master *master;
    struct io_op rx, end;
    int fd;
    bool used, asked, closing;
    uint32_t waits_for; /* the number of the reload                               */
};

struct master {
    const struct options *options;
    const struct registry *registry;
    struct io *io;
    struct bell bell;
    struct sockets sockets;
    char pid_path[PID_PATH_SIZE];
    bool pid_written;
    bool background; /* nobody sees our standard error stream any more          */
    int daemon_pipe; /* tells the command that started us how it went; or -1   */
    int exit_status;
    bool ended;

    /* The configuration in force. */
    struct config *config;
    uint32_t number; /* of its generation                                      */
    unsigned loops;

    /* The worker. */
    pid_t worker;            /* 0: none                                                */
    pthread_t worker_thread; /* master_process off                                     */
    bool worker_is_thread, worker_running, worker_quitting;
    struct order_line line;
    struct io_op reports, line_end;
    bool never_ran, hopeless; /* no worker has run yet; none will                       */
    struct io_timer respawn, hurry;
    uint64_t worker_since_ns;
    uint32_t respawned;  /* how often a worker took the place of one that died      */
    uint32_t respawn_ms; /* the next wait                                          */

    /* A reload on its way. */
    struct config *next; /* NULL: none                                             */
    uint32_t attempts;   /* reloads begun                                          */
    bool reload_again;   /* asked for while one was on its way                     */
    struct io_timer reload_late;
    char text[MASTER_TEXT_SIZE]; /* what the last one came to                              */

    /* Commands over the master's socket. */
    int command_fd;
    struct io_op command_accept, command_end;
    struct master_client clients[MASTER_CLIENTS_MAX];

    bool stopping, quitting;
    bool resting;      /* WINCH: no worker on purpose                            */
    pid_t successor;   /* the binary that USR2 started; 0: none                   */
    pid_t predecessor; /* the master that started us so; 0: none                  */
};

int master_run(const struct options *, const struct registry *);

/* The log to write to: of the configuration in force. */
const struct log *master_log(const struct master *);
/* Nobody else accepts on our sockets. */
bool master_alone(const struct master *);
void master_end(struct master *, int exit_status);
/* In the background, reports of failed checks belong to the error log: once the worker runs. */
void master_stderr_to_log(const struct master *);

/* master_worker.c */
void worker_spawn(struct master *);
bool worker_send_generation(struct master *, const struct config *, uint32_t number, char *text,
                            size_t size) MUST_USE;
void worker_send_reopen(struct master *);
void worker_quit(struct master *);
void worker_stop(struct master *);
void worker_reap(struct master *); /* after SIGCHLD                                 */

/* master_reload.c */
void reload_begin(struct master *);
void reload_outcome(struct master *, bool good, const char *text);
struct config *master_load(const struct master *);

/* master_command.c */
bool command_open(struct master *);
/* True: some of it is still to be closed, call it again after a turn. */
bool command_close(struct master *);
void command_answer(struct master *, uint32_t attempt, bool good);

/* master_upgrade.c */
void upgrade_begin(struct master *);
void upgrade_gone(struct master *, int status);

#endif
