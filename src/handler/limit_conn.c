/* limit_conn.c - how many requests of one key may be answered at the same time.
 *
 * A request counts from where it meets the limit to its end, which is its own end (request_at_end),
 * not the connection's: idle connections count nowhere. */
#include "handler/limit.h"
#include "http/site.h"

struct conn_limit {
    const struct conf_zone *zone;
    uint32_t max;
    struct conn_limit *next;
};

struct conn_conf {
    struct conn_limit *limits, **limits_end;
    struct limit_manner manner;
};

struct conn_count {
    uint32_t now;
};

/* Where a request is counted. */
struct counted {
    struct zone *zone;
    struct slice key;
    struct counted *next;
};

static const char kind[] = "limit_conn_zone";
static uint32_t conn_index;

static void release(void *arg)
{
    struct counted *const *first = arg;

    for (const struct counted *k = *first; k != NULL; k = k->next) {
        struct zone_spot spot;
        struct conn_count *count;

        CHECK(zone_find(k->zone, k->key, &spot));
        count = spot.value;
        if (--count->now == 0)
            zone_remove(&spot);
        else
            zone_leave(&spot);
    }
}

/* False: as many as may be are there already, or the zone is full. */
static bool take(struct request *r, const struct conn_limit *l, struct slice key)
{
    struct zone_spot spot;
    struct conn_count *count;
    bool good;

    if (!zone_enter(l->zone->memory, key, ZONE_REFUSE, &spot)) {
        limit_say_full(r, l->zone);
        return false;
    }
    count = spot.value;
    good = count->now < l->max;
    count->now += good;
    zone_leave(&spot);
    return good;
}

static enum verdict refuse(struct request *r, const struct conn_conf *c, const struct conn_limit *l,
                           struct counted **first)
{
    release(first);
    *first = NULL;
    request_log(r, (enum log_level)c->manner.level, 0, "limiting connections%s by zone \"%.*s\"",
                c->manner.dry_run ? ", dry run," : "", SLICE_FMT(l->zone->name));
    return limit_refuse(r, &c->manner, &r->conn_limit);
}

enum verdict step_limit_conn(struct request *r)
{
    const struct conn_conf *c = request_conf(r, &feature_limit_conn);
    struct counted **first, *k;
    struct slice key;

    if (r->conn_limit != LIMIT_NONE || r->parent != NULL)
        return NEXT;
    first = arena_zalloc(&r->arena, sizeof(struct counted *));
    if (first == NULL || !request_at_end(r, release, first))
        return request_fail(r, 500);
    for (const struct conn_limit *l = c->limits; l != NULL; l = l->next) {
        if (!limit_key(r, l->zone, &key))
            continue;
        k = arena_alloc(&r->arena, sizeof *k);
        if (k == NULL)
            return request_fail(r, 500);
        if (!take(r, l, key))
            return refuse(r, c, l, first);
        *k = (struct counted){ l->zone->memory, key, *first };
        *first = k;
        r->conn_limit = LIMIT_PASSED;
    }
    return NEXT;
}

bool limit_conn_idle(const struct scope *scope)
{
    const struct conn_conf *c = scope_conf(scope, &feature_limit_conn);

    return c->limits == NULL;
}

/* ---- directives --------------------------------------------------------------------------- */

static bool set_zone(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    (void)own;
    return limit_declare(load, node, row, sizeof(struct conn_count)) != NULL;
}

static bool set_limit(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct conn_conf *c = own;
    struct conn_limit *l = arena_must(conf_arena(load), sizeof *l);
    uint64_t max;

    (void)row;
    if (!slice_to_u64(conf_arg(node, 1), UINT16_MAX, &max) || max == 0) {
        conf_complain(load, CONF_EMERG, node, 1, "\"%.*s\" is no such number",
                      SLICE_FMT(conf_arg(node, 1)));
        conf_hint(load, "expected: how many, 1 to 65535");
        return false;
    }
    *l = (struct conn_limit){ zone_refer(load, node, 0, conf_arg(node, 0), kind), (uint32_t)max,
                              NULL };
    for (const struct conn_limit *k = c->limits; k != NULL; k = k->next) {
        if (k->zone != l->zone)
            continue;
        conf_complain(load, CONF_EMERG, node, 0, "this zone stands here a second time");
        return false;
    }
    if (c->limits_end == NULL)
        c->limits_end = &c->limits;
    *c->limits_end = l;
    c->limits_end = &l->next;
    return true;
}

static bool conn_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct conn_conf *outer = parent;
    struct conn_conf *c = own;

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
    return limit_print(r->conn_limit, g);
}

static const struct variable vars[] = {
    { "limit_conn_status", get_status,
      .help = "What limit_conn made of the request: PASSED, REJECTED or REJECTED_DRY_RUN." },
};

#define AT(member) offsetof(struct conn_conf, manner.member)

static const struct directive rows[] = {
    { kind, CTX_HTTP, 2, 2, CONF_CUSTOM, .set = set_zone, .inherit = INHERIT_NOT, .repeats = true,
      .syntax = "key zone=name:size",
      .help = "Memory in which requests being answered are counted by a key; an empty key is not "
              "counted. A key takes 68 bytes, and as many again for every 60 bytes beyond its "
              "first 32: a megabyte holds 15,420 clients' addresses. When it is full, requests "
              "with new keys are refused. A reload keeps what is counted if name, key and size "
              "stay; another key for the same name and size is an error.",
      .example = "limit_conn_zone $binary_remote_addr zone=addr:10m;" },
    { "limit_conn", CTX_ANY_HTTP, 2, 2, CONF_CUSTOM, .set = set_limit, .repeats = true,
      .syntax = "zone number",
      .help = "How many requests with the same key may be answered at a time: a connection counts "
              "while a request on it is answered. Several limits hold together.",
      .example = "limit_conn addr 10;" },
    { "limit_conn_status", CTX_ANY_HTTP, 1, 1, CONF_NUMBER, AT(status), "503", .min = 400,
      .max = 599, .syntax = "code", .help = "What requests beyond the limit are answered with." },
    { "limit_conn_log_level", CTX_ANY_HTTP, 1, 1, CONF_ENUM, AT(level), "error",
      .words = limit_levels, .syntax = "info | notice | warn | error",
      .help = "The level at which refused requests are logged." },
    { "limit_conn_dry_run", CTX_ANY_HTTP, 1, 1, CONF_FLAG, AT(dry_run), "off",
      .help = "Counts and logs, but refuses nothing." },
};

const struct feature feature_limit_conn = {
    .name = "limit_conn",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct conn_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .merge = conn_merge,
    .about = "Limits the requests of one client, or of any other key, that are answered at the "
             "same time.",
    .index = &conn_index,
};
