/* cache_keeper.h - who looks after the caches: reads what is there after a start, removes what
 * nobody asks for, and what is too much. One loop does, by helper threads. */
#ifndef UPSTREAM_CACHE_KEEPER_H
#define UPSTREAM_CACHE_KEEPER_H

#include "http/request.h"

/* As health_follow(): from one generation's caches to the next one's. */
void cache_keepers_follow(struct loop *, struct site *from, struct site *to);
/* Nothing of them is in flight any more. */
bool cache_keepers_gone(const struct loop *);

#endif
