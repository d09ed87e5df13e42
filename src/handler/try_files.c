/* try_files.c - the first of several files that exists, or else a URI, a named location, a
 * status. */
#include "conf/expr.h"
#include "conf/load.h"
#include "handler/file_cache.h"
#include "handler/static.h"
#include "http/map_path.h"
#include "http/site.h"

enum { TRY_MAX_SIZE = 4096 };

struct try_name {
    struct expr *text;
    bool directory; /* it ends in a slash */
    struct try_name *next;
};

struct try_conf {
    struct try_name *names;
    struct expr *last; /* a URI or @name     */
    unsigned status;   /* =code              */
};

static uint32_t try_index;

/* The slash that asks for a directory is not part of its name: "/dir" is redirected to "/dir/"
 * afterwards, as it would be without try_files. */
static enum verdict found(struct request *r, struct slice uri, bool directory)
{
    request_set_uri(r, slice_head(uri, uri.size - (directory && uri.size > 1)));
    r->tried = true;
    return NEXT;
}

/* NEXT with r->tried: found. NEXT without: go on trying. */
static enum verdict try_one(struct request *r, const struct try_name *n)
{
    struct slice uri, path, below;
    struct file *f;
    bool fits;
    int error;

    if (!expr_eval(n->text, r, &r->arena, TRY_MAX_SIZE, &uri))
        return request_fail(r, 500);
    if (uri.size == 0 || !map_path(r, uri, &path, &below))
        return NEXT;
    switch (file_open(r, path, below, &f, &error)) {
    case FILE_WAIT:
        return WAIT;
    case FILE_FAILED:
        if (file_status(error) != 404)
            file_log(r, path, error);
        return NEXT;
    case FILE_OPEN:
        break;
    }
    fits = f->directory == n->directory;
    file_close(f);
    return fits ? found(r, uri, n->directory) : NEXT;
}

static enum verdict give_up(struct request *r, const struct try_conf *c)
{
    struct slice to;

    if (c->status != 0)
        return request_fail(r, c->status);
    if (!expr_eval(c->last, r, &r->arena, TRY_MAX_SIZE, &to))
        return request_fail(r, 500);
    if (to.size > 0 && to.at[0] == '@')
        return request_reroute_named(r, to);
    return request_reroute(r, to); /* the arguments are gone unless it says $args */
}

bool try_files_idle(const struct scope *scope)
{
    const struct try_conf *c = scope_conf(scope, &feature_try_files);

    return c->names == NULL;
}

enum verdict step_try_files(struct request *r)
{
    const struct try_conf *c = request_conf(r, &feature_try_files);
    const struct try_name *n = r->slots[SLOT_TRY] != NULL ? r->slots[SLOT_TRY] : c->names;

    r->slots[SLOT_TRY] = NULL;
    if (c->names == NULL)
        return NEXT;
    r->tried = false;
    for (; n != NULL; n = n->next) {
        enum verdict v = try_one(r, n);

        if (v == WAIT)
            r->slots[SLOT_TRY] = (void *)(uintptr_t)n;
        if (v != NEXT || r->tried)
            return v;
    }
    return give_up(r, c);
}

/* ---- the directive ------------------------------------------------------------------------- */

static bool set_status(struct conf_load *load, const struct conf_node *node, struct try_conf *c)
{
    unsigned last = node->arg_count - 1;
    uint64_t code;

    if (slice_to_u64(slice_skip(conf_arg(node, last), 1), 999, &code) && code >= 100) {
        c->status = (unsigned)code;
        return true;
    }
    conf_complain(load, CONF_EMERG, node, (int)last, "\"%.*s\" is not a status",
                  SLICE_FMT(conf_arg(node, last)));
    conf_hint(load, "expected: = and a number from 100 to 999");
    return false;
}

static bool set_try_files(struct conf_load *load, const struct conf_node *node, void *conf,
                          const struct directive *row)
{
    struct try_conf *c = conf;
    struct try_name **end = &c->names;
    unsigned last = node->arg_count - 1;

    (void)row;
    for (unsigned i = 0; i < last; i++) {
        struct try_name *n = arena_must(conf_arena(load), sizeof *n);
        struct slice text = conf_arg(node, i);

        n->text = expr_compile(load, node, i);
        if (n->text == NULL)
            return false;
        n->directory = text.size > 0 && text.at[text.size - 1] == '/';
        *end = n;
        end = &n->next;
    }
    if (conf_arg(node, last).size > 0 && conf_arg(node, last).at[0] == '=')
        return set_status(load, node, c);
    c->last = expr_compile(load, node, last);
    return c->last != NULL;
}

/* The block of an `if` is the same location: its files are tried there, too. */
static bool try_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    (void)load;
    if (scope->context == CTX_IF_LOCATION)
        *(struct try_conf *)own = *(const struct try_conf *)parent;
    return true;
}

static const struct directive rows[] = {
    { "try_files", CTX_SERVER | CTX_LOCATION, 2, ARGS_MANY, CONF_CUSTOM, .set = set_try_files,
      .inherit = INHERIT_NOT, .syntax = "file … uri | @name | =code",
      .help = "Uses the first file that exists (a name ending in / means a directory); if none "
              "does, goes to the last argument.",
      .example = "try_files $uri $uri/ /index.html;" },
};

const struct feature feature_try_files = {
    .name = "try_files",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct try_conf),
    .merge = try_merge,
    .about = "Choosing among files before the content phase.",
    .index = &try_index,
};
