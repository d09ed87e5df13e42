/* directive.c - the registry: rows by name, contexts by word, and a plan for merging. */
#include "conf/load_private.h"
#include "conf/registry_private.h"

#include <stdlib.h>

/* ---- contexts ------------------------------------------------------------------------ */

static const char *const context_words[] = {
    "main",
    "events",
    "http",
    "server",
    "location",
    "limit_except",
    "if in server",
    "if in location",
    "upstream",
    "types",
    "map",
    "geo",
    "split_clients",
    "stream",
    "server of stream",
    "mail",
    "match",
    "upstream of stream",
    "server of mail",
    "mgmt",
};

void ctx_words(uint32_t contexts, char *into, size_t size)
{
    struct gather g;
    CHECK(size > 0);
    gather_init(&g, into, size - 1, NULL, 0);
    for (size_t i = 0; i < COUNT_OF(context_words); i++) {
        if ((contexts & (UINT32_C(1) << i)) == 0)
            continue;
        if (g.used > 0)
            gather_lit(&g, ", ");
        gather_str(&g, context_words[i]);
    }
    into[g.used] = '\0';
}

/* ---- what a row must be -------------------------------------------------------------- */

static const size_t type_sizes[] = {
    [CONF_CUSTOM] = 0,
    [CONF_BLOCK] = 0,
    [CONF_FLAG] = sizeof(bool),
    [CONF_NUMBER] = sizeof(int64_t),
    [CONF_SIZE] = sizeof(int64_t),
    [CONF_MSEC] = sizeof(int64_t),
    [CONF_SEC] = sizeof(int64_t),
    [CONF_ENUM] = sizeof(int),
    [CONF_STRING] = sizeof(struct slice),
    [CONF_EXPR] = sizeof(struct expr *),
    [CONF_PATH] = sizeof(struct slice),
    [CONF_FILE] = sizeof(struct slice),
};

size_t row_size(const struct directive *row)
{
    CHECK(row->type < COUNT_OF(type_sizes));
    return row->type == CONF_CUSTOM ? row->size : type_sizes[row->type];
}

/* A row that is wrong is our bug, and shows at the first start of any test. */
static void check_row(const struct feature *feature, const struct directive *row)
{
    bool shaped = row->type == CONF_CUSTOM || row->type == CONF_BLOCK;
    size_t size = row_size(row);
    CHECK(row->name != NULL && row->contexts != 0 && row->args_min <= row->args_max);
    CHECK(shaped ? row->set != NULL : row->args_min == 1 && row->args_max == 1);
    CHECK((row->type == CONF_ENUM) == (row->words != NULL));
    CHECK(size == 0 || (size <= feature->size && row->offset <= feature->size - size));
}

/* ---- names --------------------------------------------------------------------------- */

static void add_row(struct registry_names *names, struct registry_entry *entry)
{
    struct slice name = slice_str(entry->row->name);
    struct registry_entry *first = map_get(&names->by_name, name);
    if (first == NULL) {
        CHECK(map_put(&names->by_name, name, entry));
        return;
    }
    while (first->next != NULL)
        first = first->next;
    first->next = entry;
}

static size_t count_rows(const struct feature *const *features)
{
    size_t rows = 0;
    for (size_t i = 0; features[i] != NULL; i++)
        rows += features[i]->row_count;
    return rows;
}

static void add_rows(struct registry *g)
{
    size_t used = 0;
    for (size_t i = 0; i < g->feature_count; i++) {
        const struct feature *f = g->features[i];
        for (size_t k = 0; k < f->row_count; k++) {
            struct registry_entry *entry = &g->names->entries[used++];
            check_row(f, &f->rows[k]);
            *entry = (struct registry_entry){ &f->rows[k], f, NULL };
            add_row(g->names, entry);
        }
    }
}

static size_t count_variables(const struct feature *const *features)
{
    size_t variables = 0;
    for (size_t i = 0; features[i] != NULL; i++)
        variables += features[i]->var_count;
    return variables;
}

static void add_variable(struct registry_names *names, const struct variable *v)
{
    struct slice name = slice_str(v->name);
    CHECK(v->get != NULL && (v->prefix || name.size > 0));
    if (v->prefix && name.size == 0) {
        CHECK(names->captures == NULL);
        names->captures = v;
    } else if (v->prefix) {
        names->prefixes[names->prefix_count++] = v;
    } else {
        CHECK(map_get(&names->variables, name) == NULL);
        CHECK(map_put(&names->variables, name, (void *)(uintptr_t)v));
    }
}

