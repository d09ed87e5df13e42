/* proxy.c - the directives of the proxy, and the handler that passes requests on. */
#include "upstream/proxy.h"

#include "conf/expr.h"
#include "handler/small.h"
#include "upstream/cache.h"
#include "upstream/relay_tls.h"

enum { FIELDS_MAX_OF_ANSWER = 200, ANSWER_FIRST = 1024 };

static uint32_t proxy_index;

/* ---- a request --------------------------------------------------------------------------- */

static struct proxied *px_of(const struct request *r)
{
    return r->slots[SLOT_PROXIED];
}

/* A body whose length is not known cannot be said to a peer of HTTP/1.0. */
static bool read_first(const struct request *r, const struct proxy_conf *c)
{
    return c->relay.pass_body && c->body == NULL && client_body_length(r) != 0 &&
           (c->relay.request_buffering || (c->version == HTTP_10 && r->head.chunked));
}

static const struct relay_protocol *protocol_of(const struct proxy_conf *c)
{
    return c->version == HTTP_2 ? &proxy_http2 : &proxy_http;
}

static enum verdict begin(struct request *r)
{
    const struct proxy_conf *c = proxy_conf(r);
    struct proxied *px = px_of(r);
    enum verdict v = NEXT;

    if (px == NULL) {
        px = arena_zalloc(&r->arena, sizeof *px);
        if (px == NULL)
            return request_fail(r, 500);
        px->conf = c;
        px->target = c->target;
        r->slots[SLOT_PROXIED] = px;
    }
    if (read_first(r, c) && r->parent == NULL)
        v = client_body_read(r);
    if (v == NEXT && c->relay.cache.key != NULL && !proxy_plan(r, px))
        v = request_fail(r, 500);
    if (v == NEXT)
        v = cache_begin(r, &c->relay);
    if (v == NEXT && !cache_serves(r) && (px->finding.group == NULL || px->host.at == NULL))
        v = proxy_find_target(r, px);
    return v;
}

/* What the cache has. */
static enum verdict serve(struct request *r)
{
    struct proxied *px = px_of(r);

    r->slots[SLOT_PROXIED] = NULL;
    r->slots[SLOT_LAST_PROXIED] = px;
    return relay_serve(r, &px->conf->relay, protocol_of(px->conf), px);
}

static bool secure(struct relay *y)
{
    const struct proxied *px = y->own;

    return !px->tls || relay_secure(y, px->host);
}

static enum verdict proxy_content(struct request *r)
{
    struct relay *y = relay_of(r);
    enum verdict v;

    if (proxy_conf(r)->target == NULL)
        return NEXT; /* proxy_pass stands in a limit_except that does not hold */
    if (y == NULL) {
        v = begin(r);
        if (v == DONE) {
            r->slots[SLOT_PROXIED] = NULL;
            cache_leave(cache_of(r));
        }
        if (v != NEXT)
            return v;
        if (cache_serves(r))
            return serve(r);
        y = relay_begin(r, &proxy_conf(r)->relay, protocol_of(proxy_conf(r)),
                        px_of(r)->finding.group, px_of(r));
        r->slots[SLOT_PROXIED] = NULL;
        r->slots[SLOT_LAST_PROXIED] = y != NULL ? y->own : NULL;
        if (y == NULL || !secure(y)) {
            cache_leave(cache_of(r));
            return request_fail(r, 500);
        }
    }
    return relay_step(y);
}

/* ---- proxy_pass -------------------------------------------------------------------------- */

static bool refuse_url(struct conf_load *load, const struct conf_node *node, const char *why)
{
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is no URL to pass requests on to: %s",
                  SLICE_FMT(conf_arg(node, 0)), why);
    conf_hint(load, "expected: http[s]://name[:port][/uri], http[s]://address[:port][/uri] or "
                    "http[s]://unix:/path[:/uri]");
    return false;
}

