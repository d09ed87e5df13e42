/* ssl_domain.c - from directives to a tls_domain: files are read, and what is wrong is said at the
 * place where it was written. */
#include "http/log_target.h"
#include "net/cert_facts.h"
#include "net/tls_conf.h"
#include "net/tls_made.h"
#include "proto/ssl_load.h"

#include <string.h>

static bool read_path(struct conf_load *load, const struct scope *scope, const char *directive,
                      struct slice path, struct slice *ret)
{
    return path.size == 0 || tls_conf_read(load, tls_conf_place(scope, "", directive), path, ret);
}

/* A certificate's file that cannot be read, or used: what is in force stays. */
static bool stay(struct conf_load *load, struct slice path, struct slice *ret)
{
    return !slice_starts(path, SLICE("data:")) &&
           conf_stay(load, arena_printf(conf_arena(load), "%.*s", SLICE_FMT(path)).at, ret) == 0;
}

static bool read_pem(struct conf_load *load, const struct ssl_file *f, struct slice *ret)
{
    int error = 0;

    if (!slice_starts(f->path, SLICE("data:")))
        error = conf_read(load, arena_printf(conf_arena(load), "%.*s", SLICE_FMT(f->path)).at, ret);
    if (error == 0 || !stay(load, f->path, ret))
        return tls_conf_read(load, f->node, f->path, ret);
    conf_complain(load, CONF_WARN, f->node, 0, "\"%.*s\" cannot be read: %s", SLICE_FMT(f->path),
                  strerror(-error));
    conf_hint(load, "note: what is in force stays");
    return true;
}

/* On a reload, one server's certificate is no reason to refuse all others' changes: those of before
 * stay, both files of each pair. True: there were some. */
static bool keep_certificates(struct conf_load *load, const struct ssl_conf *conf,
                              struct tls_wish *wish)
{
    struct tls_certificate *c = wish->certificates;
    const struct ssl_file *key = conf->keys;
    bool any = false;

    for (const struct ssl_file *f = conf->certificates; f != NULL && c != NULL; f = f->next) {
        any |= stay(load, f->path, &c->chain);
        any |= stay(load, key->path, &c->key);
        key = key->next;
        c = c->next;
    }
    return any;
}

static bool read_certificates(struct conf_load *load, const struct ssl_conf *conf,
                              struct tls_wish *wish)
{
    struct tls_certificate **end = &wish->certificates;
    const struct ssl_file *key = conf->keys;

    if (conf->certificates != NULL && conf->certificates->expr != NULL)
        return true; /* read when a client asks */
    for (const struct ssl_file *f = conf->certificates; f != NULL; f = f->next) {
        struct tls_certificate *c = arena_must(conf_arena(load), sizeof *c);

        if (key == NULL) {
            conf_complain(load, CONF_EMERG, f->node, CONF_AT_NAME,
                          "no \"ssl_certificate_key\" is defined for certificate \"%.*s\"",
                          SLICE_FMT(f->path));
            return false;
        }
        if (!read_pem(load, f, &c->chain) || !read_pem(load, key, &c->key))
            return false;
        *end = c;
        end = &c->next;
        key = key->next;
    }
    return true;
}

static bool read_ticket_keys(struct conf_load *load, const struct ssl_conf *conf,
                             struct tls_wish *wish)
{
    struct slice *keys;
    unsigned count = 0;

    for (const struct ssl_file *f = conf->ticket_keys; f != NULL; f = f->next)
        count++;
    keys = arena_must(conf_arena(load), (count + 1) * sizeof *keys);
    wish->ticket_keys = keys;
    wish->ticket_key_count = count;
    for (const struct ssl_file *f = conf->ticket_keys; f != NULL; f = f->next)
        if (!tls_conf_read(load, f->node, f->path, keys++))
            return false;
    return true;
}

static bool read_all(struct conf_load *load, const struct scope *scope, const struct ssl_conf *conf,
                     struct tls_wish *w)
{
    return read_certificates(load, conf, w) && read_ticket_keys(load, conf, w) &&
           read_path(load, scope, "ssl_password_file", conf->passwords, &w->passwords) &&
           read_path(load, scope, "ssl_dhparam", conf->dhparam, &w->dh) &&
           read_path(load, scope, "ssl_client_certificate", conf->client_certificate,
                     &w->authorities) &&
           read_path(load, scope, "ssl_trusted_certificate", conf->trusted, &w->trusted) &&
           read_path(load, scope, "ssl_crl", conf->crl, &w->revoked);
}

/* ---- what is wrong --------------------------------------------------------------------------- */

static const struct conf_node *nth_file(const struct ssl_file *f, unsigned n)
{
    while (n-- > 0 && f->next != NULL)
        f = f->next;
    return f->node;
}

static void complain(struct conf_load *load, const struct scope *scope, const struct ssl_conf *conf,
                     const struct tls_fault *fault, enum conf_severity severity)
{
    const struct conf_node *node = tls_conf_place(scope, "", tls_part_name(fault->part, false));

    if (fault->part == TLS_PART_CERTIFICATE)
        node = nth_file(conf->certificates, fault->number);
    if (fault->part == TLS_PART_KEY)
        node = nth_file(conf->keys, fault->number);
    if (fault->part == TLS_PART_TICKET_KEY)
        node = nth_file(conf->ticket_keys, fault->number);
    tls_conf_complain(load, severity, node, fault);
}

