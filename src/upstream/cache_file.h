/* cache_file.h - what stands at the beginning of a file of a cache: whose answer it is, how long it
 * is fresh, its status and fields. The body is behind it.
 *
 *   size = cache_head_peek(bytes)                    how much must be read; 0: it is none
 *   cache_head_read(bytes, &arena, &head)            false: damaged
 *   cache_head_write(&head, into)                    cache_head_size(&head) bytes
 *
 * A fixed part with numbers, low byte first, behind a mark with the format's version; then key,
 * Vary, entity tag and fields. A checksum is over all of it. Pure functions: nothing in a file is
 * believed before it was compared with what is there.
 */
#ifndef UPSTREAM_CACHE_FILE_H
#define UPSTREAM_CACHE_FILE_H

#include "base/arena.h"
#include "wire/field.h"

#include <stdint.h>

enum {
    CACHE_FIXED_SIZE = 128,
    CACHE_HEAD_MAX = 256 * 1024,
    CACHE_FIELDS_MAX = 256,
    CACHE_VARIANT_SIZE = 16
};

enum cache_flag {
    CACHE_OF_HEAD =
        1 << 0, /* the answer to a HEAD: it has no body, and GET is none of its business */
    CACHE_OF_POST = 1 << 1, /* … to a POST                                                       */
};

struct cache_head {
    uint64_t body_size;
    int64_t stored; /* seconds since 1970, as all times here                        */
    int64_t fresh_until;
    int64_t update_until;  /* stale-while-revalidate: after that, not while it is fetched  */
    int64_t error_until;   /* stale-if-error                                               */
    int64_t last_modified; /* -1: none                                                     */
    uint16_t status;
    uint16_t flags;
    uint64_t epoch; /* of the key: variants (Vary) of another one do not belong together */
    unsigned char variant[CACHE_VARIANT_SIZE]; /* of the request's fields that `vary` names  */
    struct slice key, vary, etag, modified;    /* modified: Last-Modified as it came         */
    const struct field *fields;
    uint32_t field_count;
};

/* 0: it is larger than CACHE_HEAD_MAX, or has more than CACHE_FIELDS_MAX fields. */
size_t cache_head_size(const struct cache_head *);
void cache_head_write(const struct cache_head *, char *into);

/* The first CACHE_FIXED_SIZE bytes of a file. */
size_t cache_head_peek(const char bytes[CACHE_FIXED_SIZE]);
/* All of a head, as many bytes as it says. Borrows them; the fields are the arena's. */
bool cache_head_read(struct slice bytes, struct arena *, struct cache_head *ret) MUST_USE;

#endif
