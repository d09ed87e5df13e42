/* map_path.c - root and alias. */
#include "http/map_path.h"

#include "http/site.h"

enum { PATH_LENGTH_MAX = 4096 };

static struct slice without_final_slashes(struct slice path)
{
    while (path.size > 1 && path.at[path.size - 1] == '/')
        path.size--;
    return path;
}

/* Has it a ".." among its names? */
static bool climbs(struct slice path)
{
    while (path.size > 0)
        if (slice_eq(slice_cut(&path, '/'), SLICE("..")))
            return true;
    return false;
}

/* A root that is not absolute once its variables are known is below the prefix, like others.
 * Variables bring in what clients say: no ".." but one that the configuration itself wrote. */
static struct slice evaluate(struct request *r, const struct http_core *core)
{
    struct slice text;

    if (core->root_expr == NULL)
        return core->root;
    if (!expr_eval(core->root_expr, r, &r->arena, PATH_LENGTH_MAX, &text))
        return (struct slice){ 0 };
    if (climbs(text) && !climbs(expr_text(core->root_expr))) {
        request_log(r, LOG_ERROR, 0, "the path \"%.*s\" has \"..\" from a variable in it",
                    SLICE_FMT(text));
        return (struct slice){ 0 };
    }
    if (text.size > 0 && text.at[0] == '/')
        return text;
    return arena_printf(&r->arena, "%.*s%.*s", SLICE_FMT(core->prefix), SLICE_FMT(text));
}

struct slice map_root(struct request *r)
{
    if (r->root_path.size == 0)
        r->root_path = without_final_slashes(evaluate(r, core_conf(r)));
    return r->root_path;
}

/* An alias takes the place of the location's prefix; of a regular expression, of all. */
static bool rest_of_alias(const struct http_core *core, struct slice uri, struct slice *ret)
{
    const struct location *l = core->alias_of;

    if (l->kind == LOCATION_REGEX) {
        *ret = (struct slice){ "", 0 };
        return true;
    }
    if (!slice_starts(uri, l->name))
        return false;
    *ret = slice_skip(uri, l->name.size);
    return ret->size == 0 || ret->at[0] == '/' ||
           (l->name.size > 0 && l->name.at[l->name.size - 1] == '/');
}

/* What is below the directories that an alias of a regular expression names before its first
 * variable: the client chose it, and it must not lead out of them. */
static struct slice below_constant(const struct http_core *core, struct slice path)
{
    struct slice text;
    size_t end, slash = 0;

    if (core->root_expr == NULL || core->alias_of->kind != LOCATION_REGEX)
        return slice_skip(path, path.size);
    text = expr_text(core->root_expr);
    text.size = slice_find(text, '$');
    end = text.size;
    if (end > 0 && text.at[0] != '/')
        end += core->prefix.size; /* it was put in front */
    for (size_t i = 0; i < end && i < path.size; i++)
        if (path.at[i] == '/')
            slash = i;
    return slice_skip(path, path.at[slash] == '/' ? slash + 1 : path.size);
}

bool map_path(struct request *r, struct slice uri, struct slice *ret_path, struct slice *ret_below)
{
    const struct http_core *core = core_conf(r);
    struct slice root = map_root(r), rest = uri;
    size_t slash, size;
    char *path;

    if (root.size == 0 || (core->alias && !rest_of_alias(core, uri, &rest)))
        return false;
    while (rest.size > 0 && rest.at[0] == '/')
        rest = slice_skip(rest, 1);
    slash = root.at[root.size - 1] != '/' && rest.size > 0 ? 1 : 0;
    path = arena_bytes(&r->arena, root.size + slash + rest.size + 1);
    if (path == NULL)
        return false;
    memcpy(path, root.at, root.size);
    if (slash > 0)
        path[root.size] = '/';
    if (rest.size > 0)
        memcpy(path + root.size + slash, rest.at, rest.size);
    size = root.size + slash + rest.size;
    path[size] = '\0';
    *ret_path = slice_of(path, size);
    *ret_below = core->alias && rest.size == 0 ? below_constant(core, *ret_path)
                                               : slice_skip(*ret_path, root.size + slash);
    return true;
}

struct slice map_root_part(struct slice path, struct slice below)
{
    struct slice root = slice_head(path, path.size - below.size);

    return without_final_slashes(root);
}

void map_filename(struct request *r, struct gather *g)
{
    struct slice path, below;

    if (map_path(r, r->uri, &path, &below))
        gather_slice(g, path);
}
