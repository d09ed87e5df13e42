/* staple.c - one staple a certificate: asks its responder, judges, and tells the domains. */
#include "upstream/staple.h"

#include "base/block.h"
#include "base/clock.h"
#include "http/log_target.h"
#include "net/cert_facts.h"
#include "net/fetch.h"
#include "net/ocsp.h"
#include "proto/ssl.h"
#include "upstream/resolver.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TIMEOUT_MS = 10000,
    AGAIN_S = 2, /* after a failure, and twice as long after each further one */
    AGAIN_MAX_S = 300,
    FRESH_MIN_S = 5,
    FRESH_MAX_S = 3600,
    URL_MAX = 1024,
};

/* A domain that has the certificate, of the generation in force. */
struct user {
    struct tls_domain *domain;
    struct user *next;
};

struct staple {
    struct loop *loop;
    unsigned char digest[TLS_DIGEST_SIZE];
    char url[URL_MAX];
    bool verify; /* by ssl_trusted_certificate */
    struct ocsp_asked asked;
    struct slice question;
    struct fetch fetch;
    bool fetching, wanted;
    struct io_timer timer;
    char *answer;
    size_t answer_size;
    int64_t until_s; /* of the answer */
    int64_t next_s;
    unsigned failures;
    const struct server *server; /* of the generation in force: for its logs and resolver */
    struct user *users;
    struct staple *next;
};

struct staples {
    struct staple *first;
};

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void forget_users(struct staple *s)
{
    while (s->users != NULL) {
        struct user *u = s->users;

        s->users = u->next;
        free(u);
    }
}

static void staple_free(struct staple *s)
{
    forget_users(s);
    X509_free(s->asked.cert);
    X509_free(s->asked.issuer);
    X509_STORE_free(s->asked.trusted);
    OPENSSL_free((void *)(uintptr_t)s->question.at);
    block_free(s->answer);
    free(s);
}

static void unlink_staple(struct staple *s)
{
    struct staple **at = &s->loop->staples->first;

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
}

static const struct log *log_of(const struct staple *s)
{
    return log_of_scope(s->server->scope);
}

/* ---- answers ------------------------------------------------------------------------------- */

/* Size 0: clients get none from now on. */
static void give(struct staple *s, struct slice answer)
{
    for (struct user *u = s->users; u != NULL; u = u->next)
        if (!tls_domain_staple(u->domain, s->digest, answer))
            log_write(log_of(s), LOG_ERROR, 0, "no memory for an OCSP answer");
}

static io_fire_fn on_due;

static void wait(struct staple *s)
{
    int64_t now = now_s(), due = s->next_s;

    if (s->answer != NULL && s->until_s < due)
        due = s->until_s;
    io_timer_set(s->loop->io, &s->timer, due > now ? (uint64_t)(due - now) * NS_PER_SEC : 1,
                 on_due);
}

static void failed(struct staple *s, const char *why)
{
    int64_t pause = AGAIN_MAX_S;
    char names[80];
    struct cert_facts facts;

    cert_facts_of(s->asked.cert, &facts);
    snprintf(names, sizeof names, "%.79s", facts.names[0] != '\0' ? facts.names : facts.subject);
    if (s->failures < 8 && (int64_t)AGAIN_S << s->failures < AGAIN_MAX_S)
        pause = (int64_t)AGAIN_S << s->failures;
    s->failures++;
    s->next_s = now_s() + pause;
    log_write(log_of(s), LOG_ERROR, 0,
              "OCSP: no answer to staple, certificate: \"%s\", responder: %s: %s; asked again in "
              "%lld s",
              names, s->url, why, (long long)pause);
}

static void take(struct staple *s, struct slice answer, const struct ocsp_judged *j)
{
    int64_t now = now_s(), fresh = (j->until_s - now) / 2;
    char *copy = block_alloc(answer.size);

    if (copy == NULL) {
        failed(s, "no memory");
        return;
    }
    memcpy(copy, answer.at, answer.size);
    block_free(s->answer);
    s->answer = copy;
    s->answer_size = answer.size;
    s->until_s = j->until_s;
    if (s->failures > 0)
        log_write(log_of(s), LOG_NOTICE, 0, "OCSP: %s answers again", s->url);
    s->failures = 0;
    fresh = fresh > FRESH_MAX_S ? FRESH_MAX_S : fresh < FRESH_MIN_S ? FRESH_MIN_S : fresh;
    s->next_s = now + fresh;
    give(s, slice_of(s->answer, s->answer_size));
}

