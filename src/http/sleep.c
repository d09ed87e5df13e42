/* sleep.c - packs the slots of requests that wait, and unpacks them.
 *
 * Requests that wait for the same thing look much alike: same fields, same directives, same
 * pointers but for where the slot lies. So words that point into the slot are written as if each
 * slot lay at one place, and everything is deflated with the first such image as the dictionary:
 * what is left is what makes this request different.
 */
#include "http/sleep.h"

#include "base/block.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

enum {
    WORD = sizeof(uint64_t),
    WORDS = REQUEST_SLOT / WORD,
    WINDOW_BITS = 14, /* two slots: the dictionary's, and its own */
    MEMORY_LEVEL = 6,
    PACKED_MAX = REQUEST_SLOT / 4, /* what does not become that small is not worth it */
    PLACES_FIRST = 64,
};

/* Where all slots lie in an image: no pointer has such a value. */
#define IMAGE_AT UINT64_C(0xa5a5000000000000)

struct packed {
    struct packed *next;
    const struct request *of;
    uint16_t words, size;
    uint8_t bytes[];
};

struct sleepers {
    z_stream pack, unpack;
    struct packed **places; /* by address; a power of two of them */
    uint32_t place_count, count;
    size_t like_words; /* of `like`; 0: there is none yet */
    uint64_t like[WORDS], image[WORDS];
    uint8_t room[PACKED_MAX];
};

/* ---- the loop's --------------------------------------------------------------------------- */

static void destroy(struct sleepers *s)
{
    (void)deflateEnd(&s->pack);
    (void)inflateEnd(&s->unpack);
    free(s->places);
    free(s);
}

static struct sleepers *create(void)
{
    struct sleepers *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->place_count = PLACES_FIRST;
    s->places = calloc(s->place_count, sizeof(struct packed *));
    if (s->places != NULL &&
        deflateInit2(&s->pack, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -WINDOW_BITS, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) == Z_OK &&
        inflateInit2(&s->unpack, -WINDOW_BITS) == Z_OK &&
        inflateSetDictionary(&s->unpack, (const Bytef *)"", 1) == Z_OK) /* takes its window now */
        return s;
    destroy(s);
    return NULL;
}

void sleepers_destroy(struct loop *loop)
{
    if (loop->sleepers == NULL)
        return;
    CHECK(loop->sleepers->count == 0);
    destroy(loop->sleepers);
    loop->sleepers = NULL;
}

static struct packed **place_of(struct sleepers *s, const struct request *r)
{
    uint64_t number = (uintptr_t)r / REQUEST_SLOT * UINT64_C(0x9e3779b97f4a7c15);

    return &s->places[(number >> 32) & (s->place_count - 1)];
}

/* Long chains would be no fault either: without memory it stays as it is. */
static void more_places(struct sleepers *s)
{
    uint32_t before = s->place_count;
    struct packed **old = s->places, **all;

    if (s->count < before || (all = calloc(2 * (size_t)before, sizeof(struct packed *))) == NULL)
        return;
    s->places = all;
    s->place_count = 2 * before;
    for (uint32_t i = 0; i < before; i++) {
        for (struct packed *p = old[i], *next; p != NULL; p = next) {
            struct packed **at = place_of(s, p->of);

            next = p->next;
            p->next = *at;
            *at = p;
        }
    }
    free(old);
}

static void keep(struct sleepers *s, struct packed *p)
{
    more_places(s);
    struct packed **at = place_of(s, p->of);

    p->next = *at;
    *at = p;
    s->count++;
}

static struct packed *find(struct sleepers *s, const struct request *r)
{
    struct packed **at = place_of(s, r);

    while (*at != NULL && (*at)->of != r)
        at = &(*at)->next;
    struct packed *p = *at;

    CHECK(p != NULL);
    *at = p->next;
    s->count--;
    return p;
}

/* ---- images ------------------------------------------------------------------------------- */

/* Words that lie in from..from+REQUEST_SLOT are moved to `to`. False: one lies there already, and
 * would not come back. It reads what an arena has not given out, too. */
#define UNCHECKED __attribute__((no_sanitize("address")))
UNCHECKED static bool copy_words(uint64_t *into, const uint64_t *words, size_t count, uint64_t from,
                                 uint64_t to)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t w = words[i];

        if (w - to < REQUEST_SLOT)
            return false;
        into[i] = w - from < REQUEST_SLOT ? w - from + to : w;
    }
    return true;
}

