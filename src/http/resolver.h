/* resolver.h - which name servers a scope asks, and how. */
#ifndef HTTP_RESOLVER_H
#define HTTP_RESOLVER_H

#include "conf/load.h"
#include "net/addr.h"

enum { RESOLVER_PORT = 53 };

/* "192.0.2.53", "[2001:db8::53]:5353", or a name, which is looked up as the system does. */
struct resolver_server {
    struct slice text;
    struct addr addr; /* family AF_UNSPEC: it is a name */
    uint16_t port;
    struct resolver_server *next;
};

struct resolver_conf {
    struct resolver_server *servers, **end; /* NULL: none is named              */
    int64_t valid_ms;                       /* -1: as long as answers say       */
    int64_t timeout_ms;
    bool no_ipv4, no_ipv6;
    struct slice status_zone;
};

extern const struct feature feature_resolver;

#endif
