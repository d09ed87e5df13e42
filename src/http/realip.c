/* realip.c - the client's address as a trusted proxy tells it.
 *
 * If the connection comes from a trusted net, the field named by real_ip_header says who the client
 * is: its last address, or (recursive) the last one that is not trusted itself. real_ip_header
 * proxy_protocol: the PROXY header in front of the connection says it. */
#include "http/access.h"
#include "http/forwarded.h"
#include "http/pipeline.h"
#include "http/proxy_told.h"
#include "http/site.h"

struct realip_conf {
    struct trusted *nets, **nets_end;
    struct slice field;
    bool recursive;
    bool from_proxy_protocol; /* once the configuration is read */
};

static uint32_t realip_index;

/* ---- who is it? --------------------------------------------------------------------------- */

static bool find_client(const struct request *r, const struct realip_conf *c, struct addr *client)
{
    bool found = false;

    if (c->from_proxy_protocol) {
        if (r->told == NULL || r->told->source.family == AF_UNSPEC)
            return false;
        *client = r->told->source;
        return true;
    }
    for (uint32_t i = r->head.field_count; i > 0; i--) {
        const struct field *f = &r->head.fields[i - 1];

        if (slice_eq_nocase(f->name, c->field) &&
            !forwarded_look_back(c->nets, c->recursive, f->value, client, &found))
            break;
    }
    return found;
}

enum verdict step_realip(struct request *r)
{
    const struct realip_conf *c = request_conf(r, &feature_realip);
    struct addr client, *peer;

    if (r->peer != NULL || !forwarded_trusted(c->nets, request_client(r)) ||
        !find_client(r, c, &client))
        return NEXT;
    peer = arena_alloc(&r->arena, sizeof *peer);
    if (peer == NULL)
        return request_fail(r, 500);
    *peer = r->client;
    r->peer = peer;
    r->client = client;
    return NEXT;
}

bool realip_idle(const struct scope *scope)
{
    const struct realip_conf *c = scope_conf(scope, &feature_realip);

    return c->nets == NULL;
}

/* ---- variables ---------------------------------------------------------------------------- */

static const struct addr *peer_of(struct request *r)
{
    return r->peer != NULL ? r->peer : request_client(r);
}

static bool get_address(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    addr_print(peer_of(subject), g);
    return true;
}

static bool get_port(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct addr *a = peer_of(subject);

    (void)use;
    if (a->port > 0)
        gather_u64(g, a->port);
    return true;
}

static const struct variable vars[] = {
    { "realip_remote_addr", get_address, .help = "The address of the connection itself." },
    { "realip_remote_port", get_port, .help = "The port of the connection itself." },
};

/* ---- directives --------------------------------------------------------------------------- */

static bool set_from(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct realip_conf *c = own;
    struct trusted *t = forwarded_read(load, node, 0);

    (void)row;
    if (t == NULL)
        return false;
    if (c->nets_end == NULL)
        c->nets_end = &c->nets;
    *c->nets_end = t;
    c->nets_end = &t->next;
    return true;
}

static bool realip_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct realip_conf *outer = parent;
    struct realip_conf *c = own;

    (void)load;
    (void)scope;
    if (c->nets == NULL && outer != NULL)
        c->nets = outer->nets;
    c->from_proxy_protocol = slice_eq(c->field, SLICE("proxy_protocol"));
    return true;
}

static const struct directive rows[] = {
    { "set_real_ip_from", CTX_ANY_HTTP, 1, 1, CONF_CUSTOM, .set = set_from, .repeats = true,
      .syntax = "address | net/bits | unix:",
      .help = "Proxies that are trusted to name their client.",
      .example = "set_real_ip_from 10.0.0.0/8;" },
    { "real_ip_header", CTX_ANY_HTTP, 1, 1, CONF_STRING, offsetof(struct realip_conf, field),
      "X-Real-IP", .syntax = "field | proxy_protocol",
      .help = "The request field in which they name it, or the PROXY header of the connection.",
      .example = "real_ip_header X-Forwarded-For;" },
    { "real_ip_recursive", CTX_ANY_HTTP, 1, 1, CONF_FLAG, offsetof(struct realip_conf, recursive),
      "off", .help = "Of several addresses, take the last that is not trusted; off: the last." },
};

const struct feature feature_realip = {
    .name = "realip",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct realip_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .merge = realip_merge,
    .about = "The client's address behind proxies.",
    .index = &realip_index,
};
