/* num_map.c - the directive num_map: a variable whose value depends on how large a number is.
 *
 * The rules are tried in the order they are written; the first that fits counts, then the default.
 * A text that is no number fits none. Numbers are decimal, with a sign and a fraction if need be:
 * $request_time and $msec are such. */
#include "conf/expr.h"
#include "http/pipeline.h"
#include "http/site.h"

enum relation { EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, BETWEEN };

/* Millionths: what a double would round, this keeps. */
enum { FRACTION_DIGITS = 6, FRACTION = 1000000 };

struct num_rule {
    enum relation relation;
    int64_t number, upper; /* upper: of BETWEEN, which includes both                  */
    struct expr *text;
    struct num_rule *next;
};

struct num_table {
    struct expr *source;
    struct num_rule *rules, **end;
    struct expr *fallback; /* NULL: empty                                            */
    const struct conf_node *fallback_node;
    unsigned place; /* of the kept value */
    bool is_volatile;
};

/* ---- numbers ------------------------------------------------------------------------------- */

static bool is_digit(struct slice s)
{
    return s.size > 0 && s.at[0] >= '0' && s.at[0] <= '9';
}

/* Cuts up to `most` digits off; how many there were. Further ones are passed over. */
static unsigned cut_digits(struct slice *s, unsigned most, int64_t *value)
{
    unsigned count = 0;

    for (; is_digit(*s); *s = slice_skip(*s, 1))
        if (count++ < most)
            *value = *value * 10 + (s->at[0] - '0');
    return count;
}

/* Cuts a number off the front, in millionths. False: there is none, or it has more than 12 digits
 * before its point. */
static bool cut_number(struct slice *s, int64_t *ret)
{
    bool minus = slice_starts(*s, SLICE("-"));
    struct slice rest = minus ? slice_skip(*s, 1) : *s;
    int64_t value = 0;
    unsigned whole = cut_digits(&rest, 12, &value), digits = 0;

    if (whole > 12)
        return false;
    if (rest.size > 1 && rest.at[0] == '.' && is_digit(slice_skip(rest, 1))) {
        rest = slice_skip(rest, 1);
        digits = cut_digits(&rest, FRACTION_DIGITS, &value);
    }
    for (; digits < FRACTION_DIGITS; digits++)
        value *= 10;
    if (whole == 0 && value == 0 && rest.at == s->at + minus)
        return false;
    *ret = minus ? -value : value;
    *s = rest;
    return true;
}

static bool fits(const struct num_rule *rule, int64_t n)
{
    switch (rule->relation) {
    case EQUAL:
        return n == rule->number;
    case LESS:
        return n < rule->number;
    case LESS_EQUAL:
        return n <= rule->number;
    case GREATER:
        return n > rule->number;
    case GREATER_EQUAL:
        return n >= rule->number;
    case BETWEEN:
        return n >= rule->number && n <= rule->upper;
    }
    return false;
}

/* ---- looking up ---------------------------------------------------------------------------- */

static const struct expr *find(const struct num_table *t, struct slice text)
{
    const struct num_rule *rule = t->rules;
    int64_t n;

    if (!cut_number(&text, &n) || text.size > 0)
        return t->fallback;
    while (rule != NULL && !fits(rule, n))
        rule = rule->next;
    return rule != NULL ? rule->text : t->fallback;
}

/* use->number: the table. */
static bool get_value(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct num_table *t = (const struct num_table *)use->number;
    struct request *r = subject;
    struct slice *values = t->is_volatile ? NULL : request_values(r);
    struct slice text, value = SLICE("");

    if (values != NULL && values[t->place].at != NULL) {
        gather_slice(g, values[t->place]);
        return true;
    }
    if (!expr_eval(t->source, r, &r->arena, EXPR_MAX, &text)) {
        g->full = true; /* one that is made of itself ends here, too */
        return false;
    }
    const struct expr *e = find(t, slice_trim(text));

    if (e != NULL && !expr_eval(e, r, &r->arena, EXPR_MAX, &value)) {
        g->full = true;
        return false;
    }
    if (values != NULL)
        values[t->place] = value;
    gather_slice(g, value);
    return true;
}

/* ---- reading ------------------------------------------------------------------------------- */

static const struct {
    const char *mark; /* the longer ones first */
    enum relation relation;
} marks[] = {
    { "<=", LESS_EQUAL }, { ">=", GREATER_EQUAL }, { "<", LESS },
    { ">", GREATER },     { "=", EQUAL },          { "", EQUAL },
};

