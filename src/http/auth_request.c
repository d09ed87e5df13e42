/* auth_request.c - access by the opinion of a sub-request: its status decides. */
#include "http/auth_request.h"

#include "conf/expr.h"
#include "http/access.h"
#include "http/assign.h"
#include "http/site.h"
#include "http/subrequest.h"

static uint32_t auth_request_index;

struct auth_set {
    struct assignment what;
    struct auth_set *next;
};

struct auth_request_conf {
    struct slice uri; /* size 0: off */
    struct auth_set *sets, **end;
};

/* Of one request, in its arena. */
struct asking {
    struct request *child;
    bool waiting, decided;
    uint16_t status;
};

/* ---- the answer ------------------------------------------------------------------------------ */

static bool keep_challenges(struct request *r, const struct request *child)
{
    for (const struct header *h = child->response.headers; h != NULL; h = h->next) {
        if (h->value.at == NULL || !slice_eq_nocase(h->name, SLICE("WWW-Authenticate")))
            continue;
        struct slice copy = arena_copy(&r->arena, h->value);

        if (copy.at == NULL || !access_challenge(r, copy))
            return false;
    }
    return true;
}

static void assign_all(struct request *r, struct request *child)
{
    const struct auth_request_conf *conf = request_conf(r, &feature_auth_request);

    for (const struct auth_set *s = conf->sets; s != NULL; s = s->next) {
        const char *why = assign_run(r, child, &s->what);

        if (why != NULL)
            request_log(r, LOG_ERROR, 0, "auth_request_set of $%s: %s", s->what.row->name, why);
    }
}

static enum verdict decide(struct request *r, const struct request *child)
{
    unsigned status = child->response.status;

    if (status >= 200 && status <= 299)
        return access_grant(r);
    if (status == 403 || (status == 401 && keep_challenges(r, child)))
        return access_refuse(r, status);
    if (status != 401)
        request_log(r, LOG_ERROR, 0, "auth_request got the unexpected status %u", status);
    return request_fail(r, 500);
}

static enum verdict judge(struct request *r, struct asking *a)
{
    struct request *child = a->child;
    enum verdict v;

    assign_all(r, child);
    v = decide(r, child);
    a->child = NULL;
    request_end(child);
    return v;
}

static void answered(struct request *child, void *arg)
{
    struct asking *a = arg;

    if (!a->waiting)
        return;
    a->waiting = false;
    request_resume(child->parent);
}

static const struct subrequest_ops asking_ops = { answered, NULL };

static struct asking *ask(struct request *r, const struct auth_request_conf *conf)
{
    struct asking *a = arena_zalloc(&r->arena, sizeof *a);

    if (a == NULL)
        return NULL;
    a->child = subrequest_create(r, conf->uri, (struct slice){ 0 }, &asking_ops, a);
    if (a->child == NULL)
        return NULL;
    r->slots[SLOT_AUTH_REQUEST] = a;
    subrequest_run(a->child);
    return a;
}

bool auth_request_idle(const struct scope *scope)
{
    const struct auth_request_conf *conf = scope_conf(scope, &feature_auth_request);

    return conf->uri.size == 0;
}

enum verdict step_auth_request(struct request *r)
{
    const struct auth_request_conf *conf = request_conf(r, &feature_auth_request);
    struct asking *a = r->slots[SLOT_AUTH_REQUEST];

    if (access_settled(r) || conf->uri.size == 0)
        return NEXT;
    if (a == NULL)
        a = ask(r, conf);
    if (a == NULL)
        return request_fail(r, 500);
    a->waiting = !subrequest_answered(a->child);
    if (a->waiting)
        return WAIT;
    r->slots[SLOT_AUTH_REQUEST] = NULL;
    return judge(r, a);
}

/* ---- directives ------------------------------------------------------------------------------ */

static bool set_uri(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    struct auth_request_conf *conf = own;
    struct slice uri = conf_arg(node, 0);

    (void)row;
    conf->uri = slice_eq(uri, SLICE("off")) ? (struct slice){ 0 } : uri;
    if (conf->uri.size == 0 || uri.at[0] == '/')
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a path of this server",
                  SLICE_FMT(uri));
    conf_hint(load, "expected: a path that begins with \"/\", or \"off\"");
    return false;
}

static bool set_set(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    struct auth_request_conf *conf = own;
    struct auth_set *s = arena_must(conf_arena(load), sizeof *s);

    (void)row;
    if (!assign_read(load, node, &s->what))
        return false;
    if (conf->end == NULL)
        conf->end = &conf->sets;
    *conf->end = s;
    conf->end = &s->next;
    return true;
}

#define WHERE CTX_ANY_HTTP

static const struct directive rows[] = {
    { "auth_request", WHERE, 1, 1, CONF_CUSTOM, offsetof(struct auth_request_conf, uri), "off",
      .set = set_uri, .size = sizeof(struct slice), .syntax = "uri | off",
      .help = "Asks this path, as a sub-request, whether the request may go on: 2xx lets it, 401 "
              "and 403 refuse it with that status, anything else is an error.",
      .example = "auth_request /auth;" },
    { "auth_request_set", WHERE, 2, 2, CONF_CUSTOM, offsetof(struct auth_request_conf, sets), NULL,
      .set = set_set, .size = sizeof(struct auth_set *), .repeats = true,
      .syntax = "$variable value",
      .help = "Gives the variable this value when the sub-request is answered; the value may hold "
              "variables of its answer.",
      .example = "auth_request_set $user $sent_http_x_user;" },
};

const struct feature feature_auth_request = {
    .name = "auth_request",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct auth_request_conf),
    .about = "Access decided by the answer to a sub-request.",
    .index = &auth_request_index,
};
