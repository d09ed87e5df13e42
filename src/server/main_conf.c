/* main_conf.c - the directives of the main context and of events{}. */
#include "server/main_conf.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

enum { UNIX_PATH_SIZE = 108 };

static uint32_t main_index;

#define SETTER(name)                                                                   \
    static bool name(struct conf_load *load, const struct conf_node *node, void *conf, \
                     const struct directive *row)
#define UNUSED_REST (void)conf, (void)row

static const char *text_of(struct conf_load *load, struct slice s)
{
    struct slice copy = arena_copy(conf_arena(load), s);

    CHECK(copy.at != NULL);
    return copy.at;
}

/* ---- users ------------------------------------------------------------------------------ */

SETTER(set_user)
{
    struct main_conf *main = conf;

    (void)row;
    if (geteuid() != 0) {
        conf_complain(load, CONF_NOTICE, node, CONF_AT_NAME,
                      "without super-user rights the user cannot be changed; it stays as it is");
        return true;
    }
    if (getpwnam(text_of(load, conf_arg(node, 0))) == NULL) {
        conf_complain(load, CONF_EMERG, node, 0, "there is no user \"%.*s\" on this machine",
                      SLICE_FMT(conf_arg(node, 0)));
        return false;
    }
    if (node->arg_count > 1 && getgrnam(text_of(load, conf_arg(node, 1))) == NULL) {
        conf_complain(load, CONF_EMERG, node, 1, "there is no group \"%.*s\" on this machine",
                      SLICE_FMT(conf_arg(node, 1)));
        return false;
    }
    main->user = conf_arg(node, 0);
    main->group = conf_arg(node, 1);
    return true;
}

/* ---- processors ------------------------------------------------------------------------- */

SETTER(set_loops)
{
    struct main_conf *main = conf;
    uint64_t n;

    (void)row;
    if (slice_eq(conf_arg(node, 0), SLICE("auto"))) {
        main->loops = -1;
        return true;
    }
    if (slice_to_u64(conf_arg(node, 0), LOOPS_MAX, &n) && n > 0) {
        main->loops = (int64_t)n;
        return true;
    }
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a number of workers",
                  SLICE_FMT(conf_arg(node, 0)));
    conf_hint(load, "expected: auto or 1 to %d", LOOPS_MAX);
    return false;
}

/* "0101": the last digit is processor 0. */
static bool read_mask(struct slice text, cpu_set_t *ret)
{
    CPU_ZERO(ret);
    if (text.size == 0 || text.size > CPU_SETSIZE)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[text.size - 1 - i];

        if (c != '0' && c != '1')
            return false;
        if (c == '1')
            CPU_SET(i, ret);
    }
    return true;
}

SETTER(set_affinity)
{
    struct main_conf *main = conf;
    unsigned first = 0;

    (void)row;
    main->masks_end = &main->masks;
    if (slice_eq(conf_arg(node, 0), SLICE("auto"))) {
        main->affinity_auto = true;
        first = 1;
    }
    for (unsigned i = first; i < node->arg_count; i++) {
        struct cpu_mask *m = arena_must(conf_arena(load), sizeof *m);

        if (!read_mask(conf_arg(node, i), &m->set)) {
            conf_complain(load, CONF_EMERG, node, (int)i, "\"%.*s\" is not a mask of processors",
                          SLICE_FMT(conf_arg(node, i)));
            conf_hint(load, "expected: auto, or digits 0 and 1, the last one for processor 0");
            return false;
        }
        *main->masks_end = m;
        main->masks_end = &m->next;
    }
    return true;
}

SETTER(set_priority)
{
    struct slice text = conf_arg(node, 0);
    bool negative = text.size > 0 && text.at[0] == '-';
    uint64_t n;

    (void)row;
    if (slice_to_u64(negative ? slice_skip(text, 1) : text, negative ? 20 : 19, &n)) {
        ((struct main_conf *)conf)->priority = negative ? -(int64_t)n : (int64_t)n;
        return true;
    }
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a priority", SLICE_FMT(text));
    conf_hint(load, "expected: -20 (first) to 19 (last)");
    return false;
}

