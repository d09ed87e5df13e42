/* http1.h - HTTP/1.0 and 1.1 on one connection.
 *
 *   http1_open(loop, io_branch(loop->io), fd, listener_id);
 *
 * From then on the connection belongs to its state table (http1.c); it is freed when its close
 * has completed, and is found through loop->conns until then.
 */
#ifndef PROTO_HTTP1_H
#define PROTO_HTTP1_H

#include "proto/conn.h"

/* The size of loop->out_slab's slots. An odd number of cache lines: slots that began at the
 * same place in every page would push one another out of the cache. */
enum { HTTP1_OUT_SLOT = 16 * 1024 - 5 * 64 };

/* Takes fd when it returns true. False: no memory; the caller closes fd. */
bool http1_open(struct loop *, struct io *, int fd, unsigned listener_id) MUST_USE;

#endif
