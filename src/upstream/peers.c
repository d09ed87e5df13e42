/* peers.c - a group's peers: added while it is loaded, or coming and going at run time. */
#include "upstream/peers.h"

#include "base/block.h"
#include "upstream/balance.h"
#include "upstream/discover.h"
#include "upstream/sticky.h"

enum { MAX_FAILS = 1, FAIL_TIMEOUT_MS = 10 * 1000, NO_ID = 0 };

const struct peer plain_peer = {
    .weight = 1,
    .max_fails = MAX_FAILS,
    .fail_timeout_ms = FAIL_TIMEOUT_MS,
};

/* ---- one peer ------------------------------------------------------------------------------- */

struct peer *peer_grow(const struct group *g, const struct peer *like)
{
    size_t size = like->at.text.size + like->name.size + like->route.size + STICKY_ROUTE_SIZE;
    struct peer *p = block_alloc(sizeof *p + size);
    char *at = (char *)p + sizeof *p;

    if (p == NULL)
        return NULL;
    *p = *like;
    p->grown = true;
    p->next = NULL;
    p->at.text = slice_put(&at, like->at.text);
    p->name = slice_put(&at, like->name);
    p->route = slice_put(&at, like->route);
    if (sticky_route_of(g, p, at))
        return p;
    block_free(p);
    return NULL;
}

void peer_wither(struct peer *p)
{
    block_free(p);
}

/* ---- in its group --------------------------------------------------------------------------- */

void group_add(struct group *g, struct peer *p)
{
    p->number = g->count++;
    p->effective = p->weight;
    if (p->id == NO_ID)
        p->id = ++g->next_id;
    if (p->backup)
        g->backups++;
    else
        g->weights += p->weight;
    *g->end = p;
    g->end = &p->next;
}

bool group_seal(struct arena *arena, struct group *g)
{
    unsigned i = 0;

    g->numbers = g->changes ? PEERS_MAX : g->count;
    g->by_number = arena_zalloc(arena, (g->numbers > 0 ? g->numbers : 1) * sizeof(struct peer *));
    if (g->by_number == NULL)
        return false;
    for (struct peer *p = g->peers; p != NULL; p = p->next)
        g->by_number[i++] = p;
    return true;
}

bool group_join(struct group *g, struct peer *p)
{
    unsigned number = 0;

    while (number < g->numbers && g->by_number[number] != NULL)
        number++;
    if (number == g->numbers)
        return false;
    group_add(g, p);
    p->number = number;
    g->by_number[number] = p;
    return true;
}

static void release(struct group *g, struct peer *p)
{
    if (!p->gone || p->users > 0)
        return;
    g->by_number[p->number] = NULL;
    if (p->grown)
        block_free(p);
}

void group_part(struct group *g, struct peer *p)
{
    struct peer **at = &g->peers;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    if (g->end == &p->next)
        g->end = at;
    g->count--;
    g->backups -= p->backup;
    g->weights -= p->backup ? 0 : p->weight;
    p->gone = true;
    release(g, p);
}

void group_unuse(struct group *g, struct peer *p)
{
    p->users--;
    release(g, p);
}

void group_forget(void *group)
{
    struct group *g = group;
    struct peer *next;

    for (struct peer *p = g->peers; p != NULL; p = next) {
        next = p->next;
        if (p->grown)
            group_part(g, p);
    }
    for (struct served *d = g->served, *after; d != NULL; d = after) {
        after = d->next;
        if (d->grown)
            discover_wither(d);
    }
    balance_forget(g);
}

/* ---- how it is doing ------------------------------------------------------------------------ */

bool peer_unavailable(const struct group *g, const struct peer *p, uint64_t now_ms)
{
    return g->count > 1 && p->max_fails > 0 && p->fails >= p->max_fails &&
           now_ms - p->tried_ms <= (uint64_t)p->fail_timeout_ms;
}

void peer_settle(struct peer *p, int64_t wall_ns, uint64_t now_ms)
{
    struct peer_stats *s = &p->stats;
    bool off = p->unhealthy || p->unchecked || (p->max_fails > 0 && p->fails >= p->max_fails);

    if (off && s->off_ms == 0) {
        s->off_ms = now_ms;
        s->off_wall_ns = wall_ns;
    } else if (!off && s->off_ms != 0) {
        s->downtime_ms += now_ms - s->off_ms;
        s->off_ms = 0;
    }
}

/* ---- from one generation to the next --------------------------------------------------------- */

static void take_stats(struct group *g, struct group *old)
{
    pthread_mutex_lock(&old->lock);
    for (struct peer *p = g->peers; p != NULL; p = p->next)
        for (const struct peer *o = old->peers; o != NULL; o = o->next) {
            if (o->at.text.size == 0 || !slice_eq(o->at.text, p->at.text))
                continue;
            p->stats = o->stats;
            p->stats.off_ms = 0;
            break;
        }
    pthread_mutex_unlock(&old->lock);
}

void peers_take(struct site *to, const struct site *from)
{
    if (to->http == NULL || from == NULL || from->http == NULL)
        return;
    for (struct group *g = group_first(to->http); g != NULL; g = g->next) {
        struct group *old = group_find_in(from->http, g->name);

        if (old != NULL)
            take_stats(g, old);
    }
}
