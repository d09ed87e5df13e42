/* discover.c - asks for names again and again, and changes groups accordingly. */
#include "upstream/discover.h"

#include "base/block.h"
#include "http/log_target.h"
#include "http/site.h"
#include "upstream/balance.h"
#include "upstream/peers.h"
#include "upstream/resolver.h"

enum { NS_PER_MS = 1000000, AGAIN_MS = 1000, FAILED_MS = 5000 };

/* ---- the configuration ---------------------------------------------------------------------- */

bool discover_wanted(const struct conf_node *node)
{
    for (unsigned i = 1; i < node->arg_count; i++)
        if (slice_eq(conf_arg(node, i), SLICE("resolve")) ||
            slice_starts(conf_arg(node, i), SLICE("service=")))
            return true;
    return false;
}

static bool refuse(struct conf_load *load, const struct conf_node *node, int arg, const char *why,
                   const char *expected)
{
    conf_complain(load, CONF_EMERG, node, arg, "%s", why);
    conf_hint(load, "expected: %s", expected);
    return false;
}

static bool read_service(struct conf_load *load, const struct conf_node *node, struct served *d)
{
    bool resolve = false;

    for (unsigned i = 1; i < node->arg_count; i++) {
        struct slice text = conf_arg(node, i);

        resolve |= slice_eq(text, SLICE("resolve"));
        if (!slice_starts(text, SLICE("service=")))
            continue;
        d->service = slice_skip(text, 8);
        if (d->service.size == 0)
            return refuse(load, node, (int)i, "service= names nothing", "service=http");
        if (slice_find(d->like.name, ':') < d->like.name.size)
            return refuse(load, node, 0, "a service says which ports it has", "a name alone");
    }
    return resolve || refuse(load, node, CONF_AT_NAME, "service= is asked for at run time",
                             "the word resolve with it");
}

bool discover_add(struct conf_load *load, const struct conf_node *node, struct group *g,
                  const struct peer *like)
{
    struct served *d = arena_must(conf_arena(load), sizeof *d);
    struct endpoint literal;

    *d = (struct served){ .group = g, .like = *like, .port = 80, .next = g->served };
    if (!endpoint_split(like->name, &d->host, &d->port))
        return false;
    if (endpoint_literal(conf_arena(load), d->host, d->port, &literal))
        return refuse(load, node, 0, "an address has nothing to resolve", "a name");
    if (!read_service(load, node, d))
        return false;
    d->id = ++g->next_id;
    g->changes = true;
    g->served = d;
    return true;
}

bool discover_only_backups(const struct group *g)
{
    for (const struct served *d = g->served; d != NULL; d = d->next)
        if (!d->like.backup)
            return false;
    return true;
}

/* ---- peers that come and go ----------------------------------------------------------------- */

static struct peer *find(const struct served *d, const struct endpoint *at)
{
    for (struct peer *p = d->group->peers; p != NULL; p = p->next)
        if (p->served == d && endpoint_eq(&p->at, at))
            return p;
    return NULL;
}

/* Behind the lock. False: no memory, or there are too many. */
static bool come(struct served *d, const struct endpoint *at, const struct peer *like)
{
    struct peer all = *like, *p;

    all.at = *at;
    all.served = d;
    all.id = 0;
    all.unchecked = d->group->mandatory;
    p = peer_grow(d->group, &all);
    if (p != NULL && group_join(d->group, p))
        return true;
    peer_wither(p);
    return false;
}

/* SRV says more of a server than the configuration (RFC 2782). */
static struct peer like_of(const struct served *d, const struct resolved *r, unsigned best)
{
    struct peer like = d->like;

    if (d->service.size == 0)
        return like;
    like.weight = r->weight > 0 ? r->weight : 1;
    like.backup |= r->priority > best;
    return like;
}

static void change(struct served *d, struct arena *arena)
{
    const struct lookup *l = &d->lookup;
    struct endpoint *at = arena_alloc(arena, (l->count + 1) * sizeof *at);
    struct peer *next;
    unsigned best = UINT16_MAX, kept;

    for (unsigned i = 0; at != NULL && i < l->count; i++) {
        best = l->found[i].priority < best ? l->found[i].priority : best;
        if (!endpoint_of(arena, &l->found[i].addr, &at[i]))
            at = NULL;
    }
    if (at == NULL)
        return;
    for (struct peer *p = d->group->peers; p != NULL; p = next) {
        next = p->next;
        for (kept = 0; kept < l->count && !endpoint_eq(&p->at, &at[kept]); kept++)
            ;
        if (p->served == d && kept == l->count)
            group_part(d->group, p);
    }
    for (unsigned i = 0; i < l->count; i++) {
        struct peer like = like_of(d, &l->found[i], best);

        if (find(d, &at[i]) == NULL && !come(d, &at[i], &like))
            break;
    }
    balance_changed(d->group);
}

/* ---- asking --------------------------------------------------------------------------------- */

static io_fire_fn on_due;

static void tell(struct served *d, enum lookup_outcome outcome)
{
    bool failed = outcome != LOOKUP_FOUND;

    if (failed && !d->failed)
        log_write(log_of_scope(d->group->scope->parent), LOG_WARN, 0,
                  "\"%.*s\" in upstream \"%.*s\" %s: %s", SLICE_FMT(d->like.name),
                  SLICE_FMT(d->group->name), "could not be resolved", lookup_why(outcome));
    d->failed = failed;
}

