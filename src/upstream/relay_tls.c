/* relay_tls.c - from the directives …_ssl_… to domains, and to the TLS of a request's channels. */
#include "upstream/relay_tls.h"

#include "conf/expr.h"
#include "http/log_target.h"
#include "http/site.h"
#include "net/tls_conf.h"
#include "net/tls_made.h"

#include <stdio.h>

enum { NAME_MOST = 255, VALUE_MAX = 4096, CERTIFICATES_MAX = 64 };

/* The certificate that one request's servers are shown, while it is looked for and used. */
struct relay_fetch {
    struct tls_fetch fetch;
    struct request *request; /* pinned while it is looked for */
    bool waits, over;        /* the step said WAIT; the request has ended */
};

/* ---- directives ------------------------------------------------------------------------------ */

static bool set_file(struct conf_load *load, const struct conf_node *node,
                     struct relay_tls_file *ret)
{
    struct slice text = conf_arg(node, 0), same;
    struct expr *e;

    *ret = (struct relay_tls_file){ 0 };
    if (text.size == 0)
        return true;
    if (!tls_conf_file(load, node, text, &ret->path))
        return false;
    if (slice_starts(text, SLICE("data:")))
        return true;
    e = expr_compile(load, node, 0);
    if (e != NULL && !expr_constant(e, &same))
        ret->expr = e;
    return e != NULL;
}

bool relay_set_ssl_certificate(struct conf_load *load, const struct conf_node *node, void *own,
                               const struct directive *row)
{
    struct relay_tls *t = &((struct relay_conf *)own)->tls;

    (void)row;
    return set_file(load, node, &t->certificate);
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

bool relay_set_ssl_key_log(struct conf_load *load, const struct conf_node *node, void *own,
                           const struct directive *row)
{
    struct relay_tls *t = &((struct relay_conf *)own)->tls;

    (void)row;
    t->key_log = log_target_want(load, node, 0, false);
    if (t->key_log == NULL)
        return false;
    t->key_log->secret = true;
    if (t->key_log->kind == LOG_TO_FILE)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "secrets are written into files alone");
    return false;
}

/* ---- domains --------------------------------------------------------------------------------- */

static bool read_path(struct conf_load *load, const struct scope *scope, const char *prefix,
                      const char *name, struct slice path, struct slice *ret)
{
    return path.size == 0 || tls_conf_read(load, tls_conf_place(scope, prefix, name), path, ret);
}

