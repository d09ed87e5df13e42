/* cert_facts.h - what a certificate says, as texts and numbers for people and warnings.
 *
 *   struct cert_reader r;
 *   cert_reader_init(&r, pem);
 *   while (cert_reader_next(&r, &facts)) …       the first is the server's, others are its chain
 *   if (r.broken) …r.why
 *   cert_reader_done(&r);
 */
#ifndef NET_CERT_FACTS_H
#define NET_CERT_FACTS_H

#include "base/slice.h"

#include <openssl/x509.h>

struct cert_facts {
    char names[1024]; /* DNS names and addresses, ", " between; what does not fit: "…"  */
    char subject[256], issuer[256];
    char key[40]; /* "EC P-256", "RSA 2048" … */
    char signature[40], serial[64];
    char fingerprint[96];    /* SHA-256, hexadecimal with colons       */
    char pin[48];            /* SHA-256 of the public key, in base64   */
    char ocsp[256];          /* where its state can be asked; "": nobody is named */
    int64_t from_s, until_s; /* seconds since 1970 */
    bool authority;
};

struct cert_reader {
    BIO *bio;
    unsigned count;
    bool broken;
    char why[160];
};

/* Borrows the text. */
void cert_reader_init(struct cert_reader *, struct slice pem);
bool cert_reader_next(struct cert_reader *, struct cert_facts *);
void cert_reader_done(struct cert_reader *);

void cert_facts_of(const X509 *, struct cert_facts *);

/* Whole days until then, rounded down: -1 when it ended within the last day. */
int64_t cert_days_left(int64_t until_s, int64_t now_s);
/* "2030-01-31" */
void cert_day(int64_t time_s, char into[11]);
int64_t cert_time(const ASN1_TIME *);

#endif
