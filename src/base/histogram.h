/* histogram.h - how often which value came: log-linear buckets, bounded relative error.
 *
 *   static struct histogram h;              zeroed: empty
 *   histogram_add(&h, nanoseconds);
 *   histogram_merge(&total, &h);
 *   uint64_t p99 = histogram_at(&h, 0.99);
 *
 * Values below 128 have a bucket each; above, every power of two is cut into 64 equal buckets, so
 * a value is told with an error below 1/64 of itself. What exceeds HISTOGRAM_MAX counts as that.
 * Two histograms are merged by adding their buckets: all have the same ones.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_BITS = 7, /* values below 1 << this are exact */
    HISTOGRAM_HALF = 1 << (HISTOGRAM_BITS - 1),
    HISTOGRAM_VALUE_BITS = 40,
    HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_BITS + 2) * HISTOGRAM_HALF,
};

#define HISTOGRAM_MAX ((UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1)

struct histogram {
    uint64_t count, max;
    double sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Which bucket a value at most HISTOGRAM_MAX falls into. */
static inline uint32_t histogram_bucket(uint64_t value)
{
    if (value < 1u << HISTOGRAM_BITS)
        return (uint32_t)value;
    uint32_t shift = 64 - HISTOGRAM_BITS - (uint32_t)__builtin_clzll(value);
    return shift * HISTOGRAM_HALF + (uint32_t)(value >> shift);
}

/* Counts one value. Never fails. */
static inline void histogram_add(struct histogram *h, uint64_t value)
{
    if (value > HISTOGRAM_MAX)
        value = HISTOGRAM_MAX;
    if (value > h->max)
        h->max = value;
    h->count++;
    h->sum += (double)value;
    h->buckets[histogram_bucket(value)]++;
}

/* The largest value of a bucket. */
uint64_t histogram_bucket_top(uint32_t bucket);

/* Adds all that `from` counted to `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest bucket's top that at least `share` (0..1) of the values do not exceed, but never
 * more than the largest value; 0 when nothing was counted. */
uint64_t histogram_at(const struct histogram *, double share);

/* The exact mean; 0 when nothing was counted. */
double histogram_mean(const struct histogram *);

#endif
