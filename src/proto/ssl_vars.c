/* ssl_vars.c - $ssl_…: what a connection's TLS came to, and who the client says it is. */
#include "proto/ssl.h"

#include "net/cert_facts.h"
#include "wire/uri.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

static uint32_t ssl_vars_index;

static struct tls *tls_of_request(void *subject)
{
    struct request *r = request_main(subject);

    return r->ops->tls != NULL ? r->ops->tls(r) : NULL;
}

/* A variable of the connection, and one of the client's certificate: what writes its value. */
typedef bool tls_put_fn(struct tls *, SSL *, struct gather *);
typedef bool certificate_put_fn(const X509 *, struct gather *);

static bool get_of_tls(void *subject, const struct variable_use *use, struct gather *g)
{
    struct tls *t = tls_of_request(subject);

    return t != NULL && ((tls_put_fn *)use->number)(t, tls_ssl(t), g);
}

static bool get_of_certificate(void *subject, const struct variable_use *use, struct gather *g)
{
    struct tls *t = tls_of_request(subject);
    const X509 *x = t == NULL ? NULL : SSL_get0_peer_certificate(tls_ssl(t));

    return x != NULL && ((certificate_put_fn *)use->number)(x, g);
}

static bool put_text(struct gather *g, const char *text)
{
    if (text != NULL)
        gather_str(g, text);
    return text != NULL;
}

/* ---- the connection -------------------------------------------------------------------------- */

static bool put_protocol(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)t;
    return put_text(g, SSL_get_version(ssl));
}

static bool put_days_left(struct tls *t, SSL *ssl, struct gather *g)
{
    const X509 *x = SSL_get_certificate(ssl);

    (void)t;
    if (x == NULL)
        return false;
    gather_printf(g, "%lld",
                  (long long)cert_days_left(cert_time(X509_get0_notAfter(x)), (int64_t)time(NULL)));
    return true;
}

static bool put_cipher(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)t;
    return put_text(g, SSL_get_cipher_name(ssl));
}

static bool put_reused(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)t;
    gather_byte(g, SSL_session_reused(ssl) ? 'r' : '.');
    return true;
}

static bool put_early(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)ssl;
    if (tls_is_early(t))
        gather_byte(g, '1');
    return tls_is_early(t);
}

static bool put_name(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)ssl;
    gather_slice(g, tls_name(t));
    return tls_name(t).size > 0;
}

static bool put_alpn(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)ssl;
    struct slice p = tls_protocol_agreed(t);
    gather_slice(g, p);
    return p.size > 0;
}

static bool put_session_id(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)t;
    const SSL_SESSION *session = SSL_get0_session(ssl);
    unsigned size = 0;
    const unsigned char *id = session == NULL ? NULL : SSL_SESSION_get_id(session, &size);

    gather_hex_bytes(g, id, size);
    return size > 0;
}

static bool put_ciphers(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)t;
    STACK_OF(SSL_CIPHER) *all = SSL_get_client_ciphers(ssl);

    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        if (i > 0)
            gather_byte(g, ':');
        gather_str(g, SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i)));
    }
    return sk_SSL_CIPHER_num(all) > 0;
}

static const char *curve_name(int id)
{
    return id == NID_undef || (id & TLSEXT_nid_unknown) ? NULL : OBJ_nid2sn(id);
}

static bool put_curve(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)t;
    return put_text(g, curve_name((int)SSL_get_negotiated_group(ssl)));
}

enum { LISTED_MAX = 64 };

static bool put_curves(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)t;
    int ids[LISTED_MAX];
    int count = (int)SSL_get1_groups(ssl, NULL);

    if (count <= 0 || count > LISTED_MAX)
        return false;
    (void)SSL_get1_groups(ssl, ids);
    for (int i = 0; i < count; i++) {
        char number[16];

        if (i > 0)
            gather_byte(g, ':');
        snprintf(number, sizeof number, "0x%04x", (unsigned)ids[i] & 0xffff);
        gather_str(g, curve_name(ids[i]) != NULL ? curve_name(ids[i]) : number);
    }
    return true;
}

static bool put_signature(struct gather *g, int got, int id)
{
    return got == 1 && id != NID_undef && put_text(g, OBJ_nid2sn(id));
}

static bool put_sigalg(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)t;
    int id = NID_undef;
    int got = SSL_get_signature_type_nid(ssl, &id);
    return put_signature(g, got, id);
}

static bool put_client_sigalg(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)t;
    int id = NID_undef;
    int got = SSL_get_peer_signature_type_nid(ssl, &id);
    return put_signature(g, got, id);
}

