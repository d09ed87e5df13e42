/* rewrite_if.c - the directive if: reading its condition, deciding it, and putting the settings
 * of its block in force. */
#include "conf/expr.h"
#include "http/pipeline.h"
#include "http/rewrite.h"
#include "http/site.h"

#include <errno.h>
#include <sys/stat.h>

enum { WORDS_MAX = 4 }; /* one more than any condition has */

enum condition { IS_TRUE, IS_EQUAL, MATCHES, IS_FILE, IS_DIRECTORY, EXISTS, IS_EXECUTABLE };

struct if_op {
    struct rewrite_op op;
    enum condition what;
    bool not ;
    struct expr *left, *right;       /* left: what is looked at, also a path; right: IS_EQUAL  */
    struct regex *regex;             /* MATCHES                                                */
    const struct scope *scope;       /* of the block                                           */
    const struct location *location; /* the block's, in a location; else NULL            */
};

static const struct {
    const char *mark;
    enum condition what;
    bool not ;
    unsigned regex_flags;
} operators[] = {
    { "=", IS_EQUAL, false, 0 }, { "!=", IS_EQUAL, true, 0 },
    { "~", MATCHES, false, 0 },  { "~*", MATCHES, false, REGEX_NOCASE },
    { "!~", MATCHES, true, 0 },  { "!~*", MATCHES, true, REGEX_NOCASE },
};

static const struct {
    char letter;
    enum condition what;
} tests[] = { { 'f', IS_FILE }, { 'd', IS_DIRECTORY }, { 'e', EXISTS }, { 'x', IS_EXECUTABLE } };

/* ---- deciding -------------------------------------------------------------------------- */

static bool has_kind(enum condition what, unsigned mode)
{
    switch (what) {
    case IS_FILE:
        return S_ISREG(mode);
    case IS_DIRECTORY:
        return S_ISDIR(mode);
    case IS_EXECUTABLE:
        return (mode & S_IXUSR) != 0;
    default:
        return mode != 0;
    }
}

/* A path that cannot be looked at names nothing. */
static enum verdict look(struct request *r, const struct if_op *self, struct slice path, bool *ret)
{
    struct file_found found = { 0 };

    if (path.size > 0 && path.at[0] != '/')
        path =
            arena_printf(&r->arena, "%.*s%.*s", SLICE_FMT(core_conf(r)->prefix), SLICE_FMT(path));
    if (path.at == NULL)
        return rewrite_failed(r, &self->op, "there is no memory left for this request");
    if (path.size > 0 && r->loop->pipeline->look(r, path, &found) == WAIT)
        return WAIT;
    if (found.error != 0 && found.error != ENOENT && found.error != ENOTDIR &&
        found.error != ENAMETOOLONG)
        request_log(r, LOG_CRIT, found.error, "looking at \"%.*s\" failed",
                    SLICE_FMT(slice_head(path, 1024)));
    *ret = found.error == 0 && has_kind(self->what, found.mode);
    return NEXT;
}

/* NEXT with the condition in *ret, without its `not`; WAIT; or the answer. */
static enum verdict decide(struct request *r, const struct if_op *self, bool *ret)
{
    struct slice left, right;
    enum regex_verdict v;

    if (!expr_eval(self->left, r, &r->arena, EXPR_MAX, &left))
        return rewrite_failed(r, &self->op, "the value to be compared is too long");
    switch (self->what) {
    case IS_TRUE:
        *ret = left.size > 0 && !slice_eq(left, SLICE("0"));
        return NEXT;
    case IS_EQUAL:
        if (!expr_eval(self->right, r, &r->arena, EXPR_MAX, &right))
            return rewrite_failed(r, &self->op, "the value compared with is too long");
        *ret = slice_eq(left, right);
        return NEXT;
    case MATCHES:
        v = rewrite_match(r, self->regex, left, &self->op);
        *ret = v == REGEX_YES;
        return v == REGEX_LIMIT ? DONE : NEXT;
    default:
        return look(r, self, left, ret);
    }
}

static enum verdict run_if(struct request *r, const struct rewrite_op *op)
{
    const struct if_op *self = (const struct if_op *)op;
    const struct rewrite_conf *inside = scope_conf(self->scope, &feature_rewrite);
    bool holds = false;
    enum verdict v = decide(r, self, &holds);

    if (v == NEXT)
        rewrite_tell(r, op, holds != self->not ? SLICE("is true") : SLICE("is false"));
    if (v != NEXT || holds == self->not )
        return v;
    if (self->location != NULL) {
        location_use(r, self->location);
        return rewrite_run(r, inside->script.first);
    }
    const struct scope *around = r->scope;

    r->scope = self->scope; /* in a server: for these instructions alone */
    v = rewrite_run(r, inside->script.first);
    r->scope = around;
    return v;
}

