/* streams.c - a small table with a chain a bucket. */
#include "bench/streams.h"

#include "base/check.h"

#include <string.h>

enum { NOWHERE = UINT16_MAX };

static unsigned buckets_of(unsigned count)
{
    unsigned n = 1;

    while (n < count)
        n *= 2;
    return n;
}

size_t streams_size(unsigned count)
{
    return count * sizeof(struct stream) + buckets_of(count) * sizeof(uint16_t);
}

void streams_init(struct streams *t, unsigned count, void *memory)
{
    unsigned buckets = buckets_of(count);

    *t = (struct streams){ .all = memory, .count = (uint16_t)count };
    memset(memory, 0, streams_size(count));
    t->buckets = (uint16_t *)(void *)(t->all + count);
    t->mask = (uint16_t)(buckets - 1);
    for (unsigned i = 0; i < buckets; i++)
        t->buckets[i] = NOWHERE;
    for (unsigned i = 0; i < count; i++)
        t->all[i].next = i + 1 < count ? (uint16_t)(i + 1) : NOWHERE;
}

/* A client's streams are odd. */
static uint16_t *bucket_of(const struct streams *t, uint32_t id)
{
    return &t->buckets[(id >> 1) & t->mask];
}

struct stream *streams_add(struct streams *t, uint32_t id)
{
    uint16_t slot = t->free, *bucket = bucket_of(t, id);
    struct stream *s = &t->all[slot];

    CHECK(t->open < t->count);
    t->free = s->next;
    t->open++;
    *s = (struct stream){ .id = id, .state = STREAM_ASKED, .next = *bucket };
    *bucket = slot;
    return s;
}

struct stream *streams_find(const struct streams *t, uint32_t id)
{
    for (uint16_t slot = *bucket_of(t, id); slot != NOWHERE; slot = t->all[slot].next)
        if (t->all[slot].id == id)
            return &t->all[slot];
    return NULL;
}

void streams_remove(struct streams *t, struct stream *s)
{
    uint16_t slot = (uint16_t)(s - t->all), *at = bucket_of(t, s->id);

    while (*at != slot)
        at = &t->all[*at].next;
    *at = s->next;
    *s = (struct stream){ .next = t->free };
    t->free = slot;
    t->open--;
}
