/* addition.c - the answers of other paths, put before and behind a body. */
#include "conf/load.h"
#include "filter/added.h"
#include "http/encoding.h"
#include "http/error_page.h"
#include "http/media.h"
#include "http/pipeline.h"
#include "http/site.h"
#include "http/subrequest.h"

static uint32_t addition_index;

struct addition_conf {
    struct slice before, after; /* size 0: none */
    struct media_set *types;
};

enum { PARTS_MAX = 3 };

static bool add_part(struct request *r, struct slice uri, struct body **parts, unsigned *count)
{
    if (uri.size == 0)
        return true;
    parts[*count] = subrequest_body(r, uri, (struct slice){ 0 });
    return parts[(*count)++] != NULL;
}

static bool surround(struct request *r, const struct addition_conf *conf)
{
    struct body **parts = arena_alloc(&r->arena, PARTS_MAX * sizeof *parts), *all;
    unsigned count = 0;

    if (parts == NULL || !encoding_weaken_etag(r) || !add_part(r, conf->before, parts, &count))
        return false;
    if (r->response.body != NULL)
        parts[count++] = r->response.body;
    if (!add_part(r, conf->after, parts, &count))
        return false;
    all = body_chain(r, parts, count);
    if (all == NULL)
        return false;
    r->response.body = all;
    r->response.length = -1;
    r->response.accept_ranges = false;
    return true;
}

bool addition_idle(const struct scope *scope)
{
    const struct addition_conf *conf = scope_conf(scope, &feature_addition);

    return conf->before.size == 0 && conf->after.size == 0;
}

void filter_addition(struct request *r)
{
    const struct addition_conf *conf = request_conf(r, &feature_addition);

    if (r->response.status != 200 || (conf->before.size == 0 && conf->after.size == 0) ||
        !media_in(conf->types, r->response.content_type) ||
        response_find(r, SLICE("Content-Encoding")) != NULL)
        return;
    if (!surround(r, conf)) {
        request_fail(r, 500);
        error_text_fill(r);
    }
}

/* ---- directives ------------------------------------------------------------------------------ */

static bool set_path(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct slice *path = (struct slice *)(void *)((char *)own + row->offset);

    *path = conf_arg(node, 0);
    if (path->size == 0 || path->at[0] == '/')
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a path of this server",
                  SLICE_FMT(*path));
    conf_hint(load, "expected: a path that begins with \"/\", or \"\" for none");
    return false;
}

#define AT(member) offsetof(struct addition_conf, member)

static const struct directive rows[] = {
    { "add_before_body", CTX_ANY_HTTP, 1, 1, CONF_CUSTOM, AT(before), NULL, .set = set_path,
      .size = sizeof(struct slice), .syntax = "uri",
      .help = "Puts the answer of this path, asked by a sub-request, before the body.",
      .example = "add_before_body /header.html;" },
    { "add_after_body", CTX_ANY_HTTP, 1, 1, CONF_CUSTOM, AT(after), NULL, .set = set_path,
      .size = sizeof(struct slice), .syntax = "uri",
      .help = "Puts the answer of this path, asked by a sub-request, behind the body.",
      .example = "add_after_body /footer.html;" },
    { "addition_types", CTX_ANY_HTTP, 1, ARGS_MANY, CONF_CUSTOM, AT(types), "text/html",
      .set = media_set_types, .size = sizeof(struct media_set *), .syntax = "mime-type …",
      .help = "The types of answers that something is added to beside text/html; * means all.",
      .example = "addition_types text/plain;" },
};

const struct feature feature_addition = {
    .name = "addition",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct addition_conf),
    .about = "The answers of other paths put before and behind a body.",
    .index = &addition_index,
};
