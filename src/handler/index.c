/* index.c - a URI that ends in a slash is answered by the directory's index file. */
#include "conf/expr.h"
#include "conf/load.h"
#include "handler/file_cache.h"
#include "handler/static.h"
#include "http/map_path.h"

#include <errno.h>

enum { NAME_MAX_SIZE = 1024 };

struct index_name {
    struct expr *name;
    struct index_name *next;
};

struct index_conf {
    struct index_name *names, **end;
};

static uint32_t index_index;

static enum verdict go_to(struct request *r, struct slice name)
{
    struct slice uri = name;

    if (name.at[0] != '/') {
        struct gather g;

        gather_init(&g, NULL, 0, &r->arena, r->uri.size + name.size);
        gather_slice(&g, r->uri);
        gather_slice(&g, name);
        if (g.full)
            return request_fail(r, 500);
        uri = gather_get(&g);
    }
    return request_reroute_args(r, uri, r->args);
}

/* What stands at r->uri and the name behind it; see file_open(). */
static enum file_result open_below(struct request *r, struct slice name, struct slice *path,
                                   struct file **ret, int *error)
{
    struct slice below;
    struct gather g;

    gather_init(&g, NULL, 0, &r->arena, r->uri.size + name.size);
    gather_slice(&g, r->uri);
    gather_slice(&g, name);
    *error = ENOENT;
    if (g.full || !map_path(r, gather_get(&g), path, &below))
        return FILE_FAILED;
    return file_open(r, *path, below, ret, error);
}

/* NEXT: there is no such file. */
static enum verdict try_name(struct request *r, struct slice name)
{
    struct slice path = { 0 };
    struct file *f;
    bool directory;
    int error;

    switch (open_below(r, name, &path, &f, &error)) {
    case FILE_WAIT:
        return WAIT;
    case FILE_FAILED:
        if (file_status(error) == 404)
            return NEXT;
        file_log(r, path, error);
        return request_fail(r, file_status(error));
    case FILE_OPEN:
        break;
    }
    directory = f->directory;
    file_close(f);
    return directory ? NEXT : go_to(r, name);
}

/* An absolute name stands for directories that have none of the files before it, not for those
 * that do not exist. */
static enum verdict go_to_absolute(struct request *r, struct slice name)
{
    struct slice path = { 0 };
    struct file *f;
    int error;

    switch (open_below(r, SLICE(""), &path, &f, &error)) {
    case FILE_WAIT:
        return WAIT;
    case FILE_FAILED:
        if (file_status(error) != 404)
            break;
        if (path.size > 0)
            file_log(r, path, error);
        return request_fail(r, 404);
    case FILE_OPEN:
        file_close(f);
        break;
    }
    return go_to(r, name);
}

/* The slot remembers which name is being tried while a helper thread opens it. */
enum verdict step_index(struct request *r)
{
    const struct index_conf *c = request_conf(r, &feature_index);
    const struct index_name *n = r->slots[SLOT_INDEX] != NULL ? r->slots[SLOT_INDEX] : c->names;

    r->slots[SLOT_INDEX] = NULL;
    if (r->uri.size == 0 || r->uri.at[r->uri.size - 1] != '/' ||
        (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD &&
         r->head.method != METHOD_POST))
        return NEXT;
    for (; n != NULL; n = n->next) {
        struct slice name;
        enum verdict v;

        if (!expr_eval(n->name, r, &r->arena, NAME_MAX_SIZE, &name))
            return request_fail(r, 500);
        if (name.size == 0)
            continue;
        if (name.at[0] == '/')
            v = n == c->names ? go_to(r, name) : go_to_absolute(r, name);
        else
            v = try_name(r, name);
        if (v == WAIT)
            r->slots[SLOT_INDEX] = (void *)(uintptr_t)n;
        if (v != NEXT)
            return v;
    }
    return NEXT;
}

/* ---- directives ------------------------------------------------------------------------- */

static bool set_index(struct conf_load *load, const struct conf_node *node, void *conf,
                      const struct directive *row)
{
    struct index_conf *c = conf;

    (void)row;
    if (c->end == NULL)
        c->end = &c->names;
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct index_name *n = arena_must(conf_arena(load), sizeof *n);

        n->name = expr_compile(load, node, i);
        if (n->name == NULL)
            return false;
        if (conf_arg(node, i).size > 0 && conf_arg(node, i).at[0] == '/' && i + 1 < node->arg_count)
            conf_complain(load, CONF_WARN, node, (int)i,
                          "an absolute index is always taken; what follows it is never tried");
        *c->end = n;
        c->end = &n->next;
    }
    return true;
}

static const struct directive rows[] = {
    { "index", CTX_HTTP | CTX_SERVER | CTX_LOCATION, 1, ARGS_MANY, CONF_CUSTOM,
      offsetof(struct index_conf, names), "index.html", .set = set_index,
      .size = sizeof(struct index_name *), .repeats = true, .syntax = "file …",
      .help = "The files that stand for a directory, in the order they are tried.",
      .example = "index index.html index.htm;" },
};

const struct feature feature_index = {
    .name = "index",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct index_conf),
    .about = "Index files of directories.",
    .index = &index_index,
};
