/* variable.c - what $names stand for: rows of features, names that the configuration declares,
 * prefixes, captures; in this order. */
#include "conf/known.h"
#include "conf/load_private.h"
#include "conf/registry_private.h"
#include "conf/suggest.h"

/* A name that was used before it was known. */
struct pending_use {
    struct variable_use *use;
    struct slice name;
    const struct conf_node *node;
    unsigned arg;
    size_t offset;
    struct pending_use *next;
};

/* ---- finding ------------------------------------------------------------------------- */

const struct variable *conf_find_variable(const struct conf_load *load, struct slice name)
{
    const struct variable *row = map_get(&load->registry->names->variables, name);
    return row != NULL ? row : map_get(&load->variables, name);
}

const struct variable *variable_captures(const struct conf_load *load)
{
    return load->registry->names->captures;
}

static const struct variable *find_prefix(const struct registry_names *names, struct slice name)
{
    const struct variable *longest = NULL;
    size_t size = 0;
    for (size_t i = 0; i < names->prefix_count; i++) {
        struct slice prefix = slice_str(names->prefixes[i]->name);
        if (prefix.size < size || prefix.size >= name.size || !slice_starts(name, prefix))
            continue;
        longest = names->prefixes[i];
        size = prefix.size;
    }
    return longest;
}

/* "1" … "15"; 0 for anything else. */
static unsigned capture_number(struct slice name)
{
    uint64_t n;
    return slice_to_u64(name, CAPTURES_MAX - 1, &n) && name.at[0] != '0' ? (unsigned)n : 0;
}

static bool fill_capture(const struct conf_load *load, struct variable_use *use, struct slice name)
{
    const struct variable *row = variable_captures(load);
    uintptr_t number = capture_number(name), place;
    if (number == 0) {
        place = (uintptr_t)map_get(&load->places, name);
        number = place > 0 ? CAPTURES_MAX + place - 1 : 0;
    }
    if (row == NULL || number == 0)
        return false;
    *use = (struct variable_use){ row, name, number };
    return true;
}

static bool fill(const struct conf_load *load, struct variable_use *use, struct slice name)
{
    const struct variable *row = conf_find_variable(load, name);
    if (row != NULL) {
        *use = (struct variable_use){ .row = row, .number = row->arg };
        return true;
    }
    row = find_prefix(load->registry->names, name);
    if (row != NULL) {
        *use = (struct variable_use){ row, slice_skip(name, strlen(row->name)), row->arg };
        return true;
    }
    return fill_capture(load, use, name);
}

bool conf_use_variable(const struct conf_load *load, struct slice name, struct variable_use *ret)
{
    return fill(load, ret, name);
}

/* ---- unknown names ------------------------------------------------------------------- */

static void consider_declared(struct suggestion *s, struct conf_load *load, const struct map *m)
{
    for (struct map_slot *slot = NULL; (slot = map_next(m, slot)) != NULL;) {
        struct slice name = arena_copy(load->arena, slot->key);
        if (name.at != NULL)
            suggest_consider(s, name.at);
    }
}

static void suggest_variable(struct conf_load *load, struct slice name)
{
    struct suggestion s;
    suggest_init(&s, name);
    consider_declared(&s, load, &load->registry->names->variables);
    consider_declared(&s, load, &load->variables);
    consider_declared(&s, load, &load->places);
    if (s.best != NULL)
        conf_hint(load, "help: did you mean `$%s`?", s.best);
}

static void complain_unknown_variable(struct conf_load *load, const struct pending_use *p)
{
    if (map_get(&load->excused, p->name) != NULL)
        return;
    if (known_variable_find(p->name)) {
        conf_complain_inside(load, CONF_EMERG, p->node, p->arg, p->offset,
                             "`$%.*s` is an nginx variable that weir does not have yet",
                             SLICE_FMT(p->name));
        return;
    }
    conf_complain_inside(load, CONF_EMERG, p->node, p->arg, p->offset, "unknown variable `$%.*s`",
                         SLICE_FMT(slice_head(p->name, 100)));
    if (load->latest != NULL)
        suggest_variable(load, p->name);
}

/* ---- using --------------------------------------------------------------------------- */

void variable_want(struct conf_load *load, struct variable_use *use, struct slice name,
                   const struct conf_node *node, unsigned arg, size_t offset)
{
    const struct variable *row = map_get(&load->registry->names->variables, name);
    if (row != NULL) {
        *use = (struct variable_use){ .row = row, .number = row->arg };
        return;
    }
    struct pending_use now = { use, name, node, arg, offset, NULL };
    if (load->resolved) {
        if (!fill(load, use, name))
            complain_unknown_variable(load, &now);
        return;
    }
    struct pending_use *later = arena_must(load->arena, sizeof *later);
    *later = now;
    *load->pending_end = later;
    load->pending_end = &later->next;
}

