/* log_target.c - reads where a log shall go: a file, stderr, or syslog with its options. */
#include "http/log_target.h"

#include "base/log_ring.h"

#include <stdio.h>

/* ---- syslog: ------------------------------------------------------------------------ */

enum { FACILITY_DEFAULT = 23, SEVERITY_DEFAULT = 6 }; /* local7, info: nginx's defaults */

static const char *const facilities[] = {
    "kern",   "user",   "mail",     "daemon", "auth",   "intern", "lpr",    "news",
    "uucp",   "clock",  "authpriv", "ftp",    "ntp",    "audit",  "alert",  "cron",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7",
};
static const char *const severities[] = {
    "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
};

/* What one option is read with. */
struct reading {
    struct conf_load *load;
    const struct conf_node *node;
    int arg;
    struct log_syslog *into;
};

static bool refuse(const struct reading *r, const char *option, struct slice value)
{
    conf_complain(r->load, CONF_EMERG, r->node, r->arg, "\"%.*s\" is not a syslog %s",
                  SLICE_FMT(value), option);
    return false;
}

static bool read_word(const struct reading *r, const char *option, struct slice value,
                      const char *const *words, size_t count, int *ret)
{
    const char *near;

    for (size_t i = 0; i < count; i++) {
        if (slice_eq_nocase(value, slice_str(words[i]))) {
            *ret = (int)i;
            return true;
        }
    }
    near = conf_nearest(value, words, count);
    refuse(r, option, value);
    if (near != NULL)
        conf_hint(r->load, "did you mean \"%s\"?", near);
    return false;
}

static bool read_server(const struct reading *r, struct slice value)
{
    if (value.size == 0 || slice_eq(value, SLICE("unix:")))
        return refuse(r, "server", value);
    r->into->server = value;
    return true;
}

static bool read_facility(const struct reading *r, struct slice value)
{
    return read_word(r, "facility", value, facilities, COUNT_OF(facilities), &r->into->facility);
}

static bool read_severity(const struct reading *r, struct slice value)
{
    return read_word(r, "severity", value, severities, COUNT_OF(severities), &r->into->severity);
}

static bool tag_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool read_tag(const struct reading *r, struct slice value)
{
    bool fits = value.size > 0 && value.size < sizeof((struct log_sink *)NULL)->syslog_tag;

    for (size_t i = 0; fits && i < value.size; i++)
        fits = tag_byte(value.at[i]);
    if (!fits) {
        refuse(r, "tag", value);
        conf_hint(r->load, "expected: 1 to %zu letters, digits or \"_\"",
                  sizeof((struct log_sink *)NULL)->syslog_tag - 1);
        return false;
    }
    r->into->tag = value;
    return true;
}

static bool read_nohostname(const struct reading *r, struct slice value)
{
    (void)value;
    r->into->no_hostname = true;
    return true;
}

static const struct {
    const char *name;
    bool has_value;
    bool (*read)(const struct reading *, struct slice value);
} options[] = {
    { "server", true, read_server },          { "facility", true, read_facility },
    { "severity", true, read_severity },      { "tag", true, read_tag },
    { "nohostname", false, read_nohostname },
};

static bool read_option(const struct reading *r, struct slice option)
{
    struct slice value = option, name = slice_cut(&value, '=');
    bool has_value = name.size < option.size;

    for (size_t i = 0; i < COUNT_OF(options); i++)
        if (slice_eq(name, slice_str(options[i].name)) && has_value == options[i].has_value)
            return options[i].read(r, value);
    conf_complain(r->load, CONF_EMERG, r->node, r->arg, "unknown syslog option \"%.*s\"",
                  SLICE_FMT(option));
    conf_hint(r->load, "expected: server=address, facility=, severity=, tag= or nohostname");
    return false;
}

static bool read_syslog(struct conf_load *load, const struct conf_node *node, unsigned arg,
                        struct slice text, struct log_target *t)
{
    struct reading r = { load, node, (int)arg, &t->syslog };

    t->kind = LOG_TO_SYSLOG;
    t->syslog = (struct log_syslog){
        .facility = FACILITY_DEFAULT,
        .severity = SEVERITY_DEFAULT,
        .tag = SLICE("weir"),
    };
    while (text.size > 0)
        if (!read_option(&r, slice_cut(&text, ',')))
            return false;
    if (t->syslog.server.size == 0) {
        conf_complain(load, CONF_EMERG, node, (int)arg, "the syslog server is missing");
        conf_hint(load, "expected: syslog:server=unix:/dev/log or syslog:server=host[:port]");
        return false;
    }
    t->sink.syslog_facility = t->syslog.facility;
    memcpy(t->sink.syslog_tag, t->syslog.tag.at, t->syslog.tag.size);
    return true;
}

/* ---- files ------------------------------------------------------------------------------ */

static struct log_target *target_create(struct conf_load *load, const struct conf_node *node,
                                        bool error_log)
{
    struct log_target *t = arena_must(conf_arena(load), sizeof *t);

    log_sink_init(&t->sink, -1, LOG_ERROR);
    t->error_log = error_log;
    t->node = node;
    return t;
}

struct log_target *log_target_read_file(struct conf_load *load, const struct conf_node *node,
                                        struct slice path, bool error_log)
{
    struct log_target *t = target_create(load, node, error_log);

