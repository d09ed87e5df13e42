/* tls_home.c - a loop's library context and buffers; the worker's ring of ticket keys. */
#include "net/tls_home.h"

#include "io/io.h"

#include <openssl/provider.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct tls_ring {
    pthread_mutex_t lock;
    unsigned count;
    struct tls_ticket_key keys[TLS_KEYS_MAX]; /* newest first */
};

struct tls_home *tls_home_create(struct tls_ring *ring)
{
    struct tls_home *home = calloc(1, sizeof *home);

    if (home == NULL)
        return NULL;
    io_at_thread_end(OPENSSL_thread_stop);
    atomic_init(&home->users, 1);
    home->ring = ring;
    home->library = OSSL_LIB_CTX_new();
    if (home->library != NULL) {
        home->ticket_cipher = EVP_CIPHER_fetch(home->library, "AES-256-CBC", NULL);
        home->ticket_cipher_128 = EVP_CIPHER_fetch(home->library, "AES-128-CBC", NULL);
    }
    if (home->ticket_cipher != NULL && home->ticket_cipher_128 != NULL)
        return home;
    tls_home_drop(home);
    return NULL;
}

struct tls_home *tls_home_hold(struct tls_home *home)
{
    atomic_fetch_add(&home->users, 1);
    return home;
}

void tls_home_drop(struct tls_home *home)
{
    if (atomic_fetch_sub(&home->users, 1) > 1)
        return;
    while (home->spare != NULL) {
        struct tls_out *out = home->spare;

        home->spare = out->next;
        free(out->bytes);
        free(out);
    }
    BIO_meth_free(home->bio);
    EVP_CIPHER_free(home->ticket_cipher);
    EVP_CIPHER_free(home->ticket_cipher_128);
    OSSL_LIB_CTX_free(home->library);
    free(home);
}

/* ---- buffers ---------------------------------------------------------------------------- */

struct tls_out *tls_out_take(struct tls_home *home)
{
    struct tls_out *out = home->spare;

    if (out != NULL) {
        home->spare = out->next;
        home->spare_count--;
        return out;
    }
    out = calloc(1, sizeof *out);
    if (out == NULL)
        return NULL;
    out->size = TLS_OUT_SIZE;
    out->bytes = realloc(NULL, out->size); /* it may have to grow */
    if (out->bytes != NULL)
        return out;
    free(out);
    return NULL;
}

void tls_out_give(struct tls_home *home, struct tls_out *out)
{
    if (home->spare_count >= TLS_SPARE_MAX || out->size > TLS_OUT_SIZE) {
        free(out->bytes);
        free(out);
        return;
    }
    out->used = 0;
    out->next = home->spare;
    home->spare = out;
    home->spare_count++;
}

bool tls_out_put(struct tls_out *out, const void *bytes, size_t size)
{
    if (size > out->size - out->used) {
        size_t larger = (size_t)out->used + size + TLS_RECORD_MAX;
        char *moved = realloc(out->bytes, larger);

        if (moved == NULL)
            return false;
        out->bytes = moved;
        out->size = (uint32_t)larger;
    }
    memcpy(out->bytes + out->used, bytes, size);
    out->used += (uint32_t)size;
    return true;
}

/* ---- ticket keys ------------------------------------------------------------------------ */

struct tls_ring *tls_ring_create(void)
{
    struct tls_ring *ring = calloc(1, sizeof *ring);

    if (ring != NULL)
        CHECK(pthread_mutex_init(&ring->lock, NULL) == 0);
    return ring;
}

void tls_ring_destroy(struct tls_ring *ring)
{
    if (ring == NULL)
        return;
    OPENSSL_cleanse(ring->keys, sizeof ring->keys);
    pthread_mutex_destroy(&ring->lock);
    free(ring);
}

static bool make_key(struct tls_ticket_key *key, int64_t now_s)
{
    *key = (struct tls_ticket_key){ .since_s = now_s };
    return RAND_bytes(key->name, sizeof key->name) == 1 &&
           RAND_priv_bytes(key->mac, sizeof key->mac) == 1 &&
           RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1;
}

bool tls_ring_newest(struct tls_ring *ring, int64_t now_s, struct tls_ticket_key *ret)
{
    bool ok = true;

    pthread_mutex_lock(&ring->lock);
    if (ring->count == 0 || now_s - ring->keys[0].since_s >= TLS_KEY_LIFE_S ||
        now_s < ring->keys[0].since_s) {
        struct tls_ticket_key fresh;

        ok = make_key(&fresh, now_s);
        if (ok) {
            if (ring->count < TLS_KEYS_MAX)
                ring->count++;
            memmove(ring->keys + 1, ring->keys, (ring->count - 1) * sizeof ring->keys[0]);
            ring->keys[0] = fresh;
        }
        OPENSSL_cleanse(&fresh, sizeof fresh);
    }
    if (ok)
        *ret = ring->keys[0];
    pthread_mutex_unlock(&ring->lock);
    return ok;
}

bool tls_ring_find(struct tls_ring *ring, const uint8_t name[TLS_KEY_NAME],
                   struct tls_ticket_key *ret, bool *ret_old)
{
    bool found = false;

    pthread_mutex_lock(&ring->lock);
    for (unsigned i = 0; i < ring->count && !found; i++) {
        if (memcmp(ring->keys[i].name, name, TLS_KEY_NAME) != 0)
            continue;
        *ret = ring->keys[i];
        *ret_old = i > 0;
        found = true;
    }
    pthread_mutex_unlock(&ring->lock);
    return found;
}
