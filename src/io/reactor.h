/* reactor.h - how readiness is made to look like completion. For epoll, poll, select, threads.
 *
 * A reactor submits by trying, and parks what would block in the descriptor's way. A back end
 * only says "this fd became readable or writable" and is told which of both anyone waits for;
 * it never sees an op, so it cannot hold a stale one.
 *
 * Readiness is a hint, trying is the truth: an event about the fd's last owner costs one try.
 * The other way round, a direction that was found dry is not tried again until an event comes.
 */
#ifndef IO_REACTOR_H
#define IO_REACTOR_H

#include "io/engine.h"

int reactor_adopt(struct io *, int fd);
void reactor_submit(struct io *, struct io_op *);
void reactor_cancel(struct io *, struct io_op *);
void reactor_flush(struct io *);

/* From wait(): IO_READABLE, IO_WRITABLE; ended: the peer sent FIN or there is an error, so a
 * short read does not mean that the next one would block. */
void reactor_ready(struct io *, int fd, unsigned what, bool ended);

/* What a recv(2), or send(2), of a parked op returned; error is its errno. True: *r is to be
 * delivered. Takes the buffer. */
bool reactor_received(struct io *, struct io_op *, struct io_buf *, ssize_t n, int error,
                      struct io_result *);
bool reactor_sent(struct io *, struct io_op *, ssize_t n, int error, struct io_result *);

/* Tells the back end which directions are waited for, if that has changed. 0 or -errno. */
int reactor_rewatch(struct io *, int fd);

#endif
