/* tls_staple.c - OCSP answers that go with certificates (RFC 6066 section 8). */
#include "base/block.h"
#include "net/tls_private.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct tls_staple {
    bool any;
    unsigned char certificate[TLS_DIGEST_SIZE];
    struct slice answer; /* block_alloc() */
    struct tls_staple *next;
};

void tls_staples_init(struct tls_staples *all)
{
    *all = (struct tls_staples){ 0 };
    CHECK(pthread_mutex_init(&all->lock, NULL) == 0);
}

void tls_staples_done(struct tls_staples *all)
{
    while (all->first != NULL) {
        struct tls_staple *s = all->first;

        all->first = s->next;
        block_free((void *)(uintptr_t)s->answer.at);
        free(s);
    }
    pthread_mutex_destroy(&all->lock);
}

/* Behind the lock. */
static struct tls_staple *find_staple(const struct tls_staples *all,
                                      const unsigned char *certificate)
{
    struct tls_staple *any = NULL;

    for (struct tls_staple *s = all->first; s != NULL; s = s->next) {
        if (s->any)
            any = s;
        else if (certificate != NULL && memcmp(s->certificate, certificate, TLS_DIGEST_SIZE) == 0)
            return s;
    }
    return any;
}

static int on_status(SSL *ssl, void *arg)
{
    struct tls_staples *all = arg;
    unsigned char certificate[EVP_MAX_MD_SIZE], *copy = NULL;
    const X509 *x = SSL_get_certificate(ssl);
    const struct tls_staple *s = NULL;
    int size = 0;

    if (x == NULL || X509_digest(x, EVP_sha256(), certificate, NULL) != 1)
        return SSL_TLSEXT_ERR_NOACK;
    pthread_mutex_lock(&all->lock);
    s = find_staple(all, certificate);
    if (s != NULL && s->answer.size > 0) {
        copy = OPENSSL_memdup(s->answer.at, s->answer.size);
        size = (int)s->answer.size;
    }
    pthread_mutex_unlock(&all->lock);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    if (SSL_set_tlsext_status_ocsp_resp(ssl, copy, size) == 1)
        return SSL_TLSEXT_ERR_OK;
    OPENSSL_free(copy);
    return SSL_TLSEXT_ERR_NOACK;
}

bool tls_staples_put(struct tls_staples *all, const unsigned char *certificate, struct slice answer)
{
    char *copy = answer.size > 0 ? block_alloc(answer.size) : NULL;
    struct tls_staple *fresh = calloc(1, sizeof *fresh), *s;
    void *before;

    if ((answer.size > 0 && copy == NULL) || fresh == NULL) {
        block_free(copy);
        free(fresh);
        return false;
    }
    if (copy != NULL)
        memcpy(copy, answer.at, answer.size);
    fresh->any = certificate == NULL;
    if (certificate != NULL)
        memcpy(fresh->certificate, certificate, TLS_DIGEST_SIZE);
    pthread_mutex_lock(&all->lock);
    s = find_staple(all, certificate);
    if (s == NULL || s->any != fresh->any) {
        fresh->next = all->first;
        all->first = s = fresh;
        fresh = NULL;
    }
    before = (void *)(uintptr_t)s->answer.at;
    s->answer = slice_of(copy, answer.size);
    pthread_mutex_unlock(&all->lock);
    block_free(before);
    free(fresh);
    return true;
}

void tls_staples_set_up(SSL_CTX *context, struct tls_staples *all)
{
    SSL_CTX_set_tlsext_status_cb(context, on_status);
    SSL_CTX_set_tlsext_status_arg(context, all);
}
