/* sticky.c - the directive sticky: sessions that stay with their peer. */
#include "upstream/sticky.h"

#include "conf/expr.h"
#include "conf/load.h"
#include "conf/zone.h"
#include "wire/date.h"

#include <openssl/evp.h>

enum { SOURCES_MAX = 8, ROUTE_MAX = 1024, MD5_SIZE = 16, COOKIE_MAX = 4096 };
enum { LEARN_TIMEOUT_MS = 600 * 1000 };
enum { NO_EXPIRES = -1, EXPIRES_MAX = -2 };

struct sticky {
    struct expr *sources[SOURCES_MAX]; /* the first that is not empty is the route          */
    unsigned count;
    struct slice cookie; /* its name; size 0: routes only                            */
    int64_t expires_s;   /* NO_EXPIRES, EXPIRES_MAX, or seconds from now             */
    struct slice domain, path;
    struct expr *same_site; /* NULL: not said */
    bool secure, http_only;
    struct conf_zone *zone; /* of learn; NULL: not that                              */
    struct expr *creates[SOURCES_MAX];
    unsigned create_count;
    int64_t timeout_ms;
    bool at_header; /* sessions are learned when the answer's header is there    */
};

/* Of a zone: whose session it is. */
struct session {
    uint64_t peer; /* slice_hash() of its address */
    uint64_t used_ms;
};

/* ---- whose peer ---------------------------------------------------------------------------- */

/* The first that is not empty. */
static struct slice first_of(struct request *r, struct expr *const *all, unsigned count)
{
    struct slice value;

    for (unsigned i = 0; i < count; i++)
        if (expr_eval(all[i], r, &r->arena, ROUTE_MAX, &value) && value.size > 0)
            return value;
    return (struct slice){ 0 };
}

static struct slice route_of(struct request *r, const struct sticky *s)
{
    return first_of(r, s->sources, s->count);
}

static uint64_t now_ms(struct request *r)
{
    return loop_now_ns(r->loop, r->io) / 1000000u;
}

/* 0: nobody's, or not any more. */
static uint64_t session_peer(struct request *r, const struct sticky *s)
{
    struct slice id = first_of(r, s->sources, s->count);
    struct zone *zone = s->zone->memory;
    uint64_t now = now_ms(r), peer;
    struct zone_spot spot;

    if (id.size == 0 || zone == NULL || !zone_find(zone, id, &spot))
        return 0;
    struct session *known = spot.value;

    if (now > known->used_ms && now - known->used_ms > (uint64_t)s->timeout_ms) {
        zone_remove(&spot);
        return 0;
    }
    peer = known->peer;
    known->used_ms = now;
    zone_leave(&spot);
    if (zone_enter(zone, id, ZONE_REFUSE, &spot)) /* it was used last */
        spot.fresh ? zone_remove(&spot) : zone_leave(&spot);
    return peer;
}

static struct peer *learned_peer(struct request *r, const struct group *g)
{
    uint64_t hash = session_peer(r, g->sticky);
    struct peer *p = hash != 0 ? g->peers : NULL;

    while (p != NULL && slice_hash(p->at.text) != hash)
        p = p->next;
    return p;
}

static void learn(struct request *r, const struct sticky *s, const struct peer *p)
{
    struct slice id = first_of(r, s->creates, s->create_count);
    struct zone_spot spot;

    if (id.size == 0 || s->zone->memory == NULL ||
        !zone_enter(s->zone->memory, id, ZONE_EVICT, &spot))
        return;
    *(struct session *)spot.value = (struct session){ slice_hash(p->at.text), now_ms(r) };
    zone_leave(&spot);
}

void sticky_answered(struct request *r, const struct group *g, const struct peer *p)
{
    if (g->sticky != NULL && g->sticky->zone != NULL && !g->sticky->at_header && p != NULL)
        learn(r, g->sticky, p);
}

struct peer *sticky_peer(struct request *r, const struct group *g)
{
    if (g->sticky != NULL && g->sticky->zone != NULL)
        return learned_peer(r, g);
    struct slice route = g->sticky != NULL ? route_of(r, g->sticky) : (struct slice){ 0 };
    struct peer *p = g->peers;

    if (route.size == 0)
        return NULL;
    while (p != NULL && !slice_eq(p->route, route))
        p = p->next;
    return p;
}

/* ---- the cookie ---------------------------------------------------------------------------- */

static void put_expires(struct request *r, const struct sticky *s, struct gather *g)
{
    int64_t now = loop_wall_ns(r->loop) / 1000000000;
    char date[DATE_HTTP_SIZE];

    if (s->expires_s == NO_EXPIRES)
        return;
    if (s->expires_s == EXPIRES_MAX) {
        gather_lit(g, "; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000");
        return;
    }
    date_http(now + s->expires_s, date);
    gather_lit(g, "; expires=");
    gather_bytes(g, date, sizeof date);
    gather_printf(g, "; max-age=%lld", (long long)s->expires_s);
}

