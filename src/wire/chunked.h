/* chunked.h - the chunked coding, read strictly (RFC 9112 §7.1).
 *
 *   struct chunked c;  chunked_init(&c, allow_bare_lf, trailer_max);
 *   while (size) {
 *       switch (chunked_feed(&c, bytes, size, &taken, &piece)) {
 *       case CHUNKED_DATA: use piece (borrowed from bytes), then go on behind taken
 *       case CHUNKED_MORE: all bytes were taken; wait
 *       case CHUNKED_DONE: the body ended; the next request begins behind taken
 *       case CHUNKED_BAD:  400 and close; c.why says why
 *       }
 *   }
 *
 * Extensions are checked and ignored, at most 256 bytes a chunk; overhead beyond 100 KiB plus
 * the amount of data is refused; trailer fields are validated like fields and dropped (or kept in
 * c.trailers, which the caller may set), at most trailer_max bytes and 100 of them.
 */
#ifndef WIRE_CHUNKED_H
#define WIRE_CHUNKED_H

#include "base/gather.h"

enum chunked_verdict { CHUNKED_MORE, CHUNKED_DATA, CHUNKED_DONE, CHUNKED_BAD };

struct chunked {
    uint8_t state, digits;
    bool allow_bare_lf, cr;
    uint64_t left;              /* bytes of the chunk still to come            */
    uint64_t content, overhead; /* totals                                      */
    uint32_t ext, trailer, trailer_max, trailer_count;
    struct gather *trailers; /* gets the trailer section as it comes; NULL: nobody wants it */
    const char *why;
};

void chunked_init(struct chunked *, bool allow_bare_lf, uint32_t trailer_max);
enum chunked_verdict chunked_feed(struct chunked *, const char *bytes, size_t size, size_t *taken,
                                  struct slice *piece);

#endif
