/* sub_filter.c - texts in answers replaced by others. */
#include "conf/expr.h"
#include "conf/load.h"
#include "filter/chunk.h"
#include "filter/replace.h"
#include "http/encoding.h"
#include "http/error_page.h"
#include "http/media.h"
#include "http/pipeline.h"

enum { MATCH_MAX = 8 * 1024, WITH_MAX = 64 * 1024 };

struct sub_pair {
    struct expr *match, *with;
    struct sub_pair *next;
};

struct sub_conf {
    struct sub_pair *pairs, **end;
    unsigned count;
    bool once, keep_date;
    struct media_set *types;
};

static uint32_t sub_index;

static bool lower(struct request *r, struct slice *text)
{
    char *copy = arena_bytes(&r->arena, text->size);

    if (copy == NULL)
        return false;
    for (size_t i = 0; i < text->size; i++)
        copy[i] = (char)byte_lower((unsigned char)text->at[i]);
    text->at = copy;
    return true;
}

/* What the variables make of the pairs; those that look for nothing are left out. False: too
 * long, or no memory. */
static bool evaluate(struct request *r, const struct sub_conf *c, struct replace_pair *pairs,
                     unsigned *ret_count)
{
    unsigned n = 0;

    for (const struct sub_pair *p = c->pairs; p != NULL && n < REPLACE_PAIRS_MAX; p = p->next) {
        struct replace_pair *to = &pairs[n];

        if (!expr_eval(p->match, r, &r->arena, MATCH_MAX, &to->match) ||
            !expr_eval(p->with, r, &r->arena, WITH_MAX, &to->with))
            return false;
        if (to->match.size == 0)
            continue;
        if (!lower(r, &to->match))
            return false;
        to->done = false;
        n++;
    }
    *ret_count = n;
    return true;
}

static bool replace(struct request *r, const struct sub_conf *c)
{
    struct replace_pair *pairs = arena_alloc(&r->arena, REPLACE_PAIRS_MAX * sizeof *pairs);
    struct replacer *s;
    unsigned count;

    if (pairs == NULL || !evaluate(r, c, pairs, &count))
        return false;
    if (count == 0)
        return true;
    s = replacer_create(&r->arena, pairs, count, c->once);
    return s != NULL && chunk_head_changed(r, c->keep_date) && transform_wrap(r, &replacer_ops, s);
}

bool sub_idle(const struct scope *scope)
{
    const struct sub_conf *c = scope_conf(scope, &feature_sub_filter);

    return c->pairs == NULL;
}

void filter_sub(struct request *r)
{
    const struct sub_conf *c = request_conf(r, &feature_sub_filter);

    if (c->pairs == NULL || r->response.body == NULL || r->response.length == 0 ||
        r->response.status == 206 || !media_in(c->types, r->response.content_type) ||
        response_find(r, SLICE("Content-Encoding")) != NULL)
        return;
    if (!replace(r, c)) {
        request_fail(r, 500);
        error_text_fill(r);
    }
}

/* ---- directives ------------------------------------------------------------------------------ */

static bool set_pair(struct conf_load *load, const struct conf_node *node, void *conf,
                     const struct directive *row)
{
    struct sub_conf *c = conf;
    struct sub_pair *p = arena_must(conf_arena(load), sizeof *p);
    struct slice text;

    (void)row;
    p->match = expr_compile(load, node, 0);
    p->with = expr_compile(load, node, 1);
    if (p->match == NULL || p->with == NULL)
        return false;
    if (expr_constant(p->match, &text) && text.size == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "there is no text to look for");
        conf_hint(load, "expected: the text to replace, then the text to put there");
        return false;
    }
    if (c->count++ == REPLACE_PAIRS_MAX) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "more than %d sub_filter in one place",
                      REPLACE_PAIRS_MAX);
        return false;
    }
    if (c->end == NULL)
        c->end = &c->pairs;
    *c->end = p;
    c->end = &p->next;
    return true;
}

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)

static const struct directive rows[] = {
    { "sub_filter", HSL, 2, 2, CONF_CUSTOM, offsetof(struct sub_conf, pairs), NULL, .set = set_pair,
      .size = sizeof(struct sub_pair *), .repeats = true, .syntax = "string replacement",
      .help = "Replaces a text in answers by another; case is ignored, and both may hold "
              "variables. Several may stand in one place; compressed answers are left alone.",
      .example = "sub_filter '</body>' '<p>$host</p></body>';" },
    { "sub_filter_once", HSL, 1, 1, CONF_FLAG, offsetof(struct sub_conf, once), "on",
      .syntax = "on | off", .help = "Whether each text is replaced once, or wherever it is found.",
      .example = "sub_filter_once off;" },
    { "sub_filter_types", HSL, 1, ARGS_MANY, CONF_CUSTOM, offsetof(struct sub_conf, types),
      "text/html", .set = media_set_types, .size = sizeof(struct media_set *),
      .syntax = "mime-type …",
      .help = "The types of answers that are looked through beside text/html; * means all.",
      .example = "sub_filter_types text/css;" },
    { "sub_filter_last_modified", HSL, 1, 1, CONF_FLAG, offsetof(struct sub_conf, keep_date), "off",
      .syntax = "on | off",
      .help = "Keeps Last-Modified, and the ETag as a weak one, on answers that are looked "
              "through.",
      .example = "sub_filter_last_modified on;" },
};

const struct feature feature_sub_filter = {
    .name = "sub_filter",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct sub_conf),
    .about = "Texts in answers replaced by others while they are sent.",
    .index = &sub_index,
};
