/* authority.c - makes the local authority and the certificates that it signs. */
#include "tool/authority.h"

#include "base/check.h"
#include "net/cert_facts.h"
#include "tool/authority_files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { AUTHORITY_DAYS = 3652, RENEW_DAYS = 30, DAY_S = 86400, TEXT_SIZE = 8192, HOST_SIZE = 256 };

#define SAY(...) (snprintf(why, AUTHORITY_WHY, __VA_ARGS__), false)

/* What it may speak for: names that are nobody's in public (RFC 6761, RFC 8375, ICANN's .internal),
 * and addresses of one's own networks. */
static const char constraints[] =
    "critical"
    ",permitted;DNS:localhost,permitted;DNS:test,permitted;DNS:local,permitted;DNS:internal"
    ",permitted;DNS:lan,permitted;DNS:home.arpa"
    ",permitted;IP:127.0.0.0/255.0.0.0,permitted;IP:10.0.0.0/255.0.0.0"
    ",permitted;IP:172.16.0.0/255.240.0.0,permitted;IP:192.168.0.0/255.255.0.0"
    ",permitted;IP:169.254.0.0/255.255.0.0,permitted;IP:100.64.0.0/255.192.0.0"
    ",permitted;IP:0:0:0:0:0:0:0:1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    ",permitted;IP:fc00:0:0:0:0:0:0:0/fe00:0:0:0:0:0:0:0"
    ",permitted;IP:fe80:0:0:0:0:0:0:0/ffc0:0:0:0:0:0:0:0";

static bool say_library(char *why, const char *doing)
{
    char text[160];

    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return SAY("%s failed: %s", doing, text);
}

/* ---- names ---- */

static bool is_address(const char *name)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* Letters, digits, hyphens, dots, and a star in front. */
static bool is_host(const char *name)
{
    const char *at = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
    size_t size = strlen(name);

    for (const char *c = at; *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              ((*c == '-' || *c == '.' || *c == '_') && c > at)))
            return false;
    return at[0] != '\0' && size < HOST_SIZE && name[size - 1] != '.';
}

/* The machine's name, if it is one for certificates. */
static bool host_name(char into[HOST_SIZE])
{
    return gethostname(into, HOST_SIZE) == 0 && memchr(into, '\0', HOST_SIZE) != NULL &&
           is_host(into) && strcmp(into, "localhost") != 0 && !is_address(into);
}

static GENERAL_NAME *general_name(const char *name)
{
    return a2i_GENERAL_NAME(NULL, NULL, NULL, is_address(name) ? GEN_IPADD : GEN_DNS, name, 0);
}

bool authority_may(const struct authority *a, const char *name)
{
    NAME_CONSTRAINTS *limits = X509_get_ext_d2i(a->cert, NID_name_constraints, NULL, NULL);
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *g = names != NULL ? general_name(name) : NULL;
    X509 *probe = X509_new();
    bool may = false;

    if (g != NULL && probe != NULL && (is_address(name) || is_host(name)) &&
        sk_GENERAL_NAME_push(names, g) > 0) {
        g = NULL;
        may = X509_add1_ext_i2d(probe, NID_subject_alt_name, names, 0, 0) == 1;
        (void)X509_check_purpose(probe, -1, 0); /* now it knows its own extensions */
        may = may && (limits == NULL || NAME_CONSTRAINTS_check(probe, limits) == X509_V_OK);
    }
    GENERAL_NAME_free(g);
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
    X509_free(probe);
    NAME_CONSTRAINTS_free(limits);
    ERR_clear_error();
    return may;
}

/* ---- making certificates ---- */

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *text)
{
    X509V3_CTX around = { .issuer_cert = issuer, .subject_cert = x };
    X509_EXTENSION *e;
    bool ok;

    e = X509V3_EXT_conf_nid(NULL, &around, nid, text);
    ok = e != NULL && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static bool set_serial(X509 *x)
{
    BIGNUM *number = BN_new();
    bool ok = number != NULL && BN_rand(number, 159, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL;

    BN_free(number);
    return ok;
}

static bool set_subject(X509 *x, const char *common, const char *organization)
{
    X509_NAME *name = X509_get_subject_name(x);

    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)organization,
                                      -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common, -1,
                                      -1, 0) == 1;
}

