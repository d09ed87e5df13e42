/* balance.c - smooth weighted round robin, least connections, random; and how peers are judged. */
#include "upstream/balance.h"

#include "base/block.h"
#include "upstream/peers.h"
#include "upstream/queue.h"
#include "upstream/sticky.h"

#include <sys/random.h>

enum { AVERAGED = 8 /* answers, about */ };

static uint64_t now_ms(const struct pick *p)
{
    struct request *r = p->request;

    return loop_now_ns(r->loop, r->io) / 1000000u;
}

/* ---- who may be asked --------------------------------------------------------------------- */

static bool was_tried(const struct pick *p, const struct peer *peer)
{
    return (p->tried[peer->number / 8] & 1u << peer->number % 8) != 0;
}

static struct peer *mark_tried(struct pick *p, struct peer *peer)
{
    p->tried[peer->number / 8] |= (uint8_t)(1u << peer->number % 8);
    return peer;
}

/* The only one is asked whatever it did before. */
static bool fails_count(const struct pick *p, const struct peer *peer)
{
    return peer->max_fails > 0 && p->group->count > 1;
}

bool peer_usable(const struct pick *p, const struct peer *peer, uint64_t now)
{
    if (peer->down || peer->gone || peer->unhealthy || peer->unchecked ||
        peer->backup != p->backup || was_tried(p, peer))
        return false;
    if (peer->drain && peer != p->wanted)
        return false;
    if (peer->max_conns > 0 && peer->conns >= peer->max_conns)
        return false;
    return !fails_count(p, peer) || peer->fails < peer->max_fails ||
           now - peer->tried_ms > (uint64_t)peer->fail_timeout_ms;
}

/* ---- methods ------------------------------------------------------------------------------- */

enum { SHARE = 1024 }; /* of a weight: what grows with slow_start grows in such steps */

/* What a peer is given each time: its weight, or as much of it as it has got back. */
static int64_t share_of(const struct peer *peer, uint64_t now)
{
    uint64_t since = now - peer->back_ms;

    if (peer->back_ms == 0 || since >= (uint64_t)peer->slow_start_ms)
        return peer->effective * SHARE;
    return peer->effective * SHARE * (int64_t)since / peer->slow_start_ms;
}

/* Everybody's weight is added to what it has, and who has most pays for all: each gets its share,
 * and shares are mixed, not in blocks. */
struct peer *balance_smooth(struct pick *p, uint64_t now, bool (*may)(struct pick *, struct peer *))
{
    struct peer *best = NULL;
    int64_t total = 0;

    for (struct peer *peer = p->group->peers; peer != NULL; peer = peer->next) {
        if (!peer_usable(p, peer, now) || (may != NULL && !may(p, peer)))
            continue;
        peer->current += share_of(peer, now);
        total += share_of(peer, now);
        if (peer->effective < peer->weight)
            peer->effective++; /* back from a failure, step by step */
        if (best == NULL || peer->current > best->current)
            best = peer;
    }
    if (best != NULL)
        best->current -= total;
    return best;
}

static struct peer *choose_round_robin(struct pick *p, uint64_t now)
{
    return balance_smooth(p, now, NULL);
}

/* a/wa < b/wb, without a division */
static bool less_busy(const struct peer *a, const struct peer *b)
{
    return a->conns * b->weight < b->conns * a->weight;
}

static bool as_busy_as_asked(struct pick *p, struct peer *peer)
{
    return !less_busy(p->peer, peer);
}

/* The least busy one; round robin among several. */
static struct peer *choose_least_conn(struct pick *p, uint64_t now)
{
    struct peer *best = NULL;

    for (struct peer *peer = p->group->peers; peer != NULL; peer = peer->next)
        if (peer_usable(p, peer, now) && (best == NULL || less_busy(peer, best)))
            best = peer;
    if (best == NULL)
        return NULL;
    p->peer = best; /* for as_busy_as_asked() */
    best = balance_smooth(p, now, as_busy_as_asked);
    p->peer = NULL;
    return best;
}

static uint64_t random_below(uint64_t most)
{
    uint64_t n = 0;

    if (getrandom(&n, sizeof n, GRND_NONBLOCK) != (ssize_t)sizeof n)
        n = 0;
    return n % most;
}

static struct peer *one_at_random(struct pick *p, uint64_t now, const struct peer *but)
{
    int64_t total = 0, at;

