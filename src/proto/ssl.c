/* ssl.c - the directives ssl_…, and which server answers a handshake. */
#include "proto/ssl.h"

#include "conf/zone.h"
#include "http/log_target.h"
#include "net/fetch.h"
#include "http/http2_conf.h"
#include "net/tls_conf.h"
#include "proto/conn.h"
#include "proto/http1_private.h"
#include "proto/ssl_load.h"

static uint32_t ssl_index;

/* ---- handshakes ------------------------------------------------------------------------------ */

struct tls_domain *ssl_first_domain(const struct vhosts *v)
{
    return ssl_conf_of(v->default_server)->domain;
}

struct tls_choice ssl_choose(struct conn *c, struct slice name)
{
    const struct vhosts *v = conn_vhosts(c);
    struct slice captures[CAPTURES_MAX];
    const struct regex *captures_of;
    const struct server *server, *named;
    struct tls_choice choice = { .domain = NULL };

    if (v == NULL)
        return choice;
    named = name.size > 0 ? vhosts_find(v, name, captures, &captures_of) : v->default_server;
    server = named;
    if (ssl_conf_of(server)->reject)
        return choice;
    if (ssl_conf_of(server)->domain ==
        NULL) /* it has no certificate: the default's stands for it */
        server = v->default_server;
    if (ssl_conf_of(server)->library != NULL)
        choice = ssl_load_choose(c, server);
    else
        choice.domain = ssl_conf_of(server)->domain;
    choice.h2 = http2_on(v, named);
    return choice;
}

/* ---- directives ------------------------------------------------------------------------------ */

/* With variables, the path is known when a client asks. */
static bool compile_path(struct conf_load *load, const struct conf_node *node, struct ssl_file *f)
{
    struct slice text;
    struct expr *e = expr_compile(load, node, 0);

    if (e == NULL)
        return false;
    if (expr_constant(e, &text))
        return true;
    f->expr = e;
    f->dir = conf_dir(load);
    return true;
}

static bool add_file(struct conf_load *load, const struct conf_node *node, bool variables,
                     struct ssl_file **list)
{
    struct slice absolute;
    struct ssl_file *f = arena_must(conf_arena(load), sizeof *f);

    if (!tls_conf_file(load, node, conf_arg(node, 0), &absolute))
        return false;
    *f = (struct ssl_file){ .path = absolute, .node = node };
    while (*list != NULL)
        list = &(*list)->next;
    *list = f;
    return !variables || slice_starts(absolute, SLICE("data:")) || compile_path(load, node, f);
}

static bool set_certificate(struct conf_load *load, const struct conf_node *node, void *conf,
                            const struct directive *row)
{
    (void)row;
    return add_file(load, node, true, &((struct ssl_conf *)conf)->certificates);
}

static bool set_key(struct conf_load *load, const struct conf_node *node, void *conf,
                    const struct directive *row)
{
    (void)row;
    return add_file(load, node, true, &((struct ssl_conf *)conf)->keys);
}

static bool set_ticket_key(struct conf_load *load, const struct conf_node *node, void *conf,
                           const struct directive *row)
{
    (void)row;
    return add_file(load, node, false, &((struct ssl_conf *)conf)->ticket_keys);
}

static bool set_protocols(struct conf_load *load, const struct conf_node *node, void *conf,
                          const struct directive *row)
{
    (void)row;
    return tls_conf_protocols(load, node, &((struct ssl_conf *)conf)->protocols);
}

static bool set_command(struct conf_load *load, const struct conf_node *node, void *conf,
                        const struct directive *row)
{
    (void)row;
    tls_conf_command(load, node, &((struct ssl_conf *)conf)->commands);
    return true;
}

static struct conf_zone *shared_zone(struct conf_load *load, const struct conf_node *node,
                                     unsigned arg, struct slice text)
{
    struct conf_zone *z = zone_share(load, node, arg, text, "ssl_session_cache");

    if (z != NULL) {
        z->about = SLICE("TLS session id");
        z->value_size = TLS_SESSION_ROOM;
    }
    return z;
}

/* off | none | [builtin[:size]] [shared:name:size]: a builtin cache would be a loop's own; it is
 * taken for none, as every client may have a ticket. */
