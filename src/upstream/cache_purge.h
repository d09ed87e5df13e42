/* cache_purge.h - requests that remove what is kept: …_cache_purge. */
#ifndef UPSTREAM_CACHE_PURGE_H
#define UPSTREAM_CACHE_PURGE_H

#include "upstream/cache.h"

/* WAIT, then DONE: 204 when something was removed, else 404. */
enum verdict cache_purge(struct cached *);

#endif
