/* body.h - a body is pulled, one chunk at a time, by whoever is about to send it.
 *
 *   switch (body->ops->pull(body, max, &chunk)) {
 *   case BODY_CHUNK:  send chunk, then body->ops->sent(body, chunk.size) and pull again
 *   case BODY_LATER:  body will call request_body_ready(body->request)
 *   case BODY_END:    that was all
 *   case BODY_FAILED: what was promised will not come: the connection must break off
 *   }
 *   body->ops->drop(body);     exactly once, also after END and FAILED
 *
 * A filter is a body around a body. A chunk is borrowed from the body until sent() or drop().
 */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "base/slice.h"

struct body;
struct request;

/* Bytes in memory, or (file >= 0) a range of an open file, to be sent with sendfile. */
struct chunk {
    const char *at;
    size_t size;
    int file;
    uint64_t offset;
};

enum body_status { BODY_CHUNK, BODY_LATER, BODY_END, BODY_FAILED };

struct body_ops {
    const char *name; /* "file", "memory", "gzip"  */
    bool files;       /* chunks are mostly file ranges: large ones are welcome          */
    /* max: most bytes wanted now, > 0. A chunk has 1..max bytes. */
    enum body_status (*pull)(struct body *, size_t max, struct chunk *ret);
    void (*sent)(struct body *, size_t size); /* may be NULL               */
    void (*drop)(struct body *);              /* may be NULL               */
    /* A body of bytes [first, first + size) of this one, which was not pulled from yet and
     * stays alive until the request ends; NULL (slot): it cannot be done. Lives in the arena;
     * NULL (result): no memory. */
    struct body *(*slice)(struct body *, uint64_t first, uint64_t size);
};

/* Lives in the request's arena; what it holds beyond that (descriptors, cache references) is
 * given back by drop(). */
struct body {
    const struct body_ops *ops;
    struct body *from; /* the body a filter pulls from, or NULL              */
    struct request *request;
};

static inline void body_drop(struct body *b)
{
    if (b != NULL && b->ops->drop != NULL)
        b->ops->drop(b);
}

/* A body of bytes that outlive the request's answer (arena, constant, generation). NULL when
 * memory ran out. */
struct body *body_memory(struct request *, struct slice bytes) MUST_USE;

/* Bytes [offset, offset + size) of an open file, which must stay open until the request ends
 * (request_at_end() closes it). Fails if the file turns out shorter. */
struct body *body_file(struct request *, int file, uint64_t offset, uint64_t size) MUST_USE;

/* Bytes [first, first + size) of a body that has no slice(); what is before them is read and
 * thrown away. Takes from. NULL: no memory, and from is still the caller's. */
struct body *body_window(struct request *, struct body *from, uint64_t first,
                         uint64_t size) MUST_USE;

/* Several bodies, one behind the other (multipart/byteranges). Takes parts[0..count). */
struct body *body_chain(struct request *, struct body **parts, unsigned count) MUST_USE;

#endif
