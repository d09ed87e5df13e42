/* limit_req.c - how many requests of one key may come in a time: a leaky bucket for each key.
 *
 * Requests ahead of the rate are in excess. Up to `delay` they pass at once, up to `burst` they
 * wait until the bucket has leaked so far, beyond it they are refused. With several limits all
 * must agree before one of them counts the request; the longest wait holds. */
#include "base/clock.h"
#include "handler/leak.h"
#include "handler/limit.h"
#include "http/site.h"
#include "io/io.h"

struct req_limit {
    const struct conf_zone *zone;
    int64_t burst, delay; /* drops */
    struct req_limit *next;
};

struct req_conf {
    struct req_limit *limits, **limits_end;
    struct limit_manner manner;
};

/* A limit that counts this request. */
struct hit {
    const struct req_limit *limit;
    struct slice key;
    int64_t excess;
    struct hit *next;
};

struct pause {
    struct request *request;
    struct io_timer timer;
};

static const char kind[] = "limit_req_zone";
static uint32_t req_index;

/* ---- counting ------------------------------------------------------------------------------- */

static int64_t rate_of(const struct hit *h)
{
    return ((const struct limit_zone *)h->limit->zone->own)->rate;
}

/* Would it be within the burst? Counts nothing. */
static bool hit_look(struct hit *h, uint64_t now_ms)
{
    struct zone_spot spot;

    h->excess = 0;
    if (!zone_find(h->limit->zone->memory, h->key, &spot))
        return true;
    h->excess = leak_next(spot.value, rate_of(h), now_ms);
    zone_leave(&spot);
    return h->excess <= h->limit->burst;
}

/* Counts it, if it is within `max`. False: it is not; or (*full) there is no room. */
static bool hit_count(struct hit *h, int64_t max, uint64_t now_ms, bool *full)
{
    struct zone_spot spot;

    if (!zone_enter(h->limit->zone->memory, h->key, ZONE_EVICT, &spot)) {
        *full = true;
        return false;
    }
    if (spot.fresh)
        leak_first(spot.value, now_ms);
    h->excess = spot.fresh ? 0 : leak_next(spot.value, rate_of(h), now_ms);
    if (h->excess <= max)
        leak_store(spot.value, h->excess, now_ms);
    zone_leave(&spot);
    return h->excess <= max;
}

/* Asks all limits, counts at the last one, and then at the others, whatever came in between. The
 * hit that refuses, or NULL. */
static const struct hit *ask(struct hit *hits, uint64_t now_ms, bool *full)
{
    struct hit *h = hits;

    for (; h->next != NULL; h = h->next)
        if (!hit_look(h, now_ms))
            return h;
    if (!hit_count(h, h->limit->burst, now_ms, full))
        return h;
    for (h = hits; h->next != NULL; h = h->next)
        if (!hit_count(h, INT64_MAX, now_ms, full))
            return h;
    return NULL;
}

/* The hit with the longest wait. */
static const struct hit *slowest(const struct hit *hits, uint64_t *ret_ms)
{
    const struct hit *found = NULL;

    *ret_ms = 0;
    for (const struct hit *h = hits; h != NULL; h = h->next) {
        uint64_t ms = leak_wait_ms(h->excess - h->limit->delay, rate_of(h));

        if (ms <= *ret_ms)
            continue;
        *ret_ms = ms;
        found = h;
    }
    return found;
}

/* ---- outcomes ------------------------------------------------------------------------------- */

static void say(struct request *r, const struct req_conf *c, int level, const char *what,
                const struct hit *h)
{
    uint64_t thousandths = (uint64_t)h->excess / LEAK_THOUSANDTH;

    request_log(r, (enum log_level)level, 0, "%s%s, excess: %llu.%03llu by zone \"%.*s\"", what,
                c->manner.dry_run ? ", dry run" : "", (unsigned long long)thousandths / 1000,
                (unsigned long long)thousandths % 1000, SLICE_FMT(h->limit->zone->name));
}

static void on_time(struct io *io, struct io_timer *timer)
{
    (void)io;
    request_resume(container_of(timer, struct pause, timer)->request);
}