/* Who cannot be asked now is as before; who does not exist has no servers. */
static void on_found(struct lookup *l)
{
    struct served *d = container_of(l, struct served, lookup);
    int64_t ms = l->valid_ms > AGAIN_MS ? l->valid_ms : AGAIN_MS;
    struct arena arena;

    if (l->outcome == LOOKUP_FOUND || l->outcome == LOOKUP_NO_NAME) {
        arena_init(&arena, NULL, 0, 4096, 64 * 1024);
        pthread_mutex_lock(&d->group->lock);
        if (!d->gone)
            change(d, &arena);
        pthread_mutex_unlock(&d->group->lock);
        arena_done(&arena);
    }
    tell(d, l->outcome);
    if (l->outcome != LOOKUP_FOUND)
        ms = FAILED_MS;
    lookup_end(l);
    io_timer_set(d->loop->io, &d->timer, (uint64_t)ms * NS_PER_MS, on_due);
}

static void on_due(struct io *io, struct io_timer *timer)
{
    struct served *d = container_of(timer, struct served, timer);
    const struct resolver_conf *conf = scope_conf(d->group->scope, &feature_resolver);

    (void)io;
    d->lookup = (struct lookup){ .resolver = d->loop->resolver,
                                 .how = &conf->how,
                                 .name = d->host,
                                 .service = d->service,
                                 .port = d->port,
                                 .done = on_found };
    if (lookup_begin(&d->lookup))
        on_found(&d->lookup);
}

/* ---- from one generation to the next -------------------------------------------------------- */

static struct group *groups_of(const struct site *site)
{
    return site != NULL && site->http != NULL ? group_first(site->http) : NULL;
}

static bool same(const struct served *a, const struct served *b)
{
    return slice_eq(a->host, b->host) && slice_eq(a->service, b->service) && a->port == b->port;
}

static void take_from(struct served *d, struct group *old)
{
    pthread_mutex_lock(&old->lock);
    for (const struct peer *p = old->peers; p != NULL; p = p->next) {
        struct peer like = d->like;

        if (p->served == NULL || !same(d, p->served))
            continue;
        if (d->service.size > 0) {
            like.weight = p->weight;
            like.backup = p->backup;
        }
        if (find(d, &p->at) == NULL && !come(d, &p->at, &like))
            break;
    }
    pthread_mutex_unlock(&old->lock);
}

void discover_take(struct site *to, const struct site *from)
{
    for (struct group *g = groups_of(to); g != NULL && from != NULL; g = g->next) {
        struct group *old =
            g->served != NULL && from->http != NULL ? group_find_in(from->http, g->name) : NULL;

        for (struct served *d = old != NULL ? g->served : NULL; d != NULL; d = d->next)
            take_from(d, old);
        if (old != NULL)
            balance_changed(g);
    }
}

static void stop(struct served *d)
{
    if (d->loop == NULL)
        return;
    io_timer_stop(d->loop->io, &d->timer);
    lookup_end(&d->lookup);
    d->loop = NULL;
}

void discover_follow(struct loop *loop, struct site *from, struct site *to)
{
    for (struct group *g = groups_of(from); g != NULL; g = g->next) {
        pthread_mutex_lock(&g->lock);
        for (struct served *d = g->served; d != NULL; d = d->next)
            stop(d);
        pthread_mutex_unlock(&g->lock);
    }
    for (struct group *g = groups_of(to); g != NULL; g = g->next) {
        pthread_mutex_lock(&g->lock);
        for (struct served *d = g->served; d != NULL; d = d->next) {
            d->loop = loop;
            io_timer_set(loop->io, &d->timer, 0, on_due);
        }
        pthread_mutex_unlock(&g->lock);
    }
}

/* ---- said at run time ------------------------------------------------------------------------ */

struct served *discover_grow(struct group *g, const struct peer *like, struct slice service)
{
    size_t size = sizeof(struct served) + like->name.size + like->route.size + service.size;
    struct served *d = block_alloc(size);
    char *at = (char *)d + sizeof *d;

    if (d == NULL)
        return NULL;
    *d = (struct served){ .group = g, .like = *like, .port = 80, .grown = true };
    d->like.name = slice_put(&at, like->name);
    d->like.route = slice_put(&at, like->route);
    d->service = slice_put(&at, service);
    if (endpoint_split(d->like.name, &d->host, &d->port))
        return d;
    block_free(d);
    return NULL;
}

void discover_wither(struct served *d)
{
    block_free(d);
}

/* A loop that has left the group's generation has nothing to ask for. */
void discover_begin(struct loop *loop, struct served *d)
{
    const struct group *g = groups_of(loop->site);

    while (g != NULL && g != d->group)
        g = g->next;
    if (g == NULL || d->gone)
        return;
    d->loop = loop;
    io_timer_set(loop->io, &d->timer, 0, on_due);
}

void discover_end(struct loop *loop, struct served *d)
{
    (void)loop;
    stop(d);
    if (d->grown)
        block_free(d);
}
