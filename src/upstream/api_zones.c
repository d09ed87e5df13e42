/* api_zones.c - what was counted for each status_zone. */
#include "upstream/api_private.h"

#include "upstream/status_zone.h"

#include <stdio.h>

static uint64_t load(const _Atomic uint64_t *counter)
{
    return __atomic_load_n((const uint64_t *)counter, __ATOMIC_RELAXED);
}

/* ---- one zone ------------------------------------------------------------------------------- */

static void write_codes(struct json *j, const struct zone_counts *n)
{
    json_open(j, "codes", '{');
    for (unsigned i = 0; i < COUNT_OF(n->statuses); i++) {
        char name[8];

        if (load(&n->statuses[i]) == 0)
            continue;
        snprintf(name, sizeof name, "%u", ZONE_STATUS_MIN + i);
        json_u64(j, name, load(&n->statuses[i]));
    }
    json_shut(j);
}

static void write_responses(struct json *j, const struct zone_counts *n)
{
    uint64_t total = 0;

    json_open(j, "responses", '{');
    for (unsigned class = 1; class <= 5; class ++) {
        uint64_t sum = 0;
        char name[8];

        for (unsigned i = 0; i < 100; i++)
            sum += load(&n->statuses[class * 100 + i - ZONE_STATUS_MIN]);
        snprintf(name, sizeof name, "%uxx", class);
        json_u64(j, name, sum);
        total += sum;
    }
    write_codes(j, n);
    json_u64(j, "total", total);
    json_shut(j);
}

static void write_zone(struct json *j, const struct zone_counts *n, bool server)
{
    if (server)
        json_u64(j, "processing", load(&n->processing));
    json_u64(j, "requests", load(&n->requests));
    write_responses(j, n);
    json_u64(j, "discarded", load(&n->discarded));
    json_u64(j, "received", load(&n->received));
    json_u64(j, "sent", load(&n->sent));
}

static void reset_zone(struct zone_counts *n)
{
    _Atomic uint64_t *const all[] = { &n->requests, &n->discarded, &n->received, &n->sent };

    for (size_t i = 0; i < COUNT_OF(all); i++)
        __atomic_store_n((uint64_t *)all[i], 0, __ATOMIC_RELAXED);
    for (size_t i = 0; i < COUNT_OF(n->statuses); i++)
        __atomic_store_n((uint64_t *)&n->statuses[i], 0, __ATOMIC_RELAXED);
}

/* ---- all, or one -------------------------------------------------------------------------- */

static const struct status_zone *zones(const struct api_call *c, bool server)
{
    const struct status_zone_conf *conf = status_zones_of(c->request->site->http);

    return server ? conf->servers : conf->locations;
}

static bool get_all(struct api_call *c, bool server)
{
    bool names = api_names_only(c);

    if (!names)
        api_choose(c, 2);
    json_open(&c->json, NULL, names ? '[' : '{');
    for (const struct status_zone *z = zones(c, server); z != NULL; z = z->next) {
        if (names) {
            json_text(&c->json, NULL, z->name);
            continue;
        }
        json_open_named(&c->json, z->name, '{');
        write_zone(&c->json, z->counts, server);
        json_shut(&c->json);
    }
    json_shut(&c->json);
    return true;
}

static struct zone_counts *find(struct api_call *c, bool server)
{
    for (const struct status_zone *z = zones(c, server); z != NULL; z = z->next)
        if (slice_eq(z->name, c->parts[0]))
            return z->counts;
    (void)api_fail(c, 404, server ? "ServerZoneNotFound" : "LocationZoneNotFound",
                   "%s zone not found", server ? "server" : "location");
    return NULL;
}

static bool get_one(struct api_call *c, bool server)
{
    const struct zone_counts *n = find(c, server);

    if (n == NULL)
        return false;
    api_choose(c, 1);
    json_open(&c->json, NULL, '{');
    write_zone(&c->json, n, server);
    json_shut(&c->json);
    return true;
}

static bool reset_one(struct api_call *c, bool server)
{
    struct zone_counts *n = find(c, server);

    if (n == NULL)
        return false;
    reset_zone(n);
    return api_nothing(c);
}

bool api_get_server_zones(struct api_call *c)
{
    return get_all(c, true);
}

bool api_get_server_zone(struct api_call *c)
{
    return get_one(c, true);
}

bool api_reset_server_zone(struct api_call *c)
{
    return reset_one(c, true);
}

bool api_get_location_zones(struct api_call *c)
{
    return get_all(c, false);
}

bool api_get_location_zone(struct api_call *c)
{
    return get_one(c, false);
}

bool api_reset_location_zone(struct api_call *c)
{
    return reset_one(c, false);
}
