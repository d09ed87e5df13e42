/* outbox.h - frames for a server, gathered while others are being sent.
 *
 *   outbox_frame(&o, H2_PING, H2_ACK, 0, payload);
 *   bytes = outbox_fly(&o);  …send them…  and again
 *
 * It has no bound of its own: whoever writes knows how much may wait.
 */
#ifndef BENCH_OUTBOX_H
#define BENCH_OUTBOX_H

#include "wire/h2_frame.h"

struct outbox_bytes {
    uint8_t *at;
    size_t used, room;
};

/* Zeroed: empty. */
struct outbox {
    struct outbox_bytes next, flight;
    bool no_memory; /* something could not be written: the connection is of no use any more */
};

/* All copy what they are given. */
void outbox_bytes(struct outbox *, struct slice);
/* A frame of any size that the peer takes (RFC 9113 §4.2). */
void outbox_frame(struct outbox *, enum h2_type, unsigned flags, uint32_t stream,
                  struct slice payload);
void outbox_update(struct outbox *, uint32_t stream, uint32_t size);
void outbox_reset(struct outbox *, uint32_t stream, enum h2_error);
/* A block of fields as HEADERS and, if it needs them, CONTINUATION frames. */
void outbox_block(struct outbox *, uint32_t stream, struct slice block, bool ended);

/* All that was written, lent until the next call. */
struct slice outbox_fly(struct outbox *);

/* Gives back what it holds. */
void outbox_done(struct outbox *);

#endif
