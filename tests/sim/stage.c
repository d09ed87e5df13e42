/* stage.c - loads a configuration from memory, and makes the loop that the server would. */
#include "sim/stage.h"

#include "http/log_target.h"
#include "proto/http1.h"
#include "server/features.h"

#include <errno.h>
#include <unistd.h>

struct stage stage;
uint64_t seed_now;

void stage_begin(void)
{
    snprintf(stage.dir, sizeof stage.dir, "/tmp/weir-sim-XXXXXX");
    MUST(mkdtemp(stage.dir) != NULL);
    stage.registry = registry_create(features);
}

void stage_end(void)
{
    char command[128];

    registry_destroy(stage.registry);
    snprintf(command, sizeof command, "rm -r %s", stage.dir);
    MUST(system(command) == 0);
}

/* ---- the configuration ------------------------------------------------------------------- */

static int read_text(struct conf_source *s, const char *path, struct slice *ret)
{
    (void)s;
    (void)path;
    *ret = slice_str(stage.text);
    return 0;
}

static int glob_nothing(struct conf_source *s, const char *pattern,
                        void (*each)(void *arg, const char *path), void *arg)
{
    (void)s;
    (void)pattern;
    (void)each;
    (void)arg;
    return -ENOENT;
}

static void complain(void *arg, struct slice text, enum conf_severity severity)
{
    (void)arg;
    (void)severity;
    fprintf(stderr, "%.*s", SLICE_FMT(text));
}

/* What a configuration logs to "stderr" is seen; nothing else is opened. */
static void open_logs(struct scope *root)
{
    for (struct log_target *t = log_targets_of(root)->first; t != NULL; t = t->next)
        if (t->kind == LOG_TO_STDERR)
            t->sink.fd = STDERR_FILENO;
}

void stage_load(void)
{
    struct conf_load *load;
    struct scope *root;

    stage.source = (struct conf_source){ .read = read_text, .glob = glob_nothing };
    arena_init(&stage.arena, NULL, 0, 65536, SIZE_MAX);
    load = conf_load_create(stage.registry, &stage.source, &stage.arena, "/tmp/");
    root = conf_load_run(load, "/tmp/weir.conf");
    stage.site = root != NULL && conf_load_errors(load) == 0 ? site_build(load, root) : NULL;
    conf_load_report(load, false, complain, NULL);
    MUST(stage.site != NULL);
    open_logs(root);
    stage.regexes = conf_regexes(load);
    conf_load_destroy(load);
    stage.by_listener[0] = stage.site->listeners;
    stage.site->by_listener = stage.by_listener;
    stage.site->listener_count = 1;
    memset(stage.uses, 0, sizeof stage.uses);
    stage.site->uses = stage.uses;
}

void stage_unload(void)
{
    regex_free_all(stage.regexes);
    arena_done(&stage.arena);
}

/* ---- the loop ---------------------------------------------------------------------------- */

static void site_unused(struct loop *loop, struct site *site)
{
    (void)loop;
    (void)site;
}

struct loop *stage_open(struct io *io)
{
    struct loop *loop = &stage.loop;

    memset(loop, 0, sizeof *loop);
    loop->io = io;
    loop->now = io_now_ns;
    loop->site = stage.site;
    loop->site_unused = site_unused;
    loop->pipeline = &pipeline;
    loop->conn_number_step = 1;
    list_init(&loop->conns);
    list_init(&loop->idle);
    slab_init(&loop->conn_slab, sizeof(struct conn), 8);
    slab_init(&loop->request_slab, REQUEST_SLOT, 8);
    slab_init(&loop->out_slab, HTTP1_OUT_SLOT, 8);
    MUST(features_loop_open(loop) == 0);
    return loop;
}

void stage_close(struct loop *loop)
{
    features_loop_close(loop);
    slab_done(&loop->conn_slab);
    slab_done(&loop->request_slab);
    slab_done(&loop->out_slab);
}
