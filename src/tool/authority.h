/* authority.h - an authority of this user's own, for names that are used on one's own machines.
 *
 *   struct authority a;
 *   if (authority_open(&a, why) && authority_issue(&a, names, count, "x.crt", "x.key", why)) …
 *   authority_done(&a);
 *
 * It lives in $XDG_DATA_HOME/weir (or ~/.local/share/weir), is made once, and can only speak for
 * names that no public authority would (RFC 5280 4.2.1.10): whoever steals its key cannot pose as
 * any site of the world to the browsers that trust it.
 */
#ifndef TOOL_AUTHORITY_H
#define TOOL_AUTHORITY_H

#include "base/slice.h"

#include <limits.h>
#include <openssl/x509.h>
#include <stdio.h>

enum { AUTHORITY_WHY = 512, AUTHORITY_NAMES_MAX = 64, AUTHORITY_LEAF_DAYS = 397 };

struct authority {
    char dir[PATH_MAX / 2]; /* of its files, which have a name behind that */
    char cert_path[PATH_MAX];
    X509 *cert;
    EVP_PKEY *key;
    bool fresh; /* it was made now */
};

/* Makes it if there is none. False, and why. authority_done() in any case. */
bool authority_open(struct authority *, char why[AUTHORITY_WHY]) MUST_USE;
void authority_done(struct authority *);

/* May it speak for that name or address? */
bool authority_may(const struct authority *, const char *name);
/* Writes a certificate for names that it may speak for, and its key (mode 0600). */
bool authority_issue(const struct authority *, const char *const *names, unsigned count,
                     const char *cert_path, const char *key_path, char why[AUTHORITY_WHY]) MUST_USE;

/* The certificate of this machine's own names: made when there is none, its end is near, names have
 * changed, or another authority signed it. The paths are set. */
bool authority_local(const struct authority *, char cert_path[PATH_MAX], char key_path[PATH_MAX],
                     char why[AUTHORITY_WHY]) MUST_USE;

/* How browsers and programs learn to trust it. */
void authority_note(const struct authority *, FILE *);

#endif
