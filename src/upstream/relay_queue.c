/* relay_queue.c - the next peer, now or when one can be asked again. */
#include "upstream/relay.h"

static void on_ready(struct waiter *w)
{
    struct relay *y = container_of(w, struct relay, waiter);
    struct request *r = y->request;

    request_pin(r);
    y->state = RELAY_CONNECT;
    relay_ask(y);
    (void)request_unpin(r);
}

/* Only before anybody was asked: a request that goes from peer to peer has had its turn. */
static bool may_wait(const struct relay *y)
{
    return y->pick.group->queue.most > 0 && y->attempt == NULL && y->pick.only == NULL;
}

const struct peer *relay_pick(struct relay *y, const char **why)
{
    static const char *const whys[] = { [WAITER_NEW] = "no live upstreams",
                                        [WAITER_TURN] = "no live upstreams",
                                        [WAITER_LATE] = "no upstream was free in time",
                                        [WAITER_FULL] = "upstream queue is full" };
    const struct peer *peer = NULL;

    y->waiter.ready = on_ready;
    y->pick.waiter = may_wait(y) ? &y->waiter : NULL;
    if (y->waiter.state != WAITER_LATE)
        peer = balance_next(&y->pick);
    if (peer == NULL && y->waiter.state == WAITER_QUEUED) {
        if (y->queue_began_ns == 0)
            y->queue_began_ns = io_now_ns(y->request->io);
        y->state = RELAY_QUEUED;
        queue_wait(&y->waiter);
        return NULL;
    }
    *why = whys[y->waiter.state];
    return peer;
}

uint64_t relay_queued_ns(const struct relay *y)
{
    return y->queue_began_ns != 0 && y->attempt == NULL
               ? io_now_ns(y->request->io) - y->queue_began_ns
               : 0;
}
