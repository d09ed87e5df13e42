/* access_log.c - the directives access_log and open_log_file_cache, and the writing of a line
 * for each request. A line is made on the stack; one longer than that grows in the request's
 * arena, and one longer than LOG_RECORD_MAX is cut off at a variable. */
#include "http/access_log.h"

#include "conf/expr.h"
#include "http/log_format.h"
#include "http/log_target.h"
#include "http/site.h"

#include <limits.h>

enum {
    LINE_ROOM = 4096, /* on the stack: more than nearly every line          */
    CONDITION_ROOM = 256,
    BUFFER_OF_GZIP = 64 * 1024, /* gzip without buffer=: nginx's choices              */
    GZIP_LEVEL = 1,
    CLIENT_GONE = 499, /* nginx's status of a request that nobody waits for   */
};

static uint32_t access_log_index;

/* Set once, before the first loop turns. */
const struct log_writer *log_writer;

struct access_log {
    struct log_policy policy;
    const struct log_format *format;
    struct expr *condition; /* if=; NULL: always                                */
    struct slice below;     /* what a relative policy.path_expr is put behind    */
    const struct conf_node *node;
    struct access_log *next;  /* of the scope                                     */
    struct access_log *older; /* of the configuration                             */
};

struct access_log_conf {
    struct log_formats formats; /* http scope only; first: see log_format_set()      */
    struct access_log *newest;  /* http scope only                                  */
    struct access_log *logs, **end;
    bool off;
    struct log_file_cache cache;
};

static struct access_log_conf *http_conf(struct scope *scope)
{
    while (scope->context != CTX_HTTP && scope->parent != NULL)
        scope = scope->parent;
    return scope_conf(scope, &feature_access_log);
}

/* ---- access_log: options ------------------------------------------------------------------- */

struct option_reading {
    struct conf_load *load;
    const struct conf_node *node;
    unsigned arg;
    struct slice value;
    struct access_log *log;
};

static bool read_buffer(struct option_reading *o)
{
    return conf_parse_size(o->value, &o->log->policy.buffer_size) && o->log->policy.buffer_size > 0;
}

static bool read_flush(struct option_reading *o)
{
    return conf_parse_msec(o->value, &o->log->policy.flush_ms) && o->log->policy.flush_ms > 0;
}

static bool read_gzip(struct option_reading *o)
{
    uint64_t level = GZIP_LEVEL;

    if (o->value.at != NULL && (!slice_to_u64(o->value, 9, &level) || level == 0))
        return false;
    o->log->policy.gzip_level = (int)level;
    if (o->log->policy.buffer_size == 0)
        o->log->policy.buffer_size = BUFFER_OF_GZIP;
    return true;
}

static bool read_if(struct option_reading *o)
{
    o->log->condition = expr_compile_text(o->load, o->node, o->arg, o->value);
    return o->log->condition != NULL;
}

static const struct {
    const char *name;
    bool may_stand_alone;
    bool (*read)(struct option_reading *);
    const char *expected;
} options[] = {
    { "buffer", false, read_buffer, "buffer=size" },
    { "flush", false, read_flush, "flush=time" },
    { "gzip", true, read_gzip, "gzip or gzip=level, from 1 to 9" },
    { "if", false, read_if, NULL }, /* the expression complains itself */
};

static bool read_option(struct conf_load *load, const struct conf_node *node, unsigned arg,
                        struct access_log *log)
{
    struct slice text = conf_arg(node, arg), value = text, name = slice_cut(&value, '=');
    bool alone = name.size == text.size;
    struct option_reading o = { load, node, arg, alone ? (struct slice){ 0 } : value, log };

    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if (!slice_eq(name, slice_str(options[i].name)) || (alone && !options[i].may_stand_alone))
            continue;
        if (options[i].read(&o))
            return true;
        if (options[i].expected != NULL) {
            conf_complain(load, CONF_EMERG, node, (int)arg, "invalid option \"%.*s\"",
                          SLICE_FMT(text));
            conf_hint(load, "expected: %s", options[i].expected);
        }
        return false;
    }
    conf_complain(load, CONF_EMERG, node, (int)arg, "unknown option \"%.*s\"", SLICE_FMT(text));
    conf_hint(load, "expected: buffer=size, flush=time, gzip[=level] or if=condition");
    return false;
}

