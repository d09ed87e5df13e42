/* slice.c - looking at bytes: comparing, searching, cutting, reading numbers, hashing. */
#include "base/slice.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static bool bytes_eq_nocase(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (byte_lower((unsigned char)a[i]) != byte_lower((unsigned char)b[i]))
            return false;
    return true;
}

enum { WORD = sizeof(uint64_t) };

/* Bytes that differ in more than the bit of letters' cases are no two cases of a letter. */
static bool word_eq_nocase(const char *a, const char *b)
{
    uint64_t x, y;
    memcpy(&x, a, WORD);
    memcpy(&y, b, WORD);
    if (x == y)
        return true;
    return ((x ^ y) & ~UINT64_C(0x2020202020202020)) == 0 && bytes_eq_nocase(a, b, WORD);
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return false;
    if (a.size < WORD)
        return bytes_eq_nocase(a.at, b.at, a.size);
    for (size_t i = 0; i + WORD < a.size; i += WORD)
        if (!word_eq_nocase(a.at + i, b.at + i))
            return false;
    return word_eq_nocase(a.at + a.size - WORD, b.at + b.size - WORD);
}

bool slice_starts(struct slice s, struct slice prefix)
{
    return s.size >= prefix.size && slice_eq(slice_head(s, prefix.size), prefix);
}

bool slice_ends(struct slice s, struct slice suffix)
{
    return s.size >= suffix.size && slice_eq(slice_skip(s, s.size - suffix.size), suffix);
}

int slice_cmp(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.at, b.at, common) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

size_t slice_find(struct slice s, char byte)
{
    const char *found = s.size > 0 ? memchr(s.at, byte, s.size) : NULL;
    return found != NULL ? (size_t)(found - s.at) : s.size;
}

size_t slice_search(struct slice s, struct slice needle)
{
    if (needle.size == 0)
        return 0;
    if (s.size < needle.size)
        return s.size;
    const char *found = memmem(s.at, s.size, needle.at, needle.size);
    return found != NULL ? (size_t)(found - s.at) : s.size;
}

struct slice slice_cut(struct slice *s, char byte)
{
    size_t end = slice_find(*s, byte);
    struct slice before = slice_head(*s, end);
    *s = slice_skip(*s, end < s->size ? end + 1 : end);
    return before;
}

struct slice slice_trim(struct slice s)
{
    size_t from = 0;
    while (from < s.size && (s.at[from] == ' ' || s.at[from] == '\t'))
        from++;
    s.at += from;
    s.size -= from;
    while (s.size > 0 && (s.at[s.size - 1] == ' ' || s.at[s.size - 1] == '\t'))
        s.size--;
    return s;
}

/* Always inline, so that the base is a constant: ports and lengths are read in every request. */
__attribute__((always_inline)) static inline bool to_u64(struct slice s, unsigned base,
                                                         uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    if (s.size == 0)
        return false;
    for (size_t i = 0; i < s.size; i++) {
        unsigned digit = base == 10 ? (unsigned)s.at[i] - '0' : (unsigned)hex_value(s.at[i]);
        if (digit >= base || value > UINT64_MAX / base)
            return false;
        value *= base;
        if (value > UINT64_MAX - digit)
            return false;
        value += digit;
    }
    if (value > max)
        return false;
    *ret = value;
    return true;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *ret)
{
    return to_u64(s, 10, max, ret);
}

bool slice_hex_to_u64(struct slice s, uint64_t max, uint64_t *ret)
{
    return to_u64(s, 16, max, ret);
}

/* The seed is never 0: 0 says that it has not been drawn. Two threads may draw at once; the
 * first to store wins, so that every hash of this process uses one seed. */
static uint64_t hash_seed(void)
{
    static _Atomic uint64_t seed;
    uint64_t now = atomic_load_explicit(&seed, memory_order_relaxed);
    if (__builtin_expect(now != 0, 1))
        return now;
    uint64_t drawn = 0;
    if (getrandom(&drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn) {
        struct timespec t; /* no entropy source at all: better than a constant */
        clock_gettime(CLOCK_REALTIME, &t);
        drawn = (uint64_t)t.tv_nsec * 0x9e3779b97f4a7c15u ^ (uint64_t)(uintptr_t)&t;
    }
    drawn |= 1;
    return atomic_compare_exchange_strong(&seed, &now, drawn) ? drawn : now;
}

struct slice slice_put(char **at, struct slice s)
{
    char *copy = *at;

    if (s.size > 0)
        memcpy(copy, s.at, s.size);
    *at += s.size;
    return slice_of(copy, s.size);
}

uint64_t slice_hash(struct slice s)
{
    return XXH3_64bits_withSeed(s.size > 0 ? s.at : "", s.size, hash_seed());
}

static void lower_copy(char *into, struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        into[i] = (char)byte_lower((unsigned char)s.at[i]);
}

/* Long keys are folded piece by piece, each piece's hash seeding the next. */
uint64_t slice_hash_nocase(struct slice s)
{
    char piece[256];
    uint64_t hash = hash_seed();
    do {
        struct slice part = slice_head(s, sizeof piece);
        lower_copy(piece, part);
        hash = XXH3_64bits_withSeed(piece, part.size, hash);
        s = slice_skip(s, part.size);
    } while (s.size > 0);
    return hash;
}

int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    unsigned char lower = byte_lower((unsigned char)c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
