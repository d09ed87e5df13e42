/* zone.c - states by key in cells of one block: an index, an order of use, a list of free cells.
 *
 * Cells are counted from 1; 0 is none. So fresh pages, which are zero, are an empty index. */
#include "base/zone.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

/* The first cell of a state. The value comes behind it, then the key. */
struct state {
    uint32_t rest; /* the next cell of the same state, or of the free ones */
    uint32_t chain;
    uint32_t older, newer;
    uint32_t hash, key_size;
};

/* Any further one: more of the key. */
struct more {
    uint32_t rest;
    char key[];
};

struct zone_part {
    _Alignas(64) pthread_mutex_t lock;
    const struct zone *zone;
    uint32_t *buckets; /* as many as cells */
    char *cells;
    uint32_t free, used, untouched; /* cells from `untouched` on were never used */
    uint32_t newest, oldest, states;
};

struct zone {
    void *block;
    uint64_t size;
    uint32_t refs;
    uint32_t cell_size, cell_count; /* the count: of each part */
    uint32_t value_size, first_room, more_room;
    uint32_t part_bits;
    uint64_t common[ZONE_COMMON_SIZE / sizeof(uint64_t)];
    struct zone_part parts[];
};

/* ---- life --------------------------------------------------------------------------------- */

static uint32_t bits_for(uint64_t size)
{
    uint32_t bits = 0;

    while ((2u << bits) <= ZONE_PARTS_MAX && (size >> (bits + 1)) >= ZONE_PART_SIZE)
        bits++;
    return bits;
}

static void lay_out(struct zone *z, uint32_t value_size)
{
    uint64_t part_size = z->size >> z->part_bits, cells;

    z->value_size = (value_size + 7u) & ~7u;
    z->cell_size = (uint32_t)sizeof(struct state) + z->value_size + ZONE_KEY_ROOM;
    if (z->cell_size < ZONE_CELL_MIN)
        z->cell_size = ZONE_CELL_MIN;
    z->first_room = z->cell_size - (uint32_t)sizeof(struct state) - z->value_size;
    z->more_room = z->cell_size - (uint32_t)sizeof(struct more);
    /* 8 bytes: the index of an odd number of cells ends where a cell may not begin */
    cells = (part_size - 8) / (z->cell_size + sizeof(uint32_t));
    z->cell_count = cells < UINT32_MAX ? (uint32_t)cells : UINT32_MAX - 1;
}

static void part_init(struct zone *z, uint32_t i)
{
    struct zone_part *p = &z->parts[i];
    char *room = (char *)z->block + (z->size >> z->part_bits) / 8 * 8 * i;
    size_t index_size = (z->cell_count * sizeof *p->buckets + 7) / 8 * 8;

    CHECK(pthread_mutex_init(&p->lock, NULL) == 0);
    p->zone = z;
    p->buckets = (uint32_t *)(void *)room;
    p->cells = room + index_size;
    p->untouched = 1;
}

struct zone *zone_create(uint64_t size, uint32_t value_size)
{
    uint32_t bits = bits_for(size);
    size_t head = sizeof(struct zone) + (sizeof(struct zone_part) << bits);
    struct zone *z = aligned_alloc(_Alignof(struct zone), (head + 63) / 64 * 64);

    CHECK(size >= ZONE_SIZE_MIN);
    if (z == NULL)
        return NULL;
    memset(z, 0, head);
    z->size = size;
    z->refs = 1;
    z->part_bits = bits;
    lay_out(z, value_size);
    z->block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (z->block == MAP_FAILED) {
        free(z);
        return NULL;
    }
    for (uint32_t i = 0; i < 1u << bits; i++)
        part_init(z, i);
    return z;
}

struct zone *zone_hold(struct zone *z)
{
    __atomic_add_fetch(&z->refs, 1, __ATOMIC_RELAXED);
    return z;
}

