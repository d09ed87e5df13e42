/* rewrite.c - runs the instructions of a server, then those of the location: see rewrite.h. */
#include "http/rewrite.h"

#include "http/log_target.h"
#include "http/pipeline.h"
#include "http/site.h"

static uint32_t rewrite_index;

/* ---- running --------------------------------------------------------------------------- */

enum verdict rewrite_run(struct request *r, const struct rewrite_op *op)
{
    enum verdict v = NEXT;

    for (; op != NULL && v == NEXT && !r->script_over; op = op->next) {
        v = op->run(r, op);
        if (v == WAIT && r->script_at == NULL)
            r->script_at = op;
    }
    return v;
}

/* From the first, or from the one that has waited. Only an `if` waits, and it is no part of
 * another: to go on behind it is to go on with the outer list. */
static enum verdict run_script(struct request *r, const struct scope *scope)
{
    const struct rewrite_conf *conf = scope_conf(scope, &feature_rewrite);
    const struct rewrite_op *op = r->script_at;

    if (op == NULL) {
        op = conf->script.first;
        r->moved = r->script_over = false;
    }
    r->script_at = NULL;
    return rewrite_run(r, op);
}

static bool has_script(const struct scope *scope)
{
    return ((const struct rewrite_conf *)scope_conf(scope, &feature_rewrite))->script.first != NULL;
}

/* A path that is changed here needs nothing more: the location is not known yet. */
enum verdict step_server_rewrite(struct request *r)
{
    return has_script(r->server->scope) ? run_script(r, r->server->scope) : NEXT;
}

/* Without a location, the server's own instructions have run already. */
enum verdict step_rewrite(struct request *r)
{
    enum verdict v;

    if (r->location == NULL || (r->script_at == NULL && !has_script(r->location->scope)))
        return NEXT;
    v = run_script(r, r->location->scope);
    return v == NEXT && r->moved ? request_relocate(r) : v;
}

/* ---- what instructions share -------------------------------------------------------------- */

bool rewrite_logs(const struct request *r)
{
    const struct rewrite_conf *conf = request_conf(r, &feature_rewrite);

    return conf->log && r->log != NULL && log_wants(r->log, LOG_NOTICE);
}

void rewrite_tell(struct request *r, const struct rewrite_op *op, struct slice what)
{
    if (r->loop->pipeline->told != NULL)
        r->loop->pipeline->told(r, op->node, what);
}

enum verdict rewrite_failed(struct request *r, const struct rewrite_op *op, const char *why)
{
    request_log(r, LOG_ERROR, 0, "\"%.*s\" in %s:%u: %s", SLICE_FMT(op->node->name),
                op->node->file->path, op->node->line, why);
    return request_fail(r, 500);
}

enum regex_verdict rewrite_match(struct request *r, const struct regex *re, struct slice subject,
                                 const struct rewrite_op *op)
{
    enum regex_verdict v = regex_match(re, subject, r->captures, CAPTURES_MAX);

    if (v == REGEX_LIMIT || (v == REGEX_YES && !request_matched(r, re))) {
        rewrite_failed(r, op,
                       v == REGEX_LIMIT ? "the regular expression took too long"
                                        : "there is no memory left for this request");
        return REGEX_LIMIT;
    }
    if (rewrite_logs(r))
        request_log(r, LOG_NOTICE, 0, "\"%.*s\" %s \"%.*s\"", SLICE_FMT(regex_pattern(re)),
                    v == REGEX_YES ? "matches" : "does not match", SLICE_FMT(subject));
    return v;
}

/* ---- reading ------------------------------------------------------------------------------- */

void rewrite_add(struct conf_load *load, struct rewrite_script *script, struct rewrite_op *op)
{
    for (const struct rewrite_op *before = script->first; before != NULL; before = before->next) {
        if (!before->last)
            continue;
        conf_complain(load, CONF_WARN, op->node, CONF_AT_NAME, "this is never reached");
        conf_hint(load, "line %u already ends the %s", before->node->line,
                  slice_eq(before->node->name, SLICE("return")) ? "request" : "instructions");
        break;
    }
    if (script->end == NULL)
        script->end = &script->first;
    *script->end = op;
    script->end = &op->next;
}

