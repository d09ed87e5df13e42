/* early_hints.c - the directive early_hints: for whom answers 103 of an upstream are passed on. */
#include "http/early_hints.h"

#include "conf/load.h"
#include "http/site.h"

static uint32_t early_hints_index;

struct condition {
    struct expr *text;
    struct condition *next;
};

struct early_hints_conf {
    struct condition *conditions;
};

bool early_hints_wanted(struct request *r)
{
    const struct early_hints_conf *conf = request_conf(r, &feature_early_hints);

    for (const struct condition *c = conf->conditions; c != NULL; c = c->next) {
        struct slice value;

        if (expr_eval(c->text, r, &r->arena, EXPR_MAX, &value) && value.size > 0 &&
            !slice_eq(value, SLICE("0")))
            return true;
    }
    return false;
}

static bool set_early_hints(struct conf_load *load, const struct conf_node *node, void *own,
                            const struct directive *row)
{
    struct early_hints_conf *conf = own;
    struct condition **end = &conf->conditions;

    (void)row;
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct condition *c = arena_must(conf_arena(load), sizeof *c);

        c->text = expr_compile(load, node, i);
        if (c->text == NULL)
            return false;
        *end = c;
        end = &c->next;
    }
    return true;
}

static const struct directive rows[] = {
    { "early_hints", CTX_HTTP | CTX_SERVER | CTX_LOCATION, 1, ARGS_MANY, CONF_CUSTOM,
      offsetof(struct early_hints_conf, conditions), NULL, .set = set_early_hints,
      .size = sizeof(struct condition *), .syntax = "string …",
      .help = "When an answer 103 (Early Hints) of a proxied server is passed on to the client, at "
              "once: if one of the strings is neither empty nor \"0\". Without it, none is.",
      .example = "early_hints $http_sec_fetch_mode;" },
};

const struct feature feature_early_hints = {
    .name = "early_hints",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct early_hints_conf),
    .about = "Hints that a proxied server gives before its answer, and who is told of them.",
    .index = &early_hints_index,
};