    for (struct peer *peer = p->group->peers; peer != NULL; peer = peer->next)
        if (peer != but && peer_usable(p, peer, now))
            total += peer->weight;
    if (total == 0)
        return NULL;
    at = (int64_t)random_below((uint64_t)total);
    for (struct peer *peer = p->group->peers; peer != NULL; peer = peer->next) {
        if (peer == but || !peer_usable(p, peer, now))
            continue;
        at -= peer->weight;
        if (at < 0)
            return peer;
    }
    return NULL;
}

static struct peer *choose_random(struct pick *p, uint64_t now)
{
    struct peer *one = one_at_random(p, now, NULL);
    struct peer *other = one != NULL && p->group->two ? one_at_random(p, now, one) : NULL;

    if (other == NULL)
        return one;
    if (p->group->time != TIME_NONE)
        return peer_is_faster(p, other, one, now) ? other : one;
    return less_busy(other, one) ? other : one;
}

const struct balance balance_round_robin = { "round robin", true, choose_round_robin, NULL };
const struct balance balance_least_conn = { "least_conn", true, choose_least_conn, NULL };
const struct balance balance_random = { "random", false, choose_random, NULL };

/* ---- a request's turn ----------------------------------------------------------------------- */

bool balance_seal(struct arena *arena, struct group *g)
{
    return !g->consistent || ring_make(g->changes ? NULL : arena, g);
}

/* Without memory for a ring it is round robin. */
void balance_changed(struct group *g)
{
    g->version++;
    balance_forget(g);
    if (g->consistent && !ring_make(NULL, g))
        g->ring = NULL;
    queue_wake(g);
}

void balance_forget(struct group *g)
{
    if (!g->changes || !g->consistent)
        return;
    block_free(g->ring);
    g->ring = NULL;
}

/* ---- peers that come and go ------------------------------------------------------------------ */

static void hold(struct pick *p, struct peer *peer)
{
    uint8_t bit = (uint8_t)(1u << peer->number % 8);

    if (!p->group->changes || (p->held[peer->number / 8] & bit) != 0)
        return;
    p->held[peer->number / 8] |= bit;
    peer->users++;
}

/* The request has ended. */
static void let_go(void *arg)
{
    struct pick *p = arg;
    struct group *g = p->group;

    pthread_mutex_lock(&g->lock);
    for (unsigned n = 0; n < g->numbers; n += p->held[n / 8] == 0 ? 8 - n % 8 : 1)
        if ((p->held[n / 8] & 1u << n % 8) != 0)
            group_unuse(g, g->by_number[n]);
    pthread_mutex_unlock(&g->lock);
}

/* False: no memory. */
static bool begin_holding(struct pick *p, size_t size)
{
    struct request *r = p->request;

    p->held = arena_zalloc(&r->arena, size);
    if (p->held == NULL || !request_at_end(r, let_go, p))
        return false;
    pthread_mutex_lock(&p->group->lock);
    p->wanted = sticky_peer(r, p->group);
    if (p->wanted != NULL)
        hold(p, p->wanted);
    pthread_mutex_unlock(&p->group->lock);
    return true;
}

bool balance_begin(struct pick *p, struct group *g, struct request *r)
{
    *p = (struct pick){ .group = g, .request = r, .only = r->slots[SLOT_ONLY_PEER] };
    p->tried = arena_zalloc(&r->arena, g->numbers / 8 + 1);
    if (!g->changes)
        p->wanted = sticky_peer(r, g);
    else if (!begin_holding(p, g->numbers / 8 + 1))
        return false;
    if (p->tried == NULL || (g->balance->begin != NULL && !g->balance->begin(p)))
        return false;
    p->first_hash = p->hash;
    return true;
}

void balance_want(struct pick *p, const struct endpoint *at)
{
    pthread_mutex_lock(&p->group->lock);
    for (struct peer *peer = p->group->peers; peer != NULL; peer = peer->next) {
        if (!endpoint_eq(&peer->at, at))
            continue;
        p->wanted = peer;
        hold(p, peer);
        break;
    }
    pthread_mutex_unlock(&p->group->lock);
}

/* A session's backup is its server, too. */
static bool wanted_usable(struct pick *p, uint64_t now)
{
    bool among = p->backup, usable;

    if (p->wanted == NULL)
        return false;
    p->backup = p->wanted->backup;
    usable = peer_usable(p, p->wanted, now);
    p->backup = among;
    return usable;
}