/* ---- access_log: what goes together ------------------------------------------------------- */

static bool refuse(struct conf_load *load, const struct conf_node *node, const char *why)
{
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "%s", why);
    return false;
}

static bool same_buffering(const struct log_policy *a, const struct log_policy *b)
{
    return a->buffer_size == b->buffer_size && a->flush_ms == b->flush_ms &&
           a->gzip_level == b->gzip_level;
}

static bool policy_ok(struct conf_load *load, const struct conf_node *node,
                      const struct access_log *log)
{
    const struct log_policy *p = &log->policy;

    if (p->flush_ms > 0 && p->buffer_size == 0)
        return refuse(load, node, "flush= needs buffer= or gzip");
    if (p->buffer_size > 0 && p->path_expr != NULL)
        return refuse(load, node, "a log whose path has variables cannot be buffered");
    if (p->buffer_size > 0 && p->target->kind == LOG_TO_SYSLOG)
        return refuse(load, node, "a log that goes to syslog cannot be buffered");
    for (const struct access_log *l = http_conf(conf_scope(load))->newest; l != NULL;
         l = l->older) {
        if (p->target == NULL || l->policy.target != p->target || same_buffering(&l->policy, p))
            continue;
        refuse(load, node, "another access_log writes to this file with other options");
        conf_hint(load, "see line %u of %s", l->node->line, l->node->file->path);
        return false;
    }
    return true;
}

/* ---- access_log: where and how -------------------------------------------------------------- */

static bool read_target(struct conf_load *load, const struct conf_node *node,
                        struct access_log *log)
{
    struct slice text = conf_arg(node, 0);

    if (slice_find(text, '$') == text.size || slice_starts(text, SLICE("syslog:"))) {
        log->policy.target = log_target_want(load, node, 0, false);
        return log->policy.target != NULL;
    }
    log->policy.path_expr = expr_compile(load, node, 0);
    if (text.at[0] != '/')
        log->below = slice_str(conf_prefix(load));
    return log->policy.path_expr != NULL;
}

static bool read_format(struct conf_load *load, const struct conf_node *node,
                        struct access_log *log)
{
    struct log_formats *formats = &http_conf(conf_scope(load))->formats;
    struct slice name = node->arg_count > 1 ? conf_arg(node, 1) : SLICE("combined");
    unsigned arg = node->arg_count > 1 ? 1 : 0;
    const char *near;

    log->format = log_format_find(load, formats, node, arg, name);
    if (log->format != NULL)
        return true;
    conf_complain(load, CONF_EMERG, node, (int)arg, "unknown log format \"%.*s\"", SLICE_FMT(name));
    near = log_format_nearest(load, formats, name);
    if (slice_find(name, '=') < name.size)
        conf_hint(load, "the format's name comes before the options: access_log path combined …");
    else if (near != NULL)
        conf_hint(load, "did you mean \"%s\"?", near);
    return false;
}

static void add_log(struct access_log_conf *conf, struct access_log_conf *http,
                    struct access_log *log)
{
    if (conf->end == NULL)
        conf->end = &conf->logs;
    *conf->end = log;
    conf->end = &log->next;
    log->older = http->newest;
    http->newest = log;
}

static bool set_access_log(struct conf_load *load, const struct conf_node *node, void *own,
                           const struct directive *row)
{
    struct access_log_conf *conf = own;
    struct access_log *log;

    (void)row;
    if (slice_eq(conf_arg(node, 0), SLICE("off"))) {
        conf->off = true;
        return node->arg_count == 1 || refuse(load, node, "\"off\" takes no options");
    }
    log = arena_must(conf_arena(load), sizeof *log);
    log->node = node;
    if (!read_target(load, node, log) || !read_format(load, node, log))
        return false;
    for (unsigned i = 2; i < node->arg_count; i++)
        if (!read_option(load, node, i, log))
            return false;
    if (!policy_ok(load, node, log))
        return false;
    add_log(conf, http_conf(conf_scope(load)), log);
    return true;
}

