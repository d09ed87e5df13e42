/* config.c - loads a configuration and keeps together what belongs to it. */
#include "server/config.h"

#include "http/core.h"
#include "server/features.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCK_SIZE = 64 * 1024 };

static const char *keep(struct config *c, const char *text)
{
    struct slice copy;

    if (text == NULL)
        return NULL;
    copy = arena_copy(&c->arena, slice_str(text));
    CHECK(copy.at != NULL);
    return copy.at;
}

struct config *config_create(const struct registry *registry, const struct config_place *place,
                             bool disk)
{
    struct config *c = calloc(1, sizeof *c);

    CHECK(c != NULL);
    arena_init(&c->arena, NULL, 0, BLOCK_SIZE, SIZE_MAX);
    source_init(&c->source, disk);
    c->place.prefix = keep(c, place->prefix);
    c->place.conf_path = keep(c, place->conf_path);
    c->place.globals = keep(c, place->globals);
    c->load = conf_load_create(registry, &c->source.base, &c->arena, c->place.prefix);
    if (place->globals != NULL)
        conf_load_globals(c->load, c->place.globals);
    return c;
}

/* ---- the admin socket ------------------------------------------------------------------- */

/* Nobody but the user can connect to it; what http{} says of who may come in does not matter. */
static const char admin_name[] = "(admin)";
static const char admin_text[] = "server { access_log off; allow all; auth_basic off; "
                                 "auth_request off; location /api { api write=on; } "
                                 "location / { return 404; } }";

enum { ADMIN_MODE = 0600 };

void config_to_run(struct config *c)
{
    c->runs = true;
    conf_load_extra(c->load, CTX_HTTP, admin_name, admin_text);
}

static struct server **admin_server(struct site *site)
{
    struct server **at = &site->servers;

    while (*at != NULL && (*at)->node->file->path != admin_name)
        at = &(*at)->next;
    return at;
}

/* Its server listens at a path that is known only by now, or goes. */
static bool admin_settle(struct config *c)
{
    for (struct scope *s = c->root->children; s != NULL && c->runs; s = s->next) {
        struct slice path = main_conf_admin(main_conf_of(c->root), &c->arena);
        struct server **at = s->context == CTX_HTTP ? admin_server(s->object) : NULL;

        if (at != NULL && path.size == 0)
            *at = NULL; /* it was the last one */
        else if (at != NULL && !listen_unix(c->load, s->object, *at, path, ADMIN_MODE))
            return false;
    }
    return true;
}

/* ---- loading ---------------------------------------------------------------------------- */

void config_read(struct config *c)
{
    c->root = conf_load_run(c->load, c->place.conf_path);
    if (c->root == NULL || conf_load_errors(c->load) > 0 || !admin_settle(c))
        return;
    c->site = site_build(c->load, c->root);
    if (!config_good(c))
        return;
    for (struct scope *s = c->root->children; s != NULL; s = s->next)
        if (s->context == CTX_HTTP)
            pipeline_fit(&pipeline, s);
    c->main = main_conf_of(c->root);
    c->events = events_conf_of(c->root);
    c->logs = log_targets_of(c->root);
}

bool config_good(const struct config *c)
{
    return c->root != NULL && c->site != NULL && conf_load_errors(c->load) == 0;
}

void config_destroy(struct config *c)
{
    regex_free_all(conf_regexes(c->load));
    conf_load_destroy(c->load);
    arena_done(&c->arena);
    source_done(&c->source);
    if (c->map.at != NULL)
        munmap((void *)(uintptr_t)c->map.at, c->map.size);
    free(c);
}

/* ---- complaints ------------------------------------------------------------------------- */

struct printing {
    bool quiet;
};

static void print_one(void *arg, struct slice text, enum conf_severity severity)
{
    const struct printing *p = arg;

    if (!p->quiet || severity == CONF_EMERG)
        fprintf(stderr, "weir: %.*s", SLICE_FMT(text));
}

void config_print(const struct config *c, bool quiet)
{
    struct printing p = { quiet };

    conf_load_report(c->load, isatty(STDERR_FILENO) == 1, print_one, &p);
}

struct logging {
    const struct log *log;
    struct gather *text;
};

/* A complaint has several lines; each becomes a line of the log. */
static void log_one(void *arg, struct slice text, enum conf_severity severity)
{
    static const enum log_level levels[] = {
        [CONF_NOTICE] = LOG_NOTICE, [CONF_WARN] = LOG_WARN, [CONF_EMERG] = LOG_EMERG
    };
    const struct logging *l = arg;

    if (l->text != NULL && severity == CONF_EMERG)
        gather_slice(l->text, text);
    while (text.size > 0) {
        struct slice line = slice_cut(&text, '\n');

        if (line.size > 0)
            log_write(l->log, levels[severity], 0, "%.*s", SLICE_FMT(line));
    }
}

void config_log(const struct config *c, const struct log *log, struct gather *g)
{
    struct logging l = { log, g };

    conf_load_report(c->load, false, log_one, &l);
}
