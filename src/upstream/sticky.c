/* sticky.c - the directive sticky: sessions that stay with their peer. */
#include "upstream/sticky.h"

#include "conf/expr.h"
#include "conf/load.h"
#include "wire/date.h"

#include <openssl/evp.h>

enum { SOURCES_MAX = 8, ROUTE_MAX = 1024, MD5_SIZE = 16, COOKIE_MAX = 4096 };
enum { NO_EXPIRES = -1, EXPIRES_MAX = -2 };

struct sticky {
    struct expr *sources[SOURCES_MAX]; /* the first that is not empty is the route          */
    unsigned count;
    struct slice cookie; /* its name; size 0: routes only                            */
    int64_t expires_s;   /* NO_EXPIRES, EXPIRES_MAX, or seconds from now             */
    struct slice domain, path;
    struct expr *same_site; /* NULL: not said */
    bool secure, http_only;
};

/* ---- whose peer ---------------------------------------------------------------------------- */

static struct slice route_of(struct request *r, const struct sticky *s)
{
    struct slice value;

    for (unsigned i = 0; i < s->count; i++)
        if (expr_eval(s->sources[i], r, &r->arena, ROUTE_MAX, &value) && value.size > 0)
            return value;
    return (struct slice){ 0 };
}

struct peer *sticky_peer(struct request *r, const struct group *g)
{
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
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[MD5_SIZE];

    if (g->sticky == NULL || p->route.size > 0 || p->at.text.size == 0)
        return true;
    if (EVP_Digest(p->at.text.at, p->at.text.size, sum, NULL, EVP_md5(), NULL) != 1)
        return false;
    for (size_t i = 0; i < sizeof sum; i++) {
        into[2 * i] = digits[sum[i] >> 4];
        into[2 * i + 1] = digits[sum[i] & 15];
    }
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
        return refuse(load, node, 0, "sticky learn is not there yet",
                      "sticky cookie name … or sticky route $variable …");
    return refuse(load, node, 0, "this is no way to know a session",
                  "sticky cookie name … or sticky route $variable …");
}
