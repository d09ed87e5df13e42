/* cert_facts.c - reads certificates for people: names, ends, keys. */
#include "net/cert_facts.h"

#include "base/check.h"
#include "wire/date.h"

#include <arpa/inet.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DAY_S = 86400 };

int64_t cert_time(const ASN1_TIME *t)
{
    struct tm tm;

    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MAX;
}

int64_t cert_days_left(int64_t until_s, int64_t now_s)
{
    int64_t left = until_s - now_s;

    return left >= 0 ? left / DAY_S : -((-left + DAY_S - 1) / DAY_S);
}

void cert_day(int64_t time_s, char into[11])
{
    char text[DATE_ISO_SIZE];

    date_iso(time_s, 0, text);
    snprintf(into, 11, "%.10s", text);
}

/* Control bytes of a stranger's certificate are not for terminals. */
static void make_plain(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

static void name_text(const X509_NAME *name, char *into, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *at = NULL;
    long n = 0;

    into[0] = '\0';
    if (bio != NULL &&
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        n = BIO_get_mem_data(bio, &at);
    if (n > 0)
        snprintf(into, size, "%.*s", (int)n, at);
    BIO_free(bio);
    make_plain(into);
}

static void add_name(char *into, size_t size, const char *text, size_t text_size)
{
    size_t used = strlen(into);

    if (used + text_size + 8 > size) {
        if (used + 6 <= size && (used < 3 || strcmp(into + used - 3, "…") != 0))
            snprintf(into + used, size - used, ", …");
        return;
    }
    snprintf(into + used, size - used, "%s%.*s", used > 0 ? ", " : "", (int)text_size, text);
}

static void read_names(const X509 *x, struct cert_facts *f)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

    f->names[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        char address[INET6_ADDRSTRLEN];
        int size;

        if (g->type == GEN_DNS) {
            add_name(f->names, sizeof f->names, (const char *)ASN1_STRING_get0_data(g->d.dNSName),
                     (size_t)ASN1_STRING_length(g->d.dNSName));
        } else if (g->type == GEN_IPADD) {
            size = ASN1_STRING_length(g->d.iPAddress);
            if ((size == 4 || size == 16) &&
                inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(g->d.iPAddress),
                          address, sizeof address) != NULL)
                add_name(f->names, sizeof f->names, address, strlen(address));
        }
    }
    GENERAL_NAMES_free(all);
    make_plain(f->names);
}

static void read_key(const X509 *x, struct cert_facts *f)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    char group[40] = "";

    if (key == NULL) {
        snprintf(f->key, sizeof f->key, "unknown");
        return;
    }
    if (EVP_PKEY_is_a(key, "EC") &&
        EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                       NULL) == 1) {
        const char *short_name = EC_curve_nid2nist(OBJ_sn2nid(group));

        snprintf(f->key, sizeof f->key, "EC %.30s", short_name != NULL ? short_name : group);
    } else if (EVP_PKEY_get_bits(key) > 0 && !EVP_PKEY_is_a(key, "ED25519") &&
               !EVP_PKEY_is_a(key, "ED448")) {
        snprintf(f->key, sizeof f->key, "%.24s %d", EVP_PKEY_get0_type_name(key),
                 EVP_PKEY_get_bits(key));
    } else {
        snprintf(f->key, sizeof f->key, "%.30s", EVP_PKEY_get0_type_name(key));
    }
}

static void read_digests(const X509 *x, struct cert_facts *f)
{
    unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
    unsigned size = 0;

    f->fingerprint[0] = f->pin[0] = '\0';
    if (X509_digest(x, EVP_sha256(), digest, &size) == 1)
        for (unsigned i = 0; i < size; i++)
            snprintf(f->fingerprint + 3 * (size_t)i, 4, "%02X%s", digest[i],
                     i + 1 < size ? ":" : "");
    int der_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);

    if (der_size > 0 && EVP_Digest(der, (size_t)der_size, digest, &size, EVP_sha256(), NULL) == 1)
        EVP_EncodeBlock((unsigned char *)f->pin, digest, (int)size);
    OPENSSL_free(der);
}

static void read_ocsp(const X509 *x, struct cert_facts *f)
{
    STACK_OF(OPENSSL_STRING) *all = X509_get1_ocsp((X509 *)(uintptr_t)x);

    f->ocsp[0] = '\0';
    if (sk_OPENSSL_STRING_num(all) > 0)
        snprintf(f->ocsp, sizeof f->ocsp, "%s", sk_OPENSSL_STRING_value(all, 0));
    X509_email_free(all);
    make_plain(f->ocsp);
}

static void read_serial(const X509 *x, struct cert_facts *f)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *text = number != NULL ? BN_bn2hex(number) : NULL;

    snprintf(f->serial, sizeof f->serial, "%s", text != NULL ? text : "?");
    OPENSSL_free(text);
    BN_free(number);
}

void cert_facts_of(const X509 *x, struct cert_facts *f)
{
    name_text(X509_get_subject_name(x), f->subject, sizeof f->subject);
    name_text(X509_get_issuer_name(x), f->issuer, sizeof f->issuer);
    read_names(x, f);
    read_key(x, f);
    read_digests(x, f);
    read_ocsp(x, f);
    read_serial(x, f);
    snprintf(f->signature, sizeof f->signature, "%s", OBJ_nid2sn(X509_get_signature_nid(x)));
    f->from_s = cert_time(X509_get0_notBefore(x));
    f->until_s = cert_time(X509_get0_notAfter(x));
    f->authority = X509_check_ca((X509 *)(uintptr_t)x) > 0;
    ERR_clear_error();
}

void cert_reader_init(struct cert_reader *r, struct slice pem)
{
    *r = (struct cert_reader){ .bio = BIO_new_mem_buf(pem.at, (int)pem.size) };
    if (r->bio == NULL) {
        r->broken = true;
        snprintf(r->why, sizeof r->why, "no memory");
    }
}

bool cert_reader_next(struct cert_reader *r, struct cert_facts *ret)
{
    unsigned long error;
    X509 *x;

    if (r->broken)
        return false;
    ERR_clear_error();
    x = PEM_read_bio_X509_AUX(r->bio, NULL, NULL, NULL);
    if (x != NULL) {
        cert_facts_of(x, ret);
        X509_free(x);
        r->count++;
        return true;
    }
    error = ERR_peek_last_error();
    if (ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
        r->broken = true;
        ERR_error_string_n(error, r->why, sizeof r->why);
    } else if (r->count == 0) {
        r->broken = true;
        snprintf(r->why, sizeof r->why, "there is no certificate in PEM in it");
    }
    ERR_clear_error();
    return false;
}

void cert_reader_done(struct cert_reader *r)
{
    BIO_free(r->bio);
    r->bio = NULL;
}
