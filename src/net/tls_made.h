/* tls_made.h - the domains of one configuration: what is wished twice is made once.
 *
 *   struct tls_order order = { .wish = … };
 *   const struct tls_made *m = tls_make(load, &list, &order, &fault);      NULL: fault says why
 *   …m->domain, m->library
 *
 * A context takes about a millisecond to try, and a thousand servers often say the same.
 */
#ifndef NET_TLS_MADE_H
#define NET_TLS_MADE_H

#include "conf/load.h"
#include "net/tls_domain.h"
#include "net/tls_library.h"

struct expr;

struct tls_order {
    struct tls_wish wish;
    const struct expr *certificate, *key; /* with variables: a library is made, too; else NULL */
    unsigned library_most;                /* see tls_library_create()                          */
    struct slice staple;                  /* an OCSP answer for all its certificates; may be none */
    struct slice
        responder;      /* whom such answers come from otherwise: they are kept by domain, so … */
    bool staple_verify; /* … what gets them elsewhere, or judges them otherwise, is another one */
};

struct tls_made {
    struct tls_order order;
    struct tls_domain *domain;
    struct tls_library *library; /* NULL: the order has no variables */
    struct tls_made *next;
};

/* The list is the caller's, NULL at first, of one load; what is in it goes with the load, as do the
 * texts that the order names. NULL: it cannot be made (and is tried again the next time). */
const struct tls_made *tls_make(struct conf_load *, struct tls_made **list,
                                const struct tls_order *, struct tls_fault *) MUST_USE;

#endif