void zone_drop(struct zone *z)
{
    if (__atomic_sub_fetch(&z->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (uint32_t i = 0; i < 1u << z->part_bits; i++)
        CHECK(pthread_mutex_destroy(&z->parts[i].lock) == 0);
    (void)munmap(z->block, z->size);
    free(z);
}

/* ---- cells --------------------------------------------------------------------------------- */

static void *cell_at(const struct zone_part *p, uint32_t cell)
{
    return p->cells + (size_t)(cell - 1) * p->zone->cell_size;
}

static struct state *state_at(const struct zone_part *p, uint32_t cell)
{
    return cell_at(p, cell);
}

static char *key_of(const struct zone_part *p, struct state *s)
{
    return (char *)(s + 1) + p->zone->value_size;
}

static uint32_t take_cell(struct zone_part *p)
{
    uint32_t cell = p->free;

    p->used++;
    if (cell == 0)
        return p->untouched++;
    p->free = state_at(p, cell)->rest;
    return cell;
}

static void give_cells(struct zone_part *p, uint32_t first)
{
    uint32_t last = first, count = 1;

    for (uint32_t next; (next = state_at(p, last)->rest) != 0; last = next)
        count++;
    state_at(p, last)->rest = p->free;
    p->free = first;
    p->used -= count;
}

static uint64_t cells_for(const struct zone *z, size_t key_size)
{
    if (key_size <= z->first_room)
        return 1;
    return 1 + (key_size - z->first_room + z->more_room - 1) / z->more_room;
}

/* ---- the order of use ---------------------------------------------------------------------- */

static void order_out(struct zone_part *p, struct state *s)
{
    *(s->older != 0 ? &state_at(p, s->older)->newer : &p->oldest) = s->newer;
    *(s->newer != 0 ? &state_at(p, s->newer)->older : &p->newest) = s->older;
}

static void order_in(struct zone_part *p, uint32_t cell)
{
    struct state *s = state_at(p, cell);

    s->newer = 0;
    s->older = p->newest;
    *(p->newest != 0 ? &state_at(p, p->newest)->newer : &p->oldest) = cell;
    p->newest = cell;
}

/* ---- the index ----------------------------------------------------------------------------- */

static uint32_t *bucket_of(const struct zone_part *p, uint32_t hash)
{
    return &p->buckets[(uint64_t)hash * p->zone->cell_count >> 32];
}

static bool key_is(const struct zone_part *p, struct state *s, struct slice key)
{
    const struct zone *z = p->zone;
    struct slice piece = slice_head(key, z->first_room);

    if (s->key_size != key.size || memcmp(key_of(p, s), key.at, piece.size) != 0)
        return false;
    for (uint32_t cell = s->rest; cell != 0;) {
        const struct more *m = cell_at(p, cell);

        key = slice_skip(key, piece.size);
        piece = slice_head(key, z->more_room);
        if (memcmp(m->key, piece.at, piece.size) != 0)
            return false;
        cell = m->rest;
    }
    return true;
}

static uint32_t look_up(const struct zone_part *p, struct slice key, uint32_t hash)
{
    uint32_t cell = *bucket_of(p, hash);

    while (cell != 0) {
        struct state *s = state_at(p, cell);

        if (s->hash == hash && key_is(p, s, key))
            return cell;
        cell = s->chain;
    }
    return 0;
}

static void forget(struct zone_part *p, uint32_t cell)
{
    struct state *s = state_at(p, cell);
    uint32_t *at = bucket_of(p, s->hash);

    while (*at != cell)
        at = &state_at(p, *at)->chain;
    *at = s->chain;
    order_out(p, s);
    give_cells(p, cell);
    p->states--;
}

static void write_key(struct zone_part *p, struct state *s, struct slice key)
{
    const struct zone *z = p->zone;
    struct slice piece = slice_head(key, z->first_room);
    uint32_t *rest = &s->rest;

    s->key_size = (uint32_t)key.size;
    memcpy(key_of(p, s), key.at, piece.size);
    for (key = slice_skip(key, piece.size); key.size > 0; key = slice_skip(key, piece.size)) {
        struct more *m = cell_at(p, *rest = take_cell(p));

        piece = slice_head(key, z->more_room);
        memcpy(m->key, piece.at, piece.size);
        rest = &m->rest;
    }
    *rest = 0;
}

static uint32_t make(struct zone_part *p, struct slice key, uint32_t hash)
{
    uint32_t cell = take_cell(p), *bucket = bucket_of(p, hash);
    struct state *s = state_at(p, cell);

    s->hash = hash;
    s->chain = *bucket;
    *bucket = cell;
    memset(s + 1, 0, p->zone->value_size);
    write_key(p, s, key);
    order_in(p, cell);
    p->states++;
    return cell;
}

/* ---- looking ------------------------------------------------------------------------------ */

static struct zone_part *part_of(struct zone *z, uint64_t hash)
{
    return &z->parts[z->part_bits > 0 ? hash >> (64 - z->part_bits) : 0];
}

static void lock(struct zone_part *p)
{
    CHECK(pthread_mutex_lock(&p->lock) == 0);
}

static void unlock(struct zone_part *p)
{
    CHECK(pthread_mutex_unlock(&p->lock) == 0);
}

/* Keys without bytes may have no address: memcmp() wants one. */
static struct slice somewhere(struct slice key)
{
    return key.size > 0 ? key : SLICE("");
}

static struct zone_spot spot_of(struct zone_part *p, uint32_t cell, bool fresh)
{
    return (struct zone_spot){ p, cell, fresh, state_at(p, cell) + 1 };
}

static bool make_room(struct zone_part *p, size_t key_size, enum zone_full full)
{
    uint64_t need = cells_for(p->zone, key_size);

    if (need > p->zone->cell_count)
        return false;
    while (p->zone->cell_count - p->used < need) {
        if (full == ZONE_REFUSE)
            return false;
        forget(p, p->oldest);
    }
    return true;
}

bool zone_enter(struct zone *z, struct slice key, enum zone_full full, struct zone_spot *ret)
{
    uint64_t hash = slice_hash(key);
    struct zone_part *p = part_of(z, hash);
    uint32_t cell;

    key = somewhere(key);
    lock(p);
    cell = look_up(p, key, (uint32_t)hash);
    if (cell != 0) {
        order_out(p, state_at(p, cell));
        order_in(p, cell);
        *ret = spot_of(p, cell, false);
        return true;
    }
    if (!make_room(p, key.size, full)) {
        unlock(p);
        return false;
    }
    *ret = spot_of(p, make(p, key, (uint32_t)hash), true);
    return true;
}

bool zone_find(struct zone *z, struct slice key, struct zone_spot *ret)
{
    uint64_t hash = slice_hash(key);
    struct zone_part *p = part_of(z, hash);
    uint32_t cell;

    lock(p);
    cell = look_up(p, somewhere(key), (uint32_t)hash);
    if (cell == 0) {
        unlock(p);
        return false;
    }
    *ret = spot_of(p, cell, false);
    return true;
}

void zone_leave(struct zone_spot *spot)
{
    unlock(spot->part);
}

void zone_remove(struct zone_spot *spot)
{
    forget(spot->part, spot->cell);
    unlock(spot->part);
}

unsigned zone_parts(const struct zone *z)
{
    return 1u << z->part_bits;
}

bool zone_oldest(struct zone *z, unsigned part, char *key, size_t size, struct zone_spot *ret)
{
    struct zone_part *p = &z->parts[part];
    struct state *s;

    lock(p);
    if (p->oldest == 0) {
        unlock(p);
        return false;
    }
    s = state_at(p, p->oldest);
    if (size > s->key_size)
        size = s->key_size;
    memcpy(key, key_of(p, s), size < z->first_room ? size : z->first_room);
    *ret = spot_of(p, p->oldest, false);
    return true;
}

void *zone_common(struct zone *z)
{
    return z->common;
}

uint64_t zone_count(struct zone *z)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < 1u << z->part_bits; i++) {
        lock(&z->parts[i]);
        count += z->parts[i].states;
        unlock(&z->parts[i]);
    }
    return count;
}

uint64_t zone_capacity(const struct zone *z)
{
    return (uint64_t)z->cell_count << z->part_bits;
}