/* ---- reading ----------------------------------------------------------------------------- */

struct word {
    struct slice text;
    unsigned arg;
};

/* What stands between the parentheses. */
struct reader {
    struct conf_load *load;
    const struct conf_node *node;
    struct word words[WORDS_MAX];
    unsigned count;
    struct if_op *op;
};

static bool refuse(const struct reader *c, const struct word *w, const char *why)
{
    size_t offset = (size_t)(w->text.at - conf_arg(c->node, w->arg).at);

    if (offset == 0)
        conf_complain(c->load, CONF_EMERG, c->node, (int)w->arg, why, SLICE_FMT(w->text));
    else
        conf_complain_inside(c->load, CONF_EMERG, c->node, w->arg, offset, why, SLICE_FMT(w->text));
    return false;
}

/* A condition that has come to its end too early. */
static bool refuse_end(const struct reader *c, const char *why)
{
    unsigned last = c->node->arg_count - 1;
    size_t size = conf_arg(c->node, last).size;

    conf_complain_inside(c->load, CONF_EMERG, c->node, last, size > 0 ? size - 1 : 0, "%s", why);
    return false;
}

/* Cuts the parentheses off: they may stand alone, or stick to what they enclose. */
static bool read_words(struct reader *c)
{
    const struct conf_node *node = c->node;
    unsigned last = node->arg_count - 1;
    struct slice first = conf_arg(node, 0), end = conf_arg(node, last);

    if (node->args[0].quoted || first.size == 0 || first.at[0] != '(') {
        conf_complain(c->load, CONF_EMERG, node, 0,
                      "the parenthesis that begins the condition is missing");
        conf_hint(c->load, "expected: if (condition) { … }");
        return false;
    }
    if (node->args[last].quoted || end.size == 0 || end.at[end.size - 1] != ')' ||
        (last == 0 && end.size == 1)) {
        refuse_end(c, "the parenthesis that ends the condition is missing here");
        conf_hint(c->load, "expected: if (condition) { … }");
        return false;
    }
    for (unsigned i = 0; i <= last && c->count < WORDS_MAX; i++) {
        struct slice text = conf_arg(node, i);

        text = i == 0 ? slice_skip(text, 1) : text;
        text.size -= i == last;
        if (text.size > 0 || node->args[i].quoted)
            c->words[c->count++] = (struct word){ text, i };
    }
    if (c->count > 0)
        return true;
    refuse_end(c, "the condition is empty");
    conf_hint(c->load, "expected: a variable, a comparison or a file test");
    return false;
}

static bool stands_for_and(struct slice text)
{
    static const char *const words[] = { "&&", "||", "and", "or", "AND", "OR", "&", "|" };

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (slice_eq(text, slice_str(words[i])))
            return true;
    return false;
}

static bool refuse_more(const struct reader *c, unsigned from)
{
    refuse(c, &c->words[from], "the condition should end before \"%.*s\"");
    if (stands_for_and(c->words[from].text))
        conf_hint(c->load, "one `if` has one condition; to combine two, let the first set a "
                           "variable and test that");
    else
        conf_hint(c->load, "a value or pattern with blanks needs quotes");
    return false;
}

static bool is_name_byte(char b)
{
    return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b == '_';
}

/* The left side: variables and nothing else, so that "$a=b" is no mistake without a word. */
static bool read_left(struct reader *c, const struct word *w)
{
    for (size_t i = 0; i < w->text.size; i++) {
        struct word rest = { slice_skip(w->text, i), w->arg };
        char b = rest.text.at[0];

        if (is_name_byte(b) || b == '$' || b == '{' || b == '}')
            continue;
        if (strchr("=!~", b) != NULL) {
            refuse(c, &rest, "white space is missing before \"%.*s\"");
            conf_hint(c->load, "expected: $variable operator value, with white space between them");
            return false;
        }
        refuse(c, &rest, "\"%.*s\" does not belong to a variable's name");
        conf_hint(c->load, "expected: a variable alone on the left side of a condition");
        return false;
    }
    c->op->left = expr_compile_text(c->load, c->node, w->arg, w->text);
    return c->op->left != NULL;
}

static bool read_operator(struct reader *c, size_t *ret)
{
    struct slice text = c->words[1].text;

    for (*ret = 0; *ret < COUNT_OF(operators); ++*ret)
        if (slice_eq(text, slice_str(operators[*ret].mark)))
            return true;
    if (stands_for_and(text))
        return refuse_more(c, 1);
    refuse(c, &c->words[1], "\"%.*s\" is not an operator of a condition");
    if (slice_starts(text, SLICE("==")))
        conf_hint(c->load, "did you mean `=`? It compares texts; there is no `==`");
    else if (slice_starts(text, SLICE("<")) || slice_starts(text, SLICE(">")))
        conf_hint(c->load, "numbers cannot be compared; a regular expression may do");
    conf_hint(c->load, "expected: =, !=, ~, ~*, !~ or !~*");
    return false;
}

