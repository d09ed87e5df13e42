/* expr.c - text with variables: compiled to a list of parts, evaluated in one bounded pass. */
#include "conf/load_private.h"

enum { ESCAPE_ROOM = 1024 };

/* A piece of text, then a variable. The last part may have no variable. */
struct part {
    struct slice text;
    bool variable;
    struct variable_use use;
};

struct expr {
    struct slice source;
    unsigned count;
    struct part parts[];
};

/* ---- compiling ----------------------------------------------------------------------- */

struct compiler {
    struct conf_load *load;
    const struct conf_node *node;
    unsigned arg;
    size_t offset; /* of the text in the argument                    */
    struct slice text;
};

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool refuse(const struct compiler *c, size_t at, const char *why, const char *hint)
{
    conf_complain_inside(c->load, CONF_EMERG, c->node, c->arg, c->offset + at, "%s", why);
    conf_hint(c->load, "%s", hint);
    return false;
}

/* Reads the name that the `$` at index `at` stands before; *ret_end is behind it. */
static bool read_name(const struct compiler *c, size_t at, struct slice *ret_name, size_t *ret_end)
{
    struct slice t = c->text;
    bool braces = at + 1 < t.size && t.at[at + 1] == '{';
    size_t from = at + 1 + braces, end = from;
    bool capture = !braces && from < t.size && t.at[from] >= '1' && t.at[from] <= '9';
    while (end < t.size && is_name_byte(t.at[end]) && !(capture && end > from))
        end++;
    *ret_name = slice_of(t.at + from, end - from);
    *ret_end = end + braces;
    if (braces && (end == t.size || t.at[end] != '}'))
        return refuse(c, at, "this `${` is not closed", "expected: ${name}");
    if (end == from)
        return refuse(c, at, "a variable's name is missing behind this `$`",
                      "expected: $name or ${name}; a plain `$` cannot be written here");
    return true;
}

/* Names are case-insensitive in the language; here they are kept in lower case. */
static struct slice lower_name(struct conf_load *load, struct slice name)
{
    struct slice copy = arena_copy(load->arena, name);
    for (size_t i = 0; i < copy.size; i++)
        ((char *)(uintptr_t)copy.at)[i] = (char)byte_lower((unsigned char)copy.at[i]);
    return copy;
}

static size_t count_dollars(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += text.at[i] == '$';
    return count;
}

static struct expr *compile(const struct compiler *c)
{
    size_t room = count_dollars(c->text) + 1, from = 0;
    struct expr *e = arena_must(c->load->arena, sizeof *e + room * sizeof e->parts[0]);
    e->source = c->text;
    for (;;) {
        struct slice rest = slice_skip(c->text, from), name;
        struct part *part = &e->parts[e->count++];
        size_t dollar = slice_find(rest, '$');
        part->text = slice_head(rest, dollar);
        if (dollar == rest.size)
            return e;
        size_t at = from + dollar;
        if (!read_name(c, at, &name, &from))
            return NULL;
        part->variable = true;
        variable_want(c->load, &part->use, lower_name(c->load, name), c->node, c->arg,
                      c->offset + at);
    }
}

struct expr *expr_compile_text(struct conf_load *load, const struct conf_node *node, unsigned arg,
                               struct slice text)
{
    struct compiler c = { .load = load, .node = node, .arg = arg, .text = text };
    struct slice whole = node != NULL ? conf_arg(node, arg) : (struct slice){ 0 };
    uintptr_t begin = (uintptr_t)whole.at, at = (uintptr_t)text.at;
    if (text.size == 0)
        c.text = SLICE("");
    else if (at >= begin && at - begin < whole.size)
        c.offset = at - begin;
    return compile(&c);
}

struct expr *expr_compile(struct conf_load *load, const struct conf_node *node, unsigned arg)
{
    return expr_compile_text(load, node, arg, conf_arg(node, arg));
}

bool expr_constant(const struct expr *e, struct slice *ret)
{
    if (e->parts[0].variable)
        return false;
    *ret = e->source;
    return true;
}

struct slice expr_text(const struct expr *e)
{
    return e->source;
}

/* ---- evaluating ---------------------------------------------------------------------- */

/* Variables that evaluate expressions come back here: see EXPR_DEPTH_MAX. */
static _Thread_local unsigned depth_now, steps_now;

/* What was appended since `mark` becomes its escaped form. */
static void escape_from(struct gather *g, size_t mark, expr_escape_fn *escape)
{
    char room[ESCAPE_ROOM];
    struct slice raw = { g->at + mark, g->used - mark };
    if (raw.size <= sizeof room) {
        memcpy(room, raw.at, raw.size);
        g->used = mark;
        escape(g, slice_of(room, raw.size));
        return;
    }
    escape(g, raw); /* behind itself, then moved over itself */
    size_t size = g->used - mark - raw.size;
    memmove(g->at + mark, g->at + mark + raw.size, size);
    g->used = mark + size;
}

/* $1 …: not a name that a group has. */
static bool is_numbered(const struct variable_use *use)
{
    return use->row->prefix && use->row->name[0] == '\0' && use->number < CAPTURES_MAX;
}

/* What is escaped of an expression. */
struct escaping {
    expr_escape_fn *escape; /* NULL: nothing          */
    bool captures_only;     /* $1 … alone             */
};

static void append_variable(const struct variable_use *use, void *subject, struct gather *g,
                            struct slice missing, struct escaping how)
{
    size_t mark = g->used;
    expr_escape_fn *escape = !how.captures_only || is_numbered(use) ? how.escape : NULL;
    if (++steps_now > EXPR_STEPS_MAX) {
        g->full = true;
        return;
    }
    bool found = use->row->get(subject, use, g);
    if (g->full)
        return;
    if (!found) {
        g->used = mark;
        gather_slice(g, missing);
    } else if (escape != NULL && g->used > mark) {
        escape_from(g, mark, escape);
    }
}

static void append(const struct expr *e, void *subject, struct gather *g, struct slice missing,
                   struct escaping how)
{
    if (depth_now == 0)
        steps_now = 0;
    if (depth_now >= EXPR_DEPTH_MAX) {
        g->full = true;
        return;
    }
    depth_now++;
    for (unsigned i = 0; i < e->count && !g->full; i++) {
        gather_slice(g, e->parts[i].text);
        if (e->parts[i].variable)
            append_variable(&e->parts[i].use, subject, g, missing, how);
    }
    depth_now--;
}

void expr_append(const struct expr *e, void *subject, struct gather *g, struct slice missing,
                 expr_escape_fn *escape)
{
    append(e, subject, g, missing, (struct escaping){ escape, false });
}

void expr_append_captures(const struct expr *e, void *subject, struct gather *g,
                          expr_escape_fn *escape)
{
    append(e, subject, g, SLICE(""), (struct escaping){ escape, true });
}

bool expr_eval(const struct expr *e, void *subject, struct arena *arena, size_t max,
               struct slice *ret)
{
    struct gather g;
    if (expr_constant(e, ret))
        return ret->size <= max;
    gather_init(&g, NULL, 0, arena, max);
    expr_append(e, subject, &g, SLICE(""), NULL);
    *ret = g.used > 0 ? gather_get(&g) : SLICE("");
    return !g.full;
}
