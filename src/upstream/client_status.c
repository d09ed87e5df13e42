/* client_status.c - asks for each certificate of a client's chain, one after the other. */
#include "upstream/client_status.h"

#include "conf/zone.h"
#include "http/site.h"
#include "net/cert_facts.h"
#include "net/fetch.h"
#include "net/ocsp.h"
#include "proto/ssl.h"
#include "upstream/resolver.h"

#include <openssl/err.h>
#include <pthread.h>
#include <time.h>

enum { TIMEOUT_MS = 10000, URL_MAX = 1024 };

/* In the request's arena, which stays while it is asked. */
struct inquiry {
    struct request *request;
    STACK_OF(X509) * chain; /* the client's certificate first; each signed by the next */
    int at, count;          /* which is asked for; how many are to be                 */
    enum ocsp_state state;  /* of all up to now                                        */
    bool over;
    int64_t until_s; /* so long that is so */
    char why[200];
    char url[URL_MAX];
    struct ocsp_asked asked;
    struct slice question;
    struct fetch fetch;
    bool fetching;
};

/* ---- what a connection remembers ----------------------------------------------------------- */

static int memory_index = -1;

static void make_index(void)
{
    memory_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static int index_of_memory(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, make_index);
    return memory_index;
}

/* Until when its certificate is known to be good; 0: it is not. */
static int64_t remembered(const SSL *ssl)
{
    return (int64_t)(intptr_t)SSL_get_ex_data(ssl, index_of_memory());
}

static void remember(SSL *ssl, int64_t until_s)
{
    (void)SSL_set_ex_data(ssl, index_of_memory(), (void *)(intptr_t)until_s);
}

/* ---- what all loops remember --------------------------------------------------------------- */

static bool key_of(const X509 *x, unsigned char key[EVP_MAX_MD_SIZE], struct slice *ret)
{
    unsigned size = 0;

    if (X509_digest(x, EVP_sha256(), key, &size) != 1)
        return false;
    *ret = slice_of((const char *)key, size);
    return true;
}

static bool find_cached(const struct ssl_conf *conf, const X509 *x, struct ssl_ocsp_cached *ret)
{
    unsigned char key[EVP_MAX_MD_SIZE];
    struct zone_spot spot;
    struct slice text;

    if (conf->ocsp_zone == NULL || !key_of(x, key, &text) ||
        !zone_find(conf->ocsp_zone->memory, text, &spot))
        return false;
    memcpy(ret, spot.value, sizeof *ret);
    zone_leave(&spot);
    return ret->until_s > (int64_t)time(NULL);
}

static void cache(const struct ssl_conf *conf, const X509 *x, const struct ssl_ocsp_cached *c)
{
    unsigned char key[EVP_MAX_MD_SIZE];
    struct zone_spot spot;
    struct slice text;

    if (conf->ocsp_zone == NULL || !key_of(x, key, &text) ||
        !zone_enter(conf->ocsp_zone->memory, text, ZONE_EVICT, &spot))
        return;
    memcpy(spot.value, c, sizeof *c);
    zone_leave(&spot);
}

/* ---- asking -------------------------------------------------------------------------------- */

static void drop_question(struct inquiry *q)
{
    OPENSSL_free((void *)(uintptr_t)q->question.at);
    q->question = (struct slice){ 0 };
}

static void drop(struct inquiry *q)
{
    drop_question(q);
    sk_X509_pop_free(q->chain, X509_free);
    q->chain = NULL;
}

static void at_end(void *inquiry)
{
    struct inquiry *q = inquiry;

    if (q->fetching)
        fetch_cancel(&q->fetch); /* on_done() gives all back */
    else
        drop(q);
}

static void settle(struct inquiry *q, enum ocsp_state state, const char *why)
{
    q->over = true;
    q->state = state;
    if (why != NULL && why != q->why)
        snprintf(q->why, sizeof q->why, "%s", why);
}

/* Of the certificate that is asked for. */
static void note(struct inquiry *q, enum ocsp_state state, int64_t until_s)
{
    if (state != OCSP_GOOD) {
        settle(q, state, state == OCSP_REVOKED ? "the certificate was revoked" : NULL);
        return;
    }
    if (until_s < q->until_s)
        q->until_s = until_s;
    if (++q->at == q->count)
        settle(q, OCSP_GOOD, NULL);
}

static void judge(struct inquiry *q)
{
    const struct ssl_conf *conf = ssl_conf_of(q->request->server);
    struct ocsp_judged j = { 0 };
    enum ocsp_state state = OCSP_UNKNOWN;

    if (q->fetch.why != NULL)
        snprintf(q->why, sizeof q->why, "%.100s: %.80s", q->url, q->fetch.why);
    else if (q->fetch.status != 200)
        snprintf(q->why, sizeof q->why, "%.100s: status %u", q->url, q->fetch.status);
    else
        state = ocsp_judge(&q->asked, q->fetch.answer, (int64_t)time(NULL), &j);
    if (j.why[0] != '\0')
        snprintf(q->why, sizeof q->why, "%.40s: %.150s", q->url, j.why);
    if (state != OCSP_UNKNOWN)
        cache(conf, q->asked.cert,
              &(struct ssl_ocsp_cached){ .until_s = j.until_s, .revoked = state == OCSP_REVOKED });
    note(q, state, j.until_s);
}

static void on_done(struct fetch *f)
{
    struct inquiry *q = container_of(f, struct inquiry, fetch);
    struct request *r = q->request;

    q->fetching = false;
    if (r->ended) {
        drop(q);
        (void)request_unpin(r);
        return;
    }
    judge(q);
    drop_question(q);
    (void)request_unpin(r);
    request_resume(r);
}