/* Begun a little ago, for clocks that go slow. NULL: no memory. */
static X509 *begin(EVP_PKEY *key, long days)
{
    X509 *x = X509_new();

    if (x != NULL && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
        X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL &&
        X509_gmtime_adj(X509_getm_notAfter(x), days * DAY_S - 7200) != NULL &&
        X509_set_pubkey(x, key) == 1)
        return x;
    X509_free(x);
    return NULL;
}

static bool finish_authority(X509 *x, EVP_PKEY *key)
{
    char host[HOST_SIZE], common[HOST_SIZE + 32], limits[sizeof constraints + HOST_SIZE + 32];
    bool named = host_name(host);

    /* RFC 5280's upper bound of a common name is 64 */
    snprintf(common, sizeof common, "weir local authority%s%.40s", named ? " of " : "",
             named ? host : "");
    snprintf(limits, sizeof limits, "%s%s%s", constraints, named ? ",permitted;DNS:" : "",
             named ? host : "");
    return set_subject(x, common, "weir local") &&
           X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
           add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           add_extension(x, x, NID_name_constraints, limits) &&
           add_extension(x, x, NID_subject_key_identifier, "hash") &&
           X509_sign(x, key, EVP_sha256()) > 0;
}

static bool make_authority(struct authority *a, const char *key_path, char why[AUTHORITY_WHY])
{
    a->key = EVP_EC_gen("P-256");
    a->cert = a->key != NULL ? begin(a->key, AUTHORITY_DAYS) : NULL;
    if (a->cert == NULL || !finish_authority(a->cert, a->key))
        return say_library(why, "making the local authority");
    a->fresh = true;
    return write_key(key_path, a->key, why) && write_certificate(a->cert_path, a->cert, why);
}

bool authority_open(struct authority *a, char why[AUTHORITY_WHY])
{
    char key_path[PATH_MAX];
    int lock;
    bool ok;

    *a = (struct authority){ 0 };
    if (!authority_place(a->dir, sizeof a->dir, why))
        return false;
    lock = authority_lock(a->dir, why);
    if (lock < 0)
        return false;
    snprintf(a->cert_path, sizeof a->cert_path, "%s/ca.crt", a->dir);
    snprintf(key_path, sizeof key_path, "%s/ca.key", a->dir);
    if (access(a->cert_path, F_OK) != 0 && access(key_path, F_OK) != 0)
        ok = make_authority(a, key_path, why);
    else
        ok = read_certificate(a->cert_path, &a->cert, why) && read_key(key_path, &a->key, why);
    close(lock);
    if (ok && X509_check_private_key(a->cert, a->key) != 1)
        ok = SAY("%.300s and ca.key do not belong together; remove both to make new ones",
                 a->cert_path);
    if (ok && cert_days_left(cert_time(X509_get0_notAfter(a->cert)), (int64_t)time(NULL)) < 0)
        ok = SAY("%.300s has expired; remove it and ca.key to make a new one", a->cert_path);
    ERR_clear_error();
    return ok;
}

void authority_done(struct authority *a)
{
    X509_free(a->cert);
    EVP_PKEY_free(a->key);
    a->cert = NULL;
    a->key = NULL;
}

static bool print_names(const struct authority *a, const char *const *names, unsigned count,
                        char text[TEXT_SIZE], char why[AUTHORITY_WHY])
{
    size_t used = 0;

    for (unsigned i = 0; i < count; i++) {
        const char *kind = is_address(names[i]) ? "IP" : "DNS";

        if (!is_address(names[i]) && !is_host(names[i]))
            return SAY("\"%.80s\" is neither a host's name nor an address", names[i]);
        if (!authority_may(a, names[i]))
            return SAY("the local authority cannot speak for \"%.80s\": its certificate is limited "
                       "to localhost, .test, .local, .internal, .lan, home.arpa, this machine's "
                       "name and private addresses, so that nobody can misuse it",
                       names[i]);
        used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%s:%s", i > 0 ? "," : "", kind,
                                 names[i]);
        if (used >= TEXT_SIZE)
            return SAY("these are too many names for one certificate");
    }
    return true;
}

