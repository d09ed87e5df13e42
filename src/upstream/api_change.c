/* api_change.c - servers of an upstream added, changed and removed. */
#include "upstream/api_private.h"

#include "upstream/balance.h"
#include "upstream/discover.h"
#include "upstream/peers.h"

#include <jansson.h>

enum { WEIGHT_MAX = 65535, ROUTE_MAX = 64 };

/* What a body asks for. */
struct wish {
    struct api_call *call;
    const struct group *group;
    struct peer like; /* texts are the JSON's */
    struct slice service;
    bool has_server, has_route, has_service, has_backup, is_new;
};

/* ---- members of the body ------------------------------------------------------------------ */

static struct slice text_of(const json_t *v)
{
    return slice_of(json_string_value(v), json_string_length(v));
}

static bool read_server(struct wish *w, const json_t *v)
{
    struct slice host;
    uint16_t port = 80;

    w->has_server = json_is_string(v);
    w->like.name = w->has_server ? text_of(v) : (struct slice){ 0 };
    for (size_t i = 0; i < w->like.name.size; i++) {
        unsigned char c = (unsigned char)w->like.name.at[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"';{}\\$", c) != NULL)
            return false;
    }
    return w->like.name.size > 0 && endpoint_split(w->like.name, &host, &port);
}

static bool read_number(const json_t *v, int64_t min, int64_t max, int64_t *ret)
{
    *ret = json_integer_value(v);
    return json_is_integer(v) && *ret >= min && *ret <= max;
}

static bool read_weight(struct wish *w, const json_t *v)
{
    return read_number(v, 1, WEIGHT_MAX, &w->like.weight);
}

static bool read_max_conns(struct wish *w, const json_t *v)
{
    return read_number(v, 0, INT32_MAX, &w->like.max_conns);
}

static bool read_max_fails(struct wish *w, const json_t *v)
{
    return read_number(v, 0, INT32_MAX, &w->like.max_fails);
}

/* "10s", or seconds. */
static bool read_time(const json_t *v, int64_t *ret)
{
    if (json_is_integer(v))
        return read_number(v, 0, INT32_MAX / 1000, ret) && (*ret *= 1000, true);
    return json_is_string(v) && conf_parse_msec(text_of(v), ret) && *ret <= INT32_MAX;
}

static bool read_fail_timeout(struct wish *w, const json_t *v)
{
    return read_time(v, &w->like.fail_timeout_ms);
}

static bool read_slow_start(struct wish *w, const json_t *v)
{
    return read_time(v, &w->like.slow_start_ms) &&
           (w->like.slow_start_ms == 0 || w->group->balance->backups);
}

/* It will be a word of a directive. */
static bool read_route(struct wish *w, const json_t *v)
{
    w->has_route = json_is_string(v);
    w->like.route = w->has_route ? text_of(v) : (struct slice){ 0 };
    for (size_t i = 0; i < w->like.route.size; i++) {
        unsigned char c = (unsigned char)w->like.route.at[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"';{}\\$", c) != NULL)
            return false;
    }
    return w->has_route && w->like.route.size <= ROUTE_MAX;
}

static bool read_flag(const json_t *v, bool *ret)
{
    *ret = json_is_true(v);
    return json_is_boolean(v);
}

static bool read_backup(struct wish *w, const json_t *v)
{
    w->has_backup = true;
    return read_flag(v, &w->like.backup);
}

static bool read_down(struct wish *w, const json_t *v)
{
    return read_flag(v, &w->like.down);
}

static bool read_drain(struct wish *w, const json_t *v)
{
    return read_flag(v, &w->like.drain);
}

static bool is_word(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", s.at[i]) ==
                NULL ||
            s.at[i] == '\0')
            return false;
    return s.size > 0;
}

static bool read_service(struct wish *w, const json_t *v)
{
    w->has_service = json_is_string(v);
    w->service = w->has_service ? text_of(v) : (struct slice){ 0 };
    return w->has_service && is_word(w->service);
}

static const struct {
    const char *name, *code;
    bool (*read)(struct wish *, const json_t *);
    bool at_birth; /* it cannot be changed later */
} members[] = {
    { "server", "UpstreamBadAddress", read_server, false },
    { "service", "UpstreamBadService", read_service, true },
    { "weight", "UpstreamBadWeight", read_weight, false },
    { "max_conns", "UpstreamBadMaxConns", read_max_conns, false },
    { "max_fails", "UpstreamBadMaxFails", read_max_fails, false },
    { "fail_timeout", "UpstreamBadFailTimeout", read_fail_timeout, false },
    { "slow_start", "UpstreamBadSlowStart", read_slow_start, false },
    { "route", "UpstreamBadRoute", read_route, false },
    { "backup", "UpstreamConfFormatError", read_backup, true },
    { "down", "UpstreamConfFormatError", read_down, false },
    { "drain", "UpstreamConfFormatError", read_drain, false },
};

