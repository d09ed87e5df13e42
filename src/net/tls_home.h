/* tls_home.h - what the TLS connections of one loop share, and the ticket keys that all loops do.
 *
 *   struct tls_ring *ring = tls_ring_create();            once a worker
 *   struct tls_home *home = tls_home_create(ring);        once a loop that meets TLS
 *
 * OpenSSL 3.0 takes locks wherever threads share a library context; a home has its own, so loops do
 * not meet in them.
 */
#ifndef NET_TLS_HOME_H
#define NET_TLS_HOME_H

#include "base/check.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TLS_RECORD_MAX = 16384,   /* bytes of content (RFC 8446 5.1)                            */
    TLS_OUT_SIZE = 80 * 1024, /* encrypted bytes that wait for one send; a few more fit    */
    TLS_SPARE_MAX = 8,
};

/* Encrypted bytes on their way out. */
struct tls_out {
    uint32_t used, size;
    struct tls_out *next; /* while spare */
    char *bytes;
};

struct tls_ring;

struct tls_home {
    OSSL_LIB_CTX *library;
    EVP_CIPHER *ticket_cipher, *ticket_cipher_128;
    BIO_METHOD *bio;        /* set by the first connection: see tls.c */
    _Atomic unsigned users; /* contexts of domains, which may outlive the loop; and the loop */
    struct tls_ring *ring;
    struct tls_out *spare;
    unsigned spare_count;
    char scratch[TLS_RECORD_MAX]; /* pieces become one record here */
};

/* With one reference. NULL: no memory. Borrows the ring, which must stay while connections do. */
struct tls_home *tls_home_create(struct tls_ring *) MUST_USE;
struct tls_home *tls_home_hold(struct tls_home *);
void tls_home_drop(struct tls_home *); /* any thread */

/* TLS_OUT_SIZE bytes of room; NULL: no memory. */
struct tls_out *tls_out_take(struct tls_home *) MUST_USE;
void tls_out_give(struct tls_home *, struct tls_out *);
/* `size` more bytes; false: no memory. */
bool tls_out_put(struct tls_out *, const void *, size_t size) MUST_USE;

/* ---- session ticket keys (RFC 5077 section 4, RFC 8446 section 4.6.1) -------------------- */

enum { TLS_KEY_NAME = 16, TLS_KEYS_MAX = 25, TLS_KEY_LIFE_S = 3600 };

struct tls_ticket_key {
    uint8_t name[TLS_KEY_NAME], mac[32], cipher[32];
    bool small; /* AES-128 and 16 bytes of mac, as files of 48 bytes have it */
    int64_t since_s;
};

/* Keys that are made as time goes: a new one each hour, old ones for a day. */
struct tls_ring *tls_ring_create(void) MUST_USE;
void tls_ring_destroy(struct tls_ring *);
/* The key that tickets are written with now; false: no randomness. */
bool tls_ring_newest(struct tls_ring *, int64_t now_s, struct tls_ticket_key *ret) MUST_USE;
/* The key of that name; *ret_old: it is not the newest. False: there is none. */
bool tls_ring_find(struct tls_ring *, const uint8_t name[TLS_KEY_NAME], struct tls_ticket_key *ret,
                   bool *ret_old) MUST_USE;

#endif
