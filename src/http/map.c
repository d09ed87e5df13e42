/* map.c - the directive map: a variable whose value depends on another text.
 *
 * The text is looked up among exact keys, then (hostnames) the longest *.name and the longest
 * name.*, then the regular expressions in their order, then the default. The value is made when
 * it is first asked for and kept for the request, unless the map is volatile. */
#include "conf/expr.h"
#include "http/log_target.h"
#include "http/pipeline.h"
#include "http/site.h"

/* What a key stands for. */
struct map_value {
    struct expr *text;
    const struct conf_node *node;
};

struct map_regex {
    struct regex *regex;
    struct expr *text;
    struct map_regex *next;
};

struct map_table {
    struct slice name; /* of the variable, without the $ */
    struct expr *source;
    struct map exact, heads, tails; /* of *.name under ".name", of name.* under "name." */
    struct map_regex *regexes, **regexes_end;
    struct map_value fallback; /* default; text NULL: empty          */
    bool hostnames, is_volatile;
    unsigned place; /* of the kept value */
};

/* ---- looking up --------------------------------------------------------------------------- */

static const struct map_value *find_head(const struct map_table *t, struct slice key)
{
    const struct map_value *v = NULL;

    for (size_t i = 1; i < key.size && v == NULL; i++)
        if (key.at[i] == '.')
            v = map_get(&t->heads, slice_skip(key, i));
    return v;
}

static const struct map_value *find_tail(const struct map_table *t, struct slice key)
{
    const struct map_value *v = NULL;

    for (size_t i = key.size; i > 1 && v == NULL; i--)
        if (key.at[i - 1] == '.')
            v = map_get(&t->tails, slice_head(key, i));
    return v;
}

/* The captures of the one that matches are $1 and so on from now on. */
static const struct expr *find_regex(const struct map_table *t, struct request *r, struct slice key)
{
    struct slice captures[CAPTURES_MAX];

    for (const struct map_regex *m = t->regexes; m != NULL; m = m->next) {
        enum regex_verdict v = regex_match(m->regex, key, captures, CAPTURES_MAX);

        if (v == REGEX_LIMIT)
            request_log(r, LOG_ERROR, 0, "matching \"%.*s\" of map $%.*s took too long",
                        SLICE_FMT(regex_pattern(m->regex)), SLICE_FMT(t->name));
        if (v != REGEX_YES)
            continue;
        memcpy(r->captures, captures, sizeof captures);
        return request_matched(r, m->regex) ? m->text : NULL;
    }
    return NULL;
}

static const struct expr *find(const struct map_table *t, struct request *r, struct slice key)
{
    struct slice host = key;
    const struct map_value *v;

    if (t->hostnames && host.size > 0 && host.at[host.size - 1] == '.')
        host.size--;
    v = map_get(&t->exact, host);
    if (v == NULL && t->heads.live > 0)
        v = find_head(t, host);
    if (v == NULL && t->tails.live > 0)
        v = find_tail(t, host);
    if (v != NULL)
        return v->text;
    const struct expr *text = find_regex(t, r, key);

    return text != NULL ? text : t->fallback.text;
}

/* use->number: the table. */
static bool get_value(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct map_table *t = (const struct map_table *)use->number;
    struct request *r = subject;
    struct slice *values = t->is_volatile ? NULL : request_values(r);
    struct slice key, value = SLICE("");

    if (values != NULL && values[t->place].at != NULL) {
        gather_slice(g, values[t->place]);
        return true;
    }
    if (!expr_eval(t->source, r, &r->arena, EXPR_MAX, &key)) {
        g->full = true; /* a map that is made of itself ends here, too */
        return false;
    }
    const struct expr *text = find(t, r, key);

    if (text != NULL && !expr_eval(text, r, &r->arena, EXPR_MAX, &value)) {
        g->full = true;
        return false;
    }
    if (values != NULL)
        values[t->place] = value;
    gather_slice(g, value);
    return true;
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool refuse_twice(struct conf_load *load, const struct conf_node *node,
                         const struct conf_node *before)
{
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "\"%.*s\" has a value already",
                  SLICE_FMT(node->name));
    conf_hint(load, "note: it was given at %s:%u", before->file->path, before->line);
    return false;
}

static bool enter(struct conf_load *load, struct map *map, struct slice key, struct map_value *v)
{
    const struct map_value *before = map_get(map, key);

    return before != NULL ? refuse_twice(load, v->node, before->node) : map_put(map, key, v);
}

static bool add_regex(struct conf_load *load, const struct conf_node *node, struct map_table *t,
                      struct expr *text)
{
    struct slice pattern = slice_skip(node->name, 1);
    struct map_regex *m = arena_must(conf_arena(load), sizeof *m);
    bool nocase = slice_starts(pattern, SLICE("*"));

    m->text = text;
    m->regex = regex_compile(load, node, (unsigned)CONF_AT_NAME,
                             nocase ? slice_skip(pattern, 1) : pattern, nocase ? REGEX_NOCASE : 0);
    *t->regexes_end = m;
    t->regexes_end = &m->next;
    return m->regex != NULL;
}