static bool read_pattern(struct slice text, struct num_rule *rule)
{
    size_t i = 0;

    while (!slice_starts(text, slice_str(marks[i].mark)))
        i++;
    rule->relation = marks[i].relation;
    text = slice_skip(text, strlen(marks[i].mark));
    if (!cut_number(&text, &rule->number))
        return false;
    if (marks[i].mark[0] != '\0' || text.size == 0)
        return text.size == 0;
    rule->relation = BETWEEN;
    if (text.at[0] != '-')
        return false;
    text = slice_skip(text, 1);
    return cut_number(&text, &rule->upper) && text.size == 0 && rule->upper >= rule->number;
}

static bool refuse(struct conf_load *load, const struct conf_node *node)
{
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME,
                  "\"%.*s\" is not what a number is compared "
                  "with",
                  SLICE_FMT(node->name));
    conf_hint(load, "expected: a number, <n, <=n, >n, >=n, n-m (both included), default or "
                    "volatile");
    return false;
}

static bool read_default(struct conf_load *load, const struct conf_node *node, struct num_table *t)
{
    if (t->fallback_node != NULL) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "default has a value already");
        conf_hint(load, "note: it was given at %s:%u", t->fallback_node->file->path,
                  t->fallback_node->line);
        return false;
    }
    t->fallback_node = node;
    t->fallback = expr_compile(load, node, 0);
    return t->fallback != NULL;
}

static bool read_rule(struct conf_load *load, const struct conf_node *node, struct num_table *t)
{
    struct num_rule *rule;

    if (node->arg_count == 0 && !node->block && slice_eq(node->name, SLICE("volatile"))) {
        t->is_volatile = true;
        return true;
    }
    if (node->arg_count != 1 || node->block) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "\"%.*s\" needs one value",
                      SLICE_FMT(node->name));
        conf_hint(load, "expected: number value;");
        return false;
    }
    if (slice_eq(node->name, SLICE("default")))
        return read_default(load, node, t);
    rule = arena_must(conf_arena(load), sizeof *rule);
    *rule = (struct num_rule){ 0 };
    if (!read_pattern(node->name, rule))
        return refuse(load, node);
    rule->text = expr_compile(load, node, 0);
    *t->end = rule;
    t->end = &rule->next;
    return rule->text != NULL;
}

/* The value is kept under a name that no variable can have. */
static unsigned place_of(struct conf_load *load, struct slice name)
{
    char *key = arena_must(conf_arena(load), name.size + 8);

    memcpy(key, "num_map ", 8);
    memcpy(key + 8, name.at, name.size);
    return conf_place(load, slice_of(key, name.size + 8));
}

static bool set_num_map(struct conf_load *load, const struct conf_node *node, void *own,
                        const struct directive *row)
{
    struct num_table *t = arena_must(conf_arena(load), sizeof *t);
    const struct variable *v;
    bool good = true;

    (void)own;
    (void)row;
    *t = (struct num_table){ .end = &t->rules };
    v = conf_declare_argument(load, node, 1, get_value, (uintptr_t)t, "num_map number $name { … }");
    if (v == NULL)
        return false;
    if (v->arg != (uintptr_t)t) {
        conf_complain(load, CONF_WARN, node, 1, "a num_map makes \"%.*s\" already",
                      SLICE_FMT(conf_arg(node, 1)));
        conf_hint(load, "note: the last one counts");
        t = (struct num_table *)v->arg;
        *t = (struct num_table){ .end = &t->rules };
    }
    t->place = place_of(load, conf_arg(node, 1));
    t->source = expr_compile(load, node, 0);
    for (const struct conf_node *n = node->children; n != NULL; n = n->next)
        good &= read_rule(load, n, t);
    return good && t->source != NULL;
}

static const struct directive rows[] = {
    { "num_map", CTX_HTTP, 2, 2, CONF_BLOCK, .set = set_num_map, .inherit = INHERIT_NOT,
      .repeats = true, .syntax = "number $variable { pattern value; … }",
      .help = "Makes a variable whose value depends on a number: the first of n, <n, <=n, >n, >=n "
              "and n-m (both included) that fits counts, else default. Texts that are no decimal "
              "numbers have the default's. volatile: the value is made each time.",
      .example = "num_map $request_time $slow { >=5 very; >1 yes; default no; }" },
};

static uint32_t num_map_index;

const struct feature feature_num_map = {
    .name = "num_map",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .about = "Variables that depend on how large a number is.",
    .index = &num_map_index,
};