static bool put_sigalgs(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)t;
    int count = SSL_get_sigalgs(ssl, -1, NULL, NULL, NULL, NULL, NULL);

    for (int i = 0; i < count && i < LISTED_MAX; i++) {
        int sign;
        int hash;

        (void)SSL_get_sigalgs(ssl, i, &sign, &hash, NULL, NULL, NULL);
        if (i > 0)
            gather_byte(g, ':');
        gather_str(g, sign != NID_undef ? OBJ_nid2sn(sign) : "unknown");
        if (hash != NID_undef) {
            gather_byte(g, '+');
            gather_str(g, OBJ_nid2sn(hash));
        }
    }
    return count > 0;
}

/* ---- the client's certificate ---------------------------------------------------------------- */

static bool put_verify(struct tls *t, SSL *ssl, struct gather *g)
{
    (void)t;
    long result = SSL_get_verify_result(ssl);

    if (SSL_get0_peer_certificate(ssl) == NULL) {
        gather_lit(g, "NONE");
    } else if (result == X509_V_OK) {
        gather_lit(g, "SUCCESS");
    } else {
        gather_lit(g, "FAILED:");
        gather_str(g, X509_verify_cert_error_string(result));
    }
    return true;
}

/* What `write` makes of the certificate. */
static bool put_bio(struct gather *g, const X509 *x, bool (*write)(BIO *, const X509 *),
                    void (*each)(struct gather *, struct slice))
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *at = NULL;
    long size = 0;
    bool ok = bio != NULL && write(bio, x);

    if (ok)
        size = BIO_get_mem_data(bio, &at);
    if (size > 0)
        each(g, slice_of(at, (size_t)size));
    BIO_free(bio);
    ERR_clear_error();
    return size > 0;
}

static bool write_pem(BIO *bio, const X509 *x)
{
    return PEM_write_bio_X509(bio, x) == 1;
}

static bool write_subject(BIO *bio, const X509 *x)
{
    return X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) >= 0;
}

static bool write_issuer(BIO *bio, const X509 *x)
{
    return X509_NAME_print_ex(bio, X509_get_issuer_name(x), 0, XN_FLAG_RFC2253) >= 0;
}

static bool write_serial(BIO *bio, const X509 *x)
{
    return i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(x)) > 0;
}

static bool write_start(BIO *bio, const X509 *x)
{
    return ASN1_TIME_print(bio, X509_get0_notBefore(x)) == 1;
}

static bool write_end(BIO *bio, const X509 *x)
{
    return ASN1_TIME_print(bio, X509_get0_notAfter(x)) == 1;
}

static void each_plain(struct gather *g, struct slice text)
{
    gather_slice(g, text);
}

/* Without the end of the last line. */
static void each_raw(struct gather *g, struct slice text)
{
    if (text.at[text.size - 1] == '\n')
        text.size--;
    gather_slice(g, text);
}

/* As a folded header field: each line but the first begins with a tab. */
static void each_folded(struct gather *g, struct slice text)
{
    if (text.at[text.size - 1] == '\n')
        text.size--;
    for (size_t i = 0; i < text.size; i++) {
        gather_byte(g, text.at[i]);
        if (text.at[i] == '\n')
            gather_byte(g, '\t');
    }
}

static void each_escaped(struct gather *g, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';

        if (plain)
            gather_byte(g, (char)c);
        else
            uri_encode_byte(g, c);
    }
}

static bool put_cert(const X509 *x, struct gather *g)
{
    return put_bio(g, x, write_pem, each_folded);
}

static bool put_raw_cert(const X509 *x, struct gather *g)
{
    return put_bio(g, x, write_pem, each_raw);
}

static bool put_escaped_cert(const X509 *x, struct gather *g)
{
    return put_bio(g, x, write_pem, each_escaped);
}

static bool put_s_dn(const X509 *x, struct gather *g)
{
    return put_bio(g, x, write_subject, each_plain);
}

static bool put_i_dn(const X509 *x, struct gather *g)
{
    return put_bio(g, x, write_issuer, each_plain);
}

static bool put_serial(const X509 *x, struct gather *g)
{
    return put_bio(g, x, write_serial, each_plain);
}

static bool put_v_start(const X509 *x, struct gather *g)
{
    return put_bio(g, x, write_start, each_plain);
}

static bool put_v_end(const X509 *x, struct gather *g)
{
    return put_bio(g, x, write_end, each_plain);
}

static bool put_legacy(struct gather *g, X509_NAME *name)
{
    char *text = X509_NAME_oneline(name, NULL, 0);
    bool ok = put_text(g, text);

    OPENSSL_free(text);
    return ok;
}

static bool put_s_dn_legacy(const X509 *x, struct gather *g)
{
    return put_legacy(g, X509_get_subject_name(x));
}

static bool put_i_dn_legacy(const X509 *x, struct gather *g)
{
    return put_legacy(g, X509_get_issuer_name(x));
}

