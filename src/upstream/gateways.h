/* gateways.h - other protocols that requests are passed on in. */
#ifndef UPSTREAM_GATEWAYS_H
#define UPSTREAM_GATEWAYS_H

#include "conf/directive.h"

extern const struct feature feature_fastcgi, feature_uwsgi, feature_scgi, feature_memcached;

#endif
