/* scan.h - finding the first byte of a kind, sixteen at a time where the machine can.
 *
 *   size_t n = scan_ctl_padded(at, size);       index of the first such byte, or size
 *
 * The _padded functions may read, but never judge, SCAN_PAD bytes behind at[size]: the caller
 * owns those. The others read nothing behind.
 *
 *   ctl      a control byte: below SP, but not HTAB; or DEL
 *   gap      SP or below (HTAB too), or DEL, or '#', or `extra`
 *   byte     `c`
 */
#ifndef BASE_SCAN_H
#define BASE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { SCAN_PAD = 16 };

static inline bool scan_is_ctl(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static inline bool scan_is_gap(char c, char extra)
{
    return (unsigned char)c <= 0x20 || c == 0x7f || c == '#' || c == extra;
}

#ifdef __SSE2__

enum { SCAN_STEP = 16 };

static inline __m128i scan_load(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline __m128i scan_up_to(__m128i bytes, char most)
{
    return _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(most)), bytes);
}

static inline unsigned scan_ctl_in(__m128i bytes)
{
    __m128i low =
        _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')), scan_up_to(bytes, 0x1f));
    return (unsigned)_mm_movemask_epi8(
        _mm_or_si128(low, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f))));
}

static inline unsigned scan_ctl_bits(const char *at)
{
    return scan_ctl_in(scan_load(at));
}

static inline __m128i scan_load_half(const char *at)
{
    return _mm_loadl_epi64((const __m128i *)(const void *)at);
}

static inline __m128i scan_load_quarter(const char *at)
{
    int word;

    memcpy(&word, at, sizeof word);
    return _mm_cvtsi32_si128(word);
}

/* Are 4 to 15 bytes free of control bytes? The first and the last ones, which may overlap. */
static inline bool scan_few_clean(const char *at, size_t size)
{
    __m128i bytes;

    if (size >= 8) {
        bytes = _mm_unpacklo_epi64(scan_load_half(at), scan_load_half(at + size - 8));
    } else {
        bytes = _mm_unpacklo_epi32(scan_load_quarter(at), scan_load_quarter(at + size - 4));
        bytes = _mm_unpacklo_epi64(bytes, bytes);
    }
    return scan_ctl_in(bytes) == 0;
}

static inline unsigned scan_gap_bits(const char *at, char extra)
{
    __m128i bytes = scan_load(at);
    __m128i low = _mm_or_si128(scan_up_to(bytes, 0x20), _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
    __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('#')),
                                 _mm_cmpeq_epi8(bytes, _mm_set1_epi8(extra)));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, marks));
}

static inline unsigned scan_byte_bits(const char *at, char c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(scan_load(at), _mm_set1_epi8(c)));
}

#else

enum { SCAN_STEP = 1 };

static inline unsigned scan_ctl_bits(const char *at)
{
    return scan_is_ctl(*at);
}

static inline bool scan_few_clean(const char *at, size_t size)
{
    (void)at;
    (void)size;
    return false;
}

static inline unsigned scan_gap_bits(const char *at, char extra)
{
    return scan_is_gap(*at, extra);
}

static inline unsigned scan_byte_bits(const char *at, char c)
{
    return *at == c;
}

#endif

#define SCAN_PADDED(at, size, bits_of)                           \
    for (size_t i_ = 0; i_ < (size); i_ += SCAN_STEP) {          \
        const char *here = (at) + i_;                            \
        unsigned bits_ = (bits_of);                              \
        if (bits_ != 0) {                                        \
            size_t found_ = i_ + (unsigned)__builtin_ctz(bits_); \
            return found_ < (size) ? found_ : (size);            \
        }                                                        \
    }                                                            \
    return (size)

static inline size_t scan_ctl_padded(const char *at, size_t size)
{
    SCAN_PADDED(at, size, scan_ctl_bits(here));
}

static inline size_t scan_gap_padded(const char *at, size_t size, char extra)
{
    SCAN_PADDED(at, size, scan_gap_bits(here, extra));
}

static inline size_t scan_byte_padded(const char *at, size_t size, char c)
{
    SCAN_PADDED(at, size, scan_byte_bits(here, c));
}

static inline size_t scan_ctl_slow(const char *at, size_t size, size_t from)
{
    while (from < size && !scan_is_ctl(at[from]))
        from++;
    return from;
}

static inline size_t scan_ctl(const char *at, size_t size)
{
    size_t i = 0;
    if (size >= 4 && size < SCAN_STEP && scan_few_clean(at, size))
        return size;
    for (; size - i >= SCAN_STEP; i += SCAN_STEP) {
        unsigned bits = scan_ctl_bits(at + i);
        if (bits != 0)
            return i + (unsigned)__builtin_ctz(bits);
    }
    if (i == size || size < SCAN_STEP)
        return scan_ctl_slow(at, size, i);
    size_t last = size - SCAN_STEP; /* a whole step that overlaps what is known to be clean */
    unsigned bits = scan_ctl_bits(at + last);
    return bits != 0 ? last + (unsigned)__builtin_ctz(bits) : size;
}

#endif
