/* slice.h - bytes that live elsewhere: a pointer and a size. Passed by value, never freed.
 *
 *   struct slice name = SLICE("host");
 *   if (slice_eq_nocase(field->name, name)) ...
 *
 * A slice borrows its bytes; it is not NUL-terminated. An empty slice may have at == NULL.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include "base/check.h"

#include <stdbool.h>
#include <string.h>

struct slice {
    const char *at;
    size_t size;
};

#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })
#define SLICE_FMT(s) (int)(s).size, (s).at /* for "%.*s" */

static inline struct slice slice_of(const char *at, size_t size)
{
    return (struct slice){ at, size };
}

static inline struct slice slice_str(const char *nul_terminated)
{
    return (struct slice){ nul_terminated, strlen(nul_terminated) };
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

static inline struct slice slice_skip(struct slice s, size_t n)
{
    DCHECK(n <= s.size);
    return (struct slice){ n > 0 ? s.at + n : s.at, s.size - n };
}

static inline struct slice slice_head(struct slice s, size_t n)
{
    return (struct slice){ s.at, n < s.size ? n : s.size };
}

static inline unsigned char byte_lower(unsigned char c)
{
    return (unsigned char)(c - 'A') < 26 ? c | 0x20 : c;
}

/* ASCII case is ignored; other bytes must be equal. */
bool slice_eq_nocase(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);

/* Order: as memcmp, then the shorter first. */
int slice_cmp(struct slice a, struct slice b);

/* Index of the first `byte`, or s.size. */
size_t slice_find(struct slice s, char byte);

/* Index of the first `needle`, or s.size. An empty needle is found at 0. */
size_t slice_search(struct slice s, struct slice needle);

/* Cuts off and returns what stands before the first `byte`; *s continues behind it, or is
 * empty if there was none. */
struct slice slice_cut(struct slice *s, char byte);

/* Without SP and HTAB at both ends (RFC 9110 OWS). */
struct slice slice_trim(struct slice s);

/* 1*DIGIT and nothing else, value <= max: true and *ret, else false and *ret untouched. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *ret) MUST_USE;
/* 1*HEXDIG and nothing else, likewise. */
bool slice_hex_to_u64(struct slice s, uint64_t max, uint64_t *ret) MUST_USE;

/* Copies it to *at, which steps behind it. */
struct slice slice_put(char **at, struct slice s);

/* Keyed by a random number per process, so that peers cannot choose collisions. */
uint64_t slice_hash(struct slice s);
uint64_t slice_hash_nocase(struct slice s);

/* -1 if c is no hexadecimal digit. */
int hex_value(char c);

#endif
