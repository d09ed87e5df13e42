/* cache_control.h - what an answer's Cache-Control says to a shared cache (RFC 9111 §5.2.2,
 * RFC 5861).
 *
 *   struct cache_control c;
 *   cache_control_init(&c);
 *   cache_control_read(&c, value);           for each field of the name
 *   if (c.no_store || c.is_private) …
 */
#ifndef WIRE_CACHE_CONTROL_H
#define WIRE_CACHE_CONTROL_H

#include "base/slice.h"

struct cache_control {
    bool no_store, no_cache, is_private, is_public, must_revalidate;
    /* Seconds; -1: not said. Of several that are said, the smallest. One that is no number is 0. */
    int64_t max_age, s_maxage, stale_while_revalidate, stale_if_error;
};

/* More than that is that. */
enum { CACHE_SECONDS_MAX = INT32_MAX };

void cache_control_init(struct cache_control *);

/* no-cache="…" and private="…", which are about some fields, count as if they were about all. */
void cache_control_read(struct cache_control *, struct slice value);

#endif
