/* relay_tls.c - from the directives …_ssl_… to domains, and to the TLS of one request's channels. */
#include "upstream/relay_tls.h"

#include "conf/expr.h"
#include "http/site.h"
#include "net/tls_conf.h"

enum { NAME_MOST = 255, VALUE_MAX = 4096 };

/* A domain, and the words that it was made from. */
struct relay_tls_made {
    struct relay_tls words;
    struct relay_tls_made *next;
};

/* ---- directives ------------------------------------------------------------------------------ */

static bool set_file(struct conf_load *load, const struct conf_node *node, struct slice *ret)
{
    *ret = (struct slice){ 0 };
    return conf_arg(node, 0).size == 0 || tls_conf_file(load, node, conf_arg(node, 0), ret);
}

bool relay_set_ssl_certificate(struct conf_load *load, const struct conf_node *node, void *own,
                               const struct directive *row)
{
    (void)row;
    return set_file(load, node, &((struct relay_conf *)own)->tls.certificate);
}

bool relay_set_ssl_key(struct conf_load *load, const struct conf_node *node, void *own,
                       const struct directive *row)
{
    (void)row;
    return set_file(load, node, &((struct relay_conf *)own)->tls.key);
}

bool relay_set_ssl_protocols(struct conf_load *load, const struct conf_node *node, void *own,
                             const struct directive *row)
{
    (void)row;
    return tls_conf_protocols(load, node, &((struct relay_conf *)own)->tls.protocols);
}

bool relay_set_ssl_command(struct conf_load *load, const struct conf_node *node, void *own,
                           const struct directive *row)
{
    (void)row;
    tls_conf_command(load, node, &((struct relay_conf *)own)->tls.commands);
    return true;
}

/* ---- domains --------------------------------------------------------------------------------- */

static bool read_path(struct conf_load *load, const struct scope *scope, const char *prefix,
                      const char *name, struct slice path, struct slice *ret)
{
    return path.size == 0 || tls_conf_read(load, tls_conf_place(scope, prefix, name), path, ret);
}

static bool read_certificate(struct conf_load *load, const struct scope *scope, const char *prefix,
                             const struct relay_tls *t, struct tls_wish *wish)
{
    struct tls_certificate *c = arena_must(conf_arena(load), sizeof *c);

    if (t->certificate.size == 0)
        return true;
    if (t->key.size == 0) {
        conf_complain(load, CONF_EMERG, tls_conf_place(scope, prefix, "ssl_certificate"), 0,
                      "no \"%sssl_certificate_key\" is defined for this certificate", prefix);
        return false;
    }
    wish->certificates = c;
    return read_path(load, scope, prefix, "ssl_certificate", t->certificate, &c->chain) &&
           read_path(load, scope, prefix, "ssl_certificate_key", t->key, &c->key) &&
           read_path(load, scope, prefix, "ssl_password_file", t->passwords, &wish->passwords);
}

static bool check_trust(struct conf_load *load, const struct scope *scope,
                        const struct relay_tls *t, const struct relay_tls_wish *w)
{
    if (!t->verify && w->certain && !tls_conf_is_said(scope, w->prefix, "ssl_verify")) {
        conf_complain(load, CONF_NOTICE, w->node, 0,
                      "the certificates of these servers are not verified");
        conf_hint(load,
                  "help: say %sssl_trusted_certificate and %sssl_verify on, or off if that "
                  "is meant",
                  w->prefix, w->prefix);
    }
    if (!t->verify || t->trusted.size > 0)
        return true;
    conf_complain(load, CONF_EMERG, tls_conf_place(scope, w->prefix, "ssl_verify"), CONF_AT_NAME,
                  "no \"%sssl_trusted_certificate\" says whose certificates are good", w->prefix);
    return false;
}

static void destroy(void *domain)
{
    tls_domain_destroy(domain);
}