static bool read_member(struct wish *w, const char *name, const json_t *v)
{
    struct api_call *c = w->call;

    if (json_is_object(v) || json_is_array(v))
        return api_fail(c, 400, "UpstreamConfFormatError", "nested object or list");
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (strcmp(members[i].name, name) != 0)
            continue;
        if (members[i].at_birth && !w->is_new)
            return api_fail(c, 400, "UpstreamConfFormatError", "\"%s\" cannot be changed", name);
        return members[i].read(w, v) || api_fail(c, 400, members[i].code, "invalid \"%s\"", name);
    }
    return api_fail(c, 400, "UpstreamConfFormatError", "unknown parameter \"%s\"", name);
}

/* The JSON stays until the wish is fulfilled: its texts are lent. */
static bool read_wish(struct wish *w, json_t **root)
{
    struct api_call *c = w->call;
    json_error_t error;
    const char *name;
    json_t *v;

    *root = json_loadb(c->body.at != NULL ? c->body.at : "", c->body.size, JSON_REJECT_DUPLICATES,
                       &error);
    if (*root == NULL)
        return api_fail(c, 415, "JsonError", "json error: %s, line %d", error.text, error.line);
    if (!json_is_object(*root))
        return api_fail(c, 400, "UpstreamConfFormatError", "the body is no object");
    json_object_foreach(*root, name, v) if (!read_member(w, name, v)) return false;
    return true;
}

static bool no_memory(struct api_call *c)
{
    return api_fail(c, 500, "UpstreamOutOfMemory", "upstream memory exhausted");
}

/* ---- added ---------------------------------------------------------------------------------- */

static void say_where(struct api_call *c, unsigned id)
{
    struct slice uri = c->request->uri;

    while (uri.size > 0 && uri.at[uri.size - 1] == '/')
        uri.size--;
    c->location = arena_printf(&c->request->arena, "%.*s/%u/", SLICE_FMT(uri), id - 1);
    c->status = 201;
}

static bool known(const struct group *g, const struct endpoint *at)
{
    for (const struct peer *p = g->peers; p != NULL; p = p->next)
        if (p->served == NULL && endpoint_eq(&p->at, at))
            return true;
    return false;
}

/* Behind the lock. */
static bool add_peer(struct wish *w, struct group *g)
{
    struct api_call *c = w->call;
    struct peer *p;

    if (known(g, &w->like.at))
        return api_fail(c, 409, "EntryExists", "there is a server \"%.*s\" already",
                        SLICE_FMT(w->like.at.text));
    w->like.unchecked = g->mandatory;
    p = peer_grow(g, &w->like);
    if (p == NULL || !group_join(g, p)) {
        peer_wither(p);
        return no_memory(c);
    }
    balance_changed(g);
    api_write_server(&c->json, g, p, NULL);
    say_where(c, p->id);
    return true;
}

static bool add_served(struct wish *w, struct group *g)
{
    struct api_call *c = w->call;
    struct served *d, **end = &g->served;

    for (; *end != NULL; end = &(*end)->next)
        if (slice_eq((*end)->like.name, w->like.name) && slice_eq((*end)->service, w->service))
            return api_fail(c, 409, "EntryExists", "there is a server \"%.*s\" already",
                            SLICE_FMT(w->like.name));
    d = discover_grow(g, &w->like, w->service);
    if (d == NULL)
        return no_memory(c);
    d->id = ++g->next_id;
    *end = c->follow = d;
    api_write_server(&c->json, g, NULL, d);
    say_where(c, d->id);
    return true;
}

static bool add(struct wish *w, struct group *g)
{
    struct api_call *c = w->call;
    struct slice host;
    uint16_t port = 80;
    bool literal, good;

    if (!w->has_server)
        return api_fail(c, 400, "UpstreamConfFormatError", "missing \"server\" argument");
    if (w->like.backup && !g->balance->backups)
        return api_fail(c, 400, "UpstreamNoBackup", "upstream \"%.*s\" has no backup",
                        SLICE_FMT(g->name));
    if (!endpoint_split(w->like.name, &host, &port))
        return api_fail(c, 400, "UpstreamBadAddress", "invalid \"server\"");
    literal = endpoint_literal(&c->request->arena, host, port, &w->like.at);
    if (w->has_service && literal)
        return api_fail(c, 400, "UpstreamBadAddress",
                        "service upstream \"%.*s\" requires domain name", SLICE_FMT(host));
    if (w->has_service && host.size < w->like.name.size)
        return api_fail(c, 400, "UpstreamBadAddress", "service upstream \"%.*s\" may not have port",
                        SLICE_FMT(host));
    pthread_mutex_lock(&g->lock);
    good = literal ? add_peer(w, g) : add_served(w, g);
    pthread_mutex_unlock(&g->lock);
    if (good)
        c->changed = g;
    return good;
}

bool api_add_server(struct api_call *c)
{
    struct group *g = api_zoned_group(c);
    struct wish w = { .call = c, .group = g, .like = plain_peer, .is_new = true };
    json_t *root = NULL;
    bool good = g != NULL && read_wish(&w, &root) && add(&w, g);

    json_decref(root);
    return good;
}

