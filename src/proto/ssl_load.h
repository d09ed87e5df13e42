/* ssl_load.h - ssl_certificate with variables: certificates that are read when a client asks.
 *
 * The first handshake for a certificate reads it on a helper thread; later ones find it, as long as
 * its files are the same. Shared by the loops behind a lock.
 */
#ifndef PROTO_SSL_LOAD_H
#define PROTO_SSL_LOAD_H

#include "proto/ssl.h"

/* What one server has read. NULL: no memory. */
struct ssl_library *ssl_library_create(const struct tls_wish *, unsigned most) MUST_USE;
void ssl_library_destroy(void *library);

/* For a handshake that names `server`: its domain, or `wait`, until conn_tls_take() is called. */
struct tls_choice ssl_load_choose(struct conn *, const struct server *server);
/* The handshake is over, or the connection. */
void ssl_load_end(struct conn *);

#endif
