/* balance_hash.c - the same peer for the same client, or for the same key.
 *
 * consistent is the ring of ketama, as memcached clients have it: each peer stands at 160 places
 * per weight on a circle of 32 bits; a key belongs to the next place at or behind its own. A peer
 * that comes or goes moves its neighbours' keys alone.
 */
#include "upstream/balance.h"

#include "base/block.h"
#include "conf/expr.h"

#include <stdlib.h>
#include <zlib.h>

enum {
    PLACES = 160,
    ATTEMPTS_MAX = 20, /* then round robin decides                            */
    IP_SEED = 89,
    IP_FACTOR = 113,
    IP_MODULUS = 6271,
    KEY_MAX = 16 * 1024,
};

/* ---- the client's address ------------------------------------------------------------------- */

static bool begin_ip(struct pick *p)
{
    p->key = addr_bytes(request_client(p->request));
    if (p->key.size == 4)
        p->key.size = 3;
    p->hash = IP_SEED;
    return true;
}

/* The peer whose share of the weights has that number. */
static struct peer *by_weight(const struct group *g, uint64_t number)
{
    int64_t at = g->weights > 0 ? (int64_t)(number % (uint64_t)g->weights) : 0;

    for (struct peer *peer = g->peers; peer != NULL; peer = peer->next) {
        if (peer->backup)
            continue;
        at -= peer->weight;
        if (at < 0)
            return peer;
    }
    return NULL;
}

static struct peer *choose_ip(struct pick *p, uint64_t now)
{
    while (!p->backup && p->attempts++ < ATTEMPTS_MAX) {
        for (size_t i = 0; i < p->key.size; i++)
            p->hash = (p->hash * IP_FACTOR + (unsigned char)p->key.at[i]) % IP_MODULUS;
        struct peer *peer = by_weight(p->group, p->hash);

        if (peer != NULL && peer_usable(p, peer, now))
            return peer;
    }
    return NULL;
}

/* ---- any key -------------------------------------------------------------------------------- */

static uint32_t crc_of(struct slice text)
{
    return (uint32_t)crc32(0, (const Bytef *)text.at, (uInt)text.size);
}

static bool begin_hash(struct pick *p)
{
    if (!expr_eval(p->group->key, p->request, &p->request->arena, KEY_MAX, &p->key))
        return false;
    p->hash = p->group->consistent ? crc_of(p->key) : 0;
    return true;
}

/* The first attempt hashes the key, each further one a number in front of it. */
static uint32_t next_hash(const struct pick *p)
{
    char digits[16];
    uLong crc = crc32(0, NULL, 0);
    struct gather g;

    gather_init(&g, digits, sizeof digits, NULL, 0);
    if (p->attempts > 0)
        gather_u64(&g, p->attempts);
    crc = crc32(crc, (const Bytef *)digits, (uInt)g.used);
    crc = crc32(crc, (const Bytef *)p->key.at, (uInt)p->key.size);
    return ((uint32_t)crc >> 16) & 0x7fff;
}

static struct peer *choose_plain(struct pick *p, uint64_t now)
{
    for (; p->attempts < ATTEMPTS_MAX; p->attempts++) {
        p->hash += next_hash(p);
        struct peer *peer = by_weight(p->group, p->hash);

        if (peer != NULL && peer_usable(p, peer, now)) {
            p->attempts++;
            return peer;
        }
    }
    return NULL;
}

struct place {
    uint32_t hash;
    struct peer *peer;
};

struct ring {
    uint32_t count;
    struct place places[];
};

static int by_hash(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->peer->number > y->peer->number) - (x->peer->number < y->peer->number);
}

/* Host and port as written, a NUL between them, and the hash of the place before, low byte
 * first. A unix socket has no port. Peers that come and go stand where their addresses lead. */
static void stand(struct ring *ring, struct peer *peer)
{
    struct slice name = peer->served != NULL ? peer->at.text : peer->name;
    struct slice host = name, port = { 0 };
    uint16_t number = 0;
    uint32_t before = 0;

    if (!slice_starts(name, SLICE("unix:")) && endpoint_split(name, &host, &number) &&
        host.size < name.size)
        port = slice_skip(name, host.size + 1);
    if (slice_starts(name, SLICE("unix:")))
        host = slice_skip(name, 5);
    uLong base = crc32(crc32(0, NULL, 0), (const Bytef *)host.at, (uInt)host.size);

    base = crc32(base, (const Bytef *)"", 1);
    base = crc32(base, (const Bytef *)port.at, (uInt)port.size);
    for (int64_t i = 0; i < peer->weight * PLACES; i++) {
        unsigned char bytes[4] = { (unsigned char)before, (unsigned char)(before >> 8),
                                   (unsigned char)(before >> 16), (unsigned char)(before >> 24) };

        before = (uint32_t)crc32(base, bytes, sizeof bytes);
        ring->places[ring->count++] = (struct place){ before, peer };
    }
}

bool ring_make(struct arena *arena, struct group *g)
{
    size_t most = (size_t)(g->weights + 1) * PLACES;
    size_t size = sizeof(struct ring) + most * sizeof(struct place);
    struct ring *ring = arena != NULL ? arena_alloc(arena, size) : block_alloc(size);

    if (ring == NULL)
        return false;
    ring->count = 0;
    for (struct peer *peer = g->peers; peer != NULL; peer = peer->next)
        if (!peer->backup)
            stand(ring, peer);
    qsort(ring->places, ring->count, sizeof ring->places[0], by_hash);
    g->ring = ring;
    return true;
}

static uint32_t place_behind(const struct ring *ring, uint32_t hash)
{
    uint32_t low = 0, high = ring->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (ring->places[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low == ring->count ? 0 : low;
}

/* Peers that cannot be asked are passed over, as if they did not stand there. */
static struct peer *choose_consistent(struct pick *p, uint64_t now)
{
    const struct ring *ring = p->group->ring;
    uint32_t count = ring != NULL ? ring->count : 0;
    uint32_t at = count > 0 ? place_behind(ring, p->hash) : 0;

    for (uint32_t i = 0; i < count; i++) {
        struct peer *peer = ring->places[(at + i) % count].peer;

        if (peer_usable(p, peer, now))
            return peer;
    }
    return NULL;
}

static struct peer *choose_hash(struct pick *p, uint64_t now)
{
    if (p->backup)
        return NULL;
    return p->group->consistent ? choose_consistent(p, now) : choose_plain(p, now);
}

const struct balance balance_ip_hash = { "ip_hash", false, choose_ip, begin_ip };
const struct balance balance_hash = { "hash", false, choose_hash, begin_hash };