static bool add_host(struct conf_load *load, struct map_table *t, struct slice key,
                     struct map_value *v)
{
    if (slice_starts(key, SLICE("*.")))
        return enter(load, &t->heads, slice_skip(key, 1), v);
    if (slice_ends(key, SLICE(".*")))
        return enter(load, &t->tails, slice_head(key, key.size - 1), v);
    if (key.size > 1 && key.at[0] == '.')
        return enter(load, &t->exact, slice_skip(key, 1), v) && enter(load, &t->heads, key, v);
    return enter(load, &t->exact, key, v);
}

/* "hostnames;" and "volatile;": words without a value. */
static bool set_word(struct conf_load *load, const struct conf_node *node, struct map_table *t)
{
    if (slice_eq(node->name, SLICE("hostnames")))
        t->hostnames = true;
    else if (slice_eq(node->name, SLICE("volatile")))
        t->is_volatile = true;
    else {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "\"%.*s\" has no value",
                      SLICE_FMT(node->name));
        conf_hint(load, "expected: key value; or hostnames; or volatile;");
        return false;
    }
    return true;
}

static bool set_key(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    struct map_table *t = conf_scope(load)->object;
    struct map_value *v = arena_must(conf_arena(load), sizeof *v);
    struct slice key = node->name;

    (void)own;
    (void)row;
    if (node->arg_count == 0)
        return set_word(load, node, t);
    *v = (struct map_value){ expr_compile(load, node, 0), node };
    if (v->text == NULL)
        return false;
    if (slice_eq(key, SLICE("default"))) {
        if (t->fallback.node != NULL)
            return refuse_twice(load, node, t->fallback.node);
        t->fallback = *v;
        return true;
    }
    if (key.size > 1 && key.at[0] == '~')
        return add_regex(load, node, t, v->text);
    if (key.size > 0 && key.at[0] == '\\')
        key = slice_skip(key, 1);
    return t->hostnames ? add_host(load, t, key, v) : enter(load, &t->exact, key, v);
}

/* The value is kept under a name that no variable can have. */
static unsigned place_of(struct conf_load *load, struct slice name)
{
    char *key = arena_must(conf_arena(load), name.size + 4);

    memcpy(key, "map ", 4);
    memcpy(key + 4, name.at, name.size);
    return conf_place(load, slice_of(key, name.size + 4));
}

static bool set_map(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    struct map_table *t = arena_must(conf_arena(load), sizeof *t);
    struct slice name = conf_arg(node, 1);
    const struct variable *v;

    (void)own;
    (void)row;
    v = conf_declare_argument(load, node, 1, get_value, (uintptr_t)t, "map text $name { … }");
    if (v == NULL)
        return false;
    t->name = slice_skip(name, 1);
    if (v->arg != (uintptr_t)t) {
        conf_complain(load, CONF_WARN, node, 1, "a map makes \"%.*s\" already", SLICE_FMT(name));
        conf_hint(load, "note: the last one counts");
        t = (struct map_table *)v->arg;
        *t = (struct map_table){ .name = t->name };
    }
    t->source = expr_compile(load, node, 0);
    t->regexes_end = &t->regexes;
    t->place = place_of(load, t->name);
    map_init_arena(&t->exact, MAP_NOCASE, conf_arena(load));
    map_init_arena(&t->heads, MAP_NOCASE, conf_arena(load));
    map_init_arena(&t->tails, MAP_NOCASE, conf_arena(load));
    return t->source != NULL && conf_enter(load, node, CTX_MAP, t) != NULL;
}

static const struct directive rows[] = {
    { "map", CTX_HTTP, 2, 2, CONF_BLOCK, .set = set_map, .inherit = INHERIT_NOT, .repeats = true,
      .syntax = "text $variable { key value; … }",
      .help = "Makes a variable whose value depends on a text.",
      .example = "map $http_upgrade $connection_upgrade { default upgrade; '' close; }" },
    { "*", CTX_MAP, 0, 1, CONF_CUSTOM, .set = set_key, .repeats = true, .syntax = "value",
      .help = "A key: a text, ~regex or ~*regex (its captures may stand in the value), *.name and "
              "name.* behind hostnames, or default. volatile: the value is made each time.",
      .example = "~^/old/(?<rest>.*) /new/$rest;" },
    { "map_hash_max_size", CTX_HTTP, 1, 1, CONF_CUSTOM, .set = conf_set_ignored, .syntax = "size",
      .help = "Accepted; weir sizes its tables itself." },
    { "map_hash_bucket_size", CTX_HTTP, 1, 1, CONF_CUSTOM, .set = conf_set_ignored,
      .syntax = "size", .help = "Accepted; weir sizes its tables itself." },
};

static uint32_t map_index;

const struct feature feature_map = {
    .name = "map",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .about = "Variables that are looked up.",
    .index = &map_index,
};