/* ---- open_log_file_cache --------------------------------------------------------------------- */

static bool parse_count(struct slice text, int64_t *ret)
{
    uint64_t count;

    if (!slice_to_u64(text, 1000000, &count) || count == 0)
        return false;
    *ret = (int64_t)count;
    return true;
}

static const struct {
    const char *name;
    size_t member;
    bool (*parse)(struct slice, int64_t *);
} cache_options[] = {
    { "max", offsetof(struct log_file_cache, max), parse_count },
    { "inactive", offsetof(struct log_file_cache, inactive_ms), conf_parse_msec },
    { "min_uses", offsetof(struct log_file_cache, min_uses), parse_count },
    { "valid", offsetof(struct log_file_cache, valid_ms), conf_parse_msec },
};

static bool read_cache_option(struct slice text, struct log_file_cache *cache)
{
    struct slice value = text, name = slice_cut(&value, '=');

    for (size_t i = 0; i < COUNT_OF(cache_options); i++)
        if (slice_eq(name, slice_str(cache_options[i].name)))
            return cache_options[i].parse(value,
                                          (int64_t *)((char *)cache + cache_options[i].member));
    return false;
}

static bool set_file_cache(struct conf_load *load, const struct conf_node *node, void *own,
                           const struct directive *row)
{
    struct access_log_conf *conf = own;

    (void)row;
    conf->cache = (struct log_file_cache){ .inactive_ms = 10000, .valid_ms = 60000, .min_uses = 1 };
    if (node->arg_count == 1 && slice_eq(conf_arg(node, 0), SLICE("off")))
        return true;
    for (unsigned i = 0; i < node->arg_count; i++) {
        if (read_cache_option(conf_arg(node, i), &conf->cache))
            continue;
        conf_complain(load, CONF_EMERG, node, (int)i, "invalid option \"%.*s\"",
                      SLICE_FMT(conf_arg(node, i)));
        conf_hint(load, "expected: max=n, inactive=time, min_uses=n, valid=time, or off alone");
        return false;
    }
    return conf->cache.max > 0 || refuse(load, node, "max= is missing");
}

/* ---- merging --------------------------------------------------------------------------------- */

/* nginx logs even if nobody asked for it. */
static bool add_default(struct conf_load *load, struct scope *scope, struct access_log_conf *conf)
{
    struct access_log *log = arena_must(conf_arena(load), sizeof *log);

    log->node = scope->node;
    log->policy.target = log_target_want_file(load, scope, scope->node, SLICE(LOG_ACCESS_DEFAULT));
    log->format = log_format_find(load, &conf->formats, scope->node, 0, SLICE("combined"));
    add_log(conf, conf, log);
    return log->policy.target != NULL;
}

