/* pipeline.c - one request, down the list of steps, once. */
#include "http/pipeline.h"

#include "http/error_page.h"
#include "http/site.h"

/* Answers whose status error_page may replace, unless a handler made the text itself. */
static bool wants_error_page(const struct request *r)
{
    return r->response.status >= 300 && !r->response.final && !r->no_error_page;
}

static void run_filters(struct request *r)
{
    const struct pipeline *p = r->loop->pipeline;
    uint32_t idle = core_conf(r)->idle_filters;

    if (r->response.body == NULL && r->response.status >= 300 && !r->response.final)
        error_text_fill(r);
    for (unsigned i = 0; i < p->filter_count; i++)
        if ((idle & 1u << i) == 0 && !(r->parent != NULL && p->filters[i].main_only))
            p->filters[i].run(r);
    r->header_only =
        r->head.method == METHOD_HEAD || r->response.status == 204 || r->response.status == 304;
}

static bool goes_back(enum verdict v)
{
    return v == REROUTE || v == RELOCATE;
}

static unsigned step_behind(const struct pipeline *p, enum verdict v)
{
    return v == REROUTE ? p->reroute_step : p->relocate_step;
}

/* A filter may refuse what a handler answered (412, 416): that has its error page, too. */
static enum verdict filtered(struct request *r)
{
    unsigned handlers = r->response.status, filters;
    enum verdict v;

    run_filters(r);
    filters = r->response.status;
    if (handlers >= 300 || filters < 400 || !wants_error_page(r))
        return DONE;
    v = error_page_apply(r);
    if (goes_back(v))
        return v;
    if (r->response.status != filters)
        run_filters(r); /* the page is at an address: a redirect */
    return DONE;
}

static void answered(struct request *r)
{
    r->running = false;
    r->ops->respond(r);
}

/* A rewrite may have changed the scope. */
static enum verdict run_step(struct request *r, const struct pipeline *p)
{
    uint32_t idle = core_conf(r)->idle_steps >> r->step;

    r->step = (uint16_t)(r->step + __builtin_ctz(~idle));
    if (r->step >= p->step_count)
        return request_fail(r, 404);
    if (r->parent != NULL && p->steps[r->step].main_only)
        return NEXT;
    return p->steps[r->step].run(r);
}

/* Goes on from r->step until the request is answered or waits. */
static void go(struct request *r)
{
    const struct pipeline *p = r->loop->pipeline;

    OBJ(r, REQUEST_MAGIC);
    r->running = true;
    for (;;) {
        enum verdict v = run_step(r, p);

        if (v == DONE && wants_error_page(r)) {
            v = error_page_apply(r);
            v = goes_back(v) ? v : DONE;
        }
        if (v == DONE)
            v = filtered(r);
        switch (v) {
        case NEXT:
            r->step++;
            break;
        case REROUTE:
        case RELOCATE:
            r->step = (uint16_t)step_behind(p, v);
            break;
        case WAIT:
            r->waiting = true;
            r->running = false;
            return;
        case DONE:
            answered(r);
            return;
        }
    }
}

void request_run(struct request *r)
{
    r->step = 0;
    go(r);
}

void request_run_inner(struct request *r)
{
    r->step = (uint16_t)r->loop->pipeline->reroute_step;
    go(r);
}

void request_run_on(struct request *r)
{
    go(r);
}

void request_run_refused(struct request *r, unsigned status)
{
    const struct pipeline *p = r->loop->pipeline;
    enum verdict v;

    r->running = true;
    request_fail(r, status);
    v = error_page_apply(r);
    if (goes_back(v)) {
        r->step = (uint16_t)step_behind(p, v);
        go(r);
        return;
    }
    run_filters(r);
    answered(r);
}

void request_resume(struct request *r)
{
    OBJ(r, REQUEST_MAGIC);
    CHECK(r->waiting && !r->running);
    r->waiting = false;
    if (!r->ended)
        go(r);
}

void request_replace(struct request *r, unsigned status)
{
    request_fail(r, status);
    r->response.close = true;
    run_filters(r);
}

void pipeline_fit(const struct pipeline *p, struct scope *http)
{
    struct http_core *core = scope_conf(http, &feature_http_core);

    CHECK(p->step_count < 32 && p->filter_count < 32);
    for (unsigned i = 0; i < p->step_count; i++)
        if (p->steps[i].idle != NULL && p->steps[i].idle(http))
            core->idle_steps |= 1u << i;
    for (unsigned i = 0; i < p->filter_count; i++)
        if (p->filters[i].idle != NULL && p->filters[i].idle(http))
            core->idle_filters |= 1u << i;
    for (struct scope *s = http->children; s != NULL; s = s->next)
        pipeline_fit(p, s);
}