/* Those with variables are read when a server is asked. */
static bool read_certificate(struct conf_load *load, const struct scope *scope, const char *prefix,
                             const struct relay_tls *t, struct tls_wish *wish)
{
    struct tls_certificate *c = arena_must(conf_arena(load), sizeof *c);
    const struct conf_node *node = tls_conf_place(scope, prefix, "ssl_certificate");

    if (t->certificate.path.size == 0)
        return true;
    if (t->key.path.size == 0) {
        conf_complain(load, CONF_EMERG, node, 0,
                      "no \"%sssl_certificate_key\" is defined for this certificate", prefix);
        return false;
    }
    if ((t->certificate.expr == NULL) != (t->key.expr == NULL)) {
        conf_complain(load, CONF_EMERG, node, 0,
                      "a certificate with variables needs a key with variables, and the other way "
                      "round");
        return false;
    }
    if (!read_path(load, scope, prefix, "ssl_password_file", t->passwords, &wish->passwords))
        return false;
    if (t->certificate.expr != NULL)
        return true;
    wish->certificates = c;
    return read_path(load, scope, prefix, "ssl_certificate", t->certificate.path, &c->chain) &&
           read_path(load, scope, prefix, "ssl_certificate_key", t->key.path, &c->key);
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

/* A list of authorities is long: locations that say the same share one domain. */
bool relay_tls_merge(struct conf_load *load, struct scope *scope, struct relay_conf *c,
                     const struct relay_tls_wish *w)
{
    struct relay_conf *http = scope_conf(conf_scope_of(load, CTX_HTTP), w->feature);
    struct relay_tls *t = &c->tls;
    const struct tls_made *made;
    struct tls_fault fault;
    struct tls_order order = {
        .wish = { .client = true,
                  .protocols = t->protocols,
                  .ciphers = tls_conf_text(load, t->ciphers, ""),
                  .commands = t->commands,
                  .verify = t->verify ? TLS_VERIFY_ON : TLS_VERIFY_OFF,
                  .verify_depth = t->verify_depth,
                  .key_log = t->key_log != NULL ? &t->key_log->sink : NULL },
        .certificate = t->certificate.expr,
        .key = t->key.expr,
        .library_most = CERTIFICATES_MAX,
    };

    t->dir = conf_dir(load);
    if (!check_trust(load, scope, t, w) ||
        !read_certificate(load, scope, w->prefix, t, &order.wish) ||
        !read_path(load, scope, w->prefix, "ssl_trusted_certificate", t->trusted,
                   &order.wish.trusted) ||
        !read_path(load, scope, w->prefix, "ssl_crl", t->crl, &order.wish.revoked))
        return false;
    made = tls_make(load, &http->tls.made, &order, &fault);
    if (made == NULL) {
        tls_conf_complain(load, CONF_EMERG,
                          tls_conf_place(scope, w->prefix, tls_part_name(fault.part, true)),
                          &fault);
        return false;
    }
    t->domain = made->domain;
    t->library = made->library;
    return true;
}

/* ---- a request ------------------------------------------------------------------------------- */

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

/* ---- certificates with variables ----------------------------------------------------------- */

static void on_fetched(struct tls_fetch *fetch)
{
    struct relay_fetch *f = container_of(fetch, struct relay_fetch, fetch);
    struct request *r = f->request;

    if (f->over)
        tls_fetch_end(fetch);
    else if (f->waits)
        request_resume(r);
    (void)request_unpin(r);
}

static void forget(void *fetch)
{
    struct relay_fetch *f = fetch;

    f->over = true;
    if (!io_busy(&f->fetch.op))
        tls_fetch_end(&f->fetch);
}

/* False: it cannot be. An empty one is none. */
static bool find_path(struct request *r, const struct relay_tls *t, struct expr *expr,
                      char into[TLS_PATH_ROOM])
{
    struct slice path;

    if (!expr_eval(expr, r, &r->arena, VALUE_MAX, &path) ||
        memchr(path.at, '\0', path.size) != NULL)
        return false;
    into[0] = '\0';
    return path.size == 0 ||
           snprintf(into, TLS_PATH_ROOM, "%s%.*s", path.at[0] == '/' ? "" : t->dir,
                    SLICE_FMT(path)) < TLS_PATH_ROOM;
}

static bool fetch(struct relay *y)
{
    const struct relay_tls *t = &y->conf->tls;
    struct request *r = y->request;
    struct relay_fetch *f = arena_zalloc(&r->arena, sizeof *f);

    if (f == NULL || !find_path(r, t, t->certificate.expr, f->fetch.paths[0]) ||
        !find_path(r, t, t->key.expr, f->fetch.paths[1]) || !request_at_end(r, forget, f)) {
        request_log(r, LOG_ERROR, 0, "the path of the certificate for servers cannot be");
        return false;
    }
    if (f->fetch.paths[0][0] == '\0')
        return true;
    f->request = r;
    f->fetch.library = t->library;
    f->fetch.done = on_fetched;
    y->fetch = f;
    request_pin(r);
    tls_fetch_begin(r->io, &f->fetch);
    return true;
}

void relay_start(struct relay *y)
{
    struct relay_fetch *f = y->fetch;

    y->waits = false;
    if (f == NULL) {
        relay_ask(y);
        return;
    }
    f->waits = io_busy(&f->fetch.op);
    if (f->waits)
        return;
    y->fetch = NULL;
    y->tls.domain = tls_fetch_domain(&f->fetch);
    if (y->tls.domain != NULL) {
        relay_ask(y);
        return;
    }
    request_log(y->request, LOG_ERROR, 0, "%s", f->fetch.why);
    relay_give_up(y, 500);
}

bool relay_secure(struct relay *y, struct slice host)
{
    const struct relay_tls *t = &y->conf->tls;

    y->tls = (struct channel_tls){
        .domain = t->domain, .tell = t->tell, .resume = t->resume, .alpn = y->protocol->alpn
    };
    if (t->library != NULL && !fetch(y))
        return false;
    if (!t->tell && !t->verify) /* it would mean nothing, and keep connections apart */
        return true;
    if (relay_server_name(y->request, y->conf, host, &y->tls.name))
        return true;
    request_log(y->request, LOG_ERROR, 0, "\"%.*s\" is no name of a server",
                SLICE_FMT(y->tls.name));
    return false;
}