static size_t words_of(const struct request *r)
{
    const struct arena *a = &r->arena;
    size_t used = a->blocks == NULL ? (size_t)(a->at - (const char *)r) : REQUEST_SLOT;

    return (used + WORD - 1) / WORD;
}

static void begin_pack(struct sleepers *s)
{
    CHECK(deflateReset(&s->pack) == Z_OK);
    CHECK(deflateSetDictionary(&s->pack, (const Bytef *)s->like, (uInt)(s->like_words * WORD)) ==
          Z_OK);
}

/* Into s->room; 0: it does not become small. */
static size_t pack(struct sleepers *s, size_t words)
{
    if (s->like_words == 0) {
        memcpy(s->like, s->image, words * WORD);
        s->like_words = words;
    }
    begin_pack(s);
    s->pack.next_in = (Bytef *)s->image;
    s->pack.avail_in = (uInt)(words * WORD);
    s->pack.next_out = s->room;
    s->pack.avail_out = sizeof s->room;
    return deflate(&s->pack, Z_FINISH) == Z_STREAM_END ? sizeof s->room - s->pack.avail_out : 0;
}

static void unpack(struct sleepers *s, struct packed *p)
{
    CHECK(inflateReset(&s->unpack) == Z_OK);
    CHECK(inflateSetDictionary(&s->unpack, (const Bytef *)s->like, (uInt)(s->like_words * WORD)) ==
          Z_OK);
    s->unpack.next_in = p->bytes;
    s->unpack.avail_in = p->size;
    s->unpack.next_out = (Bytef *)s->image;
    s->unpack.avail_out = (uInt)(p->words * WORD);
    CHECK(inflate(&s->unpack, Z_FINISH) == Z_STREAM_END && s->unpack.avail_out == 0);
}

/* ---- requests ----------------------------------------------------------------------------- */

static bool alone(const struct request *r)
{
    return r->parent == NULL && r->children == NULL && r->pins <= 1 && !r->ended && !r->running;
}

static bool pages_fit(const struct request *r)
{
    long page = sysconf(_SC_PAGESIZE);

    return page > 0 && REQUEST_SLOT % page == 0 && (uintptr_t)r % (uintptr_t)page == 0;
}

static struct packed *packed_from(struct sleepers *s, struct request *r)
{
    uint64_t at = (uintptr_t)r;
    size_t words = words_of(r), size;
    struct packed *p;

    if (r->captures_of == NULL)
        memset(r->captures, 0, sizeof r->captures);
    if (r->server_captures_of == NULL)
        memset(r->server_captures, 0, sizeof r->server_captures);
    if (!copy_words(s->image, (const uint64_t *)(const void *)r, words, at, IMAGE_AT))
        return NULL;
    size = pack(s, words);
    p = size > 0 ? block_alloc(sizeof *p + size) : NULL;
    if (p == NULL)
        return NULL;
    *p = (struct packed){ .of = r, .words = (uint16_t)words, .size = (uint16_t)size };
    memcpy(p->bytes, s->room, size);
    return p;
}

bool request_sleep(struct request *r)
{
    struct loop *loop = r->loop;
    struct packed *p;

    OBJ(r, REQUEST_MAGIC);
    if (!alone(r) || !pages_fit(r))
        return false;
    if (loop->sleepers == NULL)
        loop->sleepers = create();
    if (loop->sleepers == NULL)
        return false;
    p = packed_from(loop->sleepers, r);
    if (p == NULL)
        return false;
    if (madvise(r, REQUEST_SLOT, MADV_DONTNEED) != 0) { /* locked in memory: all is still there */
        block_free(p);
        return false;
    }
    CHECK(r->magic == 0);
    keep(loop->sleepers, p);
    return true;
}

void request_wake(struct loop *loop, struct request *r)
{
    struct sleepers *s = loop->sleepers;
    struct packed *p = find(s, r);

    unpack(s, p);
    CHECK(copy_words((uint64_t *)(void *)r, s->image, p->words, IMAGE_AT, (uintptr_t)r));
    block_free(p);
    OBJ(r, REQUEST_MAGIC);
}
