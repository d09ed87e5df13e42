/* h2_link_private.h - what the two files of h2_link share: frames for the server. */
#ifndef UPSTREAM_H2_LINK_PRIVATE_H
#define UPSTREAM_H2_LINK_PRIVATE_H

#include "upstream/h2_link.h"

enum {
    /* The connection's window, which what comes opens again: streams bound what is kept. */
    LINK_CONNECTION = 4 * LINK_WINDOW,
    LINK_STREAM_LAST = H2_STREAM_MAX - 2,
};

/* Copies the payload. No memory, or too much that waits: l->no_memory. */
void h2_link_put(struct h2_link *, enum h2_type, unsigned flags, uint32_t stream,
                 const void *payload, size_t size);

/* WINDOW_UPDATE by `size`, of which the caller keeps the book. */
void h2_link_update(struct h2_link *, uint32_t stream, int64_t size);

#endif