/* ---- the environment -------------------------------------------------------------------- */

SETTER(set_env)
{
    struct main_conf *main = conf;
    struct slice value = conf_arg(node, 0), name = slice_cut(&value, '=');
    struct env_wish *e = arena_must(conf_arena(load), sizeof *e);

    (void)row;
    if (name.size == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "the variable's name is missing");
        return false;
    }
    e->name = text_of(load, name);
    e->value = name.size < conf_arg(node, 0).size ? text_of(load, value) : NULL;
    e->next = main->env;
    main->env = e;
    return true;
}

/* ---- the admin socket ------------------------------------------------------------------- */

SETTER(set_admin)
{
    struct main_conf *main = conf;
    struct slice text = conf_arg(node, 0), path;

    (void)row;
    main->admin_off = slice_eq(text, SLICE("off"));
    if (main->admin_off)
        return true;
    path = slice_skip(text, slice_starts(text, SLICE("unix:")) ? 5 : 0);
    if (path.size == text.size || path.size == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is no unix socket", SLICE_FMT(text));
        conf_hint(load, "expected: unix:/path or off");
        return false;
    }
    main->admin = arena_printf(conf_arena(load), "%s%.*s",
                               path.at[0] == '/' ? "" : conf_prefix(load), SLICE_FMT(path));
    CHECK(main->admin.at != NULL);
    if (main->admin.size < UNIX_PATH_SIZE)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "a unix socket's path has 1 to %d bytes",
                  UNIX_PATH_SIZE - 1);
    return false;
}

/* ---- what means nothing here ------------------------------------------------------------ */

static const struct {
    const char *name, *why;
} pointless[] = {
    { "accept_mutex", "every loop accepts by itself and hands connections to the least busy one" },
    { "accept_mutex_delay", "there is no accept mutex" },
    { "multi_accept", "a loop always accepts everything that waits" },
    { "worker_aio_requests", "there is no Linux AIO context to size" },
    { "lock_file", "no locks are kept in files" },
    { "timer_resolution", "the time is read once per turn of a loop in any case" },
    { "thread_pool", "helper threads are started as they are needed" },
    { "debug_points", "a failed check always stops the worker with a report" },
    { "load_module", "everything is in the box" },
    { "ssl_engine", "OpenSSL providers are set in openssl.cnf" },
};

SETTER(set_pointless)
{
    UNUSED_REST;
    for (size_t i = 0; i < COUNT_OF(pointless); i++)
        if (slice_eq(node->name, slice_str(pointless[i].name)))
            conf_complain(load, CONF_NOTICE, node, CONF_AT_NAME, "\"%s\" has no effect: %s",
                          pointless[i].name, pointless[i].why);
    return true;
}

/* ---- events{} --------------------------------------------------------------------------- */

static const struct {
    const char *word;
    int use;
    bool foreign; /* of another system                                       */
} methods[] = {
    { "auto", USE_AUTO, false },     { "io_uring", USE_URING, false },
    { "epoll", USE_EPOLL, false },   { "poll", USE_POLL, false },
    { "select", USE_SELECT, false }, { "threads", USE_THREADS, false },
    { "kqueue", USE_AUTO, true },    { "eventport", USE_AUTO, true },
    { "/dev/poll", USE_AUTO, true }, { "rtsig", USE_AUTO, true },
    { "devpoll", USE_AUTO, true },   { "iocp", USE_AUTO, true },
};

