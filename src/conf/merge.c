/* merge.c - what a scope does not say it takes from the scope around it, or by default. */
#include "conf/load_private.h"
#include "conf/registry_private.h"

/* ---- which rows were set ------------------------------------------------------------- */

/* Two bits a row: whether it was set, and whether its setting was (by any of its rows). */
static bool get_bit(const uint64_t *bits, size_t i)
{
    return bits != NULL && (bits[i / 64] >> i % 64 & 1) != 0;
}

static void put_bit(uint64_t *bits, size_t i)
{
    bits[i / 64] |= UINT64_C(1) << i % 64;
}

static size_t row_index(const struct feature *f, const struct directive *row)
{
    return (size_t)(row - f->rows);
}

void scope_note_set(struct conf_load *load, struct scope *scope, const struct feature *f,
                    const struct directive *row)
{
    uint64_t **bits = &scope->set[*f->index];
    const struct merge_plan *plan = &load->registry->names->plans[*f->index];
    size_t i = row_index(f, row);
    if (*bits == NULL)
        *bits = arena_must(load->arena, (2 * f->row_count + 63) / 64 * sizeof **bits);
    put_bit(*bits, i);
    put_bit(*bits, f->row_count + plan->first_row[i]);
}

bool scope_is_set(const struct scope *scope, const struct feature *f, const char *directive)
{
    for (size_t i = 0; i < f->row_count; i++)
        if (get_bit(scope->set[*f->index], i) && strcmp(f->rows[i].name, directive) == 0)
            return true;
    return false;
}

/* ---- defaults ------------------------------------------------------------------------ */

static void set_default(struct conf_load *load, void *conf, const struct directive *row)
{
    const char *said = row->fallback[0] != '\0' ? row->fallback : "\"\"";
    struct slice text = arena_printf(load->arena, "%s %s;", row->name, said);
    struct slice name = arena_printf(load->arena, "(default of %s)", row->name);
    const struct conf_node *node = parse_text(load, name.at, text, CTX_MAIN, NULL);
    if (node != NULL)
        set_value(load, node, conf, row);
}

void merge_defaults(struct conf_load *load)
{
    for (size_t i = 0; i < load->registry->feature_count; i++) {
        const struct feature *f = load->registry->features[i];
        if (f->size == 0)
            continue;
        load->defaults[i] = arena_must(load->arena, f->size);
        for (size_t k = 0; k < f->row_count; k++)
            if (f->rows[k].fallback != NULL && row_size(&f->rows[k]) > 0)
                set_default(load, load->defaults[i], &f->rows[k]);
    }
}

/* ---- merging ------------------------------------------------------------------------- */

static void merge_feature(struct conf_load *load, struct scope *scope, size_t i)
{
    const struct merge_plan *plan = &load->registry->names->plans[i];
    const uint64_t *bits = scope->set[i];
    const struct merge_op *ops = bits != NULL ? plan->ops : plan->runs;
    size_t count = bits != NULL ? plan->op_count : plan->run_count;
    size_t rows = load->registry->features[i]->row_count;
    const char *outer = scope->parent != NULL ? scope->parent->conf[i] : load->defaults[i];
    const char *fallback = load->defaults[i];
    bool all = scope->context == CTX_IF_LOCATION;
    char *conf = scope->conf[i];
    for (size_t k = 0; k < count; k++)
        if (!get_bit(bits, rows + ops[k].row))
            memcpy(conf + ops[k].offset, (ops[k].inherit || all ? outer : fallback) + ops[k].offset,
                   ops[k].size);
}

static void merge_scope(struct conf_load *load, struct scope *scope)
{
    const struct registry *g = load->registry;
    for (size_t i = 0; i < g->feature_count; i++)
        if (g->features[i]->size > 0)
            merge_feature(load, scope, i);
    load->scope = scope;
    for (size_t i = 0; i < g->feature_count; i++) {
        const struct feature *f = g->features[i];
        unsigned before = load->said;
        if (f->merge == NULL ||
            f->merge(load, scope, scope->parent != NULL ? scope->parent->conf[i] : NULL,
                     scope->conf[i]) ||
            load->said != before)
            continue;
        conf_complain(load, CONF_EMERG, scope->node, CONF_AT_NAME,
                      "the settings of `%s` do not go together here", f->name);
    }
}

void merge_scopes(struct conf_load *load, struct scope *root)
{
    merge_scope(load, root);
    for (struct scope *s = root->children; s != NULL; s = s->next)
        merge_scopes(load, s);
    load->scope = load->root;
}
