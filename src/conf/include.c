/* include.c - which files a directive include means, and how often files may be included. */
#include "conf/load_private.h"

#include <errno.h>

struct including {
    struct conf_load *load;
    const struct conf_node *node;
    include_fn *each;
    void *arg;
};

/* ---- files -------------------------------------------------------------------------------- */

/* Each path is read once. */
static struct conf_file *file_first(struct conf_load *load, const char *path, int *ret_error)
{
    struct slice text, key = slice_str(path);
    struct conf_file *first = map_get(&load->files_by_path, key);
    if (first != NULL)
        return first;
    *ret_error = load->source->read(load->source, path, &text);
    if (*ret_error != 0)
        return NULL;
    first = arena_must(load->arena, sizeof *first);
    *first = (struct conf_file){ .path = arena_copy(load->arena, key).at,
                                 .text = text,
                                 .order = ++load->file_count };
    if (!map_put(&load->files_by_path, slice_str(first->path), first)) {
        *ret_error = -ENOMEM;
        return NULL;
    }
    *load->files_end = first;
    load->files_end = &first->next;
    return first;
}

static bool file_fits(struct conf_load *load, const struct conf_file *file,
                      const struct conf_node *node)
{
    if (file->text.size <= CONF_FILE_MAX)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "\"%s\" is larger than %d bytes", file->path,
                  CONF_FILE_MAX);
    return false;
}

/* One more include of a file; NULL after a complaint. */
static struct conf_file *file_again(struct conf_load *load, const struct conf_node *node,
                                    const char *path)
{
    int error = 0;
    if (load->include_count++ >= CONF_INCLUDES_MAX) {
        conf_complain(load, CONF_EMERG, node, 0, "more than %d files are included",
                      CONF_INCLUDES_MAX);
        return NULL;
    }
    struct conf_file *first = file_first(load, path, &error);
    if (first == NULL) {
        conf_complain(load, CONF_EMERG, node, 0, "cannot read \"%s\": %s", path, strerror(-error));
        return NULL;
    }
    if (!file_fits(load, first, node))
        return NULL;
    struct conf_file *file = arena_must(load->arena, sizeof *file);
    *file = *first;
    file->next = NULL;
    file->included_by = node->file;
    file->included_at = node->line;
    return file;
}

const struct conf_file *include_main(struct conf_load *load)
{
    int error = 0;
    struct conf_file *file = file_first(load, load->main_path, &error);
    if (file == NULL)
        complain_at(load, CONF_EMERG, (struct place){ 0 }, "cannot be read: %s", strerror(-error));
    return file != NULL && file_fits(load, file, NULL) ? file : NULL;
}

/* ---- the directive ------------------------------------------------------------------------ */

static bool include_allowed(struct conf_load *load, const struct conf_node *node, const char *path)
{
    unsigned depth = 1;
    for (const struct conf_file *f = node->file; f != NULL; f = f->included_by, depth++) {
        if (strcmp(f->path, path) != 0)
            continue;
        conf_complain(load, CONF_EMERG, node, 0, "\"%s\" includes itself", path);
        return false;
    }
    if (depth <= CONF_INCLUDE_DEPTH_MAX)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "more than %d files include one another",
                  CONF_INCLUDE_DEPTH_MAX);
    return false;
}

static void include_one(void *arg, const char *path)
{
    const struct including *in = arg;
    if (!include_allowed(in->load, in->node, path) || complaints_full(in->load))
        return;
    const struct conf_file *file = file_again(in->load, in->node, path);
    if (file != NULL)
        in->each(in->arg, file);
}

static bool has_wildcard(struct slice s)
{
    return slice_find(s, '*') < s.size || slice_find(s, '?') < s.size ||
           slice_find(s, '[') < s.size;
}

static bool argument_ok(struct conf_load *load, const struct conf_node *node)
{
    if (node->arg_count == 1 && node->args[0].text.size > 0)
        return true;
    if (node->arg_count == 1) {
        conf_complain(load, CONF_EMERG, node, 0, "the path is empty");
        return false;
    }
    conf_complain(load, CONF_EMERG, node, node->arg_count > 1 ? 1 : CONF_AT_NAME,
                  "`include` takes 1 argument, %u were given", node->arg_count);
    conf_hint(load, "expected: include file;");
    return false;
}

void include_files(struct conf_load *load, const struct conf_node *node, include_fn *each,
                   void *arg)
{
    struct including in = { load, node, each, arg };
    if (!argument_ok(load, node))
        return;
    struct slice name = conf_arg(node, 0);
    struct slice path =
        arena_printf(load->arena, "%s%.*s", name.at[0] == '/' ? "" : load->dir, SLICE_FMT(name));
    CHECK(path.at != NULL);
    if (!has_wildcard(name)) {
        include_one(&in, path.at);
        return;
    }
    int error = load->source->glob(load->source, path.at, include_one, &in);
    if (error != 0)
        conf_complain(load, CONF_EMERG, node, 0, "cannot look for \"%s\": %s", path.at,
                      strerror(-error));
}