SETTER(set_use)
{
    struct slice text = conf_arg(node, 0);
    const char *words[COUNT_OF(methods)];

    (void)row;
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        words[i] = methods[i].word;
        if (!slice_eq(text, slice_str(words[i])))
            continue;
        ((struct main_conf *)conf)->use = methods[i].use;
        if (methods[i].foreign)
            conf_complain(load, CONF_NOTICE, node, 0,
                          "\"%s\" is not a method of Linux; \"auto\" is used", words[i]);
        return true;
    }
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not an event method", SLICE_FMT(text));
    const char *near = conf_nearest(text, words, COUNT_OF(words));

    if (near != NULL)
        conf_hint(load, "help: did you mean \"%s\"?", near);
    else
        conf_hint(load, "expected: auto, io_uring, epoll, poll, select or threads");
    return false;
}

SETTER(set_events)
{
    UNUSED_REST;
    return conf_enter(load, node, CTX_EVENTS, NULL) != NULL;
}

/* ---- reading back ----------------------------------------------------------------------- */

const struct main_conf *main_conf_of(const struct scope *root)
{
    return scope_conf(root, &feature_main);
}

const struct main_conf *events_conf_of(const struct scope *root)
{
    for (const struct scope *s = root->children; s != NULL; s = s->next)
        if (s->context == CTX_EVENTS)
            return scope_conf(s, &feature_main);
    return main_conf_of(root);
}

unsigned main_conf_loops(const struct main_conf *main)
{
    cpu_set_t set;

    if (main->loops > 0)
        return (unsigned)main->loops;
    if (main->loops == 0)
        return 1;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);

    return count < 1 ? 1 : count > LOOPS_MAX ? LOOPS_MAX : (unsigned)count;
}

/* ---- the rows --------------------------------------------------------------------------- */

#define M(member) offsetof(struct main_conf, member)
#define POINTLESS(text, where, least, most, arguments)                  \
    {                                                                   \
        text, where, least, most, CONF_CUSTOM,                          \
            .set = set_pointless, .repeats = true, .syntax = arguments, \
            .help = "Accepted with a notice: it has no effect here."    \
    }

