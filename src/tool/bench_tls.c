/* bench_tls.c - TLS for a load: whom to name, whom to trust, what to speak.
 *
 * Nothing is verified unless that is asked for: a load generator is pointed at one's own servers,
 * and those carry certificates of all kinds.
 */
#include "tool/bench_tls.h"

#include "base/gather.h"
#include "net/addr.h"

#include <errno.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 4 * 1024 * 1024, NAME_MAX_SIZE = 255, DEPTH = 10 };

#define SAY(...) (snprintf(why, BENCH_WHY_SIZE, __VA_ARGS__), false)

static const char *system_authorities(void)
{
    const char *said = getenv(X509_get_default_cert_file_env());
    static const char bundle[] = "/etc/ssl/certs/ca-certificates.crt";

    return said != NULL ? said : bundle;
}

static bool read_authorities(const char *path, struct slice *ret, char *why)
{
    FILE *f = fopen(path, "re");
    char *bytes = f != NULL ? calloc(1, FILE_MAX) : NULL;
    size_t size = bytes != NULL ? fread(bytes, 1, FILE_MAX, f) : 0;
    bool fine = bytes != NULL && !ferror(f) && feof(f);

    if (f == NULL)
        return SAY("%.160s: %s", path, strerror(errno));
    fclose(f);
    *ret = slice_of(bytes, size);
    return fine || SAY("%.160s: expected a file of at most %d MiB", path, FILE_MAX >> 20);
}

static bool read_version(const char *said, unsigned *ret, char *why)
{
    *ret = TLS_PROTOCOL_1_2 | TLS_PROTOCOL_1_3;
    if (said == NULL)
        return true;
    if (strcmp(said, "1.2") == 0)
        *ret = TLS_PROTOCOL_1_2;
    else if (strcmp(said, "1.3") == 0)
        *ret = TLS_PROTOCOL_1_3;
    else
        return SAY("--tls \"%.40s\": expected 1.2 or 1.3", said);
    return true;
}

/* An address is nobody's name (RFC 6066 3). */
static bool choose_name(struct bench_plan *plan, const struct bench_words *w, char *why)
{
    struct bench_tls *tls = &plan->tls;
    struct addr address;

    tls->name = w->sni != NULL ? slice_str(w->sni) : w->host;
    tls->tell = !addr_parse(tls->name, 0, &address);
    return (tls->name.size > 0 && tls->name.size <= NAME_MAX_SIZE) ||
           SAY("--sni \"%.40s\": expected a host's name", w->sni);
}

static bool alone(const struct bench_words *w, const struct bench_plan *plan, char *why)
{
    const char *word = w->sni != NULL           ? "--sni"
                       : w->authorities != NULL ? "--cacert"
                       : w->tls_version != NULL ? "--tls"
                       : w->ciphers != NULL     ? "--ciphers"
                       : w->groups != NULL      ? "--groups"
                       : plan->tls.resume       ? "--resume"
                       : plan->tls.verify       ? "--verify"
                                                : NULL;

    return word == NULL || SAY("%s: there is no TLS in %.160s; expected https://", word, w->url);
}

static const char *part_name(enum tls_part part)
{
    switch (part) {
    case TLS_PART_CIPHERS:
    case TLS_PART_COMMAND: /* the one there is: the ciphers of TLS 1.3 */
        return "--ciphers";
    case TLS_PART_CURVES:
        return "--groups";
    case TLS_PART_TRUSTED:
        return "--cacert";
    default:
        return "TLS";
    }
}

/* OpenSSL has two lists, and a name tells which one it belongs to. */
static bool part_ciphers(struct bench_words *w, char *why)
{
    struct slice rest = slice_str(w->ciphers != NULL ? w->ciphers : "");
    struct gather lists[2];

    if (rest.size >= BENCH_CIPHERS_MAX)
        return SAY("--ciphers: too long; expected fewer than %d bytes", BENCH_CIPHERS_MAX);
    gather_init(&lists[0], w->ciphers_old, BENCH_CIPHERS_MAX - 1, NULL, 0);
    gather_init(&lists[1], w->ciphers_new, BENCH_CIPHERS_MAX - 1, NULL, 0);
    while (rest.size > 0) {
        struct slice one = slice_head(rest, slice_find(rest, ':'));
        struct gather *list = &lists[slice_starts(one, SLICE("TLS_"))];

        rest = slice_skip(rest, one.size + (one.size < rest.size));
        if (list->used > 0)
            gather_byte(list, ':');
        gather_slice(list, one);
    }
    w->suites = (struct tls_command){ .name = "Ciphersuites", .value = w->ciphers_new };
    return true;
}

bool bench_tls(struct bench_plan *plan, struct bench_words *w, char why[BENCH_WHY_SIZE])
{
    struct tls_wish wish = { .client = true, .curves = w->groups, .verify_depth = DEPTH };
    struct tls_fault fault;

    if (!w->secure)
        return alone(w, plan, why);
    if (!part_ciphers(w, why))
        return false;
    wish.ciphers = w->ciphers_old[0] != '\0' ? w->ciphers_old : NULL;
    wish.commands = w->ciphers_new[0] != '\0' ? &w->suites : NULL;
    plan->tls.verify |= w->authorities != NULL;
    if (!choose_name(plan, w, why) || !read_version(w->tls_version, &wish.protocols, why))
        return false;
    if (plan->tls.verify &&
        !read_authorities(w->authorities != NULL ? w->authorities : system_authorities(),
                          &w->trusted, why))
        return false;
    wish.trusted = w->trusted;
    wish.verify = plan->tls.verify ? TLS_VERIFY_ON : TLS_VERIFY_OFF;
    plan->tls.alpn = w->http2 ? SLICE("\x02h2") : SLICE("\x08http/1.1");
    plan->tls.agree = w->http2;
    plan->tls.domain = tls_domain_create(&wish, &fault);
    return plan->tls.domain != NULL || SAY("%s: %.160s", part_name(fault.part), fault.text);
}

void bench_tls_done(struct bench_plan *plan, struct bench_words *w)
{
    if (plan->tls.domain != NULL)
        tls_domain_destroy(plan->tls.domain);
    plan->tls.domain = NULL;
    free((void *)(uintptr_t)w->trusted.at);
    w->trusted = (struct slice){ 0 };
}