static void add_variables(struct registry *g)
{
    for (size_t i = 0; i < g->feature_count; i++)
        for (size_t k = 0; k < g->features[i]->var_count; k++)
            add_variable(g->names, &g->features[i]->vars[k]);
}

/* ---- the plan for merging ------------------------------------------------------------ */

static int by_offset(const void *a, const void *b)
{
    const struct merge_op *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static void join_runs(struct merge_plan *plan)
{
    for (size_t i = 0; i < plan->op_count; i++) {
        const struct merge_op *op = &plan->ops[i];
        struct merge_op *run = plan->run_count > 0 ? &plan->runs[plan->run_count - 1] : NULL;
        if (run != NULL && run->inherit == op->inherit && run->offset + run->size == op->offset)
            run->size += op->size;
        else
            plan->runs[plan->run_count++] = *op;
    }
}

static void *must_calloc(size_t count, size_t size)
{
    void *room = calloc(count > 0 ? count : 1, size);
    CHECK(room != NULL);
    return room;
}

static void make_plan(struct merge_plan *plan, const struct feature *f)
{
    plan->ops = must_calloc(f->row_count, sizeof *plan->ops);
    plan->runs = must_calloc(f->row_count, sizeof *plan->runs);
    plan->first_row = must_calloc(f->row_count, sizeof *plan->first_row);
    for (size_t i = 0; i < f->row_count; i++) {
        const struct directive *row = &f->rows[i];
        size_t first = 0, size = row_size(row);
        while (row_size(&f->rows[first]) == 0 || f->rows[first].offset != row->offset)
            if (++first > i)
                break;
        plan->first_row[i] = size > 0 && first < i ? first : i;
        if (size > 0 && plan->first_row[i] == i)
            plan->ops[plan->op_count++] =
                (struct merge_op){ row->offset, size, i, row->inherit == INHERIT };
    }
    qsort(plan->ops, plan->op_count, sizeof *plan->ops, by_offset);
    join_runs(plan);
}

/* ---- life ---------------------------------------------------------------------------- */

struct registry *registry_create(const struct feature *const *features)
{
    struct registry *g = must_calloc(1, sizeof *g);
    struct registry_names *names = g->names = must_calloc(1, sizeof *names);
    g->features = features;
    names->entries = must_calloc(count_rows(features), sizeof *names->entries);
    names->prefixes = must_calloc(count_variables(features), sizeof(struct variable *));
    map_init(&names->by_name, MAP_CASE);
    map_init(&names->variables, MAP_CASE);
    for (; features[g->feature_count] != NULL; g->feature_count++) {
        const struct feature *f = features[g->feature_count];
        CHECK(g->feature_count < FEATURES_MAX && f->index != NULL);
        *f->index = (uint32_t)g->feature_count;
        names->conf_sizes[g->feature_count] =
            (f->size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
        names->conf_size += names->conf_sizes[g->feature_count];
        make_plan(&names->plans[g->feature_count], f);
    }
    add_rows(g);
    add_variables(g);
    return g;
}

void registry_destroy(struct registry *g)
{
    for (size_t i = 0; i < g->feature_count; i++) {
        free(g->names->plans[i].ops);
        free(g->names->plans[i].runs);
        free(g->names->plans[i].first_row);
    }
    map_done(&g->names->by_name);
    map_done(&g->names->variables);
    free(g->names->prefixes);
    free(g->names->entries);
    free(g->names);
    free(g);
}

/* ---- finding ------------------------------------------------------------------------- */

const struct registry_entry *registry_entries(const struct registry *g, struct slice name)
{
    return map_get(&g->names->by_name, name);
}

static const struct registry_entry *entry_in(const struct registry_entry *e, uint32_t context)
{
    while (e != NULL && (e->row->contexts & context) == 0)
        e = e->next;
    return e;
}

const struct directive *registry_find(const struct registry *g, struct slice name, uint32_t context,
                                      const struct feature **ret_feature,
                                      const struct directive **ret_elsewhere)
{
    const struct registry_entry *named = registry_entries(g, name);
    const struct registry_entry *found = entry_in(named, context);
    if (found == NULL)
        found = entry_in(registry_entries(g, SLICE("*")), context);
    if (ret_elsewhere != NULL)
        *ret_elsewhere = found == NULL && named != NULL ? named->row : NULL;
    *ret_feature = found != NULL ? found->feature : NULL;
    return found != NULL ? found->row : NULL;
}
