/* io.c - what all engines share: the table of descriptors, the close policy, the ready queue,
 * starvation, cancel's bookkeeping, and the turn. */
#include "io/engine.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { READY_ROUNDS = 8 }; /* of completions that submit what completes at once, in one turn */

/* ---- birth and death --------------------------------------------------------------------- */

static int ways_open(struct io *io)
{
    if (io->engine->fds_max != 0 && io->limits.fds > io->engine->fds_max)
        io->limits.fds = io->engine->fds_max;
    io->ways_size = (size_t)io->limits.fds * sizeof *io->ways;
    void *at = mmap(NULL, io->ways_size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    io->ways = at;
    return 0;
}

int io_init(struct io *io, const struct io_engine *engine, const struct io_limits *limits)
{
    io->engine = engine;
    io->limits = *limits;
    io->stats = &io->own_stats;
    if (io->home == NULL)
        io->home = io;
    io_queue_init(&io->ready);
    io_queue_init(&io->starved);
    io_queue_init(&io->later);
    return io_bufs_open(io);
}

void io_done(struct io *io)
{
    CHECK(io->flying == 0);
    CHECK(io->ready.first == NULL && io->starved.first == NULL);
    io_timers_close(io);
    io_bufs_close(io);
}

static int io_open(struct io *io, const struct io_engine *engine, const struct io_limits *limits)
{
    int error = io_init(io, engine, limits);
    if (error != 0)
        return error;
    error = ways_open(io);
    if (error == 0)
        error = offload_open(io);
    io->state = error == 0 ? calloc(1, engine->state_size) : NULL;
    if (error == 0 && io->state == NULL)
        error = -ENOMEM;
    if (error == 0)
        error = engine->open(io);
    io->now_ns = engine->clock != NULL ? engine->clock(io) : clock_mono_ns();
    return error;
}

static void io_free(struct io *io)
{
    if (io->offload != NULL)
        offload_close(io);
    free(io->state);
    if (io->ways != NULL)
        munmap(io->ways, io->ways_size);
    io_done(io);
    free(io);
}

struct io *io_create(const struct io_engine *engine, const struct io_limits *limits, int *error)
{
    CHECK(limits->fds > 0 && limits->bufs > 0 && limits->buf_size > 0);
    struct io *io = calloc(1, sizeof *io);
    *error = io != NULL ? io_open(io, engine, limits) : -ENOMEM;
    if (*error == 0)
        return io;
    if (io != NULL)
        io_free(io);
    return NULL;
}

void io_destroy(struct io *io)
{
    CHECK(!io->in_turn && io->home == io);
    CHECK(io->flying == 0);
    io->engine->close(io);
    io_free(io);
}

/* ---- descriptors ------------------------------------------------------------------------- */

bool io_fd_fits(const struct io *io, int fd)
{
    return fd >= io->fd_base && (uint32_t)(fd - io->fd_base) < io->limits.fds;
}

struct io_way *io_way_at(const struct io *io, int fd)
{
    CHECK(io_fd_fits(io, fd));
    return &io->ways[fd - io->fd_base];
}

int io_adopt(struct io *io, int fd)
{
    if (!io_fd_fits(io, fd))
        return -EMFILE;
    return io->engine->adopt(io, fd);
}

static bool is_inbound(const struct io_op *op)
{
    return op->kind == IO_ACCEPT || op->kind == IO_RECV || op->kind == IO_RECV_DGRAM;
}

/* Files that sim's sockets do not share numbers with have no way. */
static struct io_way *way_of_file(const struct io *io, int fd)
{
    return io_fd_fits(io, fd) ? io_way_at(io, fd) : NULL;
}

static bool way_quiet(const struct io_way *w)
{
    return w->in == NULL && w->out == NULL && w->reads == 0;
}

void io_leave(struct io *io, int fd)
{
    if (io->home == io || io->engine->forget == NULL)
        return;
    struct io_way *w = io_way_at(io, fd);

    CHECK(way_quiet(w));
    io->engine->forget(io, fd);
    w->generation++; /* who is in the middle of looking at it shall stop */
}

static struct io_op **way_slot(struct io_way *w, const struct io_op *op)
{
    return is_inbound(op) ? &w->in : &w->out;
}

/* ---- submitting -------------------------------------------------------------------------- */

static void op_born(struct io *io, struct io_op *op, enum io_kind kind, int fd, unsigned flags,
                    io_done_fn *done)
{
    CHECK(op->state == IO_REST);
    op->kind = (uint8_t)kind;
    op->state = IO_FLYING;
    op->flags = (uint8_t)flags;
    op->doomed = false;
    op->fd = fd;
    op->done = done;
    op->result = io_result(0, 0);
    io->flying++;
    io->stats->submitted++;
}

static void op_submit(struct io *io, struct io_op *op)
{
    struct io_way *w = io_way_at(io, op->fd);
    struct io_op **slot = way_slot(w, op);

    CHECK(*slot == NULL && w->closing == NULL); /* L8, and nothing after a close */
    *slot = op;
    if (op->fd >= io->home->fd_top)
        io->home->fd_top = op->fd + 1;
    io->engine->submit(io, op);
    io_touch(io);
}

void io_accept(struct io *io, struct io_op *op, int fd, unsigned flags, io_done_fn *done)
{
    op_born(io, op, IO_ACCEPT, fd, flags, done);
    op_submit(io, op);
}

void io_connect(struct io *io, struct io_op *op, int fd, const struct sockaddr *addr,
                socklen_t addr_size, io_done_fn *done)
{
    op_born(io, op, IO_CONNECT, fd, 0, done);
    op->connect.addr = addr;
    op->connect.len = addr_size;
    op_submit(io, op);
}

void io_recv(struct io *io, struct io_op *op, int fd, unsigned flags, io_done_fn *done)
{
    op_born(io, op, IO_RECV, fd, flags, done);
    op_submit(io, op);
}

void io_recv_dgram(struct io *io, struct io_op *op, int fd, unsigned flags, io_done_fn *done)
{
    op_born(io, op, IO_RECV_DGRAM, fd, flags, done);
    op_submit(io, op);
}

static void send_fill(struct io_op *op, const struct iovec *iov, int count,
                      const struct io_dgram *to)
{
    CHECK(count >= 0 && count <= IO_IOV_MAX);
    op->send.iov = iov;
    op->send.iov_count = (uint32_t)count;
    op->send.sent = 0;
    op->send.to = to;
    CHECK(way_send_total(op) <= IO_SEND_MAX);
}

void io_send(struct io *io, struct io_op *op, int fd, const struct iovec *iov, int iov_count,
             unsigned flags, io_done_fn *done)
{
    op_born(io, op, IO_SEND, fd, flags, done);
    send_fill(op, iov, iov_count, NULL);
    op_submit(io, op);
}

void io_send_dgram(struct io *io, struct io_op *op, int fd, const struct io_dgram *to,
                   const struct iovec *iov, int iov_count, io_done_fn *done)
{
    op_born(io, op, IO_SEND_DGRAM, fd, 0, done);
    send_fill(op, iov, iov_count, to);
    op_submit(io, op);
}

void io_sendfile(struct io *io, struct io_op *op, int fd, int file, uint64_t offset, uint32_t size,
                 io_done_fn *done)
{
    CHECK(size <= IO_SENDFILE_MAX);
    op_born(io, op, IO_SENDFILE, fd, 0, done);
    op->file.file = file;
    op->file.offset = offset;
    op->file.left = size;
    op->file.sent = 0;
    op_submit(io, op);
}

void io_read(struct io *io, struct io_op *op, int file, void *into, uint32_t size, uint64_t offset,
             io_done_fn *done)
{
    struct io_way *w = way_of_file(io, file);

    CHECK(w == NULL || (w->closing == NULL && w->reads < UINT16_MAX));
    op_born(io, op, IO_READ, file, 0, done);
    op->read.into = into;
    op->read.offset = offset;
    op->read.size = size;
    op->read.io = io;
    if (w != NULL)
        w->reads++;
    if (io->engine->work != NULL)
        io->engine->work(io, op);
    else
        offload_read(io, op);
    io_touch(io);
}

void io_work(struct io *io, struct io_op *op, io_work_fn *fn, io_done_fn *done)
{
    op_born(io, op, IO_WORK, -1, 0, done);
    op->work.fn = fn;
    op->work.io = io;
    if (io->engine->work != NULL)
        io->engine->work(io, op);
    else
        offload_work(io, op);
    io_touch(io);
}

void io_finish(struct io *io, int fd)
{
    if (io->engine->finish != NULL) {
        io->engine->finish(io, fd);
        return;
    }
    io->stats->syscalls++;
    (void)shutdown(fd, SHUT_WR); /* not connected any more: recv will say so */
}

/* ---- cancel and close -------------------------------------------------------------------- */

static void cancel_flying(struct io *io, struct io_op *op)
{
    bool helped = op->kind == IO_WORK || op->kind == IO_READ;

    if (!helped || io->engine->work != NULL)
        io->engine->cancel(io, op);
    else if (offload_cancel(io, op))
        io_defer(io, op, io_result(-ECANCELED, 0));
}

void io_cancel(struct io *io, struct io_op *op)
{
    if (op->state == IO_REST || op->kind == IO_CLOSE || op->doomed)
        return;
    op->doomed = true;
    io->stats->cancelled++;
    if (op->state == IO_STARVED)
        io->starved_doomed++; /* swept before the next wait; one for later ends in its turn */
    else if (op->state == IO_FLYING)
        cancel_flying(io, op);
    io_touch(io);
}

static void close_if_quiet(struct io *io, struct io_way *w)
{
    if (w->closing != NULL && w->closing->state == IO_FLYING && way_quiet(w))
        io_defer(io, w->closing, io_result(0, 0));
}

void io_close(struct io *io, struct io_op *op, int fd, io_done_fn *done)
{
    struct io_way *w = io_way_at(io, fd);

    CHECK(w->closing == NULL);
    op_born(io, op, IO_CLOSE, fd, 0, done);
    w->closing = op;
    if (w->in != NULL)
        io_cancel(io, w->in);
    if (w->out != NULL)
        io_cancel(io, w->out);
    if (w->reads > 0)
        offload_cancel_reads(io, fd);
    close_if_quiet(io, w);
    io_touch(io);
}

/* The number is the kernel's again when this returns. */
static int32_t close_now(struct io *io, int fd)
{
    struct io_way *w = io_way_at(io, fd);
    uint32_t generation = w->generation + 1;

    CHECK(way_quiet(w));
    if (io->engine->forget != NULL)
        io->engine->forget(io, fd);
    *w = (struct io_way){ .generation = generation };
    io->stats->syscalls++;
    int closed = io->engine->shut != NULL ? io->engine->shut(io, fd) : close(fd);
    return closed == 0 || errno == EINTR ? 0 : -errno;
}

/* ---- completing -------------------------------------------------------------------------- */

static void run_done(struct io *io, struct io_op *op, struct io_result r)
{
    CHECK(!io->in_done); /* L2 */
    io->in_done = true;
    io->ran++;
    op->done(io, op, r);
    io->in_done = false;
}

/* The op is at rest and may be freed by its done(): nothing of it is read behind that. */
static void complete(struct io *io, struct io_op *op, struct io_result r)
{
    struct io_way *w = NULL;
    int fd = op->fd;

    if (r.res == -ENOBUFS) /* L3; a caller can do about it what it does about ENOMEM */
        r.res = -ENOMEM;
    if (op->kind == IO_CLOSE) {
        r.res = close_now(io, fd);
    } else if (op->kind == IO_READ) {
        w = way_of_file(io, fd);
        if (w != NULL)
            w->reads--;
    } else if (op->kind != IO_WORK) {
        w = io_way_at(io, fd);
        CHECK(*way_slot(w, op) == op);
        *way_slot(w, op) = NULL;
    }
    op->state = IO_REST;
    io->flying--;
    io->stats->completed++;
    run_done(io, op, r);
    if (w != NULL)
        close_if_quiet(io, w);
}

void io_deliver(struct io *io, struct io_op *op, struct io_result r)
{
    CHECK(op->state == IO_FLYING);
    if (r.flags & IO_MORE)
        run_done(io, op, r);
    else
        complete(io, op, r);
}

void io_defer(struct io *io, struct io_op *op, struct io_result r)
{
    CHECK(op->state == IO_FLYING);
    op->state = IO_READY;
    op->result = r;
    io_queue_append(&io->ready, op);
    io_touch(io);
}

void io_starve(struct io *io, struct io_op *op)
{
    CHECK(op->state == IO_FLYING);
    op->state = IO_STARVED;
    io_queue_append(&io->starved, op);
    if (op->doomed)
        io->starved_doomed++;
    io->stats->starved++;
}

/* A result with IO_MORE waited in the queue: the op goes on behind it. */
static void deliver_more(struct io *io, struct io_op *op)
{
    struct io_way *w = io_way_at(io, op->fd);
    struct io_op **slot = way_slot(w, op);

    op->state = IO_FLYING;
    run_done(io, op, op->result);
    CHECK(*slot == op); /* L1: not final, so it is still ours */
    if (op->state != IO_FLYING)
        return; /* cancelled meanwhile, and the engine saw to it */
    if (op->doomed)
        io_defer(io, op, io_result(-ECANCELED, 0));
    else
        io->engine->submit(io, op);
}

void io_run_ready(struct io *io)
{
    for (int round = 0; round < READY_ROUNDS && io->ready.first != NULL; round++) {
        struct io_queue now = { io->ready.first, NULL };
        struct io_op *last = container_of(io->ready.end, struct io_op, next);

        io_queue_init(&io->ready);
        for (bool more = true; more;) {
            struct io_op *op = now.first;

            more = op != last;
            now.first = op->next;
            if (op->result.flags & IO_MORE)
                deliver_more(io, op);
            else
                complete(io, op, op->result);
        }
    }
}

void io_later(struct io *io, struct io_op *op)
{
    CHECK(op->state == IO_FLYING);
    op->state = IO_LATER;
    io_queue_append(&io->later, op);
}

struct io_op *io_later_take(struct io *io)
{
    while (io->later.first != NULL) {
        struct io_op *op = io_queue_take(&io->later);

        op->state = IO_FLYING;
        if (!op->doomed)
            return op;
        io_defer(io, op, io_result(-ECANCELED, 0));
    }
    return NULL;
}

/* ---- starvation -------------------------------------------------------------------------- */

static void sweep_starved(struct io *io)
{
    struct io_queue left;

    io_queue_init(&left);
    while (io->starved.first != NULL) {
        struct io_op *op = io_queue_take(&io->starved);

        if (op->doomed) {
            op->state = IO_FLYING;
            io_defer(io, op, io_result(-ECANCELED, 0));
        } else {
            io_queue_append(&left, op);
        }
    }
    if (left.first != NULL)
        io->starved = left;
    io->starved_doomed = 0;
}

static void feed_starved(struct io *io)
{
    if (io->starved_doomed > 0)
        sweep_starved(io);
    /* Each may take one, or find that nothing has come for it after all. */
    for (uint32_t most = io_bufs_left(io); most > 0 && io->starved.first != NULL; most--) {
        struct io_op *op = io_queue_take(&io->starved);

        op->state = IO_FLYING;
        io->engine->submit(io, op);
    }
}

/* ---- the turn ---------------------------------------------------------------------------- */

void io_woke(struct io *io)
{
    io->now_ns = io->engine->clock != NULL ? io->engine->clock(io) : clock_mono_ns();
    io->home->now_ns = io->now_ns;
    io->stats->turns++;
}

uint64_t io_patience(struct io *io, uint64_t wait_ns)
{
    feed_starved(io);
    if (io->ready.first != NULL || io->later.first != NULL ||
        (io->starved.first != NULL && io_bufs_left(io) > 0))
        return 0;
    uint64_t next = wait_ns > 0 ? io_timers_next(io) : UINT64_MAX;
    if (next == UINT64_MAX)
        return wait_ns;
    uint64_t now = io->engine->clock != NULL ? io->engine->clock(io) : clock_mono_ns();
    uint64_t left = next > now ? next - now : 0;
    return left < wait_ns ? left : wait_ns;
}

/* In stages: first all handlers, then all that they put off, then what came of that. */
static void handle_ready(struct io *io)
{
    io_run_ready(io);
    if (io->later.first == NULL)
        return;
    io->engine->flush(io);
    io_run_ready(io);
}

int io_turn(struct io *io, uint64_t wait_ns)
{
    CHECK(!io->in_turn && io->home == io);
    io->in_turn = true;
    io->ran = 0;
    handle_ready(io);
    io->engine->wait(io, io_patience(io, io->ran > 0 ? 0 : wait_ns));
    handle_ready(io);
    io_timers_run(io);
    if (io->ran > 0)
        io->turn++;
    io->in_turn = false;
    return (int)io->ran;
}

void io_wake(struct io *io)
{
    io->engine->wake(io);
}

uint64_t io_turn_number(const struct io *io)
{
    return io->turn;
}

/* A blocked branch read its clock long ago; who uses it now has its home's lock and clock. */
uint64_t io_now_ns(const struct io *io)
{
    return io->blocked ? io->home->now_ns : io->now_ns;
}

/* ---- branches ---------------------------------------------------------------------------- */

struct io *io_branch(struct io *home)
{
    return home->engine->branch != NULL ? home->engine->branch(home->home) : home;
}

void io_branch_end(struct io *branch)
{
    if (branch->engine->branch_end != NULL && branch->home != branch)
        branch->engine->branch_end(branch);
}

struct io *io_home(struct io *io)
{
    return io->home;
}
