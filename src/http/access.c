/* access.c - allow and deny by the client's address, limit_except by its method, and satisfy,
 * which says whether all checks must agree or one is enough. */
#include "http/access.h"

#include "http/auth_request.h"
#include "http/log_target.h"
#include "http/pipeline.h"
#include "http/site.h"

static uint32_t access_index;

enum rule_kind { RULE_ALL, RULE_UNIX, RULE_NET };

struct access_rule {
    enum rule_kind kind;
    bool allow;
    struct addr_net net;
    const struct conf_node *node;
    struct access_rule *next;
};

struct access_conf {
    struct access_rule *rules, **rules_end;
    uint32_t methods;           /* of limit_except, as bits                          */
    const struct scope *except; /* in force for the other methods; NULL: none         */
};

/* ---- reading ---------------------------------------------------------------------------- */

static bool read_net(struct conf_load *load, const struct conf_node *node, struct slice text,
                     struct access_rule *rule)
{
    bool low_bits;

    rule->kind = RULE_NET;
    if (!addr_net_parse(text, &rule->net, &low_bits)) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not an address", SLICE_FMT(text));
        conf_hint(load, "expected: an address, a net such as 10.0.0.0/8, unix: or all");
        return false;
    }
    if (low_bits)
        conf_complain(load, CONF_WARN, node, 0,
                      "the address has bits beyond the net's mask; they mean nothing");
    return true;
}

static bool set_rule(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct access_conf *conf = own;
    struct access_rule *rule = arena_must(conf_arena(load), sizeof *rule);
    struct slice text = conf_arg(node, 0);

    rule->allow = row->name[0] == 'a';
    rule->node = node;
    if (slice_eq(text, SLICE("all")))
        rule->kind = RULE_ALL;
    else if (slice_eq(text, SLICE("unix:")))
        rule->kind = RULE_UNIX;
    else if (!read_net(load, node, text, rule))
        return false;
    if (conf->rules_end == NULL)
        conf->rules_end = &conf->rules;
    *conf->rules_end = rule;
    conf->rules_end = &rule->next;
    return true;
}

/* nginx takes the names in either case; methods themselves are case-sensitive. */
static enum http_method read_method(struct slice text)
{
    for (unsigned m = METHOD_OTHER + 1; m < METHOD_COUNT; m++)
        if (slice_eq_nocase(text, slice_str(method_name((enum http_method)m))))
            return (enum http_method)m;
    return METHOD_OTHER;
}

static bool set_limit_except(struct conf_load *load, const struct conf_node *node, void *own,
                             const struct directive *row)
{
    struct access_conf *conf = own;
    struct location *location = conf_scope(load)->object;
    bool ok = true;

    (void)row;
    for (unsigned i = 0; i < node->arg_count; i++) {
        enum http_method method = read_method(conf_arg(node, i));

        if (method == METHOD_OTHER) {
            conf_complain(load, CONF_EMERG, node, (int)i, "\"%.*s\" is not a method",
                          SLICE_FMT(conf_arg(node, i)));
            conf_hint(load, "expected: GET, POST, PUT, DELETE …");
            ok = false;
            continue;
        }
        conf->methods |= 1u << method;
    }
    if (conf->methods & (1u << METHOD_GET))
        conf->methods |= 1u << METHOD_HEAD;
    conf->except = conf_enter(load, node, CTX_LIMIT_EXCEPT, location);
    return ok && conf->except != NULL;
}

static bool access_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct access_conf *outer = parent;
    struct access_conf *conf = own;

    (void)load;
    if (conf->rules == NULL && outer != NULL)
        conf->rules = outer->rules;
    if (scope->context == CTX_IF_LOCATION) {
        conf->methods = outer->methods;
        conf->except = outer->except;
    }
    return true;
}

/* ---- deciding ---------------------------------------------------------------------------- */

static bool rule_fits(const struct access_rule *rule, const struct addr *client)
{
    switch (rule->kind) {
    case RULE_ALL:
        return true;
    case RULE_UNIX:
        return client->family == AF_UNIX;
    case RULE_NET:
        /* A client that is gone has no address any more: it gets no benefit of the doubt. */
        return client->family == AF_UNSPEC ? !rule->allow : addr_in_net(client, &rule->net);
    }
    return false;
}

