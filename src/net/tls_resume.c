/* tls_resume.c - taking up sessions: tickets (RFC 5077, RFC 8446 4.6.1), and sessions that a zone
 * keeps for all loops (RFC 5246 7.3). */
#include "net/tls_private.h"

#include "conf/zone.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

/* ---- tickets -------------------------------------------------------------------------------- */

/* Files: name, mac key, cipher key; 16, 16, 16 bytes or 16, 32, 32. */
static void key_of_file(struct slice file, struct tls_ticket_key *ret)
{
    size_t half = file.size == 48 ? 16 : 32;

    *ret = (struct tls_ticket_key){ .small = half == 16 };
    memcpy(ret->name, file.at, TLS_KEY_NAME);
    memcpy(ret->mac, file.at + TLS_KEY_NAME, half);
    memcpy(ret->cipher, file.at + TLS_KEY_NAME + half, half);
}

static bool find_file_key(const struct tls_wish *wish, const unsigned char *name,
                          struct tls_ticket_key *ret, bool *ret_old)
{
    for (unsigned i = 0; i < wish->ticket_key_count; i++) {
        if (memcmp(wish->ticket_keys[i].at, name, TLS_KEY_NAME) != 0)
            continue;
        key_of_file(wish->ticket_keys[i], ret);
        *ret_old = i > 0;
        return true;
    }
    return false;
}

/* The key to write with, or the one of that name. */
static bool find_key(const struct tls *t, unsigned char *name, bool writing,
                     struct tls_ticket_key *ret, bool *ret_old)
{
    const struct tls_wish *wish = t->first == NULL ? NULL : tls_domain_wish(t->first);

    *ret_old = false;
    if (wish == NULL)
        return false;
    if (!writing)
        return wish->ticket_key_count > 0 ? find_file_key(wish, name, ret, ret_old)
                                          : tls_ring_find(t->home->ring, name, ret, ret_old);
    if (wish->ticket_key_count > 0)
        key_of_file(wish->ticket_keys[0], ret);
    else if (!tls_ring_newest(t->home->ring, (int64_t)time(NULL), ret))
        return false;
    memcpy(name, ret->name, TLS_KEY_NAME);
    return true;
}

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb(3) has it: 1 use it, 2 use and renew it, 0 do without. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int writing)
{
    const struct tls *t = tls_of(ssl);
    struct tls_ticket_key key;
    const EVP_CIPHER *kind;
    OSSL_PARAM words[3];
    bool old, ok;

    if (!find_key(t, name, writing != 0, &key, &old))
        return 0;
    kind = key.small ? t->home->ticket_cipher_128 : t->home->ticket_cipher;
    words[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, key.small ? 16 : 32);
    words[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0);
    words[2] = OSSL_PARAM_construct_end();
    if (writing)
        ok = RAND_bytes_ex(t->home->library, iv, (size_t)EVP_CIPHER_get_iv_length(kind), 0) == 1 &&
             EVP_EncryptInit_ex2(cipher, kind, key.cipher, iv, NULL) == 1;
    else
        ok = EVP_DecryptInit_ex2(cipher, kind, key.cipher, iv, NULL) == 1;
    ok = ok && EVP_MAC_CTX_set_params(mac, words) == 1;
    OPENSSL_cleanse(&key, sizeof key);
    if (!ok)
        return -1;
    return old || (!writing && SSL_version(ssl) == TLS1_3_VERSION) ? 2 : 1;
}

/* ---- sessions in a zone ---------------------------------------------------------------------- */

enum { SESSION_MAX = TLS_SESSION_ROOM - 2 };

static struct zone *zone_of(const SSL *ssl)
{
    const struct tls *t = tls_of(ssl);
    const struct tls_domain *d = t == NULL ? NULL : t->first;

    return d == NULL ? NULL : tls_domain_wish(d)->session_zone->memory;
}

/* Larger ones (with a client's chain, say) are not kept: their clients shake hands again. */
static int on_new(SSL *ssl, SSL_SESSION *session)
{
    struct zone *zone = zone_of(ssl);
    unsigned char text[SESSION_MAX], *at = text;
    struct zone_spot spot;
    unsigned id_size;
    const unsigned char *id = SSL_SESSION_get_id(session, &id_size);
    int size = i2d_SSL_SESSION(session, NULL);

    if (SSL_version(ssl) == TLS1_3_VERSION && !(SSL_get_options(ssl) & SSL_OP_NO_TICKET))
        return 0; /* its ticket is all that is needed */
    if (zone == NULL || size <= 0 || size > SESSION_MAX)
        return 0;
    (void)i2d_SSL_SESSION(session, &at);
    if (zone_enter(zone, slice_of((const char *)id, id_size), ZONE_EVICT, &spot)) {
        uint16_t short_size = (uint16_t)size;

        memcpy(spot.value, &short_size, sizeof short_size);
        memcpy((char *)spot.value + sizeof short_size, text, (size_t)size);
        zone_leave(&spot);
    }
    OPENSSL_cleanse(text, (size_t)size);
    return 0;
}

static SSL_SESSION *on_find(SSL *ssl, const unsigned char *id, int id_size, int *copy)
{
    struct zone *zone = zone_of(ssl);
    unsigned char text[SESSION_MAX];
    const unsigned char *at = text;
    struct zone_spot spot;
    uint16_t size;

    *copy = 0;
    if (zone == NULL || !zone_find(zone, slice_of((const char *)id, (size_t)id_size), &spot))
        return NULL;
    memcpy(&size, spot.value, sizeof size);
    memcpy(text, (const char *)spot.value + sizeof size, size);
    zone_leave(&spot);
    SSL_SESSION *session = d2i_SSL_SESSION(NULL, &at, size);

    OPENSSL_cleanse(text, size);
    ERR_clear_error();
    return session;
}

void tls_resume_set_up(SSL_CTX *context, struct tls_domain *domain)
{
    const struct tls_wish *wish = tls_domain_wish(domain);
    long mode = SSL_SESS_CACHE_OFF;

    if (wish->sessions == TLS_SESSIONS_KEPT && wish->session_zone != NULL) {
        mode = SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL;
        SSL_CTX_sess_set_new_cb(context, on_new);
        SSL_CTX_sess_set_get_cb(context, on_find);
    } else if (wish->sessions == TLS_SESSIONS_NONE) {
        mode = SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL;
    }
    SSL_CTX_set_session_cache_mode(context, mode);
    (void)SSL_CTX_set_num_tickets(context, 1); /* a client that needs more asks again */
    if (!wish->tickets)
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
}