/* The path that a URI of proxy_pass stands for; false: there is none here. */
static bool prefix_here(struct conf_load *load, struct slice *prefix)
{
    const struct scope *scope = conf_scope(load);
    struct location *l = scope->object;

    if (scope->context == CTX_LIMIT_EXCEPT)
        l = scope->parent->object;
    *prefix = l->name;
    if (l->kind != LOCATION_REGEX && slice_ends(l->name, SLICE("/")))
        l->auto_redirect = true;
    return scope->context != CTX_IF_LOCATION && l->kind != LOCATION_REGEX &&
           l->kind != LOCATION_NAMED;
}

static bool set_pass(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct proxy_conf *c = own;
    struct target *t = arena_must(conf_arena(load), sizeof *t);
    struct proxy_url parts;
    struct slice constant;
    const char *why;

    (void)row;
    t->node = node;
    t->http = conf_scope_of(load, CTX_HTTP);
    t->url = expr_compile(load, node, 0);
    c->target = t;
    if (t->url == NULL || !content_set(load, node, proxy_content))
        return false;
    if (!expr_constant(t->url, &constant))
        return true;
    t->url = NULL;
    if (!proxy_split_url(constant, &parts, &why))
        return refuse_url(load, node, why);
    t->host = parts.host;
    t->uri = parts.uri;
    t->tls = parts.tls;
    t->has_uri = parts.has_uri;
    if (!prefix_here(load, &t->prefix) && t->has_uri) {
        conf_complain(load, CONF_EMERG, node, 0,
                      "this URL has a path, and here is none that it could stand for");
        conf_hint(load, "expected: a URL without a path in locations of a regular expression or a "
                        "name, in `if` and in limit_except");
        return false;
    }
    return true;
}

/* The whole configuration is known: the name may be an upstream's. */
static bool find_group(struct conf_load *load, struct target *t)
{
    if (t->url == NULL && t->group == NULL)
        t->group = destination_group(load, t->node, t->http, t->host, proxy_port(t->tls));
    return t->url != NULL || t->group != NULL;
}

/* What variables lead to may begin with https:// */
static bool make_domain(struct conf_load *load, struct scope *scope, struct proxy_conf *c)
{
    const struct target *t = c->target;
    const struct relay_tls_wish wish = { &feature_proxy, "proxy_", t->node, t->tls };

    if (t->url != NULL ? slice_starts(expr_text(t->url), SLICE("http://")) : !t->tls)
        return true;
    return relay_tls_merge(load, scope, &c->relay, &wish);
}

/* ---- proxy_set_header -------------------------------------------------------------------- */

static bool set_field(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct proxy_conf *c = own;

    (void)row;
    return passing_set(load, node, &c->fields, &c->fields_end);
}

/* ---- merging ----------------------------------------------------------------------------- */

static void inherit_changes(struct changes *own, const struct changes *outer, bool standard)
{
    if (own->first != NULL || own->off || own->standard)
        return;
    if (outer != NULL)
        *own = *outer;
    else
        own->standard = standard;
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct proxy_conf *outer = parent;
    struct proxy_conf *c = own;

    if (c->fields == NULL && outer != NULL)
        c->fields = outer->fields;
    for (const struct set_field *f = c->fields; f != NULL; f = f->next) {
        c->sets_host |= f->id == FIELD_HOST;
        c->sets_connection |= f->id == FIELD_CONNECTION;
    }
    inherit_changes(&c->redirect, outer != NULL ? &outer->redirect : NULL, true);
    inherit_changes(&c->cookie_domain, outer != NULL ? &outer->cookie_domain : NULL, false);
    inherit_changes(&c->cookie_path, outer != NULL ? &outer->cookie_path : NULL, false);
    if (c->cookie_flags == NULL && outer != NULL)
        c->cookie_flags = outer->cookie_flags;
    if (c->target == NULL && outer != NULL &&
        (scope->context & (CTX_IF_LOCATION | CTX_LIMIT_EXCEPT)) != 0)
        c->target = outer->target;
    c->limits = (struct h1_limits){ .line_max = (uint32_t)c->relay.buffer_size,
                                    .head_max = (uint32_t)c->relay.buffer_size,
                                    .fields_max = FIELDS_MAX_OF_ANSWER,
                                    .first_size = ANSWER_FIRST };
    return c->target == NULL || (find_group(load, c->target) && make_domain(load, scope, c) &&
                                 cache_merge(load, scope, "proxy_", &c->relay.cache));
}

