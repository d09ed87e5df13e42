/* zone.c - the book of zones of one configuration, and what passes from it to the next. */
#include "conf/zone.h"

#include "conf/load_private.h"

/* A directive that names a zone, and the directive that should have declared it. */
struct zone_use {
    const struct conf_zone *zone;
    const char *kind;
    const struct conf_node *node;
    unsigned arg;
    struct zone_use *next;
};

static struct conf_zone *find(const struct conf_load *load, struct slice name)
{
    struct conf_zone *z = load->zones;

    while (z != NULL && !slice_eq(z->name, name))
        z = z->next;
    return z;
}

static struct conf_zone *find_or_enter(struct conf_load *load, struct slice name)
{
    struct conf_zone *z = find(load, name);

    if (z != NULL)
        return z;
    z = arena_must(load->arena, sizeof *z);
    *z = (struct conf_zone){ .name = name };
    *load->zones_end = z;
    load->zones_end = &z->next;
    return z;
}

/* ---- declaring ---------------------------------------------------------------------------- */

static struct conf_zone *refuse(struct conf_load *load, const struct conf_node *node, unsigned arg,
                                struct slice what, const char *why)
{
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" %s", SLICE_FMT(what), why);
    conf_hint(load, "expected: zone=name:size, with a size of %uk or more: zone=one:10m",
              (unsigned)ZONE_SIZE_MIN / 1024);
    return NULL;
}

struct conf_zone *zone_declare(struct conf_load *load, const struct conf_node *node, unsigned arg,
                               struct slice text, const char *kind)
{
    struct slice size_text = text, name = slice_cut(&size_text, ':');
    struct conf_zone *z;
    int64_t size;

    if (name.size == 0 || size_text.size == 0)
        return refuse(load, node, arg, text, "is not a name and a size");
    if (!conf_parse_size(size_text, &size))
        return refuse(load, node, arg, size_text, "is not a size");
    if (size < ZONE_SIZE_MIN)
        return refuse(load, node, arg, size_text, "is too little for a zone");
    z = find_or_enter(load, name);
    if (z->kind != NULL) {
        conf_complain(load, CONF_EMERG, node, (int)arg,
                      "the zone \"%.*s\" was already declared by %s at %s:%u", SLICE_FMT(name),
                      z->kind, z->node->file->path, z->node->line);
        return NULL;
    }
    z->kind = kind;
    z->size = size;
    z->node = node;
    z->arg = arg;
    return z;
}

struct conf_zone *zone_share(struct conf_load *load, const struct conf_node *node, unsigned arg,
                             struct slice text, const char *kind)
{
    struct slice size_text = text, name = slice_cut(&size_text, ':');
    struct conf_zone *z = find(load, name);
    int64_t size;

    if (z == NULL || z->kind == NULL || strcmp(z->kind, kind) != 0)
        return zone_declare(load, node, arg, text, kind);
    if (size_text.size == 0 || (conf_parse_size(size_text, &size) && size == z->size))
        return z;
    conf_complain(load, CONF_EMERG, node, (int)arg, "the zone \"%.*s\" has another size at %s:%u",
                  SLICE_FMT(name), z->node->file->path, z->node->line);
    return NULL;
}

/* ---- referring ---------------------------------------------------------------------------- */

struct conf_zone *zone_refer(struct conf_load *load, const struct conf_node *node, unsigned arg,
                             struct slice name, const char *kind)
{
    struct zone_use *u = arena_must(load->arena, sizeof *u);
    struct conf_zone *z = find_or_enter(load, name);

    *u = (struct zone_use){ .zone = z, .kind = kind, .node = node, .arg = arg };
    *load->zone_uses_end = u;
    load->zone_uses_end = &u->next;
    return z;
}

static void suggest(struct conf_load *load, const struct zone_use *u)
{
    for (const struct conf_zone *z = load->zones; z != NULL; z = z->next) {
        const char *near;

        if (z->kind == NULL || strcmp(z->kind, u->kind) != 0)
            continue;
        near = arena_printf(load->arena, "%.*s", SLICE_FMT(z->name)).at;
        if (conf_nearest(u->zone->name, &near, 1) != NULL) {
            conf_hint(load, "help: did you mean \"%s\"?", near);
            return;
        }
    }
    conf_hint(load, "expected: the name of a zone that %s declares", u->kind);
}

void zones_resolve(struct conf_load *load)
{
    for (const struct zone_use *u = load->zone_uses; u != NULL; u = u->next) {
        const struct conf_zone *z = u->zone;

        if (z->kind != NULL && strcmp(z->kind, u->kind) == 0)
            continue;
        if (z->kind == NULL)
            conf_complain(load, CONF_EMERG, u->node, (int)u->arg, "there is no zone \"%.*s\"",
                          SLICE_FMT(z->name));
        else
            conf_complain(load, CONF_EMERG, u->node, (int)u->arg,
                          "the zone \"%.*s\" was declared by %s at %s:%u: it is for something else",
                          SLICE_FMT(z->name), z->kind, z->node->file->path, z->node->line);
        suggest(load, u);
    }
}

/* ---- from one configuration to the next --------------------------------------------------- */

static const struct conf_zone *twin(const struct conf_load *load, const struct conf_zone *z)
{
    const struct conf_zone *t = load != NULL ? find(load, z->name) : NULL;
    bool same = t != NULL && t->kind != NULL && strcmp(t->kind, z->kind) == 0 &&
                t->size == z->size && t->value_size == z->value_size;

    return same ? t : NULL;
}

void zones_compare(struct conf_load *load, const struct conf_load *before)
{
    for (const struct conf_zone *z = load->zones; z != NULL; z = z->next) {
        const struct conf_zone *t = twin(before, z);

        if (t == NULL || slice_eq(t->about, z->about))
            continue;
        conf_complain(load, CONF_EMERG, z->node, CONF_AT_NAME,
                      "the zone \"%.*s\" has the %s \"%.*s\", and so far it had \"%.*s\"",
                      SLICE_FMT(z->name), z->about_what != NULL ? z->about_what : "key",
                      SLICE_FMT(z->about), SLICE_FMT(t->about));
        conf_hint(load, "help: it keeps its states over a reload; give the new one another name or "
                        "another size");
    }
}

bool zones_take(struct conf_load *load, const struct conf_load *before)
{
    for (struct conf_zone *z = load->zones; z != NULL; z = z->next) {
        const struct conf_zone *t = twin(before, z);

        if (t != NULL && t->memory != NULL && slice_eq(t->about, z->about))
            z->memory = zone_hold(t->memory);
        else
            z->memory = zone_create((uint64_t)z->size, z->value_size);
        if (z->memory == NULL)
            return false;
    }
    return true;
}

void zones_drop(struct conf_load *load)
{
    for (struct conf_zone *z = load->zones; z != NULL; z = z->next) {
        if (z->memory != NULL)
            zone_drop(z->memory);
        z->memory = NULL;
    }
}
