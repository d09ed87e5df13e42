/* accept.h - how connections come in, and what happens when there is no room for them. */
#ifndef SERVER_ACCEPT_H
#define SERVER_ACCEPT_H

#include "server/loop.h"

/* Begins to accept on the listeners of g that the thread does not accept on yet, and begins to
 * leave those that g (NULL: nobody) does not have. `old`: the site before, which connections of
 * listeners that leave stay on; held until the last of them is gone. `alone`: see order.h. */
void accept_follow(struct loop_thread *, const struct generation *g, struct site *old, bool alone);

/* Looks after leaving listeners; false: there are none left. Call it every ACCEPT_TICK_MS. */
enum { ACCEPT_TICK_MS = 20 };
bool accept_leaving(struct loop_thread *);

#endif
