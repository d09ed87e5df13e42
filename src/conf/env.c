/* env.c - ${ENV:NAME} and ${ENV:NAME:-default} in arguments: the environment of whoever reads the
 * files first, so that a configuration that is sent on means the same there. The text is put in
 * before anything else looks at the argument. */
#include "conf/load_private.h"

#include <stdio.h>

enum { NAME_SIZE = 256 };

static const char opening[] = "${ENV:";
enum { OPENING_SIZE = sizeof opening - 1 };

/* "NAME" or "NAME:-default". */
struct wanted {
    struct slice name, fallback; /* fallback.at NULL: there is none */
};

static bool refuse(struct conf_load *load, const struct conf_node *node, unsigned arg,
                   size_t offset, const char *why, struct slice name)
{
    conf_complain_inside(load, CONF_EMERG, node, arg, offset, "%s%.*s", why,
                         SLICE_FMT(slice_head(name, NAME_SIZE)));
    conf_hint(load, "expected: ${ENV:NAME} of a variable that is set, or ${ENV:NAME:-default}");
    return false;
}

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = byte_lower((unsigned char)s.at[i]);

        if (!((c >= 'a' && c <= 'z') || (i > 0 && c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return s.size > 0 && s.size < NAME_SIZE;
}

static struct wanted split(struct slice inside)
{
    size_t mark = slice_search(inside, SLICE(":-"));
    struct wanted w = { .name = slice_head(inside, mark) };

    if (mark < inside.size)
        w.fallback = slice_skip(inside, mark + 2);
    return w;
}

static bool look_up(struct conf_load *load, const struct wanted *w, struct slice *ret)
{
    char path[NAME_SIZE + 8];

    snprintf(path, sizeof path, CONF_ENVIRONMENT "%.*s", SLICE_FMT(w->name));
    if (conf_read(load, path, ret) == 0 && (ret->size > 0 || w->fallback.at == NULL))
        return true;
    *ret = w->fallback;
    return w->fallback.at != NULL;
}

/* One argument, from its first "${ENV:" at `from` on. */
static bool expand(struct conf_load *load, const struct conf_node *node, unsigned arg, size_t from,
                   struct slice *text)
{
    struct slice left = *text, value;
    struct gather g;

    gather_init(&g, NULL, 0, load->arena, CONF_FILE_MAX);
    for (size_t begin = from; begin < left.size; begin = slice_search(left, SLICE("${ENV:"))) {
        struct slice inside = slice_skip(left, begin + OPENING_SIZE);
        size_t end = slice_find(inside, '}'), offset = text->size - left.size + begin;
        struct wanted w = split(slice_head(inside, end));

        gather_slice(&g, slice_head(left, begin));
        if (end == inside.size)
            return refuse(load, node, arg, offset, "this has no `}`", (struct slice){ 0 });
        if (!is_name(w.name))
            return refuse(load, node, arg, offset, "this is no name: ", w.name);
        if (!look_up(load, &w, &value))
            return refuse(load, node, arg, offset, "the environment has no ", w.name);
        gather_slice(&g, value);
        left = slice_skip(inside, end + 1);
    }
    gather_slice(&g, left);
    *text = g.used > 0 ? gather_get(&g) : SLICE("");
    return !g.full;
}

void env_expand(struct conf_load *load, const struct conf_node *node, struct conf_arg *args)
{
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct slice text = args[i].text;
        size_t from = slice_search(text, SLICE("${ENV:"));

        if (from < text.size && expand(load, node, i, from, &text))
            args[i].text = text;
    }
}
