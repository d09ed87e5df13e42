/* explain_pass.c - what other servers would be asked, and which. */
#include "tool/explain_private.h"
#include "upstream/cgi.h"
#include "upstream/gateways.h"
#include "upstream/proxy.h"
#include "upstream/relay_tls.h"

enum { TEXT_SIZE = 8192, PEERS_SHOWN = 16 };

static const char *const passes[] = { "proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass",
                                      "memcached_pass" };

/* In limit_except, in `if`, in the location: not further out, for it is not inherited. */
const struct conf_node *explain_pass_of(const struct request *r)
{
    const struct scope *s = r->scope;

    for (;;) {
        for (size_t i = 0; i < COUNT_OF(passes) && s->node != NULL; i++)
            for (const struct conf_node *n = s->node->children; n != NULL; n = n->next)
                if (slice_eq(n->name, slice_str(passes[i])))
                    return n;
        if ((s->context & (CTX_IF_LOCATION | CTX_LIMIT_EXCEPT)) == 0)
            return NULL;
        s = s->parent;
    }
}

static void tell_group(const struct request *r, const struct group *g)
{
    unsigned shown = 0;

    for (const struct peer *p = g->peers; p != NULL; p = p->next) {
        if (shown++ < PEERS_SHOWN)
            explain_say(r, "", NULL, "%s%.*s (%.*s)%s%s", g->node != NULL ? "one of them: " : "at ",
                        SLICE_FMT(p->at.text), SLICE_FMT(p->name), p->backup ? ", a backup" : "",
                        p->down ? ", down" : "");
    }
    for (const struct served *d = g->served; d != NULL; d = d->next)
        explain_say(r, "", NULL, "one of them: what the name servers say of %.*s",
                    SLICE_FMT(d->like.name));
    if (shown > PEERS_SHOWN)
        explain_say(r, "", NULL, "and %u more", shown - PEERS_SHOWN);
}

static void tell_tls(struct request *r, const struct relay_conf *c, struct slice host)
{
    struct slice name = { 0 };

    if (!relay_server_name(r, c, host, &name))
        name = SLICE("a name that cannot be");
    explain_say(r, "", NULL, "over TLS%s%.*s, %s%.*s", c->tls.tell ? ", told that it is " : "",
                SLICE_FMT(c->tls.tell ? name : SLICE("")),
                c->tls.verify ? "verified as " : "not verified",
                SLICE_FMT(c->tls.verify ? name : SLICE("")));
}

/* ---- HTTP ---------------------------------------------------------------------------------- */

static void tell_proxy(struct request *r, const struct conf_node *node)
{
    const struct proxy_conf *conf = proxy_conf(r);
    struct proxied px = { .conf = conf, .target = conf->target };
    const struct group *group;
    struct gather g;

    gather_init(&g, NULL, 0, &r->arena, TEXT_SIZE);
    if (!proxy_plan(r, &px) || !proxy_write_line(r, &px, &g)) {
        explain_say(r, "passed on", node, "%s: no URL that requests can be passed on to",
                    explain_directive(node));
        return;
    }
    explain_say(r, "passed on", node, "%s", explain_directive(node));
    explain_say(r, "", NULL, "to %.*s: %.*s", SLICE_FMT(px.host),
                SLICE_FMT(slice_head(gather_get(&g), slice_find(gather_get(&g), '\r'))));
    if (px.tls)
        tell_tls(r, &conf->relay, px.host);
    group = px.finding.group != NULL ? px.finding.group
                                     : group_find_in(conf->target->http, px.finding.address);
    if (group != NULL && group->node != NULL)
        explain_say(r, "", group->node, "%s", explain_directive(group->node));
    if (group != NULL)
        tell_group(r, group);
    for (const struct set_field *f = conf->fields; f != NULL; f = f->next) {
        struct slice value;

        if (expr_eval(f->value, r, &r->arena, EXPR_MAX, &value) && value.size > 0)
            explain_say(r, "", explain_find(r->scope, "proxy_set_header", f->name), "%.*s: %.*s",
                        SLICE_FMT(f->name), SLICE_FMT(value));
    }
}

/* ---- FastCGI, uwsgi, SCGI ------------------------------------------------------------------ */

static const struct {
    const char *pass;
    const struct feature *feature;
} gateways[] = {
    { "fastcgi_pass", &feature_fastcgi },
    { "uwsgi_pass", &feature_uwsgi },
    { "scgi_pass", &feature_scgi },
};

/* What says which program answers. */
static const char *const telling[] = { "SCRIPT_FILENAME", "SCRIPT_NAME", "PATH_INFO",
                                       "QUERY_STRING" };

static void tell_params(struct request *r, const struct cgi_conf *conf)
{
    struct slice value;

    for (const struct cgi_param *p = conf->params; p != NULL; p = p->next)
        for (size_t i = 0; i < COUNT_OF(telling); i++)
            if (slice_eq(p->name, slice_str(telling[i])) &&
                expr_eval(p->value, r, &r->arena, EXPR_MAX, &value))
                explain_say(r, "", NULL, "%.*s = %.*s", SLICE_FMT(p->name), SLICE_FMT(value));
}

static void tell_gateway(struct request *r, const struct conf_node *node,
                         const struct cgi_conf *conf)
{
    const struct cgi_target *t = conf->target;
    struct slice address = t->address;

    explain_say(r, "passed on", node, "%s", explain_directive(node));
    if (t->text != NULL && expr_eval(t->text, r, &r->arena, EXPR_MAX, &address))
        explain_say(r, "", NULL, "to %.*s", SLICE_FMT(address));
    if (t->tls)
        tell_tls(r, &conf->relay, address);
    if (t->group != NULL && t->group->node != NULL)
        explain_say(r, "", t->group->node, "%s", explain_directive(t->group->node));
    if (t->group != NULL)
        tell_group(r, t->group);
    tell_params(r, conf);
}

void explain_pass(struct request *r, const struct conf_node *node)
{
    for (size_t i = 0; i < COUNT_OF(gateways); i++)
        if (slice_eq(node->name, slice_str(gateways[i].pass))) {
            tell_gateway(r, node, request_conf(r, gateways[i].feature));
            return;
        }
    if (slice_eq(node->name, SLICE("proxy_pass")))
        tell_proxy(r, node);
    else
        explain_say(r, "passed on", node, "%s", explain_directive(node));
}
