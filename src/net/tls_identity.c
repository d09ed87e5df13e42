/* tls_identity.c - what makes two domains the same to those who kept something of one of them. */
#include "net/tls_private.h"

#include <openssl/evp.h>

static void put(EVP_MD_CTX *digest, struct slice text)
{
    uint64_t size = text.size;

    (void)EVP_DigestUpdate(digest, &size, sizeof size);
    (void)EVP_DigestUpdate(digest, text.at, text.size);
}

static void put_text(EVP_MD_CTX *digest, const char *text)
{
    put(digest, slice_str(text != NULL ? text : ""));
}

/* A server's sessions may outlive a change of these; a client's connections must not. */
static void put_client(EVP_MD_CTX *digest, const struct tls_wish *w)
{
    const int64_t numbers[] = { w->protocols, w->verify_depth };

    put(digest, slice_of((const char *)numbers, sizeof numbers));
    put_text(digest, w->ciphers);
    put_text(digest, w->curves);
    for (const struct tls_certificate *c = w->certificates; c != NULL; c = c->next)
        put(digest, c->key);
    for (const struct tls_command *c = w->commands; c != NULL; c = c->next) {
        put_text(digest, c->name);
        put_text(digest, c->value);
    }
}

bool tls_identify(const struct tls_wish *w, uint8_t id[TLS_ID_SIZE])
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool ok = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1;

    if (ok) {
        for (const struct tls_certificate *c = w->certificates; c != NULL; c = c->next)
            put(digest, c->chain);
        put(digest, w->authorities);
        put(digest, w->trusted);
        put(digest, w->revoked);
        put(digest, slice_of((const char *)&w->verify, sizeof w->verify));
        if (w->client)
            put_client(digest, w);
        ok = EVP_DigestFinal_ex(digest, id, NULL) == 1;
    }
    EVP_MD_CTX_free(digest);
    return ok;
}