static bool read_comparison(struct reader *c)
{
    const struct word *right = &c->words[2];
    size_t which;

    if (!read_left(c, &c->words[0]))
        return false;
    if (c->count == 1)
        return true;
    if (!read_operator(c, &which))
        return false;
    if (c->count == 2) {
        refuse_end(c, "what the variable is compared with is missing");
        conf_hint(c->load, "expected: a text or a regular expression; an empty text is \"\"");
        return false;
    }
    if (c->count > 3)
        return refuse_more(c, 3);
    c->op->what = operators[which].what;
    c->op->not = operators[which].not ;
    if (c->op->what == IS_EQUAL)
        c->op->right = expr_compile_text(c->load, c->node, right->arg, right->text);
    else
        c->op->regex =
            regex_compile(c->load, c->node, right->arg, right->text, operators[which].regex_flags);
    return c->op->right != NULL || c->op->regex != NULL;
}

/* "-f", "!-d" …: with the `!` already cut off from `mark`. */
static bool read_test(struct reader *c, struct slice mark)
{
    size_t which = 0;

    while (which < COUNT_OF(tests) && (mark.size != 2 || mark.at[1] != tests[which].letter))
        which++;
    if (which == COUNT_OF(tests)) {
        refuse(c, &c->words[0], "\"%.*s\" is not a file test");
        conf_hint(c->load, "expected: -f, -d, -e or -x, with or without ! before it");
        return false;
    }
    if (c->count == 1) {
        refuse_end(c, "the path to be looked at is missing");
        conf_hint(c->load, "expected: -f path");
        return false;
    }
    if (c->count > 2)
        return refuse_more(c, 2);
    c->op->what = tests[which].what;
    c->op->left = expr_compile_text(c->load, c->node, c->words[1].arg, c->words[1].text);
    return c->op->left != NULL;
}

static bool read_condition(struct reader *c)
{
    struct slice first, rest;

    if (!read_words(c))
        return false;
    first = c->words[0].text;
    if (slice_starts(first, SLICE("$")))
        return read_comparison(c);
    c->op->not = slice_starts(first, SLICE("!"));
    rest = slice_skip(first, c->op->not );
    if (slice_starts(rest, SLICE("-")))
        return read_test(c, rest);
    if (c->op->not &&slice_starts(rest, SLICE("$"))) {
        refuse(c, &c->words[0], "\"%.*s\": `!` cannot stand before a variable");
        conf_hint(c->load, "to ask whether it is empty: if (%.*s = \"\")", SLICE_FMT(rest));
        return false;
    }
    refuse(c, &c->words[0], "\"%.*s\" cannot begin a condition");
    conf_hint(c->load, "expected: a variable ($name, not in quotes), or one of -f -d -e -x with or "
                       "without ! before it");
    return false;
}

/* ---- the block ------------------------------------------------------------------------------ */

/* The location once more, for the block's own settings: what asks for its name or pattern finds
 * those of the location around it. */
static struct location *same_location(struct conf_load *load, const struct location *outer)
{
    struct location *l = arena_must(conf_arena(load), sizeof *l);

    l->kind = outer->kind;
    l->name = outer->name;
    l->regex = outer->regex;
    l->parent = outer->parent;
    l->node = outer->node;
    return l;
}

void rewrite_inherit_content(struct scope *scope)
{
    struct location *l = scope->object;
    const struct location *outer = scope->parent->object;

    if (l->content != NULL)
        return;
    l->content = outer->content;
    l->auto_redirect = outer->auto_redirect;
}

bool rewrite_set_if(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    struct rewrite_conf *conf = own;
    struct if_op *self = arena_must(conf_arena(load), sizeof *self);
    struct reader c = { .load = load, .node = node, .op = self };
    bool nested = conf_scope(load)->context == CTX_LOCATION, ok = read_condition(&c);

    (void)row;
    if (nested)
        self->location = same_location(load, conf_scope(load)->object);
    /* mistakes inside are worth telling, too */
    struct scope *scope =
        conf_enter(load, node, nested ? CTX_IF_LOCATION : CTX_IF_SERVER,
                   nested ? (void *)(uintptr_t)self->location : conf_scope(load)->object);

    if (!ok || scope == NULL)
        return false;
    if (nested)
        ((struct location *)scope->object)->scope = scope;
    self->scope = scope;
    self->op.run = run_if;
    self->op.node = node;
    rewrite_add(load, &conf->script, &self->op);
    return true;
}
