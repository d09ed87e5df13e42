/* rewrite_rule.c - the directive rewrite: a path that matches is changed, or redirected.
 *
 * Captures are pieces of the decoded path. Where they become part of an address again (in
 * arguments, in redirects), what cannot stand there is encoded, if the client had it encoded. */
#include "conf/expr.h"
#include "http/rewrite.h"
#include "http/site.h"
#include "wire/uri.h"

struct rule_op {
    struct rewrite_op op;
    struct regex *regex;
    struct expr *path, *args; /* of the replacement; args NULL: it has no "?"        */
    bool keep_args;           /* those that came are put behind                      */
    bool ends, stays;         /* last and break                                      */
    unsigned status;          /* of a redirect; 0: none                              */
};

/* ---- encoding ----------------------------------------------------------------------------- */

static void encode(struct gather *into, struct slice value, const char *others)
{
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.at[i];

        if (c > ' ' && c < 0x7f && strchr(others, c) == NULL)
            gather_byte(into, (char)c);
        else
            uri_encode_byte(into, c);
    }
}

static void encode_for_args(struct gather *into, struct slice value)
{
    encode(into, value, "#%&+;?");
}

static void encode_for_path(struct gather *into, struct slice value)
{
    encode(into, value, "#%?");
}

static bool came_encoded(const struct request *r)
{
    struct slice path = r->head.path;

    return slice_find(path, '%') < path.size || slice_find(path, '+') < path.size;
}

/* ---- running ------------------------------------------------------------------------------ */

/* Appends the replacement's arguments, then those that came. */
static void append_args(struct request *r, const struct rule_op *self, struct gather *g)
{
    if (self->args != NULL)
        expr_append_captures(self->args, r, g, came_encoded(r) ? encode_for_args : NULL);
    if (!self->keep_args || r->args.size == 0)
        return;
    if (self->args != NULL)
        gather_byte(g, '&');
    gather_slice(g, r->args);
}

static enum verdict redirect(struct request *r, const struct rule_op *self)
{
    struct gather g;

    gather_init(&g, NULL, 0, &r->arena, EXPR_MAX);
    expr_append_captures(self->path, r, &g, came_encoded(r) ? encode_for_path : NULL);
    if (self->args != NULL || (self->keep_args && r->args.size > 0))
        gather_byte(&g, '?');
    append_args(r, self, &g);
    if (g.full || g.used == 0)
        return rewrite_failed(r, &self->op, "the new address is empty or too long");
    if (rewrite_logs(r))
        request_log(r, LOG_NOTICE, 0, "rewritten redirect: \"%.*s\"", SLICE_FMT(gather_get(&g)));
    rewrite_tell(r, &self->op, SLICE("matches: a redirect"));
    return request_redirect_out(r, self->status, gather_get(&g));
}

static enum verdict change(struct request *r, const struct rule_op *self)
{
    struct slice args = self->keep_args ? r->args : (struct slice){ 0 };
    struct gather path, g;

    gather_init(&path, NULL, 0, &r->arena, EXPR_MAX);
    expr_append_captures(self->path, r, &path, NULL);
    if (path.full || path.used == 0)
        return rewrite_failed(r, &self->op,
                              path.full ? "the new path is too long" : "the new path is empty");
    if (self->args != NULL) {
        gather_init(&g, NULL, 0, &r->arena, EXPR_MAX);
        append_args(r, self, &g);
        if (g.full)
            return rewrite_failed(r, &self->op, "the new arguments are too long");
        args = g.used > 0 ? gather_get(&g) : SLICE("");
    }
    request_set_uri(r, gather_get(&path));
    r->uri_rewritten = true;
    r->args = args;
    r->root_path = (struct slice){ 0 };
    r->internal = true;
    r->moved = !self->stays;
    r->script_over = self->ends;
    if (rewrite_logs(r))
        request_log(r, LOG_NOTICE, 0, "rewritten data: \"%.*s\", args: \"%.*s\"", SLICE_FMT(r->uri),
                    SLICE_FMT(r->args));
    rewrite_tell(r, &self->op, SLICE("matches"));
    return NEXT;
}

static enum verdict run_rule(struct request *r, const struct rewrite_op *op)
{
    const struct rule_op *self = (const struct rule_op *)op;

    switch (rewrite_match(r, self->regex, r->uri, op)) {
    case REGEX_NO:
        rewrite_tell(r, op, SLICE("does not match"));
        return NEXT;
    case REGEX_LIMIT:
        return DONE;
    case REGEX_YES:
        break;
    }
    return self->status != 0 ? redirect(r, self) : change(r, self);
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool read_flag(struct conf_load *load, const struct conf_node *node, struct rule_op *self)
{
    static const struct {
        const char *word;
        bool stays;
        unsigned status;
    } flags[] = { { "last", false, 0 },
                  { "break", true, 0 },
                  { "redirect", false, 302 },
                  { "permanent", false, 301 } };

    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (!slice_eq(conf_arg(node, 2), slice_str(flags[i].word)))
            continue;
        self->ends = true;
        self->stays = flags[i].stays;
        if (flags[i].status != 0)
            self->status = flags[i].status;
        return true;
    }
    conf_complain(load, CONF_EMERG, node, 2, "\"%.*s\" is not a flag of rewrite",
                  SLICE_FMT(conf_arg(node, 2)));
    conf_hint(load, "expected: last, break, redirect or permanent");
    return false;
}

static bool is_address(struct slice text)
{
    return slice_starts(text, SLICE("http://")) || slice_starts(text, SLICE("https://")) ||
           slice_starts(text, SLICE("$scheme"));
}

static bool read_replacement(struct conf_load *load, const struct conf_node *node,
                             struct rule_op *self)
{
    struct slice text = conf_arg(node, 1);
    size_t mark;

    self->keep_args = text.size == 0 || text.at[text.size - 1] != '?';
    text.size -= !self->keep_args;
    mark = slice_find(text, '?');
    if (mark == 0) {
        conf_complain(load, CONF_EMERG, node, 1, "the new path is empty");
        conf_hint(load, "expected: a path, or an address that begins with http:// or https://");
        return false;
    }
    self->path = expr_compile_text(load, node, 1, slice_head(text, mark));
    if (mark < text.size)
        self->args = expr_compile_text(load, node, 1, slice_skip(text, mark + 1));
    return self->path != NULL && (mark == text.size || self->args != NULL);
}

/* "index.php" for "/index.php": no location is found for it. */
static void warn_of_relative(struct conf_load *load, const struct conf_node *node)
{
    struct slice text = conf_arg(node, 1);

    if (text.at[0] == '/' || text.at[0] == '$')
        return;
    conf_complain(load, CONF_WARN, node, 1, "the new path \"%.*s\" does not begin with \"/\"",
                  SLICE_FMT(text));
    conf_hint(load, "did you mean \"/%.*s\"?", SLICE_FMT(text));
}

bool rewrite_set_rule(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct rewrite_conf *conf = own;
    struct rule_op *self = arena_must(conf_arena(load), sizeof *self);
    bool ok;

    (void)row;
    self->regex = regex_compile(load, node, 0, conf_arg(node, 0), 0);
    ok = read_replacement(load, node, self) && self->regex != NULL;
    if (is_address(conf_arg(node, 1))) {
        self->status = 302;
        self->ends = true;
    }
    if (node->arg_count > 2 && !read_flag(load, node, self))
        return false;
    if (!ok)
        return false;
    if (self->status == 0)
        warn_of_relative(load, node);
    self->op.run = run_rule;
    self->op.node = node;
    rewrite_add(load, &conf->script, &self->op);
    return true;
}
