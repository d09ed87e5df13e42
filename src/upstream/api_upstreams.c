/* api_upstreams.c - how upstreams are doing, and what servers they have. */
#include "upstream/api_private.h"

#include "upstream/peers.h"

#include <stdlib.h>

enum { NS_PER_MS = 1000000, US_PER_MS = 1000 };

/* ---- which ------------------------------------------------------------------------------ */

static const struct scope *http_of(const struct api_call *c)
{
    return c->request->site->http;
}

struct group *api_group(struct api_call *c)
{
    struct group *g = group_find_in(http_of(c), c->parts[0]);

    if (g == NULL)
        (void)api_fail(c, 404, "UpstreamNotFound", "upstream not found");
    return g;
}

struct group *api_zoned_group(struct api_call *c)
{
    struct group *g = api_group(c);

    if (g == NULL || g->zone.size > 0)
        return g;
    (void)api_fail(c, 400, "UpstreamStatic", "upstream \"%.*s\" is static: it has no zone",
                   SLICE_FMT(g->name));
    return NULL;
}

bool api_find_server(struct api_call *c, const struct group *g, struct peer **peer,
                     struct served **served)
{
    uint64_t id;

    *peer = NULL;
    *served = NULL;
    if (!slice_to_u64(c->parts[1], UINT32_MAX - 1, &id))
        return api_fail(c, 400, "UpstreamBadServerId", "invalid server ID");
    for (struct peer *p = g->peers; p != NULL; p = p->next)
        if (p->id == id + 1)
            *peer = p;
    for (struct served *d = g->served; d != NULL; d = d->next)
        if (d->id == id + 1)
            *served = d;
    return *peer != NULL || *served != NULL ||
           api_fail(c, 404, "UpstreamServerNotFound", "server with ID %llu does not exist",
                    (unsigned long long)id);
}

/* ---- servers ---------------------------------------------------------------------------- */

static void write_ms(struct json *j, const char *name, int64_t ms)
{
    char text[32];
    struct gather g;

    gather_init(&g, text, sizeof text, NULL, 0);
    gather_i64(&g, ms % 1000 == 0 ? ms / 1000 : ms);
    gather_str(&g, ms % 1000 == 0 ? "s" : "ms");
    json_text(j, name, gather_get(&g));
}

void api_write_server(struct json *j, const struct group *g, const struct peer *p,
                      const struct served *d)
{
    const struct peer *like = d != NULL ? &d->like : p;

    (void)g;
    json_open(j, NULL, '{');
    json_u64(j, "id", (d != NULL ? d->id : p->id) - 1);
    json_text(j, "server", d == NULL && p->at.text.size > 0 ? p->at.text : like->name);
    if (d != NULL && d->service.size > 0)
        json_text(j, "service", d->service);
    if (d == NULL && p->served != NULL) {
        json_text(j, "host", p->served->host);
        json_u64(j, "parent", p->served->id - 1);
    }
    json_i64(j, "weight", like->weight);
    json_i64(j, "max_conns", like->max_conns);
    json_i64(j, "max_fails", like->max_fails);
    write_ms(j, "fail_timeout", like->fail_timeout_ms);
    write_ms(j, "slow_start", like->slow_start_ms);
    json_text(j, "route", like->route);
    json_bool(j, "backup", like->backup);
    json_bool(j, "down", like->down);
    if (like->drain)
        json_bool(j, "drain", true);
    json_shut(j);
}

void api_write_servers(struct json *j, const struct group *g)
{
    json_open(j, NULL, '[');
    for (const struct served *d = g->served; d != NULL; d = d->next)
        api_write_server(j, g, NULL, d);
    for (const struct peer *p = g->peers; p != NULL; p = p->next)
        api_write_server(j, g, p, NULL);
    json_shut(j);
}

bool api_get_servers(struct api_call *c)
{
    struct group *g = api_zoned_group(c);

    if (g == NULL)
        return false;
    pthread_mutex_lock(&g->lock);
    api_write_servers(&c->json, g);
    pthread_mutex_unlock(&g->lock);
    return true;
}

bool api_get_server(struct api_call *c)
{
    struct group *g = api_zoned_group(c);
    struct served *d;
    struct peer *p;
    bool found;

    if (g == NULL)
        return false;
    pthread_mutex_lock(&g->lock);
    found = api_find_server(c, g, &p, &d);
    if (found)
        api_write_server(&c->json, g, p, d);
    pthread_mutex_unlock(&g->lock);
    return found;
}

/* ---- how they are doing ------------------------------------------------------------------ */

static const char *state_of(const struct group *g, const struct peer *p, uint64_t now_ms)
{
    if (p->down)
        return "down";
    if (p->unhealthy)
        return "unhealthy";
    if (p->unchecked)
        return "checking";
    if (peer_unavailable(g, p, now_ms))
        return "unavail";
    return p->drain ? "draining" : "up";
}

static void write_responses(struct json *j, const struct peer_stats *s)
{
    static const char *const names[] = { NULL, "1xx", "2xx", "3xx", "4xx", "5xx" };
    uint64_t total = 0;

    json_open(j, "responses", '{');
    for (size_t i = 1; i < COUNT_OF(names); i++) {
        json_u64(j, names[i], s->responses[i]);
        total += s->responses[i];
    }
    json_u64(j, "total", total);
    json_shut(j);
}