bool authority_issue(const struct authority *a, const char *const *names, unsigned count,
                     const char *cert_path, const char *key_path, char why[AUTHORITY_WHY])
{
    char text[TEXT_SIZE], common[65];
    EVP_PKEY *key;
    X509 *x;
    bool ok;

    if (!print_names(a, names, count, text, why))
        return false;
    snprintf(common, sizeof common, "%.64s", names[0]);
    key = EVP_EC_gen("P-256");
    x = key != NULL ? begin(key, AUTHORITY_LEAF_DAYS) : NULL;
    ok = x != NULL && set_subject(x, common, "weir local") &&
         X509_set_issuer_name(x, X509_get_subject_name(a->cert)) == 1 &&
         add_extension(x, a->cert, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(x, a->cert, NID_key_usage, "critical,digitalSignature") &&
         add_extension(x, a->cert, NID_ext_key_usage, "serverAuth,clientAuth") &&
         add_extension(x, a->cert, NID_subject_alt_name, text) &&
         add_extension(x, a->cert, NID_authority_key_identifier, "keyid") &&
         X509_sign(x, a->key, EVP_sha256()) > 0;
    if (!ok)
        (void)say_library(why, "making a certificate");
    ok = ok && write_key(key_path, key, why) && write_certificate(cert_path, x, why);
    X509_free(x);
    EVP_PKEY_free(key);
    return ok;
}

/* ---- this machine's own ---- */

static bool still_good(const struct authority *a, const char *cert_path, const char *key_path,
                       const char *const *names, unsigned count)
{
    char why[AUTHORITY_WHY];
    EVP_PKEY *key = NULL;
    X509 *x = NULL;
    bool good = access(cert_path, R_OK) == 0 && access(key_path, R_OK) == 0 &&
                read_certificate(cert_path, &x, why) && read_key(key_path, &key, why) &&
                X509_check_private_key(x, key) == 1 && X509_verify(x, a->key) == 1 &&
                cert_days_left(cert_time(X509_get0_notAfter(x)), (int64_t)time(NULL)) >= RENEW_DAYS;

    for (unsigned i = 0; good && i < count; i++)
        good = is_address(names[i]) ? X509_check_ip_asc(x, names[i], 0) == 1
                                    : X509_check_host(x, names[i], 0, 0, NULL) == 1;
    X509_free(x);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return good;
}

bool authority_local(const struct authority *a, char cert_path[PATH_MAX], char key_path[PATH_MAX],
                     char why[AUTHORITY_WHY])
{
    char host[HOST_SIZE], local[HOST_SIZE + 8];
    const char *names[5] = { "localhost", "127.0.0.1", "::1" };
    unsigned count = 3;
    bool ok = true;
    int lock = authority_lock(a->dir, why);

    if (lock < 0)
        return false;
    if (host_name(host) && authority_may(a, host)) {
        names[count++] = host;
        snprintf(local, sizeof local, "%s.local", host);
        if (strchr(host, '.') == NULL)
            names[count++] = local;
    }
    snprintf(cert_path, PATH_MAX, "%s/local.crt", a->dir);
    snprintf(key_path, PATH_MAX, "%s/local.key", a->dir);
    if (!still_good(a, cert_path, key_path, names, count))
        ok = authority_issue(a, names, count, cert_path, key_path, why);
    close(lock);
    return ok;
}

void authority_note(const struct authority *a, FILE *to)
{
    fprintf(
        to,
        "The certificate is signed by this user's own authority,\n"
        "  %s\n"
        "which nobody trusts until told so:\n"
        "  this machine's programs  sudo cp %s /usr/local/share/ca-certificates/weir-local.crt\n"
        "                           sudo update-ca-certificates\n"
        "  Chromium                 certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n weir-local \\\n"
        "                           -i %s\n"
        "  Firefox                  Settings, Certificates, Authorities, Import\n"
        "  one call of curl         curl --cacert %s https://…\n",
        a->cert_path, a->cert_path, a->cert_path, a->cert_path);
}
