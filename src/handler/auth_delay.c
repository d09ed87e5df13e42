/* auth_delay.c - refusals with 401 take their time, so that guessing does. */
#include "handler/auth.h"
#include "handler/file_cache.h"
#include "http/site.h"
#include "io/io.h"

/* In the request's arena. */
struct delay {
    struct io_timer timer;
    struct request *request;
};

static void stop(void *delay)
{
    struct delay *d = delay;

    io_timer_stop(d->request->io, &d->timer);
}

static void over(struct io *io, struct io_timer *timer)
{
    struct delay *d = container_of(timer, struct delay, timer);

    (void)io;
    request_resume(d->request);
}

bool auth_delay_idle(const struct scope *scope)
{
    const struct http_core *core = scope_conf(scope, &feature_http_core);

    return core->auth_delay == 0;
}

/* Once a request: an error page may be behind the same rules. */
enum verdict step_auth_delay(struct request *r)
{
    int64_t ms = core_conf(r)->auth_delay;
    struct delay *d;

    if (r->access_status != 401 || ms == 0 || r->slots[SLOT_DELAY] != NULL)
        return NEXT;
    d = arena_zalloc(&r->arena, sizeof *d);
    if (d == NULL)
        return request_fail(r, 500);
    d->request = r;
    if (!request_at_end(r, stop, d))
        return request_fail(r, 500);
    r->slots[SLOT_DELAY] = d;
    request_log(r, LOG_INFO, 0, "delaying the answer to an unauthorized request");
    io_timer_set(r->io, &d->timer, (uint64_t)ms * 1000000u, over);
    return WAIT;
}