static void end_pause(void *arg)
{
    struct pause *p = arg;

    io_timer_stop(p->request->io, &p->timer);
}

static enum verdict pause_for(struct request *r, uint64_t ms)
{
    struct pause *p = arena_zalloc(&r->arena, sizeof *p);

    if (p == NULL)
        return request_fail(r, 500);
    p->request = r;
    if (!request_at_end(r, end_pause, p))
        return request_fail(r, 500);
    io_timer_set(r->io, &p->timer, ms * NS_PER_MS, on_time);
    return WAIT;
}

static enum verdict let_in(struct request *r, const struct req_conf *c, const struct hit *hits)
{
    uint64_t ms;
    const struct hit *h = slowest(hits, &ms);
    int level = c->manner.level < LOG_INFO ? c->manner.level + 1 : LOG_INFO;

    r->req_limit = LIMIT_PASSED;
    if (h == NULL)
        return NEXT;
    say(r, c, level, "delaying request", h);
    r->req_limit = c->manner.dry_run ? LIMIT_DELAYED_DRY_RUN : LIMIT_DELAYED;
    return c->manner.dry_run ? NEXT : pause_for(r, ms);
}

/* Where the request is counted, in the order of the limits. False: no memory. */
static bool find_hits(struct request *r, const struct req_conf *c, struct hit **end)
{
    struct slice key;

    for (const struct req_limit *l = c->limits; l != NULL; l = l->next) {
        if (!limit_key(r, l->zone, &key))
            continue;
        struct hit *h = arena_alloc(&r->arena, sizeof *h);

        if (h == NULL)
            return false;
        *h = (struct hit){ l, key, 0, NULL };
        *end = h;
        end = &h->next;
    }
    return true;
}

enum verdict step_limit_req(struct request *r)
{
    const struct req_conf *c = request_conf(r, &feature_limit_req);
    struct hit *hits = NULL;
    const struct hit *refused;
    bool full = false;

    if (r->req_limit != LIMIT_NONE || r->parent != NULL)
        return NEXT; /* counted before; perhaps it waited here */
    if (!find_hits(r, c, &hits))
        return request_fail(r, 500);
    if (hits == NULL)
        return NEXT;
    refused = ask(hits, loop_now_ns(r->loop, r->io) / NS_PER_MS, &full);
    if (refused == NULL)
        return let_in(r, c, hits);
    if (full)
        limit_say_full(r, refused->limit->zone);
    else
        say(r, c, c->manner.level, "limiting requests", refused);
    return limit_refuse(r, &c->manner, &r->req_limit);
}

bool limit_req_idle(const struct scope *scope)
{
    const struct req_conf *c = scope_conf(scope, &feature_limit_req);

    return c->limits == NULL;
}

/* ---- directives --------------------------------------------------------------------------- */

static bool set_zone(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct conf_zone *z = limit_declare(load, node, row, sizeof(struct leak));
    unsigned arg = 0;
    struct slice rate = conf_option(node, 1, "rate", &arg);

    (void)own;
    if (z == NULL)
        return false;
    if (rate.at == NULL) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "the rate is missing");
    } else if (leak_parse_rate(rate, &((struct limit_zone *)z->own)->rate)) {
        return true;
    } else {
        conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not a rate", SLICE_FMT(rate));
    }
    conf_hint(load, "expected: requests a second or a minute, 1 or more: rate=10r/s, rate=30r/m");
    return false;
}

static bool refuse(struct conf_load *load, const struct conf_node *node, unsigned arg,
                   const char *why)
{
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" %s", SLICE_FMT(conf_arg(node, arg)),
                  why);
    conf_hint(load, "expected: limit_req zone=name [burst=number] [nodelay | delay=number];");
    return false;
}

/* "burst=5" */
static bool read_count(struct slice text, const char *name, int64_t *ret)
{
    struct slice word = slice_cut(&text, '=');
    uint64_t n;

    if (!slice_eq(word, slice_str(name)) || !slice_to_u64(text, LEAK_REQUESTS_MAX, &n))
        return false;
    *ret = (int64_t)n * LEAK_REQUEST;
    return true;
}