void variables_resolve(struct conf_load *load)
{
    load->resolved = true;
    for (const struct pending_use *p = load->pending; p != NULL && !complaints_full(load);
         p = p->next)
        if (!fill(load, p->use, p->name))
            complain_unknown_variable(load, p);
    load->pending = NULL;
    load->pending_end = &load->pending;
}

/* ---- declaring ----------------------------------------------------------------------- */

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = byte_lower((unsigned char)s.at[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return s.size > 0 && capture_number(s) == 0;
}

static struct slice lowered(struct conf_load *load, struct slice s)
{
    char *copy = arena_must(load->arena, s.size + 1);
    for (size_t i = 0; i < s.size; i++)
        copy[i] = (char)byte_lower((unsigned char)s.at[i]);
    return slice_of(copy, s.size);
}

/* What the configuration declared. Uses see the row; its number is that of `computed`, if there
 * is one, else that of `given`. */
struct declared {
    struct variable row;
    variable_get_fn *computed, *given;
    uintptr_t given_number;
};

/* Both a map, say, and a set have the name: what was set counts, while something was. */
static bool get_both(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct declared *d = (const struct declared *)use->row; /* its first member */
    struct variable_use given = { use->row, use->rest, d->given_number };
    return d->given(subject, &given, g) || d->computed(subject, use, g);
}

/* NULL: it is no name, or one of those that every subject has. */
static struct declared *declared_of(struct conf_load *load, struct slice name)
{
    if (!is_name(name))
        return NULL;
    name = lowered(load, name);
    if (map_get(&load->registry->names->variables, name) != NULL)
        return NULL;
    struct declared *d = map_get(&load->variables, name);
    if (d != NULL)
        return d;
    d = arena_must(load->arena, sizeof *d);
    d->row.name = name.at;
    return map_put(&load->variables, name, d) ? d : NULL;
}

const struct variable *conf_declare_variable(struct conf_load *load, struct slice name,
                                             variable_get_fn *get, uintptr_t number)
{
    struct declared *d = declared_of(load, name);
    if (d == NULL || (d->computed != NULL && d->computed != get))
        return NULL;
    if (d->computed == NULL)
        d->row.arg = number;
    d->computed = get;
    d->row.get = d->given != NULL ? get_both : get;
    return &d->row;
}

const struct variable *conf_declare_argument(struct conf_load *load, const struct conf_node *node,
                                             unsigned arg, variable_get_fn *get, uintptr_t number,
                                             const char *form)
{
    struct slice said = conf_arg(node, arg);
    bool is_variable = said.size > 1 && said.at[0] == '$';
    const struct variable *row =
        is_variable ? conf_declare_variable(load, slice_skip(said, 1), get, number) : NULL;
    if (row != NULL)
        return row;
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" %s", SLICE_FMT(said),
                  is_variable ? "has a meaning of its own" : "is not a variable");
    conf_hint(load, "expected: %s", form);
    return NULL;
}

const struct variable *conf_declare_given(struct conf_load *load, struct slice name,
                                          variable_get_fn *get, uintptr_t number)
{
    struct declared *d = declared_of(load, name);
    if (d == NULL || (d->given != NULL && d->given != get))
        return NULL;
    d->given = get;
    d->given_number = number;
    if (d->computed == NULL)
        d->row.arg = number;
    d->row.get = d->computed != NULL ? get_both : get;
    return &d->row;
}

void variables_excuse(struct conf_load *load, const struct conf_node *node)
{
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct slice text = conf_arg(node, i);
        if (text.size < 2 || text.at[0] != '$' || !is_name(slice_skip(text, 1)))
            continue;
        CHECK(map_put(&load->excused, lowered(load, slice_skip(text, 1)), load));
    }
}

unsigned conf_place(struct conf_load *load, struct slice name)
{
    name = lowered(load, name);
    uintptr_t known = (uintptr_t)map_get(&load->places, name);
    if (known > 0)
        return (unsigned)known - 1;
    CHECK(map_put(&load->places, name, (void *)(uintptr_t)++load->place_count));
    return load->place_count - 1;
}

unsigned conf_place_count(const struct conf_load *load)
{
    return load->place_count;
}

bool variable_declare_capture(struct conf_load *load, struct slice name, unsigned *ret_place)
{
    if (map_get(&load->registry->names->variables, name) != NULL)
        return false;
    *ret_place = conf_place(load, name);
    return true;
}