/* Both lists are in the same order. */
static void read_ends(const struct ssl_conf *conf, const struct tls_certificate *c)
{
    for (struct ssl_file *f = conf->certificates; f != NULL && c != NULL; f = f->next) {
        struct cert_facts facts;
        struct cert_reader r;

        if (f->ends_s == 0) { /* else by a server that has it from http{}, too */
            cert_reader_init(&r, c->chain);
            if (cert_reader_next(&r, &facts))
                f->ends_s = facts.until_s;
            cert_reader_done(&r);
        }
        c = c->next;
    }
}

/* ssl_certificate with variables: one pair, and both paths are known only later. */
static bool check_variables(struct conf_load *load, const struct ssl_conf *conf)
{
    const struct ssl_file *c = conf->certificates, *k = conf->keys;

    if (c == NULL || c->expr == NULL ||
        (k != NULL && c->next == NULL && k->next == NULL && k->expr != NULL))
        return true;
    conf_complain(load, CONF_EMERG, c->node, 0,
                  "a certificate with variables needs one key with variables, and stands alone");
    return false;
}

static bool check_clients(struct conf_load *load, const struct scope *scope,
                          const struct ssl_conf *conf, const struct tls_wish *wish)
{
    if (wish->verify == TLS_VERIFY_ON && wish->authorities.size == 0 && wish->trusted.size == 0) {
        conf_complain(load, CONF_EMERG, tls_conf_place(scope, "", "ssl_verify_client"),
                      CONF_AT_NAME, "no ssl_client_certificate says whose certificates are good");
        return false;
    }
    if (conf->ocsp != SSL_OCSP_OFF && wish->verify != TLS_VERIFY_ON &&
        wish->verify != TLS_VERIFY_OPTIONAL) {
        conf_complain(load, CONF_EMERG, tls_conf_place(scope, "", "ssl_ocsp"), CONF_AT_NAME,
                      "ssl_ocsp needs clients whose certificates are verified");
        conf_hint(load, "expected: ssl_verify_client on or optional with it");
        return false;
    }
    return true;
}

/* With the certificates of before, if those of now cannot be used. */
static const struct tls_made *make(struct conf_load *load, const struct scope *scope,
                                   struct ssl_conf *conf, struct tls_order *order)
{
    struct ssl_conf *http = scope_conf(conf_scope_of(load, CTX_HTTP), &feature_ssl);
    struct tls_fault fault, again;
    const struct tls_made *made = tls_make(load, &http->made, order, &fault);
    const bool certificate =
        made == NULL && (fault.part == TLS_PART_CERTIFICATE || fault.part == TLS_PART_KEY);

    if (certificate && keep_certificates(load, conf, &order->wish)) {
        made = tls_make(load, &http->made, order, &again);
        if (made != NULL) {
            complain(load, scope, conf, &fault, CONF_WARN);
            conf_hint(load, "note: the certificate in force stays for this server");
        }
    }
    if (made == NULL)
        complain(load, scope, conf, &fault, CONF_EMERG);
    return made;
}

bool ssl_make_domain(struct conf_load *load, struct scope *scope, struct ssl_conf *conf)
{
    const struct tls_made *made;
    struct tls_order order = {
        .wish = { .protocols = conf->protocols,
                  .ciphers = tls_conf_text(load, conf->ciphers, ""),
                  .curves = tls_conf_text(load, conf->curves, "auto"),
                  .prefer_ours = conf->prefer,
                  .commands = conf->commands,
                  .verify = (enum tls_verify)conf->verify,
                  .verify_depth = conf->verify_depth,
                  .tickets = conf->tickets,
                  .sessions = conf->cache.sessions,
                  .session_zone = conf->cache.zone,
                  .session_timeout_s = conf->session_timeout,
                  .early_data = conf->early_data,
                  .stapled = conf->stapling,
                  .key_log = conf->key_log != NULL ? &conf->key_log->sink : NULL,
                  .record_max = (uint32_t)conf->buffer_size },
        .certificate = conf->certificates != NULL ? conf->certificates->expr : NULL,
        .key = conf->keys != NULL ? conf->keys->expr : NULL,
        .library_most = (unsigned)conf->certificates_max,
        .responder = conf->stapling_responder,
        .staple_verify = conf->stapling_verify,
    };

    if (!read_all(load, scope, conf, &order.wish) ||
        !read_path(load, scope, "ssl_stapling_file", conf->stapling_file, &order.staple) ||
        !check_clients(load, scope, conf, &order.wish) || !check_variables(load, conf))
        return false;
    made = make(load, scope, conf, &order);
    if (made == NULL)
        return false;
    conf->domain = made->domain;
    conf->library = made->library;
    read_ends(conf, order.wish.certificates);
    ssl_ends_complain(load, conf);
    return true;
}
