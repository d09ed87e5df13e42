/* respond.c - a made-up answer of any size, after any time: a back end for tests. */
#include "handler/small.h"
#include "http/types.h"
#include "io/io.h"

enum { NS_PER_MS = 1000000, LINE = 64 };

struct respond_conf {
    int64_t delay_ms, size;
};

/* In the request's arena. */
struct delay {
    struct io_timer timer;
    struct request *request;
    bool over;
};

struct pattern {
    struct body body;
    uint64_t at, left;
};

static uint32_t respond_index;

/* ---- the body: lines of 63 letters, and always the same ones at the same place -------------- */

#define FOUR(text) text text text text
static const char lines[] =
    FOUR(FOUR(FOUR(FOUR("weir answers with as many bytes as it was told to, and no more.\n"))));

static enum body_status pattern_pull(struct body *b, size_t max, struct chunk *ret)
{
    struct pattern *p = container_of(b, struct pattern, body);
    size_t from = p->at % LINE, size = sizeof lines - 1 - from;

    if (p->left == 0)
        return BODY_END;
    size = size < max ? size : max;
    size = size < p->left ? size : (size_t)p->left;
    *ret = (struct chunk){ .at = lines + from, .size = size, .file = -1 };
    return BODY_CHUNK;
}

static void pattern_sent(struct body *b, size_t size)
{
    struct pattern *p = container_of(b, struct pattern, body);

    p->at += size;
    p->left -= size;
}

static struct body *pattern_slice(struct body *, uint64_t first, uint64_t size);

static const struct body_ops pattern_ops = {
    .name = "pattern",
    .pull = pattern_pull,
    .sent = pattern_sent,
    .slice = pattern_slice,
};

static struct body *pattern_body(struct request *r, uint64_t at, uint64_t size)
{
    struct pattern *p = arena_zalloc(&r->arena, sizeof *p);

    if (p == NULL)
        return NULL;
    *p = (struct pattern){ { &pattern_ops, NULL, r }, at, size };
    return &p->body;
}

static struct body *pattern_slice(struct body *b, uint64_t first, uint64_t size)
{
    const struct pattern *p = container_of(b, struct pattern, body);

    return pattern_body(b->request, p->at + first, size);
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void stop(void *delay)
{
    struct delay *d = delay;

    io_timer_stop(d->request->io, &d->timer);
}

static void over(struct io *io, struct io_timer *timer)
{
    struct delay *d = container_of(timer, struct delay, timer);

    (void)io;
    d->over = true;
    request_resume(d->request);
}

/* NEXT: it is time to answer. */
static enum verdict wait(struct request *r, int64_t ms)
{
    struct delay *d = r->slots[SLOT_RESPOND];

    if (d != NULL)
        return d->over ? NEXT : WAIT;
    d = arena_zalloc(&r->arena, sizeof *d);
    if (d == NULL)
        return request_fail(r, 500);
    d->request = r;
    if (!request_at_end(r, stop, d))
        return request_fail(r, 500);
    r->slots[SLOT_RESPOND] = d;
    io_timer_set(r->io, &d->timer, (uint64_t)ms * NS_PER_MS, over);
    return WAIT;
}

static enum verdict answer(struct request *r)
{
    const struct respond_conf *conf = request_conf(r, &feature_respond);
    enum verdict v = conf->delay_ms > 0 ? wait(r, conf->delay_ms) : NEXT;
    struct body *body;

    if (v != NEXT)
        return v;
    body = pattern_body(r, 0, (uint64_t)conf->size);
    if (body == NULL)
        return request_fail(r, 500);
    request_reply(r, 200, types_of(r), (struct slice){ 0 });
    body_drop(r->response.body);
    r->response.body = body;
    r->response.length = conf->size;
    r->response.accept_ranges = true;
    return DONE;
}

/* ---- the directive -------------------------------------------------------------------------- */

static bool set_respond(struct conf_load *load, const struct conf_node *node, void *own,
                        const struct directive *row)
{
    struct respond_conf *conf = own;

    (void)row;
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct slice text = conf_arg(node, i);

        if ((slice_starts(text, SLICE("size=")) &&
             conf_parse_size(slice_skip(text, 5), &conf->size) && conf->size >= 0) ||
            (slice_starts(text, SLICE("delay=")) &&
             conf_parse_msec(slice_skip(text, 6), &conf->delay_ms)))
            continue;
        conf_complain(load, CONF_EMERG, node, (int)i, "\"%.*s\" means nothing here",
                      SLICE_FMT(text));
        conf_hint(load, "expected: size=64k or delay=20ms");
        return false;
    }
    return content_set(load, node, answer);
}

static const struct directive rows[] = {
    { "respond", CTX_LOCATION, 1, 2, CONF_CUSTOM, .set = set_respond, .inherit = INHERIT_NOT,
      .syntax = "[size=size] [delay=time]",
      .help =
          "Answers 200 with a made-up body of that many bytes (none), after that time (at once): "
          "a back end for tests and measurements.",
      .example = "location / { respond size=64k delay=20ms; }" },
};

const struct feature feature_respond = {
    .name = "respond",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct respond_conf),
    .about = "Made-up answers.",
    .index = &respond_index,
};
