/* side.h - connections beside the active ones: idle ones send nothing, trickling ones a byte of
 * a request each second (in HTTP/2 those of one request, then nothing). What comes back is thrown
 * away; what the server closes is opened again a second later. */
#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#include "bench/line.h"

struct side {
    struct line line;
    bool trickles;
    uint32_t sent; /* bytes of the request */
    struct iovec iov;
};

void side_init(struct side *, struct load *, bool trickles);

/* Once a second: opens it if it is closed, else sends a byte if it trickles. */
void side_tick(struct side *);

/* Closes it for good. */
void side_stop(struct side *);
void side_done(struct side *);

#endif
