/* tls_domain.c - from a wish to OpenSSL's contexts, one part after the other. */
#include "net/tls_domain.h"

#include "net/tls_private.h"

#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a loop made of the domain. */
struct tls_context {
    struct tls_home *home; /* held: the context is of its library */
    SSL_CTX *context;
    struct tls_context *next;
};

struct tls_domain {
    struct tls_wish wish;
    uint8_t id[TLS_ID_SIZE]; /* sessions of others are not ours: see tls_domain_id() */
    bool slow;
    _Atomic(struct tls_context *) contexts; /* grows only */
    struct tls_staples staples;
};

/* One context being made; the look comes first, alone, and learns what is in the certificates. */
struct making {
    struct tls_domain *domain;
    const struct tls_wish *wish;
    OSSL_LIB_CTX *library; /* NULL: the default one, for a look */
    SSL_CTX *context;
    struct tls_fault *fault;
};

void tls_error_text(char *into, size_t size)
{
    unsigned long error, last = 0;

    while ((error = ERR_get_error()) != 0)
        last = last == 0 ? error : last;
    if (last != 0)
        ERR_error_string_n(last, into, size);
    else
        snprintf(into, size, "no reason given");
}

static bool refuse(struct making *m, enum tls_part part, unsigned number)
{
    m->fault->part = part;
    m->fault->number = number;
    tls_error_text(m->fault->text, sizeof m->fault->text);
    return false;
}

static bool refuse_for(struct making *m, enum tls_part part, unsigned number, const char *why)
{
    m->fault->part = part;
    m->fault->number = number;
    snprintf(m->fault->text, sizeof m->fault->text, "%s", why);
    ERR_clear_error();
    return false;
}

static BIO *bio_of(struct slice text)
{
    return BIO_new_mem_buf(text.at, (int)text.size);
}

/* ---- certificates ------------------------------------------------------------------------ */

/* The next certificate of the text; NULL: none is left, or it is broken (*ret_broken). */
static X509 *read_certificate(struct making *m, BIO *bio, bool *ret_broken)
{
    X509 *x = X509_new_ex(m->library, NULL);

    *ret_broken = x == NULL;
    if (x == NULL)
        return NULL;
    if (PEM_read_bio_X509_AUX(bio, &x, NULL, NULL) != NULL)
        return x;
    X509_free(x);
    *ret_broken = ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
    if (!*ret_broken)
        ERR_clear_error();
    return NULL;
}

static bool use_chain(struct making *m, const struct tls_certificate *c, unsigned number)
{
    BIO *bio = bio_of(c->chain);
    bool broken = bio == NULL, ok = bio != NULL;
    X509 *x = ok ? read_certificate(m, bio, &broken) : NULL;

    ok = x != NULL && SSL_CTX_use_certificate(m->context, x) == 1;
    X509_free(x);
    if (x == NULL && !broken) {
        BIO_free(bio);
        return refuse_for(m, TLS_PART_CERTIFICATE, number, "there is none in it");
    }
    while (ok && (x = read_certificate(m, bio, &broken)) != NULL)
        if (SSL_CTX_add0_chain_cert(m->context, x) != 1) {
            X509_free(x);
            ok = false;
        }
    BIO_free(bio);
    return (ok && !broken) || refuse(m, TLS_PART_CERTIFICATE, number);
}

/* A line of the password file after the other: each is tried on each key. */
static int next_password(char *into, int size, int writing, void *arg)
{
    struct slice line = slice_cut(arg, '\n');

    (void)writing;
    if (line.size > 0 && line.at[line.size - 1] == '\r')
        line.size--;
    if (line.size > (size_t)size)
        line.size = (size_t)size;
    if (line.size > 0)
        memcpy(into, line.at, line.size);
    return (int)line.size;
}

static EVP_PKEY *read_key(struct making *m, struct slice text)
{
    struct slice passwords = m->wish->passwords;
    EVP_PKEY *key;

    do {
        BIO *bio = bio_of(text);

        ERR_clear_error();
        key = bio == NULL ? NULL
                          : PEM_read_bio_PrivateKey_ex(bio, NULL, next_password, &passwords,
                                                       m->library, NULL);
        BIO_free(bio);
    } while (key == NULL && passwords.size > 0);
    return key;
}