static void judge(struct staple *s)
{
    struct ocsp_judged j;
    char why[64];

    if (s->fetch.why != NULL) {
        failed(s, s->fetch.why);
    } else if (s->fetch.status != 200) {
        snprintf(why, sizeof why, "status %u", s->fetch.status);
        failed(s, why);
    } else if (ocsp_judge(&s->asked, s->fetch.answer, now_s(), &j) == OCSP_GOOD) {
        take(s, s->fetch.answer, &j);
    } else {
        failed(s, j.why);
    }
}

static void on_done(struct fetch *f)
{
    struct staple *s = container_of(f, struct staple, fetch);
    bool again = !s->wanted;

    s->fetching = false;
    if (s->server == NULL) { /* nobody wants it any more */
        unlink_staple(s);
        staple_free(s);
        return;
    }
    if (again) /* it was cancelled, for another generation */
        s->next_s = now_s();
    else
        judge(s);
    s->wanted = true;
    wait(s);
}

static void ask(struct staple *s)
{
    const struct resolver_conf *r = scope_conf(s->server->scope, &feature_resolver);

    s->fetch = (struct fetch){ .io = s->loop->io,
                               .resolver = s->loop->resolver,
                               .how = &r->how,
                               .url = slice_str(s->url),
                               .type = SLICE("application/ocsp-request"),
                               .body = s->question,
                               .timeout_ms = TIMEOUT_MS,
                               .answer_max = OCSP_ANSWER_MAX,
                               .done = on_done };
    s->fetching = true;
    fetch_begin(&s->fetch);
}

static void on_due(struct io *io, struct io_timer *timer)
{
    struct staple *s = container_of(timer, struct staple, timer);
    int64_t now = now_s();

    (void)io;
    if (s->answer != NULL && s->until_s <= now) {
        block_free(s->answer);
        s->answer = NULL;
        give(s, (struct slice){ 0 });
    }
    if (s->next_s <= now)
        ask(s);
    else
        wait(s);
}

/* ---- what a configuration wants ------------------------------------------------------------ */

static X509 *next_certificate(BIO *bio)
{
    X509 *x = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);

    ERR_clear_error();
    return x;
}

/* The first certificate of the text that signed it. NULL: there is none. */
static X509 *find_issuer(struct slice text, X509 *cert)
{
    BIO *bio = text.size > 0 ? BIO_new_mem_buf(text.at, (int)text.size) : NULL;
    X509 *x = NULL;

    while (bio != NULL && (x = next_certificate(bio)) != NULL) {
        if (X509_check_issued(x, cert) == X509_V_OK && X509_verify(cert, X509_get0_pubkey(x)) == 1)
            break;
        X509_free(x);
    }
    BIO_free(bio);
    ERR_clear_error();
    return x;
}

static X509_STORE *store_of(struct slice text)
{
    BIO *bio = text.size > 0 ? BIO_new_mem_buf(text.at, (int)text.size) : NULL;
    X509_STORE *store = X509_STORE_new();
    X509 *x;

    while (bio != NULL && store != NULL && (x = next_certificate(bio)) != NULL) {
        (void)X509_STORE_add_cert(store, x);
        X509_free(x);
    }
    BIO_free(bio);
    ERR_clear_error();
    return store;
}

/* What is wanted, whole; or NULL, after a warning. */
static struct staple *read_wanted(struct loop *loop, const struct server *server,
                                  const struct tls_certificate *c)
{
    const struct ssl_conf *conf = ssl_conf_of(server);
    const struct tls_wish *wish = tls_domain_wish(conf->domain);
    struct staple *s = calloc(1, sizeof *s);
    const char *why = "no memory";
    struct fetch_url url;
    struct cert_facts facts = { 0 };
    BIO *bio = BIO_new_mem_buf(c->chain.at, (int)c->chain.size);

    if (s != NULL && bio != NULL)
        s->asked.cert = next_certificate(bio);
    BIO_free(bio);
    if (s != NULL && s->asked.cert != NULL) {
        s->loop = loop;
        s->server = server;
        s->verify = conf->stapling_verify;
        cert_facts_of(s->asked.cert, &facts);
        (void)X509_digest(s->asked.cert, EVP_sha256(), s->digest, NULL);
        if (conf->stapling_responder.size > 0)
            snprintf(s->url, sizeof s->url, "%.*s", SLICE_FMT(conf->stapling_responder));
        else
            snprintf(s->url, sizeof s->url, "%s", facts.ocsp);
        s->asked.issuer = find_issuer(c->chain, s->asked.cert);
        if (s->asked.issuer == NULL)
            s->asked.issuer = find_issuer(wish->trusted, s->asked.cert);
        if (s->asked.issuer == NULL)
            s->asked.issuer = find_issuer(wish->authorities, s->asked.cert);
        s->asked.trusted = s->verify ? store_of(wish->trusted) : NULL;
        why = s->asked.issuer == NULL ? "its issuer is neither in its chain nor trusted"
              : s->url[0] == '\0'     ? "no responder is named in it"
                                      : fetch_read_url(slice_str(s->url), &url);
        if (why == NULL && !ocsp_question(&s->asked, &s->question))
            why = "no memory";
    }
    if (why == NULL)
        return s;
    log_write(log_of_scope(server->scope), LOG_WARN, 0,
              "\"ssl_stapling\" ignored for certificate \"%.80s\": %s",
              facts.names[0] != '\0' ? facts.names : facts.subject, why);
    if (s != NULL)
        staple_free(s);
    return NULL;
}

