/* types.c - the types block and default_type. */
#include "http/types.h"

#include "base/map.h"
#include "conf/load.h"

struct types_conf {
    struct map *types;
    struct slice fallback;
};

static uint32_t types_index;

/* What nginx knows when a configuration has no types block. */
static const struct {
    struct slice extension, type;
} builtin[] = {
    { { "html", 4 }, { "text/html", 9 } },
    { { "gif", 3 }, { "image/gif", 9 } },
    { { "jpg", 3 }, { "image/jpeg", 10 } },
};

static struct map *map_new(struct conf_load *load)
{
    struct map *m = arena_must(conf_arena(load), sizeof *m);

    map_init_arena(m, MAP_NOCASE, conf_arena(load));
    return m;
}

static bool set_types(struct conf_load *load, const struct conf_node *node, void *conf,
                      const struct directive *row)
{
    struct types_conf *c = conf;

    (void)row;
    if (c->types == NULL)
        c->types = map_new(load);
    return conf_enter(load, node, CTX_TYPES, c->types) != NULL;
}

/* "text/html html htm;": the type is the directive's name. */
static bool set_type(struct conf_load *load, const struct conf_node *node, void *conf,
                     const struct directive *row)
{
    struct map *types = conf_scope(load)->object;

    (void)conf;
    (void)row;
    for (unsigned i = 0; i < node->arg_count; i++) {
        const struct slice *before = map_get(types, conf_arg(node, i));

        if (before != NULL && !slice_eq(*before, node->name)) {
            conf_complain(load, CONF_WARN, node, (int)i, "the extension \"%.*s\" was \"%.*s\"",
                          SLICE_FMT(conf_arg(node, i)), SLICE_FMT(*before));
            conf_hint(load, "note: the last one counts");
        }
        if (!map_put(types, conf_arg(node, i), (void *)(uintptr_t)&node->name))
            return false;
    }
    return true;
}

static bool types_merge(struct conf_load *load, struct scope *scope, const void *parent, void *conf)
{
    struct types_conf *c = conf;

    (void)scope;
    if (c->types == NULL && parent != NULL)
        c->types = ((const struct types_conf *)parent)->types;
    if (c->types != NULL)
        return true;
    c->types = map_new(load);
    for (size_t i = 0; i < COUNT_OF(builtin); i++)
        if (!map_put(c->types, builtin[i].extension, (void *)(uintptr_t)&builtin[i].type))
            return false;
    return true;
}

struct slice types_of(const struct request *r)
{
    const struct types_conf *c = request_conf(r, &feature_types);
    const struct slice *type = r->extension.size > 0 ? map_get(c->types, r->extension) : NULL;

    return type != NULL ? *type : c->fallback;
}

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)

static const struct directive rows[] = {
    { "types", HSL, 0, 0, CONF_BLOCK, .set = set_types, .inherit = INHERIT_NOT, .repeats = true,
      .syntax = "{ type extension …; }", .help = "Which media type a file extension stands for.",
      .example = "types { text/html html htm; image/png png; }" },
    { "*", CTX_TYPES, 1, ARGS_MANY, CONF_CUSTOM, .set = set_type, .repeats = true,
      .syntax = "extension …", .help = "A media type and its extensions.",
      .example = "image/png png;" },
    { "default_type", HSL, 1, 1, CONF_STRING, offsetof(struct types_conf, fallback), "text/plain",
      .syntax = "type", .help = "The type of files whose extension says nothing.",
      .example = "default_type application/octet-stream;" },
    { "types_hash_max_size", HSL, 1, 1, CONF_CUSTOM, .set = conf_set_ignored, .syntax = "size",
      .help = "Accepted; weir sizes its tables itself." },
    { "types_hash_bucket_size", HSL, 1, 1, CONF_CUSTOM, .set = conf_set_ignored, .syntax = "size",
      .help = "Accepted; weir sizes its tables itself." },
};

const struct feature feature_types = {
    .name = "types",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct types_conf),
    .merge = types_merge,
    .about = "The Content-Type of files, by their extension.",
    .index = &types_index,
};