static bool make(struct conf_load *load, const struct scope *scope, struct relay_tls *t,
                 const char *prefix)
{
    struct tls_fault fault;
    struct tls_wish wish = {
        .client = true,
        .protocols = t->protocols,
        .ciphers = tls_conf_text(load, t->ciphers, ""),
        .commands = t->commands,
        .verify = t->verify ? TLS_VERIFY_ON : TLS_VERIFY_OFF,
        .verify_depth = t->verify_depth,
    };

    if (!read_certificate(load, scope, prefix, t, &wish) ||
        !read_path(load, scope, prefix, "ssl_trusted_certificate", t->trusted, &wish.trusted) ||
        !read_path(load, scope, prefix, "ssl_crl", t->crl, &wish.revoked))
        return false;
    t->domain = tls_domain_create(&wish, &fault);
    if (t->domain == NULL) {
        tls_conf_complain(load, CONF_EMERG,
                          tls_conf_place(scope, prefix, tls_part_name(fault.part, true)), &fault);
        return false;
    }
    conf_at_end(load, destroy, t->domain);
    return true;
}

static bool same_words(const struct relay_tls *a, const struct relay_tls *b)
{
    return a->protocols == b->protocols && a->verify == b->verify &&
           a->verify_depth == b->verify_depth && a->commands == b->commands &&
           slice_eq(a->ciphers, b->ciphers) && slice_eq(a->certificate, b->certificate) &&
           slice_eq(a->key, b->key) && slice_eq(a->passwords, b->passwords) &&
           slice_eq(a->trusted, b->trusted) && slice_eq(a->crl, b->crl);
}

/* A list of authorities is long: locations that say the same share one domain. */
bool relay_tls_merge(struct conf_load *load, struct scope *scope, struct relay_conf *c,
                     const struct relay_tls_wish *w)
{
    struct relay_conf *http = scope_conf(conf_scope_of(load, CTX_HTTP), w->feature);
    struct relay_tls *t = &c->tls;

    if (!check_trust(load, scope, t, w))
        return false;
    for (struct relay_tls_made *m = http->tls.made; m != NULL; m = m->next)
        if (same_words(&m->words, t)) {
            t->domain = m->words.domain;
            return true;
        }
    if (!make(load, scope, t, w->prefix))
        return false;
    struct relay_tls_made *m = arena_must(conf_arena(load), sizeof *m);

    m->words = *t;
    m->next = http->tls.made;
    http->tls.made = m;
    return true;
}

/* ---- a request --------------------------------------------------------------------------------- */

/* "name:port", "[::1]:443", "unix:/path": the name, or address, alone. */
static struct slice bare_name(struct slice host)
{
    struct slice name;
    uint16_t port;

    if (slice_starts(host, SLICE("unix:")))
        return SLICE("localhost");
    if (!endpoint_split(host, &name, &port))
        return host;
    if (name.size > 2 && name.at[0] == '[')
        return slice_head(slice_skip(name, 1), name.size - 2);
    return slice_ends(name, SLICE(".")) ? slice_head(name, name.size - 1) : name;
}

static bool name_ok(struct slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if ((unsigned char)name.at[i] <= ' ')
            return false;
    return name.size <= NAME_MOST;
}

bool relay_server_name(struct request *r, const struct relay_conf *c, struct slice host,
                       struct slice *ret)
{
    const struct relay_tls *t = &c->tls;

    if (t->name != NULL && !expr_eval(t->name, r, &r->arena, VALUE_MAX, &host))
        return false;
    *ret = bare_name(host);
    return name_ok(*ret) && (ret->size > 0 || !t->verify);
}

bool relay_secure(struct relay *y, struct slice host)
{
    const struct relay_tls *t = &y->conf->tls;

    y->tls = (struct channel_tls){
        .domain = t->domain, .tell = t->tell, .resume = t->resume, .alpn = y->protocol->alpn
    };
    if (!t->tell && !t->verify) /* it would mean nothing, and keep connections apart */
        return true;
    if (relay_server_name(y->request, y->conf, host, &y->tls.name))
        return true;
    request_log(y->request, LOG_ERROR, 0, "\"%.*s\" is no name of a server",
                SLICE_FMT(y->tls.name));
    return false;
}
