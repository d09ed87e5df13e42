/* http2_conf.h - what a configuration says about HTTP/2; proto/http2.h speaks it. */
#ifndef HTTP_HTTP2_CONF_H
#define HTTP_HTTP2_CONF_H

#include "conf/directive.h"

#include <stdint.h>

struct server;
struct vhosts;

struct http2_conf {
    bool enabled;
    int64_t chunk_size, preread_size, streams_max;
};

extern const struct feature feature_http2;

/* Is HTTP/2 spoken with clients of this address that asked for this server (a TLS name), or with
 * those that have not asked for any yet (NULL)? */
bool http2_on(const struct vhosts *, const struct server *);

#endif
