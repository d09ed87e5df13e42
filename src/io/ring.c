/* ring.c - an io_uring and its receive buffers. */
#include "io/ring.h"

#include <errno.h>
#include <linux/time_types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { WORKERS_MAX = 2 }; /* kernel helper threads per ring: nothing here should need one */

/* ---- setting up -------------------------------------------------------------------------- */

static int queues_open(struct ring *r)
{
    struct io_uring_params p = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
        .cq_entries = RING_CQES,
    };
    int error = io_uring_queue_init_params(RING_SQES, &r->uring, &p);

    if (error != 0)
        return error;
    struct io_uring_sq *sq = &r->uring.sq;

    for (unsigned i = 0; i < sq->ring_entries; i++)
        sq->array[i] = i;
    r->sq_tail = *sq->ktail;
    r->enter_flags = IORING_ENTER_GETEVENTS;
    if (p.features & RING_FEAT_NO_IOWAIT)
        r->enter_flags |= RING_ENTER_NO_IOWAIT;
    return 0;
}

static bool features_missing(const struct ring *r)
{
    unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_FAST_POLL |
                      IORING_FEAT_CQE_SKIP | IORING_FEAT_SUBMIT_STABLE;

    return (r->uring.features & needed) != needed;
}

static int bufs_open(struct ring *r, const struct io_limits *limits)
{
    uint32_t entries = 1;

    while (entries < limits->bufs && entries < RING_BUFS_MAX)
        entries *= 2;
    r->bufs_mask = entries - 1;
    void *at = mmap(NULL, entries * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    r->bufs = at;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)at,
        .ring_entries = entries,
        .bgid = 0,
    };
    int error = io_uring_register_buf_ring(&r->uring, &reg, 0);
    if (error == 0)
        io_uring_buf_ring_init(r->bufs);
    return error;
}

static int parts_open(struct ring *r, const struct io_limits *limits, const char **ret_step)
{
    unsigned workers[2] = { WORKERS_MAX, WORKERS_MAX };

    *ret_step = "its features are too old";
    if (features_missing(r))
        return -EINVAL;
    *ret_step = "registering the receive buffers";
    int error = bufs_open(r, limits);
    if (error != 0)
        return error;
    (void)io_uring_register_iowq_max_workers(&r->uring, workers); /* a wish */
    if (io_uring_register_ring_fd(&r->uring) == 1)                /* another: saves a look-up */
        r->enter_flags |= IORING_ENTER_REGISTERED_RING;
    return 0;
}

int ring_open(struct ring *r, const struct io_limits *limits, const char **ret_step)
{
    r->bufs = NULL;
    r->scratch_used = 0;
    *ret_step = "io_uring_setup";
    int error = queues_open(r);
    if (error != 0)
        return error;
    error = parts_open(r, limits, ret_step);
    if (error != 0)
        ring_close(r);
    return error;
}

void ring_close(struct ring *r)
{
    io_uring_queue_exit(&r->uring);
    if (r->bufs != NULL)
        munmap(r->bufs, (size_t)(r->bufs_mask + 1) * sizeof(struct io_uring_buf));
}

/* ---- entering ---------------------------------------------------------------------------- */

static unsigned unsubmitted(const struct ring *r)
{
    return r->sq_tail - __atomic_load_n(r->uring.sq.khead, __ATOMIC_ACQUIRE);
}

static void publish(struct ring *r)
{
    __atomic_store_n(r->uring.sq.ktail, r->sq_tail, __ATOMIC_RELEASE);
}

/* A completion that was dropped (EBADR) would leave its op in flight for ever. */
static void check_entered(int res)
{
    CHECK(res >= 0 || res == -EINTR || res == -ETIME || res == -EAGAIN || res == -EBUSY ||
          res == -ENOMEM);
}

/* The queue is full in the middle of a turn: completions are not looked at here. */
static void flush(struct ring *r, struct io_stats *stats)
{
    unsigned registered = r->enter_flags & IORING_ENTER_REGISTERED_RING;

    publish(r);
    while (unsubmitted(r) > 0) {
        stats->syscalls++;
        int res = io_uring_enter2((unsigned)r->uring.enter_ring_fd, unsubmitted(r), 0, registered,
                                  NULL, 0);
        check_entered(res);
    }
    r->scratch_used = 0;
}

struct io_uring_sqe *ring_sqe(struct ring *r, struct io_stats *stats)
{
    if (unsubmitted(r) == r->uring.sq.ring_entries)
        flush(r, stats);
    return &r->uring.sq.sqes[r->sq_tail++ & r->uring.sq.ring_mask];
}

struct ring_scratch *ring_scratch_take(struct ring *r, struct io_stats *stats)
{
    /* The request it is for must find room without another flush: that would free it. */
    if (r->scratch_used == RING_SCRATCH || unsubmitted(r) == r->uring.sq.ring_entries)
        flush(r, stats);
    return &r->scratch[r->scratch_used++];
}

void ring_enter(struct ring *r, struct io_stats *stats, uint64_t wait_ns)
{
    struct __kernel_timespec t = {
        .tv_sec = (long long)(wait_ns / 1000000000u),
        .tv_nsec = (long long)(wait_ns % 1000000000u),
    };
    struct io_uring_getevents_arg arg = { .ts = (uint64_t)(uintptr_t)&t };
    bool timed = wait_ns > 0 && wait_ns != UINT64_MAX;
    int res;

    publish(r);
    stats->syscalls++;
    if (timed)
        res = io_uring_enter2((unsigned)r->uring.enter_ring_fd, unsubmitted(r), 1,
                              r->enter_flags | IORING_ENTER_EXT_ARG, (void *)&arg, sizeof arg);
    else
        res = io_uring_enter2((unsigned)r->uring.enter_ring_fd, unsubmitted(r), wait_ns > 0,
                              r->enter_flags, NULL, 0);
    check_entered(res);
    if (unsubmitted(r) == 0)
        r->scratch_used = 0;
}

void ring_give(struct ring *r, struct io_buf *b, uint32_t room)
{
    io_uring_buf_ring_add(r->bufs, b->bytes, room, (unsigned short)b->id, (int)r->bufs_mask, 0);
    io_uring_buf_ring_advance(r->bufs, 1);
}
