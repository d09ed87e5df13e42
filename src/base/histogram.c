/* histogram.c - what a histogram says once it is filled. */
#include "base/histogram.h"

uint64_t histogram_bucket_top(uint32_t bucket)
{
    if (bucket < 1u << HISTOGRAM_BITS)
        return bucket;
    uint32_t shift = bucket / HISTOGRAM_HALF - 1;
    uint64_t step = bucket - shift * HISTOGRAM_HALF;
    return ((step + 1) << shift) - 1;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t histogram_at(const struct histogram *h, double share)
{
    double want = share * (double)h->count;
    uint64_t seen = 0;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > 0 && (double)seen >= want) {
            uint64_t top = histogram_bucket_top(i);
            return top < h->max ? top : h->max;
        }
    }
    return h->max;
}

double histogram_mean(const struct histogram *h)
{
    return h->count > 0 ? h->sum / (double)h->count : 0;
}
