/* file_body.h - an open file of the cache as a body. */
#ifndef HANDLER_FILE_BODY_H
#define HANDLER_FILE_BODY_H

#include "handler/file_cache.h"

/* All of f, for a request that holds f until its end. With sendfile it gives ranges of the file
 * of at most chunk_max bytes, each when it is in the page cache; without, bytes that were read.
 * Neither waits for the disk: a helper thread does. Fails if the file has become shorter.
 * NULL: memory ran out. */
struct body *file_body(struct request *, struct file *f, bool sendfile, size_t chunk_max) MUST_USE;

#endif
