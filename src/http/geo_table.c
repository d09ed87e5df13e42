/* geo_table.c - overlapping ranges of addresses cut into disjoint ones, once; then searched. */
#include "http/geo_table.h"

#include <stdlib.h>

struct geo_piece {
    geo_key first, last;
    const void *value;
};

/* ---- keys -------------------------------------------------------------------------------- */

static geo_key key_of(const uint8_t *bytes, size_t size)
{
    geo_key key = 0;

    for (size_t i = 0; i < size; i++)
        key = key << 8 | bytes[i];
    return key;
}

static bool key_of_addr(const struct addr *a, geo_key *ret, bool *ret_is_v6)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    *ret_is_v6 = false;
    if (a->family == AF_INET)
        *ret = key_of(a->ip, 4);
    else if (a->family == AF_INET6 && memcmp(a->ip, mapped, sizeof mapped) == 0)
        *ret = key_of(a->ip + sizeof mapped, 4);
    else if (a->family == AF_INET6) {
        *ret = key_of(a->ip, 16);
        *ret_is_v6 = true;
    } else
        return false;
    return true;
}

bool geo_read_net(struct slice text, struct geo_range *ret, bool *ret_is_v6, bool *ret_low_bits)
{
    struct addr_net net;
    unsigned width;
    geo_key host;

    if (!addr_net_parse(text, &net, ret_low_bits))
        return false;
    *ret_is_v6 = net.base.family == AF_INET6;
    width = *ret_is_v6 ? 128 : 32;
    host = net.bits == 0 ? ~(geo_key)0 : ((geo_key)1 << (width - net.bits)) - 1;
    if (!*ret_is_v6)
        host &= UINT32_MAX;
    *ret = (struct geo_range){ .rank = net.bits };
    ret->first = key_of(net.base.ip, width / 8) & ~host;
    ret->last = ret->first | host;
    return true;
}

bool geo_read_span(struct slice text, struct geo_range *ret, bool *ret_is_v6)
{
    size_t dash = slice_find(text, '-');
    struct addr_net first, last;
    bool low, other;

    if (dash == text.size || !addr_net_parse(slice_head(text, dash), &first, &low) ||
        !addr_net_parse(slice_skip(text, dash + 1), &last, &low))
        return false;
    *ret = (struct geo_range){ 0 };
    return key_of_addr(&first.base, &ret->first, ret_is_v6) &&
           key_of_addr(&last.base, &ret->last, &other) && *ret_is_v6 == other &&
           slice_find(text, '/') == text.size && ret->first <= ret->last;
}

/* ---- ranges as they were said -------------------------------------------------------------- */

static struct geo_side *side_of(struct geo_table *t, bool is_v6)
{
    return is_v6 ? &t->v6 : &t->v4;
}

void geo_table_add(struct geo_table *t, struct arena *arena, const struct geo_range *range,
                   bool is_v6)
{
    struct geo_side *s = side_of(t, is_v6);
    struct geo_range *copy = arena_must(arena, sizeof *copy);

    *copy = *range;
    copy->next = NULL;
    if (s->end == NULL)
        s->end = &s->ranges;
    *s->end = copy;
    s->end = &copy->next;
    s->count++;
}

struct geo_range *geo_table_same(struct geo_table *t, const struct geo_range *range, bool is_v6)
{
    struct geo_range *found = NULL;

    for (struct geo_range *r = side_of(t, is_v6)->ranges; r != NULL; r = r->next)
        if (r->first == range->first && r->last == range->last)
            found = r;
    return found;
}

void geo_table_remove(struct geo_table *t, struct geo_range *range, bool is_v6)
{
    struct geo_side *s = side_of(t, is_v6);
    struct geo_range **at = &s->ranges;

    while (*at != range)
        at = &(*at)->next;
    *at = range->next;
    if (s->end == &range->next)
        s->end = at;
    s->count--;
}

/* ---- cutting ------------------------------------------------------------------------------- */

/* `order`: how late it was said. */
struct said {
    struct geo_range *range;
    unsigned order;
};

static int by_first(const void *a, const void *b)
{
    const struct said *x = a, *y = b;

    return x->range->first < y->range->first ? -1 : x->range->first > y->range->first;
}

static bool counts_more(const struct said *a, const struct said *b)
{
    return a->range->rank != b->range->rank ? a->range->rank > b->range->rank : a->order > b->order;
}

static void swap(struct said *a, struct said *b)
{
    struct said c = *a;

    *a = *b;
    *b = c;
}

static void heap_push(struct said *heap, unsigned *size, struct said one)
{
    unsigned i = (*size)++;

    heap[i] = one;
    for (; i > 0 && counts_more(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&heap[i], &heap[(i - 1) / 2]);
}

static void heap_pop(struct said *heap, unsigned *size)
{
    unsigned i = 0;

    heap[0] = heap[--*size];
    for (;;) {
        unsigned best = i, left = 2 * i + 1;

        for (unsigned child = left; child < left + 2 && child < *size; child++)
            if (counts_more(&heap[child], &heap[best]))
                best = child;
        if (best == i)
            return;
        swap(&heap[i], &heap[best]);
        i = best;
    }
}

static void put_piece(struct geo_side *s, geo_key first, geo_key last, const void *value)
{
    struct geo_piece *before = s->piece_count > 0 ? &s->pieces[s->piece_count - 1] : NULL;

    if (before != NULL && before->value == value && before->last + 1 == first)
        before->last = last;
    else
        s->pieces[s->piece_count++] = (struct geo_piece){ first, last, value };
}

/* heap: those that hold the place `at`, the one that counts on top. It is given the place up to its
 * end, or to where the next one begins. */
static void cut(struct geo_side *s, struct said *sorted, struct said *heap)
{
    unsigned size = 0, next = 0;
    geo_key at = 0;

    while (size > 0 || next < s->count) {
        if (size == 0)
            at = sorted[next].range->first;
        while (next < s->count && sorted[next].range->first == at)
            heap_push(heap, &size, sorted[next++]);
        const struct geo_range *top = heap[0].range;
        geo_key last = top->last;

        if (next < s->count && sorted[next].range->first <= last)
            last = sorted[next].range->first - 1;
        put_piece(s, at, last, top->value);
        while (size > 0 && heap[0].range->last <= last)
            heap_pop(heap, &size);
        at = last + 1;
    }
}

static void build_side(struct geo_side *s, struct arena *arena)
{
    struct said *sorted = arena_must(arena, (s->count + 1) * sizeof *sorted);
    struct said *heap = arena_must(arena, (s->count + 1) * sizeof *heap);
    unsigned n = 0;

    for (struct geo_range *r = s->ranges; r != NULL; r = r->next, n++)
        sorted[n] = (struct said){ r, n };
    qsort(sorted, n, sizeof *sorted, by_first);
    s->pieces = arena_must(arena, (2 * (size_t)s->count + 1) * sizeof *s->pieces);
    s->piece_count = 0;
    cut(s, sorted, heap);
}

void geo_table_build(struct geo_table *t, struct arena *arena)
{
    build_side(&t->v4, arena);
    build_side(&t->v6, arena);
}

/* ---- searching ----------------------------------------------------------------------------- */

const void *geo_table_find(const struct geo_table *t, const struct addr *a)
{
    unsigned low = 0, high;
    const struct geo_side *s;
    geo_key key;
    bool is_v6;

    if (!key_of_addr(a, &key, &is_v6))
        return NULL;
    s = is_v6 ? &t->v6 : &t->v4;
    high = s->piece_count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (s->pieces[middle].last < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->piece_count && s->pieces[low].first <= key ? s->pieces[low].value : NULL;
}
