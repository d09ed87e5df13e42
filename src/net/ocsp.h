/* ocsp.h - what an authority says today of a certificate that it signed (RFC 6960).
 *
 *   ocsp_question(cert, issuer, &der)            for the responder
 *   state = ocsp_judge(&asked, answer, &judged)  what it said, if that can be believed
 *
 * Whatever is wrong with an answer, the state is OCSP_UNKNOWN: it is neither good nor revoked.
 */
#ifndef NET_OCSP_H
#define NET_OCSP_H

#include "base/slice.h"

#include <openssl/x509.h>

enum ocsp_state { OCSP_UNKNOWN, OCSP_GOOD, OCSP_REVOKED };

enum {
    OCSP_ANSWER_MAX = 64 * 1024,
    OCSP_SKEW_S = 300,   /* clocks that differ by so much are no reason for doubts */
    OCSP_ALONE_S = 3600, /* an answer without an end is believed for so long       */
};

struct ocsp_asked {
    X509 *cert, *issuer;
    X509_STORE *trusted; /* the signer must be below one of these; NULL: the issuer is enough */
};

struct ocsp_judged {
    int64_t from_s, until_s; /* of OCSP_GOOD and OCSP_REVOKED     */
    char why[160];           /* of the others, and of OCSP_REVOKED */
};

/* The question in DER, for block_free() of OpenSSL (OPENSSL_free()). False: no memory. */
bool ocsp_question(const struct ocsp_asked *, struct slice *ret) MUST_USE;

enum ocsp_state ocsp_judge(const struct ocsp_asked *, struct slice answer, int64_t now_s,
                           struct ocsp_judged *);

#endif