static void fetch_answer(struct inquiry *q)
{
    struct request *r = q->request;
    const struct resolver_conf *conf = scope_conf(r->server->scope, &feature_resolver);

    q->fetch = (struct fetch){ .io = r->io,
                               .resolver = r->loop->resolver,
                               .how = &conf->how,
                               .url = slice_str(q->url),
                               .type = SLICE("application/ocsp-request"),
                               .body = q->question,
                               .timeout_ms = TIMEOUT_MS,
                               .answer_max = OCSP_ANSWER_MAX,
                               .done = on_done };
    q->fetching = true;
    request_pin(r);
    fetch_begin(&q->fetch);
}

/* NULL: it can be asked for. */
static const char *prepare(struct inquiry *q)
{
    const struct ssl_conf *conf = ssl_conf_of(q->request->server);
    struct fetch_url url;
    struct cert_facts facts;

    q->asked = (struct ocsp_asked){ .cert = sk_X509_value(q->chain, q->at),
                                    .issuer = sk_X509_value(q->chain, q->at + 1) };
    cert_facts_of(q->asked.cert, &facts);
    if (conf->ocsp_responder.size > 0)
        snprintf(q->url, sizeof q->url, "%.*s", SLICE_FMT(conf->ocsp_responder));
    else
        snprintf(q->url, sizeof q->url, "%s", facts.ocsp);
    if (q->url[0] == '\0')
        return "the certificate names no responder";
    if (fetch_read_url(slice_str(q->url), &url) != NULL)
        return "the certificate names a responder that cannot be asked";
    return ocsp_question(&q->asked, &q->question) ? NULL : "no memory";
}

/* As far as it goes without waiting. */
static void go_on(struct inquiry *q)
{
    const struct ssl_conf *conf = ssl_conf_of(q->request->server);

    while (!q->over && !q->fetching) {
        struct ssl_ocsp_cached c;
        const char *why;

        if (find_cached(conf, sk_X509_value(q->chain, q->at), &c)) {
            note(q, c.revoked ? OCSP_REVOKED : OCSP_GOOD, c.until_s);
            continue;
        }
        why = prepare(q);
        if (why != NULL)
            settle(q, OCSP_UNKNOWN, why);
        else
            fetch_answer(q);
    }
}

/* ---- chains -------------------------------------------------------------------------------- */

/* A session that was taken up has the client's certificate alone: its issuers are looked for. */
static STACK_OF(X509) * build_chain(SSL *ssl, X509 *cert)
{
    X509_STORE_CTX *look = X509_STORE_CTX_new();
    STACK_OF(X509) *chain = NULL;

    if (look != NULL &&
        X509_STORE_CTX_init(look, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), cert, NULL) == 1 &&
        X509_STORE_CTX_set_default(look, "ssl_client") == 1 && X509_verify_cert(look) == 1)
        chain = X509_STORE_CTX_get1_chain(look);
    X509_STORE_CTX_free(look);
    ERR_clear_error();
    return chain;
}

static STACK_OF(X509) * chain_of(SSL *ssl, X509 *cert)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);

    return chain != NULL ? X509_chain_up_ref(chain) : build_chain(ssl, cert);
}

static struct inquiry *begin(struct request *r, SSL *ssl, X509 *cert)
{
    const struct ssl_conf *conf = ssl_conf_of(r->server);
    struct inquiry *q = arena_zalloc(&r->arena, sizeof *q);
    int links;

    if (q == NULL)
        return NULL;
    q->request = r;
    q->until_s = INT64_MAX;
    q->chain = chain_of(ssl, cert);
    if (!request_at_end(r, at_end, q))
        return NULL;
    r->slots[SLOT_CLIENT_STATUS] = q;
    links = sk_X509_num(q->chain) - 1;
    q->count = conf->ocsp == SSL_OCSP_LEAF && links > 1 ? 1 : links;
    if (q->count < 1)
        settle(q, OCSP_UNKNOWN, "nobody is known who signed the certificate");
    else
        go_on(q);
    return q;
}

/* ---- the step ------------------------------------------------------------------------------ */

bool client_status_idle(const struct scope *scope)
{
    const struct ssl_conf *conf = scope_conf(scope, &feature_ssl);

    return conf->ocsp == SSL_OCSP_OFF;
}

static enum verdict refuse(struct request *r, SSL *ssl, const struct inquiry *q)
{
    SSL_set_verify_result(ssl, q->state == OCSP_REVOKED ? X509_V_ERR_CERT_REVOKED
                                                        : X509_V_ERR_OCSP_VERIFY_FAILED);
    request_log(r, LOG_INFO, 0, "client SSL certificate is not known to be good by OCSP: %s",
                q->why);
    return request_fail(r, 495);
}

enum verdict step_client_status(struct request *r)
{
    const struct ssl_conf *conf = ssl_conf_of(r->server);
    struct tls *t = r->ops->tls != NULL ? r->ops->tls(r) : NULL;
    struct inquiry *q = r->slots[SLOT_CLIENT_STATUS];
    SSL *ssl = t != NULL ? tls_ssl(t) : NULL;
    X509 *cert = ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;

    if (cert == NULL || conf->ocsp == SSL_OCSP_OFF ||
        (q == NULL && remembered(ssl) > (int64_t)time(NULL)))
        return NEXT;
    if (q == NULL)
        q = begin(r, ssl, cert);
    else
        go_on(q);
    if (q == NULL)
        return request_fail(r, 500);
    if (!q->over)
        return WAIT;
    if (q->state != OCSP_GOOD)
        return refuse(r, ssl, q);
    remember(ssl, q->until_s);
    return NEXT;
}
