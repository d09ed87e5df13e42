/* queue.h - `queue`: requests that wait until a peer of their group can be asked.
 *
 *   waiter->ready = …;  pick->waiter = waiter;
 *   peer = balance_next(pick);                NULL, and waiter->state is WAITER_QUEUED:
 *   queue_wait(waiter);                       ready(waiter) will be called, on the request's loop
 *   queue_leave(waiter);                      when the request ends: it will not be any more
 *
 * The order is that of coming. Whoever makes a peer free, or finds it well again, wakes the first;
 * who has its turn and gets a peer, wakes the next. A turn that came to nothing leads back to the
 * front. The request's memory stays while another loop may be about to wake it.
 */
#ifndef UPSTREAM_QUEUE_H
#define UPSTREAM_QUEUE_H

#include "base/list.h"
#include "http/request.h"
#include "io/io.h"
#include "upstream/group.h"

enum waiter_state {
    WAITER_NEW,    /* was not in the queue                         */
    WAITER_QUEUED, /* is in it, or about to be told of its turn    */
    WAITER_TURN,   /* it has its turn                              */
    WAITER_LATE,   /* no turn came in time                         */
    WAITER_FULL,   /* there was no room                            */
};

/* Zero-initialised, but for ready. */
struct waiter {
    void (*ready)(struct waiter *);
    enum waiter_state state;
    struct group *group;
    struct request *request;
    struct link link;
    bool linked, called; /* in the list; its loop was told. Behind the group's lock       */
    bool began;          /* deadline_ns is known                                         */
    uint64_t deadline_ns;
    struct io_timer timer;
    struct loop_call call;
};

conf_set_fn queue_set;

/* For balance_next(), behind the lock: should it wait its turn, before it looks for a peer? */
bool queue_first(struct group *, const struct waiter *);
/* … there is no peer for it: QUEUED, or FULL. */
void queue_enter(struct group *, struct waiter *, struct request *);

/* Behind the lock: the first one gets its turn. */
void queue_wake(struct group *);

/* On its loop, at once: it has entered. */
void queue_wait(struct waiter *);
void queue_leave(struct waiter *);

#endif
