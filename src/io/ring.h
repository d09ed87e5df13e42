/* ring.h - an io_uring and its receive buffers: set up, filled, entered. Used by uring.c.
 *
 * liburing sets up and registers; the queues are walked here, because the one system call a
 * turn makes (submit and wait together, on a registered ring, with a timeout and the newest
 * flags) is not one that liburing 2.3 knows.
 */
#ifndef IO_RING_H
#define IO_RING_H

#include "io/engine.h"

#include <liburing.h>

enum { RING_SQES = 1024, RING_CQES = 16384, RING_BUFS_MAX = 32768, RING_SCRATCH = 256 };

/* Newer than the headers this is built with. */
enum {
    RING_ENTER_NO_IOWAIT = 1 << 7, /* 6.15: waiting is not counted as iowait         */
    RING_FEAT_NO_IOWAIT = 1 << 17,
};

/* A message header that must live until the next enter. */
struct ring_scratch {
    struct way_msg msg;
    struct iovec iov[IO_IOV_MAX];
};

struct ring {
    struct io_uring uring;
    struct io_uring_buf_ring *bufs;
    uint32_t bufs_mask;
    unsigned sq_tail;
    unsigned enter_flags;
    uint32_t scratch_used;
    struct ring_scratch scratch[RING_SCRATCH];
};

/* 0, or -errno and the step that was refused. */
int ring_open(struct ring *, const struct io_limits *, const char **ret_step);
void ring_close(struct ring *);

/* Room for one more request; submits the others first if there is none. */
struct io_uring_sqe *ring_sqe(struct ring *, struct io_stats *);
struct ring_scratch *ring_scratch_take(struct ring *, struct io_stats *);

/* Submits everything and waits for at most wait_ns for at least one completion. */
void ring_enter(struct ring *, struct io_stats *, uint64_t wait_ns);

/* Gives a buffer to the kernel. */
void ring_give(struct ring *, struct io_buf *, uint32_t room);

#endif