/* ---- changed ------------------------------------------------------------------------------ */

static void take_settings(struct group *g, struct peer *p, const struct peer *like)
{
    if (!p->backup)
        g->weights += like->weight - p->weight;
    p->weight = p->effective = like->weight;
    p->max_conns = like->max_conns;
    p->max_fails = like->max_fails;
    p->fail_timeout_ms = like->fail_timeout_ms;
    p->slow_start_ms = like->slow_start_ms;
    p->down = like->down;
    p->drain = like->drain;
}

/* Requests read a peer's texts without the lock: one with other texts takes its place. */
static struct peer *replace(struct group *g, struct peer *p, const struct peer *like)
{
    struct peer fresh = *like, *made;

    fresh.conns = 0;
    fresh.begun_ms = 0;
    fresh.users = 0;
    if (!endpoint_eq(&like->at, &p->at)) {
        fresh.fails = 0;
        fresh.unhealthy = false;
        fresh.unchecked = g->mandatory;
        fresh.stats = (struct peer_stats){ 0 };
    }
    made = peer_grow(g, &fresh);
    if (made == NULL || !group_join(g, made)) {
        peer_wither(made);
        return NULL;
    }
    group_part(g, p);
    return made;
}

static bool change_peer(struct wish *w, struct group *g, struct peer *p)
{
    struct api_call *c = w->call;
    struct slice host;
    uint16_t port = 80;

    if (w->has_server && (!endpoint_split(w->like.name, &host, &port) ||
                          !endpoint_literal(&c->request->arena, host, port, &w->like.at)))
        return api_fail(c, 400, "UpstreamBadAddress", "\"server\" must be an address here");
    if (w->has_server && !endpoint_eq(&w->like.at, &p->at) && known(g, &w->like.at))
        return api_fail(c, 409, "EntryExists", "there is a server \"%.*s\" already",
                        SLICE_FMT(w->like.at.text));
    if (w->has_server || w->has_route)
        p = replace(g, p, &w->like);
    else
        take_settings(g, p, &w->like);
    if (p == NULL)
        return no_memory(c);
    api_write_server(&c->json, g, p, NULL);
    return true;
}

static bool change_served(struct wish *w, struct group *g, struct served *d)
{
    struct api_call *c = w->call;

    if (w->has_server || w->has_route)
        return api_fail(c, 400, "UpstreamServerImmutable", "server with ID %u is immutable",
                        d->id - 1);
    for (struct peer *p = g->peers; p != NULL; p = p->next) {
        struct peer like = w->like;

        if (p->served != d)
            continue;
        like.weight = d->service.size > 0 ? p->weight : like.weight;
        take_settings(g, p, &like);
    }
    d->like = w->like;
    api_write_server(&c->json, g, NULL, d);
    return true;
}

/* Behind the lock. */
static bool change(struct wish *w, struct group *g, json_t **root)
{
    struct api_call *c = w->call;
    struct served *d;
    struct peer *p;

    if (!api_find_server(c, g, &p, &d))
        return false;
    if (p != NULL && p->served != NULL)
        return api_fail(c, 400, "UpstreamServerImmutable", "server with ID %u is immutable",
                        p->id - 1);
    w->like = p != NULL ? *p : d->like;
    if (!read_wish(w, root))
        return false;
    if (!(p != NULL ? change_peer(w, g, p) : change_served(w, g, d)))
        return false;
    balance_changed(g);
    c->changed = g;
    return true;
}

bool api_change_server(struct api_call *c)
{
    struct group *g = api_zoned_group(c);
    struct wish w = { .call = c, .group = g };
    json_t *root = NULL;
    bool good;

    if (g == NULL)
        return false;
    pthread_mutex_lock(&g->lock);
    good = change(&w, g, &root);
    pthread_mutex_unlock(&g->lock);
    json_decref(root);
    return good;
}

/* ---- removed ------------------------------------------------------------------------------- */

static void remove_served(struct api_call *c, struct group *g, struct served *d)
{
    struct served **at = &g->served;
    struct peer *next;

    for (struct peer *p = g->peers; p != NULL; p = next) {
        next = p->next;
        if (p->served == d)
            group_part(g, p);
    }
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    d->gone = c->leave = true;
    c->follow = d;
}

bool api_remove_server(struct api_call *c)
{
    struct group *g = api_zoned_group(c);
    struct served *d;
    struct peer *p;
    bool found;

    if (g == NULL)
        return false;
    pthread_mutex_lock(&g->lock);
    found = api_find_server(c, g, &p, &d);
    if (found && p != NULL && p->served != NULL)
        found = api_fail(c, 400, "UpstreamServerImmutable", "server with ID %u is immutable",
                         p->id - 1);
    if (found && p != NULL)
        group_part(g, p);
    if (found && d != NULL)
        remove_served(c, g, d);
    if (found) {
        balance_changed(g);
        api_write_servers(&c->json, g);
        c->changed = g;
    }
    pthread_mutex_unlock(&g->lock);
    return found;
}
