/* resolver.h - which name servers a scope asks, and how. */
#ifndef UPSTREAM_RESOLVER_H
#define UPSTREAM_RESOLVER_H

#include "conf/load.h"
#include "net/resolver.h"

enum { RESOLVER_PORT = 53 };

struct resolver_conf {
    const struct conf_node *node; /* NULL: no name server is named: the system's are asked       */
    struct resolver_how how;
    int64_t timeout_ms;
    struct slice status_zone;
};

extern const struct feature feature_resolver;

#endif