static bool put_fingerprint(const X509 *x, struct gather *g)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size;

    if (X509_digest(x, EVP_sha1(), digest, &size) != 1)
        return false;
    gather_hex_bytes(g, digest, size);
    return true;
}

static bool put_v_remain(const X509 *x, struct gather *g)
{
    struct tm tm;
    int64_t left;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1)
        return false;
    left = ((int64_t)timegm(&tm) - (int64_t)time(NULL)) / 86400;
    gather_u64(g, left > 0 ? (uint64_t)left : 0);
    return true;
}

/* ---- the table ------------------------------------------------------------------------------- */

/* The library has no ECH. */
static bool get_nothing(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)subject;
    (void)use;
    (void)g;
    return false;
}

static const struct variable vars[] = {
    { "ssl_protocol", get_of_tls, (uintptr_t)put_protocol, .help = "TLSv1.3 …" },
    { "ssl_cipher", get_of_tls, (uintptr_t)put_cipher, .help = "The cipher in use." },
    { "ssl_ciphers", get_of_tls, (uintptr_t)put_ciphers,
      .help = "The ciphers that the client has and the library knows." },
    { "ssl_curve", get_of_tls, (uintptr_t)put_curve, .help = "The curve of the key exchange." },
    { "ssl_curves", get_of_tls, (uintptr_t)put_curves, .help = "The curves that the client has." },
    { "ssl_sigalg", get_of_tls, (uintptr_t)put_sigalg,
      .help = "How the server signed the handshake." },
    { "ssl_sigalgs", get_of_tls, (uintptr_t)put_sigalgs,
      .help = "The signatures that the client takes." },
    { "ssl_client_sigalg", get_of_tls, (uintptr_t)put_client_sigalg,
      .help = "How the client signed the handshake." },
    { "ssl_server_name", get_of_tls, (uintptr_t)put_name,
      .help = "The name that the client asked for (SNI)." },
    { "ssl_alpn_protocol", get_of_tls, (uintptr_t)put_alpn,
      .help = "The protocol behind TLS: h2, http/1.1 …" },
    { "ssl_session_id", get_of_tls, (uintptr_t)put_session_id, .help = "The session's id." },
    { "ssl_session_reused", get_of_tls, (uintptr_t)put_reused,
      .help = "r: a session was taken up; else a dot." },
    { "ssl_early_data", get_of_tls, (uintptr_t)put_early,
      .help = "1: the request may be a replay (early data)." },
    { "ssl_client_verify", get_of_tls, (uintptr_t)put_verify,
      .help = "NONE, SUCCESS, or FAILED: and why; of the client's certificate." },
    { "ssl_client_cert", get_of_certificate, (uintptr_t)put_cert,
      .help = "The client's certificate in PEM, folded." },
    { "ssl_client_raw_cert", get_of_certificate, (uintptr_t)put_raw_cert,
      .help = "The client's certificate in PEM." },
    { "ssl_client_escaped_cert", get_of_certificate, (uintptr_t)put_escaped_cert,
      .help = "The client's certificate in PEM, percent-encoded." },
    { "ssl_client_fingerprint", get_of_certificate, (uintptr_t)put_fingerprint,
      .help = "SHA-1 of the client's certificate." },
    { "ssl_client_s_dn", get_of_certificate, (uintptr_t)put_s_dn,
      .help = "The certificate's subject (RFC 2253)." },
    { "ssl_client_i_dn", get_of_certificate, (uintptr_t)put_i_dn,
      .help = "The certificate's issuer (RFC 2253)." },
    { "ssl_client_s_dn_legacy", get_of_certificate, (uintptr_t)put_s_dn_legacy,
      .help = "The subject in an old form." },
    { "ssl_client_i_dn_legacy", get_of_certificate, (uintptr_t)put_i_dn_legacy,
      .help = "The issuer in an old form." },
    { "ssl_client_serial", get_of_certificate, (uintptr_t)put_serial,
      .help = "The certificate's serial number." },
    { "ssl_client_v_start", get_of_certificate, (uintptr_t)put_v_start,
      .help = "Since when the certificate is good." },
    { "ssl_client_v_end", get_of_certificate, (uintptr_t)put_v_end,
      .help = "Until when it is good." },
    { "ssl_client_v_remain", get_of_certificate, (uintptr_t)put_v_remain,
      .help = "How many days that is." },
    { "ssl_certificate_days", get_of_tls, (uintptr_t)put_days_left,
      .help = "How many days the server's certificate is still good; below 0: it has ended." },
    { "ssl_ech_status", get_nothing, .help = "Empty: the library has no ECH." },
    { "ssl_ech_outer_server_name", get_nothing, .help = "Empty: the library has no ECH." },
};

const struct feature feature_ssl_vars = {
    .name = "ssl_vars",
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .about = "Variables of TLS connections.",
    .index = &ssl_vars_index,
};
