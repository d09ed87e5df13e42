/* endpoint.h - where a connection can be made to: a socket address with its text.
 *
 *   struct endpoint_list found;
 *   if (endpoints_find(arena, SLICE("backend.test:8080"), 80, &found, &why)) …
 *
 * A name may have several addresses: each is an endpoint of its own.
 */
#ifndef UPSTREAM_ENDPOINT_H
#define UPSTREAM_ENDPOINT_H

#include "base/arena.h"
#include "net/addr.h"

#include <netinet/in.h>
#include <sys/un.h>

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } address;
    socklen_t size;
    struct slice text; /* "127.0.0.1:8080", "[::1]:80", "unix:/run/app.sock": $upstream_addr */
};

struct endpoint_list {
    struct endpoint *all;
    unsigned count;
};

enum { ENDPOINTS_MAX = 64 /* addresses of one name */ };

/* "host", "host:port", "[v6]:port", "unix:/path" cut into host and port; *port stays as it is when
 * the text has none. False: it is none of these. */
bool endpoint_split(struct slice text, struct slice *host, uint16_t *port) MUST_USE;

/* The address of a literal: no name is looked up. False: it is a name, or none at all. */
bool endpoint_literal(struct arena *, struct slice host, uint16_t port, struct endpoint *) MUST_USE;

/* The endpoint of an address, with its text in the arena. False: no memory. */
bool endpoint_of(struct arena *, const struct addr *, struct endpoint *) MUST_USE;

/* All addresses of a literal or a name (getaddrinfo(3): may wait for DNS, so only for loading or
 * for helper threads). Lives in the arena. False: *why says what went wrong. */
bool endpoints_find(struct arena *, struct slice host, uint16_t port, struct endpoint_list *,
                    const char **why) MUST_USE;

bool endpoint_eq(const struct endpoint *, const struct endpoint *);

#endif