/* ---- variables --------------------------------------------------------------------------- */

static const struct proxied *last_of(void *subject)
{
    const struct request *r = subject;
    const struct proxied *px = r->slots[SLOT_PROXIED];

    if (px == NULL || px->host.at == NULL)
        px = r->slots[SLOT_LAST_PROXIED];
    return px;
}

static bool print_host(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct proxied *px = last_of(subject);

    (void)use;
    if (px != NULL)
        gather_slice(g, px->host);
    return px != NULL;
}

static bool print_port(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct proxied *px = last_of(subject);
    struct slice host;
    uint16_t port = px != NULL ? proxy_port(px->tls) : 0;

    (void)use;
    if (px == NULL || !endpoint_split(px->host, &host, &port))
        return false;
    gather_u64(g, port);
    return true;
}

static bool print_forwarded_for(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;

    (void)use;
    for (uint32_t i = 0; i < r->head.field_count; i++) {
        if (r->head.fields[i].id != FIELD_X_FORWARDED_FOR)
            continue;
        gather_slice(g, r->head.fields[i].value);
        gather_lit(g, ", ");
    }
    addr_print(request_client(r), g);
    return true;
}

/* for=192.0.2.1, for="[2001:db8::1]", for=unknown: RFC 7239 §4, §6. */
static void print_node(const struct addr *a, struct gather *g)
{
    if (a->family != AF_INET && a->family != AF_INET6) {
        gather_lit(g, "for=unknown");
        return;
    }
    gather_str(g, a->family == AF_INET6 ? "for=\"[" : "for=");
    addr_print(a, g);
    gather_str(g, a->family == AF_INET6 ? "]\"" : "");
}

static bool print_forwarded(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;

    (void)use;
    for (uint32_t i = 0; i < r->head.field_count; i++) {
        if (r->head.fields[i].id != FIELD_FORWARDED)
            continue;
        gather_slice(g, r->head.fields[i].value);
        gather_lit(g, ", ");
    }
    print_node(request_client(r), g);
    return true;
}

static const struct variable vars[] = {
    { "proxy_add_forwarded", print_forwarded,
      .help = "The request's Forwarded (RFC 7239) with for=the client's address behind it." },
    { "proxy_host", print_host,
      .help = "Name and port of the server, as proxy_pass says them: the Host field's default." },
    { "proxy_port", print_port, .help = "Its port, or the protocol's." },
    { "proxy_add_x_forwarded_for", print_forwarded_for,
      .help = "The request's X-Forwarded-For with the client's address behind it." },
};

/* ---- directives -------------------------------------------------------------------------- */

static const struct conf_word versions[] = {
    { "1.0", HTTP_10 }, { "1.1", HTTP_11 }, { "2", HTTP_2 }, { NULL, 0 }
};

static const struct conf_word greetings[] = {
    { "off", 0 }, { "on", 1 }, { "v1", 1 }, { "v2", 2 }, { NULL, 0 }
};

#define AT(member) offsetof(struct proxy_conf, member)

