/* load.c - the life of a load, and the walk that hands each directive to its row. */
#include "conf/load_private.h"
#include "conf/registry_private.h"

#include <errno.h>
#include <stdio.h>

/* ---- life ---------------------------------------------------------------------------- */

/* With a "/" at the end. */
static const char *directory(struct arena *arena, struct slice path)
{
    bool ends = path.size > 0 && path.at[path.size - 1] == '/';
    return arena_printf(arena, "%.*s%s", SLICE_FMT(path), ends ? "" : "/").at;
}

struct conf_load *conf_load_create(const struct registry *registry, struct conf_source *source,
                                   struct arena *arena, const char *prefix)
{
    struct conf_load *load = arena_must(arena, sizeof *load);
    load->registry = registry;
    load->source = source;
    load->arena = arena;
    load->dir = load->prefix = directory(arena, slice_str(prefix));
    load->files_end = &load->files;
    load->pending_end = &load->pending;
    load->zones_end = &load->zones;
    load->zone_uses_end = &load->zone_uses;
    map_init(&load->files_by_path, MAP_CASE);
    map_init(&load->variables, MAP_CASE);
    map_init(&load->places, MAP_CASE);
    map_init(&load->excused, MAP_CASE);
    return load;
}

struct load_end {
    void (*run)(void *arg);
    void *arg;
    struct load_end *next;
};

void conf_at_end(struct conf_load *load, void (*run)(void *arg), void *arg)
{
    struct load_end *e = arena_must(load->arena, sizeof *e);

    *e = (struct load_end){ run, arg, load->ends };
    load->ends = e;
}

void conf_load_destroy(struct conf_load *load)
{
    for (const struct load_end *e = load->ends; e != NULL; e = e->next)
        e->run(e->arg);
    load->ends = NULL;
    map_done(&load->files_by_path);
    map_done(&load->variables);
    map_done(&load->places);
    map_done(&load->excused);
}

void conf_load_globals(struct conf_load *load, const char *text)
{
    load->globals = text;
}

void conf_load_extra(struct conf_load *load, uint32_t context, const char *name, const char *text)
{
    load->extra_context = context;
    load->extra_name = name;
    load->extra = text;
}

struct arena *conf_arena(struct conf_load *load)
{
    return load->arena;
}

const char *conf_prefix(const struct conf_load *load)
{
    return load->prefix;
}

int conf_read(struct conf_load *load, const char *path, struct slice *ret)
{
    return load->source->read(load->source, path, ret);
}

int conf_stay(struct conf_load *load, const char *path, struct slice *ret)
{
    return load->source->stay != NULL ? load->source->stay(load->source, path, ret) : -ENOENT;
}

bool conf_words_only(const struct conf_load *load)
{
    return load->source->words_only;
}

const char *conf_dir(const struct conf_load *load)
{
    return load->dir;
}

const struct conf_file *conf_load_files(const struct conf_load *load)
{
    return load->files;
}

/* ---- scopes -------------------------------------------------------------------------- */

static struct scope *scope_create(struct conf_load *load, const struct conf_node *node,
                                  uint32_t context, void *object)
{
    const struct registry_names *names = load->registry->names;
    struct scope *scope = arena_must(load->arena, sizeof *scope);
    char *room = arena_must(load->arena, names->conf_size + 1);
    *scope =
        (struct scope){ .context = context, .parent = load->scope, .node = node, .object = object };
    scope->children_end = &scope->children;
    for (size_t i = 0; i < load->registry->feature_count; i++) {
        if (names->conf_sizes[i] > 0)
            scope->conf[i] = room;
        room += names->conf_sizes[i];
    }
    if (scope->parent != NULL) {
        *scope->parent->children_end = scope;
        scope->parent->children_end = &scope->next;
    }
    return scope;
}

struct scope *conf_scope(const struct conf_load *load)
{
    return load->scope;
}

struct scope *conf_scope_of(const struct conf_load *load, uint32_t context)
{
    struct scope *scope = load->scope;
    while (scope != NULL && (scope->context & context) == 0)
        scope = scope->parent;
    return scope;
}

/* ---- is the directive right here? ---------------------------------------------------- */

static void hint_syntax(struct conf_load *load, const struct directive *row)
{
    bool block = row->type == CONF_BLOCK;
    const char *syntax = row->syntax != NULL ? row->syntax : block ? "{ … }" : NULL;
    if (syntax == NULL)
        return;
    conf_hint(load, "expected: %s%s%s%s", row->name, syntax[0] != '\0' ? " " : "", syntax,
              block ? "" : ";");
}

static bool shape_ok(struct conf_load *load, const struct conf_node *node,
                     const struct directive *row)
{
    if (node->block == (row->type == CONF_BLOCK))
        return true;
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME,
                  node->block ? "`%.*s` does not open a block"
                              : "`%.*s` opens a block: `{` is "
                                "missing",
                  SLICE_FMT(node->name));
    hint_syntax(load, row);
    return false;
}

