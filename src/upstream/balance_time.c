/* balance_time.c - the peer that answers fastest.
 *
 * What a peer is asked for costs its average time for each request that it would have then, divided
 * by its weight. An average is of about the last eight answers.
 */
#include "upstream/balance.h"

enum { SHARE_BITS = 3, HALF_LIFE_MS = 10 * 1000, US_PER_MS = 1000 };

/* Loops do not see the same instant. */
static uint64_t since(uint64_t then, uint64_t now)
{
    return now > then ? now - then : 0;
}

/* A peer that nothing is known of costs nothing: it is asked, and then something is known. */
static uint64_t time_of(const struct pick *p, const struct peer *peer, uint64_t now)
{
    uint64_t halves = since(peer->timed_ms, now) / HALF_LIFE_MS;
    uint64_t us = halves < 32 ? peer->time_us >> halves : 0;

    if (p->group->inflight && peer->conns > 0) {
        uint64_t begun_ms = peer->begun_ms / (uint64_t)peer->conns;
        uint64_t so_far = since(begun_ms, now) * US_PER_MS;

        us = so_far > us ? so_far : us;
    }
    return us;
}

/* a's cost < b's, without a division */
bool peer_is_faster(const struct pick *p, const struct peer *a, const struct peer *b, uint64_t now)
{
    return time_of(p, a, now) * (uint64_t)(a->conns + 1) * (uint64_t)b->weight <
           time_of(p, b, now) * (uint64_t)(b->conns + 1) * (uint64_t)a->weight;
}

void peer_time_begin(struct pick *p, struct peer *peer, uint64_t now)
{
    p->asked_ms = now;
    p->header_us = p->last_us = 0;
    peer->begun_ms += now;
}

void peer_time_end(struct pick *p, struct peer *peer, bool failed, uint64_t now)
{
    uint64_t us = p->group->time == TIME_LAST_BYTE ? p->last_us : p->header_us;

    peer->begun_ms -= p->asked_ms;
    if (p->group->time == TIME_NONE || failed || us == 0)
        return;
    peer->time_us = peer->time_us == 0
                        ? us
                        : peer->time_us - (peer->time_us >> SHARE_BITS) + (us >> SHARE_BITS);
    peer->timed_ms = now;
}

static bool as_fast_as_best(struct pick *p, struct peer *peer)
{
    return !peer_is_faster(p, p->peer, peer, p->asked_ms);
}

/* The fastest; round robin among several. */
static struct peer *choose_least_time(struct pick *p, uint64_t now)
{
    struct peer *best = NULL;

    for (struct peer *peer = p->group->peers; peer != NULL; peer = peer->next)
        if (peer_usable(p, peer, now) && (best == NULL || peer_is_faster(p, peer, best, now)))
            best = peer;
    if (best == NULL)
        return NULL;
    p->peer = best; /* for as_fast_as_best() */
    p->asked_ms = now;
    best = balance_smooth(p, now, as_fast_as_best);
    p->peer = NULL;
    return best;
}

const struct balance balance_least_time = { "least_time", true, choose_least_time, NULL };