static bool set_cache(struct conf_load *load, const struct conf_node *node, void *conf,
                      const struct directive *row)
{
    struct ssl_cache *c = &((struct ssl_conf *)conf)->cache;

    (void)row;
    *c = (struct ssl_cache){ .sessions = TLS_SESSIONS_NONE };
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct slice word = conf_arg(node, i), shared = SLICE("shared:");

        if (slice_eq(word, SLICE("off"))) {
            c->sessions = TLS_SESSIONS_OFF;
        } else if (slice_eq(word, SLICE("none"))) {
            c->sessions = TLS_SESSIONS_NONE;
        } else if (slice_eq(word, SLICE("builtin")) || slice_starts(word, SLICE("builtin:"))) {
            conf_complain(load, CONF_NOTICE, node, (int)i,
                          "there is no cache of one process: sessions are taken up by tickets, or "
                          "from a shared one");
        } else if (slice_starts(word, shared)) {
            c->zone = shared_zone(load, node, i, slice_skip(word, shared.size));
            if (c->zone == NULL)
                return false;
            c->sessions = TLS_SESSIONS_KEPT;
        } else {
            conf_complain(load, CONF_EMERG, node, (int)i, "\"%.*s\" is not a session cache",
                          SLICE_FMT(word));
            conf_hint(load, "expected: off, none, builtin or shared:name:size");
            return false;
        }
    }
    return true;
}

static bool read_responder(struct conf_load *load, const struct conf_node *node, struct slice *ret)
{
    struct fetch_url url;
    const char *why = fetch_read_url(conf_arg(node, 0), &url);

    *ret = conf_arg(node, 0);
    if (why == NULL)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "nobody can be asked there: %s", why);
    conf_hint(load, "expected: http://host[:port][/path]");
    return false;
}

static bool set_responder(struct conf_load *load, const struct conf_node *node, void *conf,
                          const struct directive *row)
{
    (void)row;
    return read_responder(load, node, &((struct ssl_conf *)conf)->stapling_responder);
}

static bool set_ocsp_responder(struct conf_load *load, const struct conf_node *node, void *conf,
                               const struct directive *row)
{
    (void)row;
    return read_responder(load, node, &((struct ssl_conf *)conf)->ocsp_responder);
}

static bool set_ocsp_cache(struct conf_load *load, const struct conf_node *node, void *conf,
                           const struct directive *row)
{
    struct slice word = conf_arg(node, 0), shared = SLICE("shared:");
    struct conf_zone *z = NULL;

    (void)row;
    if (slice_starts(word, shared)) {
        z = zone_share(load, node, 0, slice_skip(word, shared.size), "ssl_ocsp_cache");
        if (z == NULL)
            return false;
        z->about = SLICE("certificate of a client");
        z->value_size = sizeof(struct ssl_ocsp_cached);
    } else if (!slice_eq(word, SLICE("off"))) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a cache", SLICE_FMT(word));
        conf_hint(load, "expected: off or shared:name:size");
        return false;
    }
    ((struct ssl_conf *)conf)->ocsp_zone = z;
    return true;
}

static bool set_key_log(struct conf_load *load, const struct conf_node *node, void *conf,
                        const struct directive *row)
{
    struct log_target *t = NULL;

    (void)row;
    if (conf_arg(node, 0).size == 0)
        conf_complain(load, CONF_EMERG, node, 0, "no file is named");
    else
        t = log_target_want_secret(load, conf_scope(load), node, conf_arg(node, 0));
    ((struct ssl_conf *)conf)->key_log = t;
    if (t != NULL)
        conf_complain(load, CONF_WARN, node, CONF_AT_NAME,
                      "with this file, everything that is encrypted here can be read: it is for "
                      "debugging");
    return t != NULL;
}

static bool set_certificate_cache(struct conf_load *load, const struct conf_node *node, void *conf,
                                  const struct directive *row)
{
    enum { KEPT = 1000 };
    struct slice most = conf_option(node, 0, "max", NULL);
    uint64_t n = KEPT;

    (void)row;
    if (most.at != NULL && (!slice_to_u64(most, 1000000, &n) || n == 0)) {
        conf_complain(load, CONF_EMERG, node, 0, "max=%.*s is not a number of certificates",
                      SLICE_FMT(most));
        return false;
    }
    ((struct ssl_conf *)conf)->certificates_max = (int64_t)n;
    return true;
}

static bool ssl_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    struct ssl_conf *conf = own;
    const struct server *server = scope->object;
    bool listens = false, shared = false;

    (void)parent;
    if (scope->context == CTX_HTTP)
        conf->ends = arena_must(conf_arena(load), sizeof *conf->ends);
    if (scope->context != CTX_SERVER)
        return true;
    for (const struct server_listen *l = server->listens; l != NULL; l = l->next) {
        listens |= l->tls;
        shared |= l->addr->tls;
    }
    if (!shared || conf_words_only(load))
        return true;
    if (conf->certificates != NULL || conf->reject)
        return ssl_make_domain(load, scope, conf);
    if (!listens)
        return true; /* the default server's certificate stands for it */
    conf_complain(load, CONF_EMERG, server->node, CONF_AT_NAME,
                  "no \"ssl_certificate\" is defined for the \"listen … ssl\" of this server");
    conf_hint(load,
              "help: say ssl_certificate and ssl_certificate_key, or ssl_reject_handshake on");
    return false;
}

