/* main_conf.h - what a configuration says outside of http{}: processes, users, limits, events. */
#ifndef SERVER_MAIN_CONF_H
#define SERVER_MAIN_CONF_H

#include "conf/load.h"

#include <sched.h>

enum { LOOPS_MAX = 256, CONNECTIONS_DEFAULT = 512 };

enum { USE_AUTO, USE_URING, USE_EPOLL, USE_POLL, USE_SELECT, USE_THREADS };

struct env_wish {
    const char *name, *value; /* value NULL: as the master has it                      */
    struct env_wish *next;
};

struct cpu_mask {
    cpu_set_t set;
    struct cpu_mask *next;
};

struct main_conf {
    struct slice user, group; /* size 0: not said                                      */
    int64_t loops;            /* worker_processes; 0: not said; -1: auto               */
    bool affinity_auto;
    struct cpu_mask *masks, **masks_end;
    int64_t priority, rlimit_nofile, rlimit_core; /* 0: as inherited                       */
    int64_t shutdown_ms; /* 0: however long it takes                              */
    bool daemon, master, jit;
    struct slice pid, lock, directory;
    struct slice admin; /* the path of its socket; size 0: not said                    */
    bool admin_off;
    struct env_wish *env;
    /* events{} */
    int use;
    int64_t connections; /* a loop                                                */
};

extern const struct feature feature_main;

/* The main block's struct, and that of events{} (the main block's if there is none). */
const struct main_conf *main_conf_of(const struct scope *root);
const struct main_conf *events_conf_of(const struct scope *root);

/* Where the admin socket is; size 0: there is none. Lives in the arena. */
struct slice main_conf_admin(const struct main_conf *, struct arena *);

/* worker_processes as a number of threads: 1 … LOOPS_MAX. */
unsigned main_conf_loops(const struct main_conf *);

#endif
