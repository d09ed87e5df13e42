/* coding.h - content codings, and which of them a client accepts (RFC 9110 §8.4.1, §12.5.3).
 *
 *   struct coding_accept a;
 *   coding_accept_init(&a);
 *   coding_accept_read(&a, field->value);           once for each Accept-Encoding
 *   if (coding_weight(&a, CODING_GZIP) > 0) ...
 */
#ifndef WIRE_CODING_H
#define WIRE_CODING_H

#include "base/slice.h"

/* In the order in which the server prefers them. */
enum coding { CODING_BR, CODING_ZSTD, CODING_GZIP, CODING_IDENTITY, CODING_COUNT };

enum { CODING_WEIGHT_MAX = 1000 };

/* Weights in thousandths; -1: not named. */
struct coding_accept {
    int16_t named[CODING_COUNT];
    int16_t others; /* "*" */
};

/* Nothing was read yet: only the identity is accepted. */
void coding_accept_init(struct coding_accept *);

/* Adds the members of one Accept-Encoding. The first that names a coding counts. A member whose
 * weight cannot be read (RFC 9110 §12.4.2) is passed over, and so are codings not known here;
 * "x-gzip" is gzip (§8.4.1.3). */
void coding_accept_read(struct coding_accept *, struct slice value);

/* 0: must not be sent; else how much it is wanted, up to CODING_WEIGHT_MAX. The identity is
 * accepted unless it, or "*" without it, was given the weight 0. */
int coding_weight(const struct coding_accept *, enum coding);

/* The best of the codings in `offered` (bits 1 << coding): the largest weight, then the server's
 * order. CODING_IDENTITY if none is accepted, or if the client names the identity with a larger
 * weight. */
enum coding coding_best(const struct coding_accept *, unsigned offered);

/* "gzip", "br", "zstd", "identity" */
struct slice coding_name(enum coding);

#endif