#define WHERE (CTX_HTTP | CTX_SERVER)
#define AT(member) offsetof(struct ssl_conf, member)
#define OWN(name, least, most, setter, member, value, many, form, words)                    \
    {                                                                                       \
        name, WHERE, least, most, CONF_CUSTOM, AT(member), value,                           \
            .set = setter, .size = sizeof(((struct ssl_conf *)0)->member), .repeats = many, \
            .syntax = form, .help = words                                                   \
    }
#define FILE_ROW(name, member, words)                                                   \
    {                                                                                   \
        name, WHERE, 1, 1, CONF_FILE, AT(member), NULL, .syntax = "file", .help = words \
    }
#define FLAG_ROW(name, member, value, words)                                                 \
    {                                                                                        \
        name, WHERE, 1, 1, CONF_FLAG, AT(member), value, .syntax = "on | off", .help = words \
    }
#define IGNORED(name, least, most, form, words)                                         \
    {                                                                                   \
        name, WHERE, least, most, CONF_CUSTOM, .set = conf_set_ignored, .syntax = form, \
                                               .help = words                            \
    }

static const struct conf_word verify_words[] = {
    { "off", TLS_VERIFY_OFF },
    { "on", TLS_VERIFY_ON },
    { "optional", TLS_VERIFY_OPTIONAL },
    { "optional_no_ca", TLS_VERIFY_OPTIONAL_NO_CA },
    { NULL, 0 },
};

static const struct conf_word ocsp_words[] = {
    { "off", SSL_OCSP_OFF },
    { "on", SSL_OCSP_ALL },
    { "leaf", SSL_OCSP_LEAF },
    { NULL, 0 },
};

