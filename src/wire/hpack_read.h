/* hpack_read.h - header blocks of HTTP/2 become fields (RFC 7541), by nghttp2's decoder, which no
 * other file knows.
 *
 *   struct hpack_reader *r = hpack_reader_create();       one for each direction of a connection
 *   switch (hpack_read(r, bytes, last, add, arg)) …        for each frame of a block
 *
 * All of every block must be read, whoever still wants it: the table must be in step.
 */
#ifndef WIRE_HPACK_READ_H
#define WIRE_HPACK_READ_H

#include "base/slice.h"

struct hpack_reader;

/* Its table has the size that a connection begins with, 4096 bytes (RFC 9113 §6.5.2). NULL: no
 * memory. */
struct hpack_reader *hpack_reader_create(void) MUST_USE;
void hpack_reader_destroy(struct hpack_reader *); /* may be NULL */

/* Both are lent for the call. False: no more of them. */
typedef bool hpack_add_fn(void *arg, struct slice name, struct slice value);

enum hpack_verdict {
    HPACK_FINE,
    HPACK_BROKEN,  /* it cannot be decoded: COMPRESSION_ERROR, and the reader is of no use …  */
    HPACK_SHORT,   /* … it ends in the middle of a field: the same                            */
    HPACK_STOPPED, /* … add() said false                                                      */
};

/* Reads a part of a block; last: it ends with it. */
enum hpack_verdict hpack_read(struct hpack_reader *, struct slice, bool last, hpack_add_fn *,
                              void *arg) MUST_USE;

#endif
