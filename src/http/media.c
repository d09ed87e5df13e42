/* media.c - sets of media types. */
#include "http/media.h"

#include "base/map.h"
#include "wire/field.h"

struct media_set {
    struct map types;
    bool all;
};

static bool is_type(struct slice s)
{
    struct slice first = slice_cut(&s, '/');

    return field_name_ok(first) && field_name_ok(s);
}

static bool add_type(struct media_set *m, struct slice type)
{
    return map_put(&m->types, type, m);
}

bool media_set_types(struct conf_load *load, const struct conf_node *node, void *conf,
                     const struct directive *row)
{
    struct media_set *m = arena_must(conf_arena(load), sizeof *m);

    map_init_arena(&m->types, MAP_NOCASE, conf_arena(load));
    if (!add_type(m, SLICE("text/html")))
        return false;
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct slice type = conf_arg(node, i);

        if (slice_eq(type, SLICE("*"))) {
            m->all = true;
            continue;
        }
        if (!is_type(type)) {
            conf_complain(load, CONF_EMERG, node, (int)i, "\"%.*s\" is not a media type",
                          SLICE_FMT(type));
            conf_hint(load, "expected: type/subtype, or * for all types");
            return false;
        }
        if (!add_type(m, type))
            return false;
    }
    *(struct media_set **)((char *)conf + row->offset) = m;
    return true;
}

bool media_in(const struct media_set *m, struct slice content_type)
{
    struct slice type = slice_trim(slice_cut(&content_type, ';'));

    return type.size > 0 && (m->all || map_get(&m->types, type) != NULL);
}