static bool access_log_merge(struct conf_load *load, struct scope *scope, const void *parent,
                             void *own)
{
    const struct access_log_conf *outer = parent;
    struct access_log_conf *conf = own;

    if (outer != NULL && !scope_is_set(scope, &feature_access_log, "open_log_file_cache"))
        conf->cache = outer->cache;
    for (struct access_log *l = conf->logs; l != NULL; l = l->next)
        l->policy.cache = conf->cache;
    if (conf->logs != NULL || conf->off)
        return true;
    if (scope->context == CTX_HTTP)
        return add_default(load, scope, conf);
    if (outer != NULL) {
        conf->logs = outer->logs;
        conf->off = outer->off;
    }
    return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* if=: "" and "0" mean no. */
static bool wanted(const struct access_log *log, struct request *r)
{
    char room[CONDITION_ROOM];
    struct gather g;

    if (log->condition == NULL)
        return true;
    gather_init(&g, room, sizeof room, NULL, 0);
    expr_append(log->condition, r, &g, SLICE(""), NULL);
    return g.full || (g.used > 0 && !slice_eq(gather_get(&g), SLICE("0")));
}

/* A path made of what a client sent must not climb out of its directory, nor end early. */
static bool path_ok(struct slice path)
{
    for (size_t i = 0; i < path.size; i++)
        if ((unsigned char)path.at[i] < 0x20)
            return false;
    while (path.size > 0)
        if (slice_eq(slice_cut(&path, '/'), SLICE("..")))
            return false;
    return true;
}

static bool make_path(const struct access_log *log, struct request *r, struct gather *g)
{
    if (log->policy.path_expr == NULL)
        return true;
    gather_slice(g, log->below);
    expr_append(log->policy.path_expr, r, g, SLICE(""), NULL);
    if (!g->full && path_ok(gather_get(g)))
        return true;
    request_log(r, LOG_ERROR, 0, "the path of an access log, \"%.*s\", is refused",
                SLICE_FMT(slice_head(gather_get(g), 256)));
    return false;
}

/* A line that was cut off ends like any other, in place of its last byte if need be. */
static void end_line(struct gather *line)
{
    line->full = false;
    if (!gather_room(line, 1))
        line->used--;
    line->at[line->used++] = '\n';
}

static void write_line(const struct access_log *log, struct request *r)
{
    char line_room[LINE_ROOM], path_room[PATH_MAX];
    struct gather line, path;

    gather_init(&path, path_room, log->policy.path_expr != NULL ? sizeof path_room : 0, NULL, 0);
    if (!make_path(log, r, &path))
        return;
    gather_init(&line, line_room, sizeof line_room, &r->arena, LOG_RECORD_MAX);
    log_format_write(log->format, r, &line);
    end_line(&line);
    log_writer->line(r->loop, &log->policy, gather_get(&path), gather_get(&line));
}

void access_log_request(struct request *r)
{
    const struct access_log_conf *conf = request_conf(r, &feature_access_log);

    if (conf->off || (r->parent != NULL && !core_conf(r)->log_subrequest))
        return;
    if (r->response.status == 0)
        r->response.status = CLIENT_GONE;
    for (const struct access_log *l = conf->logs; l != NULL; l = l->next)
        if (wanted(l, r))
            write_line(l, r);
}

/* ---- the rows -------------------------------------------------------------------------------- */

static const struct directive rows[] = {
    { "access_log", CTX_ANY_HTTP | CTX_IF_LOCATION | CTX_LIMIT_EXCEPT, 1, ARGS_MANY, CONF_CUSTOM,
      .set = set_access_log, .repeats = true, .fallback = LOG_ACCESS_DEFAULT " combined",
      .syntax = "path | syslog:server=address[,option=value …] "
                "[format [buffer=size] [gzip[=level]] [flush=time] [if=condition]] | off",
      .help = "Where a line for each request is written, and in which format.",
      .example = "access_log /var/log/weir/access.log combined buffer=32k flush=5s;" },
    { "log_format", CTX_HTTP, 2, ARGS_MANY, CONF_CUSTOM, .set = log_format_set,
      .inherit = INHERIT_NOT, .repeats = true,
      .syntax = "name [escape=default | json | none] string …",
      .help =
          "Names a format for access_log. Two need no definition: combined, and json, which is one "
          "object a line with time, remote_addr, remote_user, method, uri, protocol, status, "
          "body_bytes_sent, bytes_sent, request_length, request_time, host, server_name, "
          "referer, user_agent, request_id and connection. A log_format json of your own takes "
          "the place of that one.",
      .example = "log_format short '$remote_addr \"$request\" $status';" },
    { "open_log_file_cache", CTX_ANY_HTTP, 1, 4, CONF_CUSTOM, .set = set_file_cache,
      .fallback = "off", .syntax = "max=n [inactive=time] [min_uses=n] [valid=time] | off",
      .help = "Keeps log files open whose path has variables; of the scope that has access_log.",
      .example = "open_log_file_cache max=100 inactive=20s;" },
};

const struct feature feature_access_log = {
    .name = "access_log",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct access_log_conf),
    .merge = access_log_merge,
    .about = "The access log: one line for each request.",
    .index = &access_log_index,
};
