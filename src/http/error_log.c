/* error_log.c - the directive error_log: which log the errors of a scope go to, and from which
 * level on. Servers that say the same share one log. */
#include "http/log_target.h"

static uint32_t logs_index;

const char *log_error_default = LOG_ERROR_DEFAULT;

/* One error_log line, as written. */
struct error_line {
    struct log_target *target;
    enum log_level level;
    struct error_line *next;
};

/* A log that was made for a list of lines. */
struct made_log {
    struct log log;
    const struct error_line *lines;
    struct made_log *next;
};

struct logs_conf {
    struct log_targets targets; /* main scope only; first: see log_targets_of()     */
    struct made_log *made;      /* main scope only                                  */
    struct error_line *lines, **lines_end;
    const struct log *log; /* in force here                                    */
};

const struct log *log_of_scope(const struct scope *scope)
{
    const struct logs_conf *conf = scope_conf(scope, &feature_logs);

    return conf->log;
}

bool log_scope_in_memory(const struct scope *scope)
{
    for (struct log_sink *s = log_of_scope(scope)->sinks; s != NULL; s = s->next)
        if (container_of(s, struct log_target, sink)->kind == LOG_TO_MEMORY)
            return true;
    return false;
}

/* ---- reading --------------------------------------------------------------------------- */

static const char *const level_words[] = {
    "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg",
};

static bool read_level(struct conf_load *load, const struct conf_node *node, unsigned arg,
                       enum log_level *ret)
{
    struct slice word = conf_arg(node, arg);
    const char *near;
    int level = log_level_from(word);

    if (level > LOG_STDERR) {
        *ret = (enum log_level)level;
        return true;
    }
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not a log level", SLICE_FMT(word));
    near = conf_nearest(word, level_words, COUNT_OF(level_words));
    if (near != NULL)
        conf_hint(load, "did you mean \"%s\"?", near);
    else
        conf_hint(load, "expected: debug, info, notice, warn, error, crit, alert or emerg");
    return false;
}

static void add_line(struct conf_load *load, struct logs_conf *conf, struct log_target *target,
                     enum log_level level)
{
    struct error_line *line = arena_must(conf_arena(load), sizeof *line);

    *line = (struct error_line){ target, level, NULL };
    if (conf->lines_end == NULL)
        conf->lines_end = &conf->lines;
    *conf->lines_end = line;
    conf->lines_end = &line->next;
}

static bool set_error_log(struct conf_load *load, const struct conf_node *node, void *conf,
                          const struct directive *row)
{
    enum log_level level = LOG_ERROR;
    struct log_target *target;

    (void)row;
    if (node->arg_count > 1 && !read_level(load, node, 1, &level))
        return false;
    target = log_target_read(load, node, 0, true);
    if (target == NULL)
        return false;
    add_line(load, conf, target, level);
    return true;
}

/* ---- merging ---------------------------------------------------------------------------- */

static bool same_lines(const struct error_line *a, const struct error_line *b)
{
    for (; a != NULL && b != NULL; a = a->next, b = b->next)
        if (a->level != b->level || !log_target_same(a->target, b->target))
            return false;
    return a == b;
}

static const struct log *log_for_lines(struct conf_load *load, struct logs_conf *top,
                                       const struct error_line *lines)
{
    struct made_log *made;

    for (made = top->made; made != NULL; made = made->next)
        if (same_lines(made->lines, lines))
            return &made->log;
    made = arena_must(conf_arena(load), sizeof *made);
    made->lines = lines;
    for (const struct error_line *l = lines; l != NULL; l = l->next) {
        l->target->sink.level = l->level;
        log_target_enter(&top->targets, l->target);
        log_add_sink(&made->log, &l->target->sink);
    }
    made->next = top->made;
    top->made = made;
    return &made->log;
}

static bool logs_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    struct logs_conf *conf = own;
    const struct logs_conf *outer = parent;

    if (conf->lines == NULL && outer != NULL) {
        conf->log = outer->log;
        return true;
    }
    if (conf->lines == NULL) {
        struct log_target *file =
            log_target_read_file(load, scope->node, slice_str(log_error_default), true);

        if (file == NULL)
            return false;
        add_line(load, conf, file, LOG_ERROR);
    }
    conf->log = log_for_lines(load, (struct logs_conf *)log_targets_of(scope), conf->lines);
    return true;
}

static const struct directive rows[] = {
    { "error_log", CTX_MAIN | CTX_ANY_HTTP, 1, 2, CONF_CUSTOM, .set = set_error_log,
      .repeats = true, .fallback = LOG_ERROR_DEFAULT " error",
      .syntax = "file | stderr | memory:size | syslog:server=address[,option=value …] [level]",
      .help = "Where errors of that level and worse are written. memory: the last of them are kept "
              "in size bytes (32k to 64m), over reloads and crashes of the worker; "
              "error_log_status shows them.",
      .example = "error_log /var/log/weir/error.log warn;" },
};

const struct feature feature_logs = {
    .name = "logs",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct logs_conf),
    .merge = logs_merge,
    .about = "The error log: one line for each thing that went wrong, with what it was about.",
    .index = &logs_index,
};
