/* health_conf.c - the directives health_check and match. */
#include "http/site.h"
#include "upstream/cgi.h"
#include "upstream/gateways.h"
#include "upstream/grpc.h"
#include "upstream/health_private.h"
#include "upstream/proxy.h"

enum { INTERVAL_MS = 5000 };

static uint32_t health_index;

/* ---- directives ---------------------------------------------------------------------------- */

struct number {
    const char *name;
    size_t offset;
    bool is_time;
    int64_t min;
};

static const struct number numbers[] = {
    { "interval=", offsetof(struct health, interval_ms), true, 1 },
    { "jitter=", offsetof(struct health, jitter_ms), true, 0 },
    { "fails=", offsetof(struct health, fails), false, 1 },
    { "passes=", offsetof(struct health, passes), false, 1 },
    { "port=", offsetof(struct health, port), false, 1 },
    { "grpc_status=", offsetof(struct health, grpc_status), false, 0 },
};

static bool read_number(const struct number *n, struct slice text, struct health *h)
{
    int64_t *at = (int64_t *)(void *)((char *)h + n->offset);
    uint64_t value;

    if (n->is_time)
        return conf_parse_msec(text, at) && *at >= n->min;
    *at = slice_to_u64(text, n->offset == offsetof(struct health, port) ? UINT16_MAX : INT32_MAX,
                       &value)
              ? (int64_t)value
              : -1;
    return *at >= n->min;
}

static bool read_word(struct conf_load *load, const struct conf_node *node, unsigned arg,
                      struct health *h)
{
    struct slice text = conf_arg(node, arg);

    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (!slice_starts(text, slice_str(numbers[i].name)))
            continue;
        if (read_number(&numbers[i], slice_skip(text, strlen(numbers[i].name)), h))
            return true;
        conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" has no value that can be",
                      SLICE_FMT(text));
        conf_hint(load, "expected: %s and %s", numbers[i].name,
                  numbers[i].is_time ? "a time" : "a number");
        return false;
    }
    if (slice_starts(text, SLICE("uri=/"))) {
        h->uri = slice_skip(text, 4);
    } else if (slice_starts(text, SLICE("match="))) {
        h->match_name = slice_skip(text, 6);
        h->match_arg = arg;
    } else if (slice_eq(text, SLICE("mandatory"))) {
        h->mandatory = true;
    } else if (slice_eq(text, SLICE("persistent"))) {
        h->persistent = true;
    } else if (slice_eq(text, SLICE("type=grpc"))) {
        h->grpc = true;
    } else if (h->grpc && slice_starts(text, SLICE("grpc_service="))) {
        h->grpc_asked = slice_skip(text, 13);
    } else {
        conf_complain(load, CONF_EMERG, node, (int)arg, "health_check has no parameter \"%.*s\"",
                      SLICE_FMT(text));
        conf_hint(load, "expected: interval=, jitter=, fails=, passes=, uri=/…, match=, port=, "
                        "mandatory, persistent or, behind them, type=grpc, grpc_service= and "
                        "grpc_status=");
        return false;
    }
    return true;
}

static bool set_grpc(struct conf_load *load, const struct conf_node *node, struct health *h)
{
    h->grpc_asked = health_grpc_message(conf_arena(load), h->grpc_asked);
    if (h->grpc_asked.at == NULL)
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME,
                      "the name of grpc_service= is longer than 127 bytes");
    else if (h->match_name.size > 0 || !slice_eq(h->uri, SLICE("/")))
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME,
                      "type=grpc goes neither with uri= nor with match=");
    else
        return true;
    return false;
}

static bool set_health_check(struct conf_load *load, const struct conf_node *node, void *own,
                             const struct directive *row)
{
    struct health_conf *conf = own;
    struct health *h = arena_must(conf_arena(load), sizeof *h);

    (void)row;
    *h = (struct health){ .node = node, .interval_ms = INTERVAL_MS, .fails = 1, .passes = 1 };
    h->uri = SLICE("/");
    h->scope = conf_scope(load);
    h->http = conf_scope_of(load, CTX_HTTP);
    h->location = h->scope->object;
    conf->here = h;
    for (unsigned i = 0; i < node->arg_count; i++)
        if (!read_word(load, node, i, h))
            return false;
    if (!h->grpc)
        return true;
    return set_grpc(load, node, h);
}