static void put_named(struct gather *g, const char *name, struct slice value)
{
    if (value.size > 0)
        gather_printf(g, "; %s=%.*s", name, SLICE_FMT(value));
}

bool sticky_tell(struct request *r, const struct group *g, const struct peer *p)
{
    const struct sticky *s = g->sticky;
    struct slice same_site = { 0 };
    struct gather text;

    if (s != NULL && s->zone != NULL && s->at_header && p != NULL)
        learn(r, s, p);
    if (s == NULL || s->cookie.size == 0 || p == NULL || slice_eq(route_of(r, s), p->route))
        return true;
    if (s->same_site != NULL && !expr_eval(s->same_site, r, &r->arena, ROUTE_MAX, &same_site))
        return false;
    gather_init(&text, NULL, 0, &r->arena, COOKIE_MAX);
    gather_printf(&text, "%.*s=%.*s", SLICE_FMT(s->cookie), SLICE_FMT(p->route));
    put_expires(r, s, &text);
    put_named(&text, "domain", s->domain);
    put_named(&text, "path", s->path);
    put_named(&text, "samesite", same_site);
    gather_str(&text, s->secure ? "; secure" : "");
    gather_str(&text, s->http_only ? "; httponly" : "");
    return !text.full && response_add(r, SLICE("Set-Cookie"), gather_get(&text));
}

/* ---- routes -------------------------------------------------------------------------------- */

bool sticky_route_of(const struct group *g, struct peer *p, char into[STICKY_ROUTE_SIZE])
{
    unsigned char sum[MD5_SIZE];

    if (g->sticky == NULL || p->route.size > 0 || p->at.text.size == 0)
        return true;
    if (EVP_Digest(p->at.text.at, p->at.text.size, sum, NULL, EVP_md5(), NULL) != 1)
        return false;
    hex_write(into, sum, sizeof sum);
    p->route = slice_of(into, STICKY_ROUTE_SIZE);
    return true;
}

bool sticky_route_is_made(const struct group *g, const struct peer *p)
{
    struct peer plain = { .at = p->at };
    char room[STICKY_ROUTE_SIZE];

    return sticky_route_of(g, &plain, room) && slice_eq(plain.route, p->route);
}

bool sticky_seal(struct arena *arena, struct group *g)
{
    for (struct peer *p = g->peers; p != NULL && g->sticky != NULL; p = p->next) {
        char *room = arena_bytes(arena, STICKY_ROUTE_SIZE);

        if (room == NULL || !sticky_route_of(g, p, room))
            return false;
    }
    return true;
}

/* ---- the directive ------------------------------------------------------------------------- */

static const char cookie_form[] = "sticky cookie name [expires=time] [domain=name] [path=path] "
                                  "[samesite=strict|lax|none|$variable] [secure] [httponly]";

static bool refuse(struct conf_load *load, const struct conf_node *node, unsigned arg,
                   const char *why, const char *expected)
{
    conf_complain(load, CONF_EMERG, node, arg < node->arg_count ? (int)arg : CONF_AT_NAME, "%s",
                  why);
    conf_hint(load, "expected: %s", expected);
    return false;
}

static bool read_expires(struct sticky *s, struct slice text)
{
    int64_t ms;

    if (slice_eq(text, SLICE("max"))) {
        s->expires_s = EXPIRES_MAX;
        return true;
    }
    if (!conf_parse_msec(text, &ms))
        return false;
    s->expires_s = ms / 1000;
    return true;
}

static bool read_attribute(struct conf_load *load, const struct conf_node *node, unsigned arg,
                           struct sticky *s)
{
    struct slice text = conf_arg(node, arg);

    if (slice_starts(text, SLICE("expires=")))
        return read_expires(s, slice_skip(text, 8)) ||
               refuse(load, node, arg, "this is no time", "expires=time or expires=max");
    if (slice_starts(text, SLICE("domain="))) {
        s->domain = slice_skip(text, 7);
    } else if (slice_starts(text, SLICE("path="))) {
        s->path = slice_skip(text, 5);
    } else if (slice_starts(text, SLICE("samesite="))) {
        s->same_site = expr_compile_text(load, node, arg, slice_skip(text, 9));
        return s->same_site != NULL;
    } else if (slice_eq(text, SLICE("secure"))) {
        s->secure = true;
    } else if (slice_eq(text, SLICE("httponly"))) {
        s->http_only = true;
    } else {
        return refuse(load, node, arg, "this is nothing that a cookie has", cookie_form);
    }
    return true;
}

static bool is_token(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = (unsigned char)name.at[i];

        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}$", c) != NULL)
            return false;
    }
    return name.size > 0;
}