    t->kind = LOG_TO_FILE;
    t->path = path;
    if (path.at[0] != '/')
        t->path = arena_printf(conf_arena(load), "%s%.*s", conf_prefix(load), SLICE_FMT(path));
    return t->path.at != NULL ? t : NULL;
}

/* Words that stand for a file in nginx, although they look as if they stood for something
 * else; and what was probably meant. */
static const struct {
    const char *word, *advice;
    bool error_log;
} traps[] = {
    { "off", "to log next to nothing: error_log /dev/null crit;", true },
    { "stderr", "to write to the standard error stream: /dev/stderr", false },
    { "stdout", "to write to the standard output stream: /dev/stdout", false },
};

static void warn_of_traps(struct conf_load *load, const struct conf_node *node, unsigned arg,
                          struct slice text, bool error_log)
{
    for (size_t i = 0; i < COUNT_OF(traps); i++) {
        if (traps[i].error_log != error_log || !slice_eq(text, slice_str(traps[i].word)))
            continue;
        conf_complain(load, CONF_WARN, node, (int)arg, "\"%s\" is the name of a file here",
                      traps[i].word);
        conf_hint(load, "%s", traps[i].advice);
    }
}

/* ---- memory: ------------------------------------------------------------------------ */

static bool read_memory(struct conf_load *load, const struct conf_node *node, unsigned arg,
                        struct slice size, struct log_target *t)
{
    t->kind = LOG_TO_MEMORY;
    if (!t->error_log) {
        conf_complain(load, CONF_EMERG, node, (int)arg, "an access log is not kept in memory");
        conf_hint(load, "expected: a file or syslog:server=…");
        return false;
    }
    if (conf_parse_size(size, &t->memory_size) && t->memory_size >= LOG_RING_MIN &&
        t->memory_size <= LOG_RING_MAX)
        return true;
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not a size for a log in memory",
                  SLICE_FMT(size));
    conf_hint(load, "expected: memory:size, from 32k to 64m");
    return false;
}

/* ---- any destination ----------------------------------------------------------------- */

struct log_target *log_target_read(struct conf_load *load, const struct conf_node *node,
                                   unsigned arg, bool error_log)
{
    struct slice text = conf_arg(node, arg), syslog = SLICE("syslog:");
    struct log_target *t;

    if (slice_starts(text, syslog)) {
        t = target_create(load, node, error_log);
        return read_syslog(load, node, arg, slice_skip(text, syslog.size), t) ? t : NULL;
    }
    if (error_log && slice_eq(text, SLICE("stderr"))) {
        t = target_create(load, node, error_log);
        t->kind = LOG_TO_STDERR;
        return t;
    }
    if (slice_starts(text, SLICE("memory:"))) {
        t = target_create(load, node, error_log);
        return read_memory(load, node, arg, slice_skip(text, 7), t) ? t : NULL;
    }
    if (text.size == 0) {
        conf_complain(load, CONF_EMERG, node, (int)arg, "the path of the log is empty");
        return NULL;
    }
    warn_of_traps(load, node, arg, text, error_log);
    return log_target_read_file(load, node, text, error_log);
}

bool log_target_same(const struct log_target *a, const struct log_target *b)
{
    const struct log_syslog *x = &a->syslog, *y = &b->syslog;

    return a->kind == b->kind && a->error_log == b->error_log && slice_eq(a->path, b->path) &&
           a->memory_size == b->memory_size && slice_eq(x->server, y->server) &&
           slice_eq(x->tag, y->tag) && x->facility == y->facility && x->severity == y->severity &&
           x->no_hostname == y->no_hostname;
}

void log_target_enter(struct log_targets *list, struct log_target *t)
{
    if (list->end == NULL)
        list->end = &list->first;
    t->id = list->count++;
    *list->end = t;
    list->end = &t->next;
}

static struct log_target *find_or_enter(struct log_targets *list, struct log_target *wanted)
{
    for (struct log_target *t = list->first; t != NULL; t = t->next)
        if (!t->error_log && log_target_same(t, wanted))
            return t;
    log_target_enter(list, wanted);
    return wanted;
}

struct log_targets *log_targets_of(struct scope *scope)
{
    while (scope->parent != NULL)
        scope = scope->parent;
    return scope_conf(scope, &feature_logs);
}

struct log_target *log_target_want(struct conf_load *load, const struct conf_node *node,
                                   unsigned arg, bool error_log)
{
    struct log_target *t = log_target_read(load, node, arg, error_log);

    return t != NULL ? find_or_enter(log_targets_of(conf_scope(load)), t) : NULL;
}

struct log_target *log_target_want_file(struct conf_load *load, struct scope *scope,
                                        const struct conf_node *node, struct slice path)
{
    struct log_target *t = log_target_read_file(load, node, path, false);

    return t != NULL ? find_or_enter(log_targets_of(scope), t) : NULL;
}

struct log_target *log_target_want_secret(struct conf_load *load, struct scope *scope,
                                          const struct conf_node *node, struct slice path)
{
    struct log_target *t = log_target_read_file(load, node, path, false);

    if (t == NULL)
        return NULL;
    t = find_or_enter(log_targets_of(scope), t);
    t->secret = true;
    return t;
}
