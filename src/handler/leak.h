/* leak.h - a leaky bucket: how many requests a client is ahead of its rate. Pure arithmetic.
 *
 *   struct leak l;
 *   leak_first(&l, now_ms);                           the first request: nothing in excess
 *   int64_t excess = leak_next(&l, rate, now_ms);     if one more came now …
 *   if (excess <= burst)
 *       leak_store(&l, excess, now_ms);               … and it is counted
 *
 * Every request after the first adds one to the excess; `rate` of them leak away with the time.
 * All is counted in drops, LEAK_REQUEST of them a request: fine enough for one request a minute
 * to leak a whole number of drops each millisecond, so that nothing is lost by rounding, however
 * often it is counted.
 */
#ifndef HANDLER_LEAK_H
#define HANDLER_LEAK_H

#include "base/slice.h"

enum {
    LEAK_REQUEST = 60 * 1000 * 1000,
    LEAK_THOUSANDTH = LEAK_REQUEST / 1000,
    LEAK_REQUESTS_MAX = 1000 * 1000 * 1000 /* a burst, or a second */
};

struct leak {
    uint64_t last_ms;
    int64_t excess; /* drops */
};

/* "10r/s", "30r/m": in drops a millisecond. False: something else, or 0, or more than
 * LEAK_REQUESTS_MAX. */
bool leak_parse_rate(struct slice, int64_t *ret) MUST_USE;

void leak_first(struct leak *, uint64_t now_ms);

/* The excess if a request came now, at least 0. A time before the last one counts as the last:
 * threads see the clock at different moments. */
int64_t leak_next(const struct leak *, int64_t rate, uint64_t now_ms);

void leak_store(struct leak *, int64_t excess, uint64_t now_ms);

/* How long it takes until so many drops are gone, rounded up. */
uint64_t leak_wait_ms(int64_t drops, int64_t rate);

#endif
