/* ssl_domain.c - from directives to a tls_domain: files are read, and what is wrong is said at the
 * place where it was written. */
#include "proto/ssl_load.h"
#include "wire/date.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WARN_DAYS = 14 };

/* Where the directive stands that is in force: in the scope, or around it. */
static const struct conf_node *place_of(const struct scope *scope, const char *name)
{
    for (const struct scope *s = scope; s != NULL && s->node != NULL; s = s->parent)
        for (const struct conf_node *n = s->node->children; n != NULL; n = n->next)
            if (slice_eq(n->name, slice_str(name)))
                return n;
    return scope->node;
}

static bool read_text(struct conf_load *load, const struct conf_node *node, struct slice path,
                      struct slice *ret)
{
    struct slice literal = SLICE("data:");
    int error;

    if (slice_starts(path, literal)) {
        *ret = slice_skip(path, literal.size);
        return true;
    }
    error = conf_read(load, arena_printf(conf_arena(load), "%.*s", SLICE_FMT(path)).at, ret);
    if (error == 0)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" cannot be read: %s", SLICE_FMT(path),
                  strerror(-error));
    return false;
}

static bool read_path(struct conf_load *load, const struct scope *scope, const char *directive,
                      struct slice path, struct slice *ret)
{
    return path.size == 0 || read_text(load, place_of(scope, directive), path, ret);
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
        return read_text(load, f->node, f->path, ret);
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
        if (!read_text(load, f->node, f->path, keys++))
            return false;
    return true;
}

static const char *text_of(struct conf_load *load, struct slice text, const char *none)
{
    if (text.size == 0 || slice_eq(text, slice_str(none)))
        return NULL;
    return arena_printf(conf_arena(load), "%.*s", SLICE_FMT(text)).at;
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
    static const struct {
        const char *directive, *what;
    } parts[] = {
        [TLS_PART_NONE] = { "ssl_certificate", "TLS cannot be set up" },
        [TLS_PART_CERTIFICATE] = { "ssl_certificate", "this is not a certificate in PEM" },
        [TLS_PART_KEY] = { "ssl_certificate_key", "this is not the certificate's key" },
        [TLS_PART_PROTOCOLS] = { "ssl_protocols", "these protocols cannot be had" },
        [TLS_PART_CIPHERS] = { "ssl_ciphers", "no cipher fits" },
        [TLS_PART_CURVES] = { "ssl_ecdh_curve", "these are not curves" },
        [TLS_PART_DH] = { "ssl_dhparam", "these are not DH parameters" },
        [TLS_PART_COMMAND] = { "ssl_conf_command", "the library refuses it" },
        [TLS_PART_AUTHORITIES] = { "ssl_client_certificate", "these are not certificates" },
        [TLS_PART_TRUSTED] = { "ssl_trusted_certificate", "these are not certificates" },
        [TLS_PART_REVOKED] = { "ssl_crl", "this is not a revocation list" },
        [TLS_PART_TICKET_KEY] = { "ssl_session_ticket_key", "this is not a ticket key" },
    };
    const struct conf_node *node = place_of(scope, parts[fault->part].directive);

    if (fault->part == TLS_PART_CERTIFICATE)
        node = nth_file(conf->certificates, fault->number);
    if (fault->part == TLS_PART_KEY)
        node = nth_file(conf->keys, fault->number);
    if (fault->part == TLS_PART_TICKET_KEY)
        node = nth_file(conf->ticket_keys, fault->number);
    conf_complain(load, severity, node, node->arg_count > 0 ? 0 : CONF_AT_NAME, "%s: %s",
                  parts[fault->part].what, fault->text);
}

static void warn_of_end(struct conf_load *load, const struct ssl_conf *conf)
{
    int64_t ends = tls_domain_expires(conf->domain), now = (int64_t)time(NULL);
    char day[DATE_ISO_SIZE];

    if (ends == INT64_MAX || ends - now > (int64_t)WARN_DAYS * 86400)
        return;
    date_iso(ends, 0, day);
    conf_complain(
        load, CONF_WARN, conf->certificates->node, 0,
        ends < now ? "the certificate expired on %.10s" : "the certificate expires on %.10s", day);
}

static void destroy(void *domain)
{
    tls_domain_destroy(domain);
}

static bool staple(struct conf_load *load, const struct scope *scope, const struct ssl_conf *conf)
{
    struct slice answer = { 0 };

    return read_path(load, scope, "ssl_stapling_file", conf->stapling_file, &answer) &&
           (answer.size == 0 || tls_domain_staple(conf->domain, answer));
}

/* ssl_certificate with variables: one pair, and both paths are known only later. */
static bool make_library(struct conf_load *load, struct ssl_conf *conf, const struct tls_wish *wish)
{
    const struct ssl_file *c = conf->certificates, *k = conf->keys;

    if (c == NULL || c->expr == NULL)
        return true;
    if (k == NULL || c->next != NULL || k->next != NULL || k->expr == NULL) {
        conf_complain(
            load, CONF_EMERG, c->node, 0,
            "a certificate with variables needs one key with variables, and stands alone");
        return false;
    }
    conf->library = ssl_library_create(wish, (unsigned)conf->certificates_max);
    if (conf->library == NULL)
        return false;
    conf_at_end(load, ssl_library_destroy, conf->library);
    return true;
}

bool ssl_make_domain(struct conf_load *load, struct scope *scope, struct ssl_conf *conf)
{
    struct tls_fault fault;
    struct tls_wish wish = {
        .protocols = conf->protocols,
        .ciphers = text_of(load, conf->ciphers, ""),
        .curves = text_of(load, conf->curves, "auto"),
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
        .record_max = (uint32_t)conf->buffer_size,
    };

    if (!read_all(load, scope, conf, &wish))
        return false;
    if (wish.verify == TLS_VERIFY_ON && wish.authorities.size == 0 && wish.trusted.size == 0) {
        conf_complain(load, CONF_EMERG, place_of(scope, "ssl_verify_client"), CONF_AT_NAME,
                      "no ssl_client_certificate says whose certificates are good");
        return false;
    }
    conf->domain = tls_domain_create(&wish, &fault);
    if (conf->domain == NULL &&
        (fault.part == TLS_PART_CERTIFICATE || fault.part == TLS_PART_KEY)) {
        struct tls_fault again;

        if (keep_certificates(load, conf, &wish))
            conf->domain = tls_domain_create(&wish, &again);
        if (conf->domain != NULL) {
            complain(load, scope, conf, &fault, CONF_WARN);
            conf_hint(load, "note: the certificate in force stays for this server");
        }
    }
    if (conf->domain == NULL) {
        complain(load, scope, conf, &fault, CONF_EMERG);
        return false;
    }
    conf_at_end(load, destroy, conf->domain);
    if (conf->certificates != NULL)
        warn_of_end(load, conf);
    return make_library(load, conf, &wish) && staple(load, scope, conf);
}