static bool arity_ok(struct conf_load *load, const struct conf_node *node,
                     const struct directive *row)
{
    char range[64];
    unsigned min = row->args_min, max = row->args_max, given = node->arg_count;
    if (given >= min && (given <= max || max == ARGS_MANY))
        return true;
    if (max == ARGS_MANY)
        snprintf(range, sizeof range, "at least %u", min);
    else if (min == max && max == 0)
        snprintf(range, sizeof range, "no");
    else if (min == max)
        snprintf(range, sizeof range, "%u", min);
    else
        snprintf(range, sizeof range, "%u %s %u", min, max == min + 1 ? "or" : "to", max);
    bool one = max == 1 || (max == ARGS_MANY && min == 1);
    conf_complain(load, CONF_EMERG, node, given > max ? (int)max : CONF_AT_NAME,
                  "`%.*s` takes %s argument%s, %u %s given", SLICE_FMT(node->name), range,
                  one ? "" : "s", given, given == 1 ? "was" : "were");
    hint_syntax(load, row);
    return false;
}

/* The directive of this name before node, among its siblings. */
static const struct conf_node *find_earlier(const struct conf_load *load,
                                            const struct conf_node *node)
{
    const struct conf_node *n =
        load->scope->node != NULL ? load->scope->node->children : load->nodes;
    while (n != NULL && n != node && !slice_eq(n->name, node->name))
        n = n->next;
    return n != node ? n : NULL;
}

static bool unset_before(struct conf_load *load, const struct conf_node *node,
                         const struct feature *feature, const struct directive *row)
{
    if (row->repeats || row->name[0] == '*' || !scope_is_set(load->scope, feature, row->name))
        return true;
    const struct conf_node *earlier = find_earlier(load, node);
    if (earlier != NULL)
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "`%.*s` was already set at %s:%u",
                      SLICE_FMT(node->name), earlier->file->path, earlier->line);
    else
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "`%.*s` was already set",
                      SLICE_FMT(node->name));
    return false;
}

/* ---- the walk ------------------------------------------------------------------------ */

static void load_node(struct conf_load *load, const struct conf_node *node)
{
    const struct feature *feature;
    struct scope *scope = load->scope;
    const struct directive *row =
        registry_find(load->registry, node->name, scope->context, &feature, NULL);
    if (node->name.at == NULL)
        return; /* the parser has complained */
    if (row == NULL) {
        complain_unknown(load, node, scope->context);
        variables_excuse(load, node);
        return;
    }
    if (!shape_ok(load, node, row) || !arity_ok(load, node, row) ||
        !unset_before(load, node, feature, row))
        return;
    scope_note_set(load, scope, feature, row);
    set_value(load, node, scope->conf[*feature->index], row);
}

static void load_nodes(struct conf_load *load, const struct conf_node *nodes)
{
    for (const struct conf_node *n = nodes; n != NULL && !complaints_full(load); n = n->next)
        load_node(load, n);
}

struct scope *conf_enter(struct conf_load *load, const struct conf_node *node, uint32_t context,
                         void *object)
{
    struct scope *outer = load->scope;
    struct scope *scope = load->scope = scope_create(load, node, context, object);
    load_nodes(load, node->children);
    if (context == load->extra_context)
        conf_load_text(load, node, load->extra_name, slice_str(load->extra));
    load->scope = outer;
    return scope;
}

void conf_load_text(struct conf_load *load, const struct conf_node *node, const char *name,
                    struct slice text)
{
    load_nodes(load, parse_text(load, name, text, load->scope->context, node));
}

static void set_paths(struct conf_load *load, const char *path)
{
    struct slice s = arena_printf(load->arena, "%s%s", path[0] == '/' ? "" : load->prefix, path);
    load->main_path = s.at;
    while (s.size > 0 && s.at[s.size - 1] != '/')
        s.size--;
    load->dir = directory(load->arena, s);
}

/* What -g says comes first, as if it stood at the top of the file. */
static struct conf_node *read_nodes(struct conf_load *load)
{
    struct conf_node *first = NULL, **end = &first;
    if (load->globals != NULL)
        first = parse_text(load, "(command line)", slice_str(load->globals), CTX_MAIN, NULL);
    while (*end != NULL)
        end = &(*end)->next;
    *end = parse_main(load);
    return first;
}

struct scope *conf_load_run(struct conf_load *load, const char *path)
{
    set_paths(load, path);
    load->root = load->scope = scope_create(load, NULL, CTX_MAIN, NULL);
    merge_defaults(load);
    load->nodes = read_nodes(load);
    load_nodes(load, load->nodes);
    variables_resolve(load);
    zones_resolve(load);
    if (load->error_count == 0)
        merge_scopes(load, load->root);
    return load->root;
}

const struct conf_node *conf_load_parse(struct conf_load *load, const char *path, bool follow)
{
    set_paths(load, path);
    load->alone = !follow;
    load->nodes = read_nodes(load);
    return load->nodes;
}
