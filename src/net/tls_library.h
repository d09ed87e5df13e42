/* tls_library.h - certificates whose paths are known only when a handshake begins.
 *
 *   struct tls_library *l = tls_library_create(&wish, most);            with the configuration
 *   struct tls_fetch f = { .library = l, .done = … }; … f.paths …       for each handshake
 *   tls_fetch_begin(io, &f);                                            …f.done(&f)
 *   d = tls_fetch_domain(&f);                                           NULL: f.why
 *   tls_fetch_end(&f);                                                  when the handshake is over
 *
 * The first fetch of a pair reads it on a helper thread; later ones find it, as long as its files
 * are the same. Shared by the loops behind a lock.
 */
#ifndef NET_TLS_LIBRARY_H
#define NET_TLS_LIBRARY_H

#include "io/io.h"
#include "net/tls_domain.h"

enum { TLS_PATH_ROOM = 1024, TLS_FETCH_WHY = TLS_PATH_ROOM + 400 };

struct tls_library;
struct tls_pair;

struct tls_fetch {
    struct io_op op;
    struct tls_library *library;
    struct tls_pair *pair; /* NULL: there is none; then */
    char why[TLS_FETCH_WHY];
    char paths[2][TLS_PATH_ROOM]; /* of the certificate; of the key          */
    void (*done)(struct tls_fetch *);
};

/* Domains like the wish, each with one certificate; so many are kept. NULL: no memory. */
struct tls_library *tls_library_create(const struct tls_wish *, unsigned most) MUST_USE;
void tls_library_destroy(void *library); /* no fetch uses it */

void tls_fetch_begin(struct io *, struct tls_fetch *);
struct tls_domain *tls_fetch_domain(const struct tls_fetch *);
/* Behind done(). */
void tls_fetch_end(struct tls_fetch *);

#endif
