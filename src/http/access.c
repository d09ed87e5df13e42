/* access.c - allow and deny by the client's address, limit_except by its method, and satisfy,
 * which says whether all the access steps must agree or one is enough. */
#include "http/access.h"

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

/* NULL: none fits. */
static const struct access_rule *rule_for(struct request *r)
{
    const struct access_conf *conf = request_conf(r, &feature_access);
    const struct access_rule *rule = conf->rules;
    const struct addr *client = rule != NULL ? request_client(r) : NULL;

    while (rule != NULL && !rule_fits(rule, client))
        rule = rule->next;
    return rule;
}

const struct conf_node *access_rule_for(struct request *r)
{
    const struct access_rule *rule = rule_for(r);

    return rule != NULL ? rule->node : NULL;
}

static enum verdict by_address(struct request *r)
{
    const struct access_rule *rule = rule_for(r);

    if (rule == NULL)
        return NEXT;
    if (rule->allow)
        return access_grant(r);
    if (core_conf(r)->satisfy == SATISFY_ALL)
        request_log(r, LOG_ERROR, 0, "access forbidden by rule in %s:%u", rule->node->file->path,
                    rule->node->line);
    return access_refuse(r, 403);
}

/* limit_except: the settings of its block, for methods that it does not name. */
static void use_except(struct request *r)
{
    const struct access_conf *conf = request_conf(r, &feature_access);

    if (conf->except == NULL || conf->methods & (1u << r->head.method))
        return;
    r->scope = conf->except;
    r->log = log_of_scope(conf->except);
}

bool access_idle(const struct scope *scope)
{
    const struct access_conf *conf = scope_conf(scope, &feature_access);

    return conf->rules == NULL && conf->except == NULL;
}

enum verdict step_access(struct request *r)
{
    use_except(r);
    return by_address(r);
}

/* ---- gathering what the steps think ------------------------------------------------------ */

bool access_settled(const struct request *r)
{
    return r->access_settled;
}

enum verdict access_grant(struct request *r)
{
    if (core_conf(r)->satisfy == SATISFY_ANY) {
        r->access_settled = true;
        r->access_status = 0;
        r->challenges = NULL;
    }
    return NEXT;
}

enum verdict access_refuse(struct request *r, unsigned status)
{
    if (r->access_status != 401)
        r->access_status = (uint16_t)status;
    r->access_settled = core_conf(r)->satisfy == SATISFY_ALL;
    return NEXT;
}

bool access_challenge(struct request *r, struct slice value)
{
    struct header **end = &r->challenges;

    for (; *end != NULL; end = &(*end)->next)
        if (slice_eq((*end)->value, value)) /* an error page is behind the same rules */
            return true;
    *end = arena_alloc(&r->arena, sizeof **end);
    if (*end == NULL)
        return false;
    **end = (struct header){ SLICE("WWW-Authenticate"), value, NULL };
    return true;
}

/* Leaves nothing behind: an error page may go through the steps again. */
enum verdict step_access_verdict(struct request *r)
{
    unsigned status = r->access_status;

    r->access_settled = false;
    r->access_status = 0;
    if (status == 403 && core_conf(r)->satisfy == SATISFY_ANY)
        request_log(r, LOG_ERROR, 0, "access forbidden: nothing of what \"satisfy any\" asks for");
    return status == 0 ? NEXT : request_fail(r, status);
}

/* They go out with the page that error_page chose, too. */
void filter_challenge(struct request *r)
{
    for (const struct header *c = r->challenges; c != NULL; c = c->next) {
        if (response_add(r, c->name, c->value))
            continue;
        request_fail(r, 500);
        return;
    }
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