static bool read_cookie(struct conf_load *load, const struct conf_node *node, struct sticky *s)
{
    struct slice variable;

    s->cookie = conf_arg(node, 1);
    if (!is_token(s->cookie))
        return refuse(load, node, 1, "the cookie needs a name", cookie_form);
    variable = arena_printf(conf_arena(load), "$cookie_%.*s", SLICE_FMT(s->cookie));
    CHECK(variable.at != NULL);
    s->sources[s->count++] = expr_compile_text(load, node, 1, variable);
    for (unsigned i = 2; i < node->arg_count; i++)
        if (!read_attribute(load, node, i, s))
            return false;
    return s->sources[0] != NULL;
}

static bool read_routes(struct conf_load *load, const struct conf_node *node, struct sticky *s)
{
    if (node->arg_count < 2 || node->arg_count > SOURCES_MAX + 1)
        return refuse(load, node, node->arg_count, "it does not say what has the route",
                      "sticky route $variable …");
    for (unsigned i = 1; i < node->arg_count; i++) {
        s->sources[s->count] = expr_compile(load, node, i);
        if (s->sources[s->count++] == NULL)
            return false;
    }
    return true;
}

static const char learn_form[] = "sticky learn create=$variable lookup=$variable zone=name:size "
                                 "[timeout=time] [header] [sync]";

static bool read_source(struct conf_load *load, const struct conf_node *node, unsigned arg,
                        struct expr **all, unsigned *count)
{
    struct slice text = conf_arg(node, arg);

    if (*count == SOURCES_MAX)
        return refuse(load, node, arg, "there are too many", "at most 8 of them");
    all[*count] =
        expr_compile_text(load, node, arg, slice_skip(text, 7)); /* "create=", "lookup=" */
    return all[(*count)++] != NULL;
}

static bool read_zone(struct conf_load *load, const struct conf_node *node, unsigned arg,
                      struct sticky *s)
{
    const struct group *g = conf_scope(load)->object;

    s->zone = zone_declare(load, node, arg, slice_skip(conf_arg(node, arg), 5), "sticky");
    if (s->zone == NULL)
        return false;
    s->zone->about = g->name;
    s->zone->value_size = sizeof(struct session);
    return true;
}

static bool read_learn_word(struct conf_load *load, const struct conf_node *node, unsigned arg,
                            struct sticky *s)
{
    struct slice text = conf_arg(node, arg);

    if (slice_starts(text, SLICE("create=")))
        return read_source(load, node, arg, s->creates, &s->create_count);
    if (slice_starts(text, SLICE("lookup=")))
        return read_source(load, node, arg, s->sources, &s->count);
    if (slice_starts(text, SLICE("zone=")))
        return read_zone(load, node, arg, s);
    if (slice_starts(text, SLICE("timeout=")))
        return (conf_parse_msec(slice_skip(text, 8), &s->timeout_ms) && s->timeout_ms > 0) ||
               refuse(load, node, arg, "this is no time", "timeout=time");
    if (slice_eq(text, SLICE("sync"))) {
        conf_complain(load, CONF_NOTICE, node, (int)arg,
                      "`sync` is ignored: there are no other servers to tell of sessions");
        return true;
    }
    s->at_header |= slice_eq(text, SLICE("header"));
    return slice_eq(text, SLICE("header")) ||
           refuse(load, node, arg, "this is nothing that sessions are learned by", learn_form);
}

static bool read_learn(struct conf_load *load, const struct conf_node *node, struct sticky *s)
{
    s->timeout_ms = LEARN_TIMEOUT_MS;
    for (unsigned i = 1; i < node->arg_count; i++)
        if (!read_learn_word(load, node, i, s))
            return false;
    if (s->zone != NULL && s->count > 0 && s->create_count > 0)
        return true;
    return refuse(load, node, node->arg_count, "create, lookup and zone must all be there",
                  learn_form);
}

bool sticky_set(struct conf_load *load, const struct conf_node *node, void *own,
                const struct directive *row)
{
    struct group *g = conf_scope(load)->object;
    struct sticky *s = arena_must(conf_arena(load), sizeof *s);

    (void)own;
    (void)row;
    *s = (struct sticky){ .expires_s = NO_EXPIRES };
    g->sticky = s;
    if (slice_eq(conf_arg(node, 0), SLICE("cookie")))
        return read_cookie(load, node, s);
    if (slice_eq(conf_arg(node, 0), SLICE("route")))
        return read_routes(load, node, s);
    if (slice_eq(conf_arg(node, 0), SLICE("learn")))
        return read_learn(load, node, s);
    return refuse(load, node, 0, "this is no way to know a session",
                  "sticky cookie name …, sticky route $variable … or sticky learn …");
}