/* clang-format off */
static const struct directive rows[] = {
    OWN("ssl_certificate", 1, 1, set_certificate, certificates, NULL, true, "file",
        "The certificate of the server, and the chain behind it, in PEM. Several of different "
        "kinds (RSA, ECDSA) may stand beside one another."),
    OWN("ssl_certificate_key", 1, 1, set_key, keys, NULL, true, "file",
        "The private key of the certificate, in PEM."),
    FILE_ROW("ssl_password_file", passwords,
             "Pass phrases of the keys, a line each; all are tried."),
    OWN("ssl_protocols", 1, 6, set_protocols, protocols, "TLSv1.2 TLSv1.3", false,
        "[TLSv1] [TLSv1.1] [TLSv1.2] [TLSv1.3]", "The protocols that are spoken."),
    { "ssl_ciphers", WHERE, 1, 1, CONF_STRING, AT(ciphers),
      "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20:HIGH:!aNULL:!MD5", .syntax = "ciphers",
      .help = "Ciphers of TLS 1.2 and below, in OpenSSL's words." },
    FLAG_ROW("ssl_prefer_server_ciphers", prefer, "on",
             "The server's order of ciphers decides, and not the client's; but a client that likes "
             "ChaCha20 best gets it."),
    { "ssl_ecdh_curve", WHERE, 1, 1, CONF_STRING, AT(curves), "auto", .syntax = "curve[:curve…]",
      .help = "Curves of key exchanges, in order; auto: the library's." },
    FILE_ROW("ssl_dhparam", dhparam, "Parameters of DHE ciphers; without it there are none."),
    OWN("ssl_conf_command", 2, 2, set_command, commands, NULL, true, "name value",
        "A word of OpenSSL's own configuration (SSL_CONF_cmd)."),
    { "ssl_verify_client", WHERE, 1, 1, CONF_ENUM, AT(verify), "off", .words = verify_words,
      .syntax = "on | off | optional | optional_no_ca",
      .help = "Asks clients for a certificate; on: a request without a good one gets 400." },
    { "ssl_verify_depth", WHERE, 1, 1, CONF_NUMBER, AT(verify_depth), "1", .max = 100,
      .syntax = "number", .help = "How long the chain behind a client's certificate may be." },
    FILE_ROW("ssl_client_certificate", client_certificate,
             "Authorities whose clients are accepted, and which are named to clients."),
    FILE_ROW("ssl_trusted_certificate", trusted,
             "Authorities whose clients are accepted, and which are not named to clients."),
    FILE_ROW("ssl_crl", crl, "Certificates that were revoked."),
    OWN("ssl_session_cache", 1, 2, set_cache, cache, "none", false,
        "off | none | [builtin[:size]] [shared:name:size]",
        "Where sessions are kept that clients may take up without a ticket: shared by all loops."),
    { "ssl_session_timeout", WHERE, 1, 1, CONF_SEC, AT(session_timeout), "5m", .min = 1,
      .max = INT32_MAX, .syntax = "time", .help = "How long a session may be taken up." },
    FLAG_ROW("ssl_session_tickets", tickets, "on",
             "Clients are given tickets to take sessions up."),
    OWN("ssl_session_ticket_key", 1, 1, set_ticket_key, ticket_keys, NULL, true, "file",
        "A key of tickets, of 80 or 48 random bytes, which several machines can share. The first "
        "one writes, the others only read. Without one, keys are made here, a new one each hour."),
    FLAG_ROW("ssl_early_data", early_data, "off",
             "Accepts requests before the handshake is over (TLS 1.3). They may be replays: tell "
             "servers behind by $ssl_early_data."),
    { "ssl_buffer_size", WHERE, 1, 1, CONF_SIZE, AT(buffer_size), "16k", .min = 512,
      .max = TLS_RECORD_MAX, .syntax = "size",
      .help = "The most bytes in a record. The first record after a pause is smaller." },
    FLAG_ROW("ssl_reject_handshake", reject, "off",
             "Refuses handshakes for the names of this server (alert unrecognized_name)."),
    FLAG_ROW("ssl_stapling", stapling, "off", "OCSP answers go with the certificate."),
    FILE_ROW("ssl_stapling_file", stapling_file,
             "An OCSP answer (DER) to go with the certificate."),
    OWN("ssl_stapling_responder", 1, 1, set_responder, stapling_responder, NULL, false, "url",
        "Who is asked for OCSP answers, and not the responder that the certificate names."),
    FLAG_ROW("ssl_stapling_verify", stapling_verify, "off",
             "Whoever signs OCSP answers must be below ssl_trusted_certificate. Without it, the "
             "certificate's issuer must have signed, or let sign."),
    { "ssl_ocsp", WHERE, 1, 1, CONF_ENUM, AT(ocsp), "off", .words = ocsp_words,
      .syntax = "on | leaf | off",
      .help = "Asks the authorities of clients whether their certificates are still good; leaf: "
              "not whether those of the authorities between are. Requests wait for the answer, and "
              "without a good one get 400." },
    OWN("ssl_ocsp_responder", 1, 1, set_ocsp_responder, ocsp_responder, NULL, false, "url",
        "Who is asked about clients, and not the responder that their certificates name."),
    OWN("ssl_ocsp_cache", 1, 1, set_ocsp_cache, ocsp_zone, NULL, false,
        "off | shared:name:size",
        "Where answers about clients are kept for all loops, as long as they are good."),
    OWN("ssl_key_log", 1, 1, set_key_log, key_log, NULL, false, "file",
        "Writes the secrets of all connections into that file, for Wireshark and its kin. Whoever "
        "has it can read everything that was sent: for debugging alone."),
    { "ssl_certificate_cache", WHERE, 1, 3, CONF_CUSTOM, AT(certificates_max), "off",
      .set = set_certificate_cache, .size = sizeof(int64_t),
      .syntax = "off | max=N [inactive=time] [valid=time]",
      .help = "How many certificates whose paths have variables are kept at most (1,000 without "
              "it). They are read again when their files change: the times have no meaning." },
    OWN("ssl_certificate_warn", 1, 2, ssl_set_warn, warn, "14d", false, "time [every=time] | off",
        "Certificates that end within that time are told of in the error log when the "
        "configuration is read, and once a day from then on."),
    IGNORED("ssl_certificate_compression", 1, 1, "on | off",
            "The library cannot compress certificates."),
    IGNORED("ssl_ech_file", 1, 1, "file",
            "The library cannot encrypt a client's hello (ECH): clients go on without."),
    IGNORED("ssl", 1, 1, "on | off", "It is listen … ssl that counts."),
};
/* clang-format on */

const struct feature feature_ssl = {
    .name = "ssl",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct ssl_conf),
    .merge = ssl_merge,
    .about =
        "TLS: certificates, protocols, sessions, client certificates. `listen … ssl` turns it on.",
    .index = &ssl_index,
};