static bool read_option(struct conf_load *load, const struct conf_node *node, unsigned i,
                        struct req_limit *l)
{
    struct slice text = conf_arg(node, i);

    if (slice_starts(text, SLICE("zone=")) && text.size > 5 && l->zone == NULL) {
        l->zone = zone_refer(load, node, i, slice_skip(text, 5), kind);
        return true;
    }
    if (slice_eq(text, SLICE("nodelay"))) {
        l->delay = INT64_MAX;
        return true;
    }
    return read_count(text, "burst", &l->burst) || read_count(text, "delay", &l->delay) ||
           refuse(load, node, i, "means nothing here");
}

static bool set_limit(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct req_conf *c = own;
    struct req_limit *l = arena_must(conf_arena(load), sizeof *l);

    (void)row;
    for (unsigned i = 0; i < node->arg_count; i++)
        if (!read_option(load, node, i, l))
            return false;
    if (l->zone == NULL)
        return refuse(load, node, 0, "names no zone");
    for (const struct req_limit *k = c->limits; k != NULL; k = k->next)
        if (k->zone == l->zone)
            return refuse(load, node, 0, "stands here a second time");
    if (c->limits_end == NULL)
        c->limits_end = &c->limits;
    *c->limits_end = l;
    c->limits_end = &l->next;
    return true;
}

static bool req_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct req_conf *outer = parent;
    struct req_conf *c = own;

    (void)load;
    (void)scope;
    if (c->limits == NULL && outer != NULL)
        c->limits = outer->limits;
    return true;
}

static bool get_status(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    return limit_print(r->req_limit, g);
}

static const struct variable vars[] = {
    { "limit_req_status", get_status,
      .help = "What limit_req made of the request: PASSED, DELAYED, REJECTED, DELAYED_DRY_RUN or "
              "REJECTED_DRY_RUN." },
};

#define AT(member) offsetof(struct req_conf, manner.member)

static const struct directive rows[] = {
    { kind, CTX_HTTP, 3, 3, CONF_CUSTOM, .set = set_zone, .inherit = INHERIT_NOT, .repeats = true,
      .syntax = "key zone=name:size rate=rate",
      .help = "Memory in which requests are counted by a key, and how many of one key may come in "
              "a second or a minute; an empty key is not counted. A key takes 68 bytes, and as "
              "many again for every 60 bytes beyond its first 24: a megabyte holds 15,420 clients' "
              "addresses. When it is full, the key that was not seen for the longest time is "
              "forgotten. A reload keeps what is counted if name, key and size stay; another key "
              "for the same name and size is an error.",
      .example = "limit_req_zone $binary_remote_addr zone=one:10m rate=1r/s;" },
    { "limit_req", CTX_ANY_HTTP, 1, 3, CONF_CUSTOM, .set = set_limit, .repeats = true,
      .syntax = "zone=name [burst=number] [nodelay | delay=number]",
      .help = "Holds requests of one key to the zone's rate. Up to burst of them may be ahead of "
              "it and wait for their time, further ones are refused; the first of them (delay), "
              "or all (nodelay), need not wait. Several limits hold together.",
      .example = "limit_req zone=one burst=5;" },
    { "limit_req_status", CTX_ANY_HTTP, 1, 1, CONF_NUMBER, AT(status), "503", .min = 400,
      .max = 599, .syntax = "code", .help = "What requests beyond the burst are answered with." },
    { "limit_req_log_level", CTX_ANY_HTTP, 1, 1, CONF_ENUM, AT(level), "error",
      .words = limit_levels, .syntax = "info | notice | warn | error",
      .help = "The level at which refused requests are logged; delayed ones are logged one level "
              "lower." },
    { "limit_req_dry_run", CTX_ANY_HTTP, 1, 1, CONF_FLAG, AT(dry_run), "off",
      .help = "Counts and logs, but neither refuses nor delays." },
};

const struct feature feature_limit_req = {
    .name = "limit_req",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct req_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .merge = req_merge,
    .about = "Limits how many requests of one client, or of any other key, come in a time.",
    .index = &req_index,
};