static void write_checks(struct json *j, const struct peer_stats *s)
{
    json_open(j, "health_checks", '{');
    json_u64(j, "checks", s->checks);
    json_u64(j, "fails", s->check_fails);
    json_u64(j, "unhealthy", s->unhealthy);
    if (s->checked)
        json_bool(j, "last_passed", s->passed);
    json_shut(j);
}

static void write_times(struct json *j, const struct peer_stats *s, uint64_t now_ms)
{
    json_u64(j, "downtime", s->downtime_ms + (s->off_ms != 0 ? now_ms - s->off_ms : 0));
    if (s->off_ms != 0)
        json_time(j, "downstart", s->off_wall_ns);
    if (s->selected_wall_ns != 0)
        json_time(j, "selected", s->selected_wall_ns);
    if (s->header_us != 0)
        json_u64(j, "header_time", s->header_us / US_PER_MS);
    if (s->response_us != 0)
        json_u64(j, "response_time", s->response_us / US_PER_MS);
}

static void write_peer(struct json *j, const struct group *g, const struct peer *p, uint64_t now_ms)
{
    const struct peer_stats *s = &p->stats;

    json_open(j, NULL, '{');
    json_u64(j, "id", p->id - 1);
    json_text(j, "server", p->at.text.size > 0 ? p->at.text : p->name);
    json_text(j, "name", p->name);
    if (p->served != NULL && p->served->service.size > 0)
        json_text(j, "service", p->served->service);
    json_bool(j, "backup", p->backup);
    json_i64(j, "weight", p->weight);
    json_text(j, "state", slice_str(state_of(g, p, now_ms)));
    json_i64(j, "active", p->conns);
    if (p->max_conns > 0)
        json_i64(j, "max_conns", p->max_conns);
    json_u64(j, "requests", s->requests);
    write_responses(j, s);
    json_u64(j, "sent", s->sent);
    json_u64(j, "received", s->received);
    json_u64(j, "fails", s->fails);
    json_u64(j, "unavail", s->unavail);
    write_checks(j, s);
    write_times(j, s, now_ms);
    json_shut(j);
}

/* Those that were removed and still serve somebody. */
static uint64_t zombies_of(const struct group *g)
{
    uint64_t count = 0;

    for (unsigned n = 0; n < g->numbers; n++)
        count += g->by_number[n] != NULL && g->by_number[n]->gone;
    return count;
}

static void write_group(struct api_call *c, struct group *g)
{
    struct request *r = c->request;
    struct json *j = &c->json;
    uint64_t now_ms = loop_now_ns(r->loop, r->io) / NS_PER_MS;

    pthread_mutex_lock(&g->lock);
    json_open(j, "peers", '[');
    for (const struct peer *p = g->peers; p != NULL; p = p->next)
        write_peer(j, g, p, now_ms);
    json_shut(j);
    json_u64(j, "zombies", zombies_of(g));
    if (g->queue.most > 0) {
        json_open(j, "queue", '{');
        json_u64(j, "size", g->queue.length);
        json_u64(j, "max_size", g->queue.most);
        json_u64(j, "overflows", g->queue.overflows);
        json_shut(j);
    }
    pthread_mutex_unlock(&g->lock);
    if (g->zone.size > 0)
        json_text(j, "zone", g->zone);
}

bool api_get_upstream(struct api_call *c)
{
    struct group *g = api_group(c);

    if (g == NULL)
        return false;
    api_choose(c, 1);
    json_open(&c->json, NULL, '{');
    write_group(c, g);
    json_shut(&c->json);
    return true;
}

/* In the order of the configuration. */
static struct group **groups_of(struct api_call *c, size_t *ret_count)
{
    struct group **all;
    size_t count = 0, at;

    for (struct group *g = group_first(http_of(c)); g != NULL; g = g->next)
        count++;
    all = arena_alloc(&c->room, (count + 1) * sizeof *all);
    at = *ret_count = count;
    for (struct group *g = group_first(http_of(c)); g != NULL && all != NULL; g = g->next)
        all[--at] = g;
    return all;
}

bool api_get_upstreams(struct api_call *c)
{
    size_t count;
    struct group **all = groups_of(c, &count);
    bool names = api_names_only(c);

    if (all == NULL)
        return api_fail(c, 500, "InternalError", "there is no memory left");
    if (!names)
        api_choose(c, 2);
    json_open(&c->json, NULL, names ? '[' : '{');
    for (size_t i = 0; i < count; i++) {
        if (names) {
            json_text(&c->json, NULL, all[i]->name);
            continue;
        }
        json_open_named(&c->json, all[i]->name, '{');
        write_group(c, all[i]);
        json_shut(&c->json);
    }
    json_shut(&c->json);
    return true;
}

bool api_reset_upstream(struct api_call *c)
{
    struct group *g = api_group(c);

    if (g == NULL)
        return false;
    pthread_mutex_lock(&g->lock);
    for (struct peer *p = g->peers; p != NULL; p = p->next) {
        uint64_t off_ms = p->stats.off_ms;

        p->stats = (struct peer_stats){ .off_ms = off_ms, .off_wall_ns = p->stats.off_wall_ns };
    }
    pthread_mutex_unlock(&g->lock);
    return api_nothing(c);
}