static const struct directive rows[] = {
    { "user", CTX_MAIN, 1, 2, CONF_CUSTOM, .set = set_user, .syntax = "user [group]",
      .help = "Whom the worker runs as when the master is root; nobody if nothing is said.",
      .example = "user www-data;" },
    { "worker_processes", CTX_MAIN, 1, 1, CONF_CUSTOM, .set = set_loops, .syntax = "number | auto",
      .help = "How many loops share the work: threads of one worker process. auto: one for each "
              "processor.",
      .example = "worker_processes auto;" },
    { "worker_cpu_affinity", CTX_MAIN, 1, ARGS_MANY, CONF_CUSTOM, .set = set_affinity,
      .syntax = "mask … | auto [mask]", .help = "The processors that each loop may run on.",
      .example = "worker_cpu_affinity auto;" },
    { "worker_priority", CTX_MAIN, 1, 1, CONF_CUSTOM, .set = set_priority, .syntax = "number",
      .help = "The worker's nice value, -20 to 19." },
    { "worker_rlimit_nofile", CTX_MAIN, 1, 1, CONF_NUMBER, M(rlimit_nofile), NULL, .min = 16,
      .max = 1 << 30, .syntax = "number",
      .help = "How many descriptors the worker may have open." },
    { "worker_rlimit_core", CTX_MAIN, 1, 1, CONF_SIZE, M(rlimit_core), NULL, .syntax = "size",
      .help = "The largest core dump of the worker." },
    { "worker_shutdown_timeout", CTX_MAIN, 1, 1, CONF_MSEC, M(shutdown_ms), NULL, .syntax = "time",
      .help = "How long a graceful quit may take before connections are closed by force." },
    { "daemon", CTX_MAIN, 1, 1, CONF_FLAG, M(daemon), "on", .syntax = "on | off",
      .help = "Whether to go to the background." },
    { "master_process", CTX_MAIN, 1, 1, CONF_FLAG, M(master), "on", .syntax = "on | off",
      .help = "Whether the worker is a process of its own; off is for debugging." },
    { "pid", CTX_MAIN, 1, 1, CONF_PATH, M(pid), WEIR_PID_PATH, .syntax = "file",
      .help = "The file with the master's process id." },
    { "admin", CTX_MAIN, 1, 1, CONF_CUSTOM, .set = set_admin, .inherit = INHERIT_NOT,
      .syntax = "unix:path | off",
      .help = "The socket at which `weir upstream` and other programs of the same user find the "
              "API, with write=on; its mode is 0600. If it is not said, it is beside the pid file: "
              "weir-admin.sock beside weir.pid.",
      .example = "admin unix:/run/weir-admin.sock;" },
    { "env", CTX_MAIN, 1, 1, CONF_CUSTOM, .set = set_env, .repeats = true,
      .syntax = "variable[=value]",
      .help = "An environment variable that the worker keeps, or gets; the others are removed." },
    { "working_directory", CTX_MAIN, 1, 1, CONF_PATH, M(directory), NULL, .syntax = "directory",
      .help = "The worker's current directory: where a core dump goes." },
    { "pcre_jit", CTX_MAIN, 1, 1, CONF_FLAG, M(jit), "off", .syntax = "on | off",
      .help = "Accepted: regular expressions are always compiled to machine code where the "
              "machine allows it." },
    { "events", CTX_MAIN, 0, 0, CONF_BLOCK, .set = set_events, .syntax = "{ … }",
      .help = "How connections are waited for." },
    { "use", CTX_EVENTS, 1, 1, CONF_CUSTOM, .set = set_use,
      .syntax = "auto | io_uring | epoll | poll | select | threads",
      .help = "The engine under all connections. auto: io_uring if the machine runs it at full "
              "scale, else epoll.",
      .example = "use epoll;" },
    { "worker_connections", CTX_EVENTS, 1, 1, CONF_NUMBER, M(connections), "512", .min = 1,
      .max = 1 << 24, .syntax = "number",
      .help = "How many connections one loop may have; when it is short of them, the ones that "
              "have been idle longest are closed." },
    { "debug_connection", CTX_EVENTS, 1, 1, CONF_CUSTOM, .set = set_pointless, .repeats = true,
      .syntax = "address | CIDR | unix:",
      .help = "Accepted: the debug level is chosen by error_log." },
    POINTLESS("accept_mutex", CTX_EVENTS, 1, 1, "on | off"),
    POINTLESS("accept_mutex_delay", CTX_EVENTS, 1, 1, "time"),
    POINTLESS("multi_accept", CTX_EVENTS, 1, 1, "on | off"),
    POINTLESS("worker_aio_requests", CTX_EVENTS, 1, 1, "number"),
    POINTLESS("lock_file", CTX_MAIN, 1, 1, "file"),
    POINTLESS("timer_resolution", CTX_MAIN, 1, 1, "interval"),
    POINTLESS("thread_pool", CTX_MAIN, 2, 3, "name threads=number [max_queue=number]"),
    POINTLESS("debug_points", CTX_MAIN, 1, 1, "abort | stop"),
    POINTLESS("load_module", CTX_MAIN, 1, 1, "file"),
    POINTLESS("ssl_engine", CTX_MAIN, 1, 1, "device"),
};

const struct feature feature_main = {
    .name = "main",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct main_conf),
    .about = "The process as a whole: who it runs as, how many loops it has, how it waits.",
    .index = &main_index,
};

struct slice main_conf_admin(const struct main_conf *main, struct arena *arena)
{
    struct slice name = main->pid, path;

    if (main->admin_off || main->admin.size > 0)
        return main->admin;
    if (slice_ends(name, SLICE(".pid")))
        name.size -= 4;
    path = arena_printf(arena, "%.*s-admin.sock", SLICE_FMT(name));
    CHECK(path.at != NULL);
    return path.size < UNIX_PATH_SIZE ? path : (struct slice){ 0 };
}