static const struct directive rows[] = {
    { "proxy_pass", CTX_LOCATION | CTX_IF_LOCATION | CTX_LIMIT_EXCEPT, 1, 1, CONF_CUSTOM,
      .set = set_pass, .inherit = INHERIT_NOT, .syntax = "URL",
      .help = "Passes requests on to this server or upstream. A path in the URL stands for the "
              "location's; without one, the request's path goes on as it came. Variables may stand "
              "in it.",
      .example = "location /api/ { proxy_pass http://127.0.0.1:8080/; }" },
    { "proxy_set_header", RELAY_WHERE, 2, 2, CONF_CUSTOM, .set = set_field, .repeats = true,
      .inherit = INHERIT_NOT, .fallback = "Host $proxy_host", .syntax = "field value",
      .help = "A field of the request as the server gets it, in place of the client's; an empty "
              "value: none. A scope that sets any does not inherit those around it.",
      .example = "proxy_set_header Host $host;" },
    { "proxy_redirect", RELAY_WHERE, 1, 2, CONF_CUSTOM, .set = proxy_set_redirect, .repeats = true,
      .inherit = INHERIT_NOT, .fallback = "default",
      .syntax = "default | off | redirect replacement",
      .help = "Changes how Location and Refresh of an answer begin. default: the URL of proxy_pass "
              "becomes the location's path. ~ begins a regular expression.",
      .example = "proxy_redirect http://localhost:8000/two/ /one/;" },
    { "proxy_cookie_domain", RELAY_WHERE, 1, 2, CONF_CUSTOM, .set = proxy_set_cookie_domain,
      .repeats = true, .inherit = INHERIT_NOT, .fallback = "off",
      .syntax = "off | domain replacement", .help = "Changes the Domain of cookies." },
    { "proxy_cookie_path", RELAY_WHERE, 1, 2, CONF_CUSTOM, .set = proxy_set_cookie_path,
      .repeats = true, .inherit = INHERIT_NOT, .fallback = "off",
      .syntax = "off | path replacement", .help = "Changes how the Path of cookies begins." },
    { "proxy_cookie_flags", RELAY_WHERE, 1, 5, CONF_CUSTOM, .set = proxy_set_cookie_flags,
      .repeats = true, .inherit = INHERIT_NOT, .fallback = "off", .syntax = "off | cookie [flag …]",
      .help = "Sets or takes away flags of a cookie: secure, httponly, samesite=…, nosecure, "
              "nohttponly, nosamesite.",
      .example = "proxy_cookie_flags session secure httponly samesite=lax;" },
    { "proxy_http_version", RELAY_WHERE, 1, 1, CONF_ENUM, AT(version), "1.1", .words = versions,
      .syntax = "1.0 | 1.1 | 2",
      .help =
          "What is spoken with servers. 2: at once without TLS; with it, they must agree (ALPN "
          "h2). Requests share a connection, as many at a time as the server allows, up to 100." },
    { "proxy_protocol", RELAY_WHERE, 1, 1, CONF_ENUM, AT(greeting), "off", .words = greetings,
      .syntax = "on | v1 | v2 | off",
      .help = "Tells servers the client's address in a PROXY header before the first request on a "
              "connection, which then serves requests of that client only. on is v1, which is "
              "text.",
      .example = "proxy_protocol v2;" },
    { "proxy_method", RELAY_WHERE, 1, 1, CONF_EXPR, AT(method), NULL, .syntax = "method",
      .help = "The method that servers are asked with, in place of the client's." },
    { "proxy_set_body", RELAY_WHERE, 1, 1, CONF_EXPR, AT(body), NULL, .syntax = "value",
      .help = "What servers get in place of the request's body." },
    { "proxy_headers_hash_max_size", RELAY_WHERE, 1, 1, CONF_CUSTOM, .set = conf_set_ignored,
      .help = "Tables grow as they must." },
    { "proxy_headers_hash_bucket_size", RELAY_WHERE, 1, 1, CONF_CUSTOM, .set = conf_set_ignored,
      .help = "Tables grow as they must." },
    RELAY_ROWS("proxy_"),
    CACHE_ROWS("proxy_", "$scheme$proxy_host$request_uri"),
    RELAY_FLAG("proxy_cache_convert_head", cache.convert_head, "on",
               "Asks for the answer to a HEAD with GET, so that it can be kept. off: the key must "
               "have the method in it."),
    RELAY_SSL_ROWS("proxy_"),
    { "proxy_pass_trailers", RELAY_WHERE, 1, 1, CONF_FLAG,
      offsetof(struct proxy_conf, pass_trailers), "off", .syntax = "on | off",
      .help = "Passes the fields behind a server's body (trailers) on to the client. A server of "
              "HTTP/1.1 may want to be asked: proxy_set_header TE trailers." },
};

const struct feature feature_proxy = {
    .name = "proxy",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct proxy_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .merge = merge,
    .about = "Passes requests on to other servers over HTTP.",
    .index = &proxy_index,
};