static bool same(const struct staple *a, const struct staple *b)
{
    return memcmp(a->digest, b->digest, sizeof a->digest) == 0 && strcmp(a->url, b->url) == 0 &&
           a->verify == b->verify;
}

/* What is known of it stays; what it is judged by is new. */
static struct staple *enter(struct loop *loop, struct staple *fresh)
{
    struct staple *s = loop->staples->first;

    while (s != NULL && !same(s, fresh))
        s = s->next;
    if (s == NULL) {
        fresh->next = loop->staples->first;
        loop->staples->first = fresh;
        return fresh;
    }
    if (s->server == NULL)
        s->server = fresh->server;
    X509_STORE_free(s->asked.trusted);
    s->asked.trusted = fresh->asked.trusted;
    fresh->asked.trusted = NULL;
    staple_free(fresh);
    return s;
}

static bool has_user(const struct staple *s, const struct tls_domain *domain)
{
    const struct user *u = s->users;

    while (u != NULL && u->domain != domain)
        u = u->next;
    return u != NULL;
}

/* Servers that say the same have one domain. */
static void want(struct loop *loop, const struct server *server, const struct tls_certificate *c)
{
    struct tls_domain *domain = ssl_conf_of(server)->domain;
    struct staple *s = read_wanted(loop, server, c);
    struct user *u;

    if (s == NULL)
        return;
    s = enter(loop, s);
    u = has_user(s, domain) ? NULL : calloc(1, sizeof *u);
    if (u == NULL)
        return; /* it gets it already; or, without memory, goes without */
    *u = (struct user){ .domain = domain, .next = s->users };
    s->users = u;
}

static void want_all(struct loop *loop, const struct site *site)
{
    for (const struct server *server = site->servers; server != NULL; server = server->next) {
        const struct ssl_conf *conf = ssl_conf_of(server);

        if (conf->domain == NULL || !conf->stapling || conf->stapling_file.size > 0)
            continue;
        for (const struct tls_certificate *c = tls_domain_wish(conf->domain)->certificates;
             c != NULL; c = c->next)
            want(loop, server, c);
    }
}

/* Of the generation before: nothing of it is used any more. */
static void stop(struct staple *s)
{
    io_timer_stop(s->loop->io, &s->timer);
    forget_users(s);
    s->server = NULL;
    s->wanted = false;
    if (s->fetching)
        fetch_cancel(&s->fetch);
}

void staple_follow(struct loop *loop, struct site *from, struct site *to)
{
    struct staple *next;

    (void)from;
    if (loop->staples == NULL)
        loop->staples = calloc(1, sizeof *loop->staples);
    if (loop->staples == NULL)
        return;
    for (struct staple *s = loop->staples->first; s != NULL; s = s->next)
        stop(s);
    if (to != NULL)
        want_all(loop, to);
    for (struct staple *s = loop->staples->first; s != NULL; s = next) {
        next = s->next;
        if (s->fetching)
            continue; /* goes on, or goes, when that is over */
        if (s->server == NULL) {
            unlink_staple(s);
            staple_free(s);
            continue;
        }
        s->wanted = true;
        wait(s);
    }
    for (struct staple *s = loop->staples->first; s != NULL; s = s->next)
        if (s->answer != NULL)
            give(s, slice_of(s->answer, s->answer_size));
}

bool staple_gone(const struct loop *loop)
{
    return loop->staples == NULL || loop->staples->first == NULL;
}

void staple_done(struct loop *loop)
{
    CHECK(staple_gone(loop));
    free(loop->staples);
    loop->staples = NULL;
}