static bool use_key(struct making *m, const struct tls_certificate *c, unsigned number)
{
    EVP_PKEY *key = read_key(m, c->key);
    bool ok = key != NULL &&
              X509_check_private_key(SSL_CTX_get0_certificate(m->context), key) == 1 &&
              SSL_CTX_use_PrivateKey(m->context, key) == 1;

    if (ok && m->library == NULL && EVP_PKEY_is_a(key, "RSA"))
        m->domain->slow = true;
    EVP_PKEY_free(key);
    return ok || refuse(m, TLS_PART_KEY, number);
}

static bool use_certificates(struct making *m)
{
    unsigned number = 0;

    for (const struct tls_certificate *c = m->wish->certificates; c != NULL; c = c->next, number++)
        if (!use_chain(m, c, number) || !use_key(m, c, number))
            return false;
    return true;
}

/* ---- whom it trusts ------------------------------------------------------------------------ */

/* Certificates and, where they are asked for, lists of revoked ones, into the store. */
static bool add_trust(struct making *m, struct slice text, enum tls_part part, bool named)
{
    X509_STORE *store = SSL_CTX_get_cert_store(m->context);
    BIO *bio = text.size > 0 ? bio_of(text) : NULL;
    bool broken = false, ok = true;
    unsigned count = 0;
    X509 *x;

    if (text.size == 0)
        return true;
    while (ok && bio != NULL && (x = read_certificate(m, bio, &broken)) != NULL) {
        ok = X509_STORE_add_cert(store, x) == 1;
        if (ok && named)
            ok = SSL_CTX_add_client_CA(m->context, x) == 1;
        X509_free(x);
        count++;
    }
    BIO_free(bio);
    if (ok && !broken && count > 0)
        return true;
    return ok && !broken ? refuse_for(m, part, 0, "there is no certificate in it")
                         : refuse(m, part, 0);
}

static bool use_authorities(struct making *m)
{
    return add_trust(m, m->wish->authorities, TLS_PART_AUTHORITIES, true);
}

static bool use_trusted(struct making *m)
{
    return add_trust(m, m->wish->trusted, TLS_PART_TRUSTED, false);
}

