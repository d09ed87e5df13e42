/* relay_step.c - what a request meets in its step: it waits, or has an answer: a server's, or what
 * the cache has in its place. */
#include "upstream/cache.h"
#include "upstream/relay_answer.h"
#include "upstream/relay_tls.h"

static enum verdict failed(struct relay *y)
{
    struct request *r = y->request;
    unsigned refused = client_body_status(r);

    r->slots[SLOT_RELAY] = NULL;
    if (refused == 0 && cache_rescue(y->cached, y->faults))
        return cache_answer(y);
    cache_leave(y->cached);
    return request_fail(r, refused != 0 ? refused : y->failed_with);
}

/* What is kept is given instead of what the peer says. */
static enum verdict answer_from_cache(struct relay *y, bool confirmed)
{
    if (confirmed)
        cache_renew(y);
    y->broken |= !confirmed; /* what it still says is not waited for */
    relay_end(y);
    return cache_answer(y);
}

static enum verdict answered(struct relay *y)
{
    unsigned status = y->attempt->status;
    bool confirmed = cache_confirms(y->cached, status);

    y->request->slots[SLOT_RELAY] = NULL; /* error pages and X-Accel-Redirect may lead to another */
    if (confirmed || cache_rescue(y->cached, relay_fault_of(status)))
        return answer_from_cache(y, confirmed);
    enum verdict v = y->protocol->answer(y);

    cache_leave(y->cached);
    return v;
}

enum verdict relay_step(struct relay *y)
{
    if (y->state == RELAY_CONNECT && y->channel == NULL && y->attempt == NULL)
        relay_start(y);
    if (y->state == RELAY_OVER)
        return failed(y);
    if (y->state != RELAY_ANSWER) {
        y->waits = true;
        return WAIT;
    }
    return answered(y);
}