enum access_opinion access_by_address(struct request *r)
{
    const struct access_conf *conf = request_conf(r, &feature_access);
    const struct access_rule *rule = conf->rules;
    const struct addr *client;

    if (rule == NULL)
        return ACCESS_NONE;
    client = request_client(r);
    while (rule != NULL && !rule_fits(rule, client))
        rule = rule->next;
    if (rule == NULL)
        return ACCESS_NONE;
    if (rule->allow)
        return ACCESS_GRANTED;
    if (core_conf(r)->satisfy == SATISFY_ALL)
        request_log(r, LOG_ERROR, 0, "access forbidden by rule in %s:%u", rule->node->file->path,
                    rule->node->line);
    request_fail(r, 403);
    return ACCESS_REFUSED;
}

/* In nginx's order. */
static enum access_opinion (*const checks[])(struct request *) = {
    access_by_address,
    access_by_request,
};

/* limit_except: the settings of its block, for methods that it does not name. */
static void use_except(struct request *r)
{
    const struct access_conf *conf = request_conf(r, &feature_access);

    if (conf->except == NULL || conf->methods & (1u << r->head.method))
        return;
    r->scope = conf->except;
    r->log = log_of_scope(conf->except);
}

/* One check. Where several refuse, a 401 stays: the client can do something about it. */
static enum access_opinion ask(struct request *r, size_t check)
{
    struct response before;
    bool asked_for_name = r->response.status == 401;
    enum access_opinion opinion;

    if (asked_for_name)
        before = r->response;
    opinion = checks[check](r);
    if (asked_for_name && opinion == ACCESS_REFUSED && r->response.status != 401) {
        r->response = before;
        if (before.headers == NULL)
            r->response.headers_end = &r->response.headers;
    }
    return opinion;
}

bool access_idle(const struct scope *scope)
{
    const struct access_conf *conf = scope_conf(scope, &feature_access);

    return conf->rules == NULL && conf->except == NULL && access_by_request_idle(scope);
}

/* After ACCESS_WAIT the same check is asked again. */
enum verdict step_access(struct request *r)
{
    bool any, over = false, refused;

    if (r->access.next == 0)
        use_except(r);
    any = core_conf(r)->satisfy == SATISFY_ANY;
    for (; r->access.next < COUNT_OF(checks) && !over; r->access.next++) {
        enum access_opinion opinion = ask(r, r->access.next);

        if (opinion == ACCESS_WAIT)
            return WAIT;
        r->access.granted |= opinion == ACCESS_GRANTED;
        r->access.refused |= opinion == ACCESS_REFUSED;
        over = any ? r->access.granted : r->access.refused;
    }
    refused = r->access.refused && !(any && r->access.granted);
    if (r->access.refused && !refused)
        request_forget_answer(r);
    r->access = (struct access_progress){ 0 };
    return refused ? DONE : NEXT;
}

#define WHERE (CTX_ANY_HTTP | CTX_LIMIT_EXCEPT)

static const struct directive rows[] = {
    { "allow", WHERE, 1, 1, CONF_CUSTOM, .set = set_rule, .repeats = true,
      .syntax = "address | net/bits | unix: | all",
      .help = "Lets these clients in; the first allow or deny that fits decides.",
      .example = "allow 192.168.0.0/16;" },
    { "deny", WHERE, 1, 1, CONF_CUSTOM, .set = set_rule, .repeats = true,
      .syntax = "address | net/bits | unix: | all",
      .help = "Answers these clients with 403; the first allow or deny that fits decides.",
      .example = "deny all;" },
    { "limit_except", CTX_LOCATION, 1, ARGS_MANY, CONF_BLOCK, .set = set_limit_except,
      .inherit = INHERIT_NOT, .syntax = "method … { … }",
      .help = "Settings for every method but the named ones; GET includes HEAD.",
      .example = "limit_except GET { deny all; }" },
};

const struct feature feature_access = {
    .name = "access",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct access_conf),
    .merge = access_merge,
    .about = "Lets clients in or not, by their address and method.",
    .index = &access_index,
};