static bool use_revoked(struct making *m)
{
    X509_STORE *store = SSL_CTX_get_cert_store(m->context);
    BIO *bio = m->wish->revoked.size > 0 ? bio_of(m->wish->revoked) : NULL;
    unsigned count = 0;
    X509_CRL *list;
    bool ok = true;

    if (m->wish->revoked.size == 0)
        return true;
    while (ok && bio != NULL && (list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        ok = X509_STORE_add_crl(store, list) == 1;
        X509_CRL_free(list);
        count++;
    }
    BIO_free(bio);
    if (ok && count > 0) {
        ERR_clear_error();
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
        return true;
    }
    return refuse(m, TLS_PART_REVOKED, 0);
}

/* What is wrong with a peer's certificate is found out by whoever wants to know: a client learns it
 * by an answer (495, 496), not by an alert. */
static int accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

static bool use_verify(struct making *m)
{
    if (m->wish->verify == TLS_VERIFY_OFF)
        return true;
    SSL_CTX_set_verify(m->context, SSL_VERIFY_PEER, m->wish->client ? NULL : accept_any);
    SSL_CTX_set_verify_depth(m->context, (int)m->wish->verify_depth);
    return true;
}

/* ---- protocols ------------------------------------------------------------------------------- */

static const struct {
    unsigned bit;
    uint64_t off;
    int version;
} protocols[] = {
    { TLS_PROTOCOL_1_0, SSL_OP_NO_TLSv1, TLS1_VERSION },
    { TLS_PROTOCOL_1_1, SSL_OP_NO_TLSv1_1, TLS1_1_VERSION },
    { TLS_PROTOCOL_1_2, SSL_OP_NO_TLSv1_2, TLS1_2_VERSION },
    { TLS_PROTOCOL_1_3, SSL_OP_NO_TLSv1_3, TLS1_3_VERSION },
};

static bool use_protocols(struct making *m)
{
    int lowest = 0, highest = 0;

    for (size_t i = 0; i < COUNT_OF(protocols); i++) {
        if (!(m->wish->protocols & protocols[i].bit)) {
            SSL_CTX_set_options(m->context, protocols[i].off);
            continue;
        }
        lowest = lowest == 0 ? protocols[i].version : lowest;
        highest = protocols[i].version;
    }
    return (SSL_CTX_set_min_proto_version(m->context, lowest) == 1 &&
            SSL_CTX_set_max_proto_version(m->context, highest) == 1) ||
           refuse(m, TLS_PART_PROTOCOLS, 0);
}

/* AES-128 first: its hash is SHA-256, which processors have instructions for, and a handshake
 * hashes much. What a command says comes later and counts. */
#define SUITES_OF_TLS_1_3 \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

static bool use_ciphers(struct making *m)
{
    if (SSL_CTX_set_ciphersuites(m->context, SUITES_OF_TLS_1_3) != 1)
        return refuse(m, TLS_PART_CIPHERS, 0);
    if (m->wish->prefer_ours)
        SSL_CTX_set_options(m->context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (m->wish->ciphers != NULL && SSL_CTX_set_cipher_list(m->context, m->wish->ciphers) != 1)
        return refuse(m, TLS_PART_CIPHERS, 0);
    return true;
}

static bool use_curves(struct making *m)
{
    if (m->wish->curves != NULL && SSL_CTX_set1_groups_list(m->context, m->wish->curves) != 1)
        return refuse(m, TLS_PART_CURVES, 0);
    return true;
}

static bool use_dh(struct making *m)
{
    EVP_PKEY *parameters = NULL;
    OSSL_DECODER_CTX *decoder;
    const unsigned char *at = (const unsigned char *)m->wish->dh.at;
    size_t size = m->wish->dh.size;
    bool ok;

    if (size == 0)
        return true;
    decoder = OSSL_DECODER_CTX_new_for_pkey(
        &parameters, "PEM", NULL, NULL, OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS, m->library, NULL);
    ok = decoder != NULL && OSSL_DECODER_from_data(decoder, &at, &size) == 1 &&
         EVP_PKEY_is_a(parameters, "DH") && SSL_CTX_set0_tmp_dh_pkey(m->context, parameters) == 1;
    OSSL_DECODER_CTX_free(decoder);
    if (ok)
        return true;
    EVP_PKEY_free(parameters);
    return ERR_peek_error() == 0 ? refuse_for(m, TLS_PART_DH, 0, "these are no DH parameters")
                                 : refuse(m, TLS_PART_DH, 0);
}

static bool use_commands(struct making *m)
{
    SSL_CONF_CTX *words = m->wish->commands != NULL ? SSL_CONF_CTX_new() : NULL;
    unsigned number = 0;
    bool ok = true;

    if (m->wish->commands == NULL)
        return true;
    if (words == NULL)
        return refuse(m, TLS_PART_NONE, 0);
    SSL_CONF_CTX_set_flags(
        words, SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_CERTIFICATE | SSL_CONF_FLAG_SHOW_ERRORS |
                   (m->wish->client ? SSL_CONF_FLAG_CLIENT : SSL_CONF_FLAG_SERVER));
    SSL_CONF_CTX_set_ssl_ctx(words, m->context);
    for (const struct tls_command *c = m->wish->commands; c != NULL && ok; c = c->next) {
        ok = SSL_CONF_cmd(words, c->name, c->value) > 0;
        if (!ok)
            (void)refuse(m, TLS_PART_COMMAND, number);
        number++;
    }
    if (ok && SSL_CONF_CTX_finish(words) != 1)
        ok = refuse(m, TLS_PART_COMMAND, 0);
    SSL_CONF_CTX_free(words);
    return ok;
}

/* ---- what goes with the handshake ------------------------------------------------------------ */

static bool use_options(struct making *m)
{
    SSL_CTX *c = m->context;

    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_SINGLE_DH_USE |
                               SSL_OP_SINGLE_ECDH_USE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_ENABLE_PARTIAL_WRITE);
    (void)SSL_CTX_set_max_send_fragment(c, tls_domain_record_max(m->domain));
    if (m->wish->client)
        return true;
    if (m->wish->early_data) {
        SSL_CTX_set_max_early_data(c, TLS_RECORD_MAX);
        SSL_CTX_set_options(c, SSL_OP_NO_ANTI_REPLAY);
    }
    if (m->wish->stapled)
        tls_staples_set_up(c, &m->domain->staples);
    return true;
}

/* In this order: a command may overrule what was said before. */
static bool (*const parts[])(struct making *) = {
    use_options, use_protocols,   use_ciphers, use_curves,  use_dh,       use_certificates,
    use_verify,  use_authorities, use_trusted, use_revoked, use_commands,
};

/* NULL, and why. */
static SSL_CTX *make_context(struct tls_domain *d, struct tls_home *home, struct tls_fault *fault)
{
    struct making m = { .domain = d,
                        .wish = &d->wish,
                        .library = home != NULL ? home->library : NULL,
                        .fault = fault };

    ERR_clear_error();
    m.context =
        SSL_CTX_new_ex(m.library, NULL, d->wish.client ? TLS_client_method() : TLS_server_method());
    if (m.context == NULL) {
        (void)refuse(&m, TLS_PART_NONE, 0);
        return NULL;
    }
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (!parts[i](&m)) {
            SSL_CTX_free(m.context);
            return NULL;
        }
    SSL_CTX_set_session_id_context(m.context, d->id, sizeof d->id);
    SSL_CTX_set_timeout(m.context, (long)d->wish.session_timeout_s);
    tls_set_up(m.context, &d->wish);
    if (!d->wish.client)
        tls_resume_set_up(m.context, d);
    return m.context;
}

/* ---- the domain ------------------------------------------------------------------------------ */

static bool check_ticket_keys(const struct tls_wish *wish, struct tls_fault *fault)
{
    for (unsigned i = 0; i < wish->ticket_key_count; i++) {
        size_t size = wish->ticket_keys[i].size;

        if (size == 48 || size == 80)
            continue;
        fault->part = TLS_PART_TICKET_KEY;
        fault->number = i;
        snprintf(fault->text, sizeof fault->text, "it has %zu bytes, and not 80 or 48", size);
        return false;
    }
    return true;
}

struct tls_domain *tls_domain_create(const struct tls_wish *wish, struct tls_fault *fault)
{
    struct tls_domain *d = calloc(1, sizeof *d);
    SSL_CTX *look;

    *fault = (struct tls_fault){ .text = "no memory" };
    if (d == NULL)
        return NULL;
    tls_staples_init(&d->staples);
    d->wish = *wish;
    look = check_ticket_keys(wish, fault) && tls_identify(&d->wish, d->id)
               ? make_context(d, NULL, fault)
               : NULL;
    if (look != NULL) {
        SSL_CTX_free(look);
        return d;
    }
    tls_domain_destroy(d);
    return NULL;
}

void tls_domain_destroy(struct tls_domain *d)
{
    struct tls_context *c = atomic_load(&d->contexts);

    while (c != NULL) {
        struct tls_context *next = c->next;

        SSL_CTX_free(c->context);
        tls_home_drop(c->home);
        free(c);
        c = next;
    }
    tls_staples_done(&d->staples);
    free(d);
}

const struct tls_wish *tls_domain_wish(const struct tls_domain *d)
{
    return &d->wish;
}

struct slice tls_domain_id(const struct tls_domain *d)
{
    return slice_of((const char *)d->id, sizeof d->id);
}

SSL_CTX *tls_domain_context(struct tls_domain *d, struct tls_home *home)
{
    struct tls_fault fault;
    struct tls_context *c = atomic_load_explicit(&d->contexts, memory_order_acquire);

    while (c != NULL && c->home != home)
        c = c->next;
    if (c != NULL)
        return c->context;
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->context = make_context(d, home, &fault);
    if (c->context == NULL) {
        free(c);
        return NULL;
    }
    c->home = tls_home_hold(home);
    c->next = atomic_load(&d->contexts);
    while (!atomic_compare_exchange_weak(&d->contexts, &c->next, c))
        continue;
    return c->context;
}

uint16_t tls_domain_record_max(const struct tls_domain *d)
{
    return (uint16_t)(d->wish.record_max > 0 ? d->wish.record_max : TLS_RECORD_MAX);
}

bool tls_domain_is_slow(const struct tls_domain *d)
{
    return d->slow;
}

bool tls_domain_staple(struct tls_domain *d, const unsigned char *certificate, struct slice answer)
{
    return tls_staples_put(&d->staples, certificate, answer);
}