static struct peer *choose(struct pick *p, uint64_t now)
{
    struct peer *peer = wanted_usable(p, now) ? p->wanted : p->group->balance->choose(p, now);

    if (peer == NULL && p->group->balance->choose != choose_round_robin)
        peer = choose_round_robin(p, now);
    return peer;
}

/* Behind the lock. */
static struct peer *choose_any(struct pick *p, uint64_t now)
{
    struct group *g = p->group;
    struct peer *peer = choose(p, now);

    if (peer != NULL || p->backup || g->backups == 0)
        return peer;
    p->backup = true;
    return choose_round_robin(p, now);
}

/* The same for a request that may wait: as if it came just now, when it has its turn. */
static struct peer *choose_in_turn(struct pick *p, uint64_t now)
{
    struct group *g = p->group;
    struct peer *peer = queue_first(g, p->waiter) ? choose_any(p, now) : NULL;

    if (p->waiter == NULL)
        return peer;
    if (peer != NULL) {
        queue_wake(g); /* there may be more */
        return peer;
    }
    p->backup = false;
    p->attempts = 0;
    p->hash = p->first_hash;
    queue_enter(g, p->waiter, p->request);
    return NULL;
}

struct peer *balance_next(struct pick *p)
{
    struct group *g = p->group;
    uint64_t now = now_ms(p);
    struct peer *peer;

    DCHECK(p->peer == NULL);
    if (p->only != NULL)
        return p->peer = was_tried(p, p->only) ? NULL : mark_tried(p, p->only);
    pthread_mutex_lock(&g->lock);
    peer = choose_in_turn(p, now);
    p->sent = p->received = p->header_us = p->last_us = p->status = 0;
    if (peer != NULL) {
        peer->conns++;
        peer->stats.requests++;
        peer->stats.selected_wall_ns = loop_wall_ns(p->request->loop);
        peer_time_begin(p, peer, now);
        if (now - peer->tried_ms > (uint64_t)peer->fail_timeout_ms)
            peer->tried_ms = now; /* one try; the others wait what comes of it */
        mark_tried(p, peer);
        hold(p, peer);
    }
    pthread_mutex_unlock(&g->lock);
    p->peer = peer;
    return peer;
}

/* Each failure takes its share of the weight; a success behind a bad time forgets that. */
static void judge(const struct pick *p, struct peer *peer, bool failed, uint64_t now)
{
    if (!fails_count(p, peer))
        return;
    if (!failed) {
        if (peer->failed_ms < peer->tried_ms && peer->fails >= peer->max_fails)
            peer->back_ms = now;
        if (peer->failed_ms < peer->tried_ms)
            peer->fails = 0;
        return;
    }
    peer->fails++;
    peer->stats.unavail += peer->fails == peer->max_fails;
    peer->failed_ms = peer->tried_ms = now;
    peer->effective -= peer->weight / peer->max_fails;
    if (peer->effective < 0)
        peer->effective = 0;
}

static void average(uint64_t *at, uint64_t us)
{
    if (us > 0)
        *at = *at == 0 ? us : (*at * (AVERAGED - 1) + us) / AVERAGED;
}

static void count(const struct pick *p, struct peer *peer, bool failed)
{
    struct peer_stats *s = &peer->stats;

    s->fails += failed;
    s->sent += p->sent;
    s->received += p->received;
    s->responses[p->status >= 100 && p->status < 600 ? p->status / 100 : 0]++;
    average(&s->header_us, p->header_us);
    average(&s->response_us, p->last_us);
}

void balance_done(struct pick *p, bool failed)
{
    struct peer *peer = p->peer;

    p->peer = NULL;
    if (peer == NULL || p->only != NULL)
        return;
    uint64_t now = now_ms(p);

    pthread_mutex_lock(&p->group->lock);
    peer->conns--;
    peer_time_end(p, peer, failed, now);
    count(p, peer, failed);
    judge(p, peer, failed, now);
    peer_settle(peer, loop_wall_ns(p->request->loop), now);
    queue_wake(p->group);
    pthread_mutex_unlock(&p->group->lock);
}

unsigned balance_tries(const struct pick *p)
{
    unsigned count = 0;

    pthread_mutex_lock(&p->group->lock);
    for (const struct peer *peer = p->group->peers; peer != NULL; peer = peer->next)
        count += !peer->down;
    pthread_mutex_unlock(&p->group->lock);
    return p->only != NULL ? 1 : count;
}