/* Whom the location passes requests on to, if that is known in advance. */
static struct group *group_here(const struct scope *scope)
{
    const struct feature *const gateways[] = { &feature_fastcgi, &feature_uwsgi, &feature_scgi };
    const struct proxy_conf *proxy = scope_conf(scope, &feature_proxy);
    const struct grpc_conf *grpc = scope_conf(scope, &feature_grpc);

    if (grpc->target != NULL)
        return grpc->target->group;
    if (proxy->target != NULL)
        return proxy->target->group;
    for (size_t i = 0; i < COUNT_OF(gateways); i++) {
        const struct cgi_conf *c = scope_conf(scope, gateways[i]);

        if (c->target != NULL)
            return c->target->group;
    }
    return NULL;
}

/* They are checked before they are used. */
static void distrust(struct health *h)
{
    struct group *g = h->group;

    g->mandatory |= h->mandatory;
    for (struct peer *p = g->peers; p != NULL; p = p->next)
        p->unchecked = !p->down && g->mandatory;
}

static bool health_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    struct health_conf *conf = own;
    struct health *h = conf->here;

    (void)parent;
    if (scope->context != CTX_LOCATION || h == NULL)
        return true;
    h->group = group_here(scope);
    if (h->group == NULL) {
        conf_complain(load, CONF_EMERG, h->node, CONF_AT_NAME,
                      "there is nobody here whose health could be checked");
        conf_hint(load, "expected: a proxy_pass, grpc_pass, fastcgi_pass, uwsgi_pass or "
                        "scgi_pass without variables in this location");
        return false;
    }
    const struct grpc_conf *grpc = scope_conf(scope, &feature_grpc);

    if (h->grpc && grpc->target == NULL) {
        conf_complain(load, CONF_EMERG, h->node, CONF_AT_NAME,
                      "type=grpc is for locations that have a grpc_pass");
        return false;
    }
    if (h->match_name.size > 0)
        h->match = health_match_find(h->http, h->match_name);
    if (h->match_name.size > 0 && h->match == NULL) {
        conf_complain(load, CONF_EMERG, h->node, (int)h->match_arg, "there is no match \"%.*s\"",
                      SLICE_FMT(h->match_name));
        conf_hint(load, "expected: the name of a match { … } in http");
        return false;
    }
    distrust(h);
    struct health_conf *all = scope_conf(h->http, &feature_health);

    h->next = all->all;
    all->all = h;
    return true;
}

static const struct directive rows[] = {
    { "health_check", CTX_LOCATION, 0, ARGS_MANY, CONF_CUSTOM, .set = set_health_check,
      .inherit = INHERIT_NOT,
      .syntax = "[interval=time] [jitter=time] [fails=number] [passes=number] [uri=path] "
                "[match=name] [port=number] [mandatory] [persistent] [type=grpc "
                "[grpc_service=name] [grpc_status=code]]",
      .help = "Asks each server that this location passes requests on to, every interval (5s), and "
              "takes it out of use after so many answers (fails=1) that do not fit, until so many "
              "(passes=1) do. An answer fits if its status is 200 to 399, or as match says. "
              "mandatory: a server is used only once it was found well; persistent: what is known "
              "survives a reload. Checks are made by one loop, with what the location says of "
              "passing on, its timeouts included. type=grpc: servers of a grpc_pass are asked by "
              "gRPC's own protocol for that, whose answer must be SERVING; or the call ends with "
              "grpc_status, such as 12 of those that do not know it.",
      .example = "location / { proxy_pass http://127.0.0.1:8080; health_check interval=2s "
                 "uri=/health; }" },
    { "match", CTX_HTTP, 1, 1, CONF_BLOCK, .set = health_set_match, .inherit = INHERIT_NOT,
      .repeats = true, .syntax = "name { condition; … }",
      .help = "What an answer must be like for health_check: all conditions must hold.",
      .example = "match welcome { status 200-299; header Content-Type = text/html; "
                 "body ~ \"Welcome\"; }" },
    { "*", CTX_MATCH, 0, ARGS_MANY, CONF_CUSTOM, .set = health_set_match_line, .repeats = true,
      .syntax = "condition",
      .help = "status [!] 200-399 …; header Name; header ! Name; header Name = | != | ~ | !~ "
              "value; body ~ | !~ regex; require $variable …" },
};

const struct feature feature_health = {
    .name = "health",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct health_conf),
    .merge = health_merge,
    .about = "Asks servers whether they are well, and passes requests on to those that are.",
    .index = &health_index,
};
