/* staple.h - ssl_stapling: OCSP answers are fetched ahead, and go with the certificates.
 *
 * The first loop asks for all. An answer is given to clients only when it is good: signed by the
 * issuer, about this certificate, of today. It is asked for again when half of its time is over;
 * when nobody answers, the old one stays until its end. A reload keeps what is known.
 */
#ifndef UPSTREAM_STAPLE_H
#define UPSTREAM_STAPLE_H

#include "http/request.h"

/* As health_follow(). loop->staples is made when it is wanted. */
void staple_follow(struct loop *, struct site *from, struct site *to);
/* Nothing is in flight any more: behind a follow to NULL. */
bool staple_gone(const struct loop *);
/* Frees what is left. */
void staple_done(struct loop *);

#endif
