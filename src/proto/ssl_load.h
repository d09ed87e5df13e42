/* ssl_load.h - ssl_certificate with variables: certificates that are read when a client asks. */
#ifndef PROTO_SSL_LOAD_H
#define PROTO_SSL_LOAD_H

#include "net/tls_library.h"
#include "proto/ssl.h"

/* For a handshake that names `server`: its domain, or `wait`, until conn_tls_take() is called. */
struct tls_choice ssl_load_choose(struct conn *, const struct server *server);
/* The handshake is over, or the connection. */
void ssl_load_end(struct conn *);

#endif