/* What was rewritten before stays; the location is not looked for again. */
static enum verdict run_break(struct request *r, const struct rewrite_op *op)
{
    r->moved = false;
    r->script_over = true;
    rewrite_tell(r, op, SLICE("ends the instructions"));
    return NEXT;
}

static bool set_break(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct rewrite_conf *conf = own;
    struct rewrite_op *op = arena_must(conf_arena(load), sizeof *op);

    (void)row;
    *op = (struct rewrite_op){ .run = run_break, .node = node, .last = true };
    rewrite_add(load, &conf->script, op);
    return true;
}

static bool rewrite_merge(struct conf_load *load, struct scope *scope, const void *parent,
                          void *conf)
{
    (void)load;
    (void)parent;
    (void)conf;
    if (scope->context == CTX_IF_LOCATION)
        rewrite_inherit_content(scope);
    return true;
}

#define IF (CTX_IF_SERVER | CTX_IF_LOCATION)
#define SCRIPT (CTX_SERVER | CTX_LOCATION | IF)

static const struct directive rows[] = {
    { "return", SCRIPT, 1, 2, CONF_CUSTOM, .set = rewrite_set_return, .inherit = INHERIT_NOT,
      .repeats = true, .syntax = "status [text] | status address | address",
      .help = "Answers at once: with a text, with a redirect (301, 302, 303, 307, 308), with "
              "the page of a status, or (444) by closing the connection.",
      .example = "return 301 https://$host$request_uri;" },
    { "rewrite", SCRIPT, 2, 3, CONF_CUSTOM, .set = rewrite_set_rule, .inherit = INHERIT_NOT,
      .repeats = true, .syntax = "regex replacement [last | break | redirect | permanent]",
      .help = "Changes a path that matches, or redirects to the replacement. The arguments that "
              "came stay behind those of the replacement, unless it ends in a question mark. "
              "last looks for the location of the new path, break stays in this one.",
      .example = "rewrite ^/user/(.*)$ /profile?name=$1 last;" },
    { "set", SCRIPT, 2, 2, CONF_CUSTOM, .set = rewrite_set_set, .inherit = INHERIT_NOT,
      .repeats = true, .syntax = "$variable value",
      .help = "Gives a variable a value for this request: one of your own, or $args or "
              "$limit_rate.",
      .example = "set $backend blue;" },
    { "if", CTX_SERVER | CTX_LOCATION, 1, ARGS_MANY, CONF_BLOCK, .set = rewrite_set_if,
      .inherit = INHERIT_NOT, .repeats = true, .syntax = "(condition) { … }",
      .help = "Runs its block when the condition is true: $variable (neither empty nor 0), "
              "= and != with a text, ~ ~* !~ !~* with a regular expression, -f -d -e -x (and with "
              "! before them) with a path. In a location, the block's other settings hold from "
              "then on, as those of a location inside would.",
      .example = "if ($request_method = POST) { return 405; }" },
    { "break", SCRIPT, 0, 0, CONF_CUSTOM, .set = set_break, .inherit = INHERIT_NOT, .repeats = true,
      .syntax = "",
      .help = "Ends these instructions; a path that was rewritten stays in this location." },
    { "rewrite_log", CTX_ANY_HTTP | IF, 1, 1, CONF_FLAG, offsetof(struct rewrite_conf, log), "off",
      .syntax = "on | off",
      .help = "Writes what regular expressions matched and what was rewritten to the error log, "
              "as notices." },
    { "uninitialized_variable_warn", CTX_ANY_HTTP | IF, 1, 1, CONF_FLAG,
      offsetof(struct rewrite_conf, warn_of_no_value), "on", .syntax = "on | off",
      .help = "Writes a warning to the error log when a variable is used that no set has "
              "reached." },
};

const struct feature feature_rewrite = {
    .name = "rewrite",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct rewrite_conf),
    .merge = rewrite_merge,
    .about = "Answers and changes requests before anything else looks at them.",
    .index = &rewrite_index,
};
