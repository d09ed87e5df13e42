/* sleep.h - a request that waits for long gives its memory back, and wakes where it was.
 *
 *   if (request_sleep(r)) …                   nothing has happened for a while
 *   request_awake(loop, r);                   before anything of it is touched again
 *
 * What lies in its slot is packed into a block of a few hundred bytes, and the slot's pages are
 * given to the system. The slot stays the request's: it wakes at the same address, so that every
 * pointer into it holds, and nobody needs to know them. Laws:
 *   - nothing in the slot is in flight: no operation, no timer, no bytes on their way;
 *   - whoever is called back for it (the connection, the channel) says request_awake() first;
 *   - what it has beside its slot (blocks of its arena, buffers) stays as it is.
 */
#ifndef HTTP_SLEEP_H
#define HTTP_SLEEP_H

#include "http/request.h"

/* False: it stays awake (no memory; it would not become small; it has company). */
bool request_sleep(struct request *);

void request_wake(struct loop *, struct request *);

/* The pages of one that sleeps read as zeros. */
static inline void request_awake(struct loop *loop, struct request *r)
{
    if (__builtin_expect(r->magic == 0, 0))
        request_wake(loop, r);
}

/* The loop ends; nobody sleeps. */
void sleepers_destroy(struct loop *);

#endif
