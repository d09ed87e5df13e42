/* status_zone.c - the directive, and counting. */
#include "upstream/status_zone.h"

#include "base/block.h"
#include "upstream/api.h"

static uint32_t status_zone_index;

const struct status_zone_conf *status_zones_of(const struct scope *http)
{
    return scope_conf(http, &feature_status_zone);
}

/* ---- counting ------------------------------------------------------------------------------- */

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add((uint64_t *)counter, n, __ATOMIC_RELAXED);
}

static void count(const struct request *r, struct zone_counts *n)
{
    unsigned status = r->response.status;

    add(&n->received, r->head_bytes);
    add(&n->sent, r->head_sent_bytes + r->body_sent);
    add(&n->requests, 1);
    if (!r->head_sent || status < ZONE_STATUS_MIN || status >= ZONE_STATUS_END)
        add(&n->discarded, 1);
    else
        add(&n->statuses[status - ZONE_STATUS_MIN], 1);
}

/* The request has ended, wherever it is by now. */
static void at_end(void *request)
{
    const struct request *r = request;
    struct status_zone *server = r->slots[SLOT_ZONES];
    const struct status_zone_conf *c = request_conf(r, &feature_status_zone);

    if (server != NULL) {
        add(&server->counts->processing, (uint64_t)-1);
        count(r, server->counts);
    }
    if (c->location != NULL)
        count(r, c->location->counts);
}

enum verdict step_status_zone(struct request *r)
{
    const struct status_zone_conf *c = request_conf(r, &feature_status_zone);

    r->slots[SLOT_ZONES] = c->server;
    if (c->server != NULL)
        add(&c->server->counts->processing, 1);
    return request_at_end(r, at_end, r) ? NEXT : request_fail(r, 500);
}

bool status_zone_idle(const struct scope *scope)
{
    while (scope->context != CTX_HTTP)
        scope = scope->parent;
    return status_zones_of(scope)->servers == NULL && status_zones_of(scope)->locations == NULL;
}

/* ---- from one generation to the next --------------------------------------------------------- */

static struct zone_counts *counts_of(const struct status_zone *z, struct slice name)
{
    for (; z != NULL; z = z->next)
        if (slice_eq(z->name, name))
            return z->counts;
    return NULL;
}

static bool take(struct status_zone *zones, const struct status_zone *before)
{
    for (struct status_zone *z = zones; z != NULL; z = z->next) {
        z->counts = counts_of(before, z->name);
        if (z->counts == NULL) {
            z->counts = block_alloc(sizeof *z->counts);
            if (z->counts == NULL)
                return false;
            memset(z->counts, 0, sizeof *z->counts);
        }
        z->counts->users++;
    }
    return true;
}

bool status_zones_take(struct site *to, const struct site *from)
{
    static const struct status_zone_conf none;
    const struct status_zone_conf *before =
        from != NULL && from->http != NULL ? status_zones_of(from->http) : &none;

    return to->http == NULL || (take(status_zones_of(to->http)->servers, before->servers) &&
                                take(status_zones_of(to->http)->locations, before->locations));
}

static void drop(struct status_zone *zones)
{
    for (struct status_zone *z = zones; z != NULL; z = z->next) {
        if (z->counts != NULL && --z->counts->users == 0)
            block_free(z->counts);
        z->counts = NULL;
    }
}

void status_zones_drop(struct site *site)
{
    if (site->http == NULL)
        return;
    drop(status_zones_of(site->http)->servers);
    drop(status_zones_of(site->http)->locations);
}

/* ---- the directive -------------------------------------------------------------------------- */

static struct status_zone *zone_named(struct conf_load *load, struct status_zone **all,
                                      struct slice name)
{
    struct status_zone *z = *all;

    while (z != NULL && !slice_eq(z->name, name))
        z = z->next;
    if (z != NULL)
        return z;
    z = arena_must(conf_arena(load), sizeof *z);
    *z = (struct status_zone){ .name = name, .next = *all };
    *all = z;
    return z;
}

static bool set_status_zone(struct conf_load *load, const struct conf_node *node, void *own,
                            const struct directive *row)
{
    struct status_zone_conf *c = own;
    struct status_zone_conf *http = scope_conf(conf_scope_of(load, CTX_HTTP), &feature_status_zone);

    (void)row;
    if (conf_scope(load)->context == CTX_SERVER)
        c->server = zone_named(load, &http->servers, conf_arg(node, 0));
    else
        c->location = zone_named(load, &http->locations, conf_arg(node, 0));
    return true;
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct status_zone_conf *outer = parent;
    struct status_zone_conf *c = own;

    (void)load;
    (void)scope;
    if (outer != NULL && c->server == NULL)
        c->server = outer->server;
    if (outer != NULL && c->location == NULL)
        c->location = outer->location;
    return true;
}

static const struct directive rows[] = {
    { "status_zone", CTX_SERVER | CTX_LOCATION | CTX_IF_LOCATION, 1, 1, CONF_CUSTOM,
      .set = set_status_zone, .inherit = INHERIT_NOT, .syntax = "zone",
      .help = "Counts the requests of the server, or of the location, under this name: the API "
              "shows them at http/server_zones and http/location_zones. Several may share a name.",
      .example =
          "server { listen 80; status_zone shop; location /api/ { status_zone shop_api; } }" },
};

const struct feature feature_status_zone = {
    .name = "status_zone",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct status_zone_conf),
    .merge = merge,
    .about = "Requests counted by server and by location, for the API.",
    .index = &status_zone_index,
};
