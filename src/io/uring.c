/* uring.c - the proactor: operations go to the kernel as they are, and come back done.
 *
 * One enter a turn submits what the last turn's callbacks asked for and waits. Accept is
 * multishot where the caller asked for many: one request serves a listener's whole life. Every
 * answer without "more to come" re-arms, whatever it says, unless the op is over.
 *
 * A request's user_data is direction, generation and number of its descriptor, never a pointer.
 * io.c closes a descriptor only when nothing flies on it, so an answer for a number that has
 * moved on cannot come; it is checked all the same.
 */
#include "io/ring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What an answer is about. */
enum tag { TAG_IN, TAG_IN_POLL, TAG_OUT, TAG_OUT_POLL, TAG_BELL, TAG_CANCEL };

enum { TAG_SHIFT = 32, GENERATION_SHIFT = 40, GENERATION_MASK = 0xffffff };

struct state {
    struct ring ring;
    int bell;
};

static struct ring *ring_of(struct io *io)
{
    return &((struct state *)io->state)->ring;
}

static struct io_uring_sqe *sqe_take(struct io *io)
{
    return ring_sqe(ring_of(io), io->stats);
}

static uint64_t name(const struct io *io, enum tag tag, int fd)
{
    uint64_t generation = io_way_at(io, fd)->generation & GENERATION_MASK;

    return (uint64_t)(uint32_t)fd | (uint64_t)tag << TAG_SHIFT | generation << GENERATION_SHIFT;
}

/* ---- birth and death --------------------------------------------------------------------- */

static void arm_bell(struct io *io)
{
    struct io_uring_sqe *sqe = sqe_take(io);

    io_uring_prep_poll_multishot(sqe, ((struct state *)io->state)->bell, POLLIN);
    io_uring_sqe_set_data64(sqe, (uint64_t)TAG_BELL << TAG_SHIFT);
}

static int uring_open(struct io *io)
{
    struct state *s = io->state;
    const char *step;

    if (io->bufs.total > RING_BUFS_MAX)
        io->bufs.total = RING_BUFS_MAX;
    int error = ring_open(&s->ring, &io->limits, &step);
    if (error != 0)
        return error;
    s->bell = bell_fd_open();
    if (s->bell < 0) {
        ring_close(&s->ring);
        return s->bell;
    }
    for (uint32_t i = 0; i < io->bufs.total; i++)
        ring_give(&s->ring, &io->bufs.all[i], io->limits.buf_size);
    arm_bell(io);
    return 0;
}

static void uring_close(struct io *io)
{
    struct state *s = io->state;

    ring_close(&s->ring);
    close(s->bell);
}

/* A blocking socket is what pends in every kernel. A listener is left as it is: other processes
 * may share it, and an accept that would block is asked again once it would not. */
static int uring_adopt(struct io *io, int fd)
{
    (void)io;
    return way_listens(fd) ? 0 : way_mode(fd, false);
}

static void uring_forget(struct io *io, int fd)
{
    struct io_way *w = io_way_at(io, fd);

    CHECK(w->watched == 0);
    free(w->msg);
}

static void uring_buf_home(struct io *io, struct io_buf *b)
{
    ring_give(ring_of(io), b, io->limits.buf_size);
}

static void uring_wake(struct io *io)
{
    bell_fd_ring(((struct state *)io->state)->bell);
}

/* ---- submitting -------------------------------------------------------------------------- */

/* The kernel has it from now on: it must answer before anything else becomes of the op. */
static void launch(struct io *io, const struct io_op *op, struct io_uring_sqe *sqe, enum tag tag)
{
    struct io_way *w = io_way_at(io, op->fd);
    unsigned direction = tag <= TAG_IN_POLL ? IO_READABLE : IO_WRITABLE;

    DCHECK((w->watched & direction) == 0);
    w->watched |= (uint8_t)direction;
    io_uring_sqe_set_data64(sqe, name(io, tag, op->fd));
}

static void submit_poll(struct io *io, struct io_op *op, enum tag tag)
{
    struct io_uring_sqe *sqe = sqe_take(io);

    io_uring_prep_poll_add(sqe, op->fd, tag == TAG_IN_POLL ? POLLIN : POLLOUT);
    launch(io, op, sqe, tag);
}

static void submit_accept(struct io *io, struct io_op *op, struct io_way *w)
{
    struct io_uring_sqe *sqe = sqe_take(io);

    (void)w;
    if (op->flags & IO_MULTI)
        io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC);
    else
        io_uring_prep_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC);
    launch(io, op, sqe, TAG_IN);
}

/* A request per answer, also for a multi op: multishot misses an end that comes together with the
 * last bytes (a reset on TCP, any end on Unix sockets; Linux 6.18), and costs as much.
 * With an unknown socket, data is rather not there yet: the kernel need not look first. */
static void submit_recv(struct io *io, struct io_op *op, struct io_way *w)
{
    struct io_uring_sqe *sqe = sqe_take(io);

    io_uring_prep_recv(sqe, op->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    if (!w->waiting)
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    launch(io, op, sqe, TAG_IN);
}

static void submit_recv_dgram(struct io *io, struct io_op *op, struct io_way *w)
{
    if (w->msg == NULL)
        w->msg = malloc(sizeof *w->msg);
    if (w->msg == NULL) {
        io_defer(io, op, io_result(-ENOMEM, 0));
        return;
    }
    way_msg_to_recv(w->msg, NULL, io_dgram_room(io->limits.buf_size));
    struct io_uring_sqe *sqe = sqe_take(io);

    io_uring_prep_recvmsg(sqe, op->fd, &w->msg->head, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    launch(io, op, sqe, TAG_IN);
}

/* TCP and the like go to the kernel as they are; a Unix socket connects at once or not at all,
 * and would make the kernel start a thread to wait for a full queue. */
static void submit_connect(struct io *io, struct io_op *op, struct io_way *w)
{
    (void)w;
    if (op->connect.addr->sa_family == AF_UNIX) {
        io_defer(io, op, io_result(way_connect(io, op), 0));
        return;
    }
    struct io_uring_sqe *sqe = sqe_take(io);

    io_uring_prep_connect(sqe, op->fd, op->connect.addr, op->connect.len);
    launch(io, op, sqe, TAG_OUT);
}

static void submit_send(struct io *io, struct io_op *op, struct io_way *w)
{
    int flags = MSG_WAITALL | MSG_NOSIGNAL | (op->flags & IO_HOLD ? MSG_MORE : 0);
    struct iovec rest[IO_IOV_MAX];
    int count = way_send_rest(op, rest);

    (void)w;
    if (count == 0) {
        io_defer(io, op, io_result((int32_t)op->send.sent, 0));
        return;
    }
    struct io_uring_sqe *sqe;

    if (count == 1) {
        sqe = sqe_take(io);
        io_uring_prep_send(sqe, op->fd, rest[0].iov_base, rest[0].iov_len, flags);
    } else {
        struct ring_scratch *s = ring_scratch_take(ring_of(io), io->stats);

        memcpy(s->iov, rest, (size_t)count * sizeof rest[0]);
        s->msg.head = (struct msghdr){ .msg_iov = s->iov, .msg_iovlen = (size_t)count };
        sqe = sqe_take(io);
        io_uring_prep_sendmsg(sqe, op->fd, &s->msg.head, (unsigned)flags);
    }
    launch(io, op, sqe, TAG_OUT);
}

static void submit_send_dgram(struct io *io, struct io_op *op, struct io_way *w)
{
    struct ring_scratch *s = ring_scratch_take(ring_of(io), io->stats);

    (void)w;
    way_msg_to_send(&s->msg, op);
    struct io_uring_sqe *sqe = sqe_take(io);

    io_uring_prep_sendmsg(sqe, op->fd, &s->msg.head, MSG_NOSIGNAL);
    launch(io, op, sqe, TAG_OUT);
}

/* There is no such operation, and splice would cost a kernel thread: the call itself, as far as
 * it goes without blocking, then a poll. */
static struct io_result sendfile_step(struct io *io, struct io_op *op, bool *ret_again)
{
    int error = way_sendfile(io, op);

    *ret_again = error == -EAGAIN;
    if (error == 0 && op->file.left > 0)
        error = -ENODATA;
    return io_result(error == 0 ? (int32_t)op->file.sent : error, 0);
}

static void submit_sendfile(struct io *io, struct io_op *op, struct io_way *w)
{
    bool again;
    struct io_result r = sendfile_step(io, op, &again);

    (void)w;
    if (again)
        submit_poll(io, op, TAG_OUT_POLL);
    else
        io_defer(io, op, r);
}

typedef void submit_fn(struct io *, struct io_op *, struct io_way *);

static submit_fn *const submits[] = {
    [IO_ACCEPT] = submit_accept,     [IO_CONNECT] = submit_connect,
    [IO_RECV] = submit_recv,         [IO_RECV_DGRAM] = submit_recv_dgram,
    [IO_SEND] = submit_send,         [IO_SEND_DGRAM] = submit_send_dgram,
    [IO_SENDFILE] = submit_sendfile,
};

static void uring_submit(struct io *io, struct io_op *op)
{
    submits[op->kind](io, op, io_way_at(io, op->fd));
}

static bool is_inbound(const struct io_op *op)
{
    return op->kind == IO_ACCEPT || op->kind == IO_RECV || op->kind == IO_RECV_DGRAM;
}

/* Both kinds of request that an op may have in the kernel have names; which of them it is, the
 * kernel finds out. That it found one needs no answer, that it found none is ignored. */
static void cancel_named(struct io *io, uint64_t user_data)
{
    struct io_uring_sqe *sqe = sqe_take(io);

    io_uring_prep_cancel64(sqe, user_data, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, (uint64_t)TAG_CANCEL << TAG_SHIFT);
}

static void uring_cancel(struct io *io, struct io_op *op)
{
    const struct io_way *w = io_way_at(io, op->fd);
    bool in = is_inbound(op);

    if ((w->watched & (in ? IO_READABLE : IO_WRITABLE)) == 0) {
        io_defer(io, op, io_result(-ECANCELED, 0)); /* between two requests */
        return;
    }
    cancel_named(io, name(io, in ? TAG_IN : TAG_OUT, op->fd));
    if (op->kind == IO_ACCEPT || op->kind == IO_SENDFILE)
        cancel_named(io, name(io, in ? TAG_IN_POLL : TAG_OUT_POLL, op->fd));
}

/* ---- completing -------------------------------------------------------------------------- */

/* The request is over, the op is not: another request, unless someone has cancelled it. */
static void again(struct io *io, struct io_op *op)
{
    if (op->doomed)
        io_defer(io, op, io_result(-ECANCELED, 0));
    else
        uring_submit(io, op);
}

static bool passing(int res)
{
    return res == -EAGAIN || res == -EINTR;
}

/* One result of a multi op. `armed`: the kernel's request goes on; else a new one is needed. */
static void deliver_one(struct io *io, struct io_op *op, struct io_result r, bool armed)
{
    struct io_way *w = io_way_at(io, op->fd);
    uint32_t generation = w->generation;

    if ((op->flags & IO_MULTI) == 0 || (!armed && op->doomed)) {
        io_deliver(io, op, r);
        return;
    }
    r.flags = IO_MORE;
    io_deliver(io, op, r);
    CHECK(w->generation == generation && w->in == op); /* L1: it was not final */
    if (!armed && op->state == IO_FLYING)
        again(io, op);
}

/* The kernel's request goes on: it must end before the op may. */
static void refuse_number(struct io *io, struct io_op *op, int res)
{
    op->result.res = res;
    io_cancel(io, op);
}

static void accepted(struct io *io, struct io_op *op, struct io_way *w,
                     const struct io_uring_cqe *cqe)
{
    bool armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
    int res = cqe->res >= 0 ? way_accepted(io, cqe->res) : cqe->res;

    (void)w;
    if (res >= 0)
        deliver_one(io, op, io_result(res, 0), armed);
    else if (armed)
        refuse_number(io, op, res);
    else if (res == -EAGAIN && !op->doomed)
        submit_poll(io, op, TAG_IN_POLL);
    else if (way_accept_absorbs(-res))
        again(io, op);
    else if (res == -ECANCELED && !op->doomed)
        again(io, op);
    else
        io_deliver(io, op,
                   io_result(res == -ECANCELED && op->result.res < 0 ? op->result.res : res, 0));
}

static struct io_buf *buf_of(struct io *io, const struct io_uring_cqe *cqe)
{
    if ((cqe->flags & IORING_CQE_F_BUFFER) == 0)
        return NULL;
    return io_buf_lend(io, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
}

static void received(struct io *io, struct io_op *op, struct io_way *w,
                     const struct io_uring_cqe *cqe)
{
    bool armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
    struct io_result r = io_result(cqe->res, 0);

    r.buf = buf_of(io, cqe);
    if (r.res <= 0 && r.buf != NULL) {
        io_buf_release(io, r.buf);
        r.buf = NULL;
    }
    w->waiting = (cqe->flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
    if (r.res > 0) {
        r.buf->used = 0;
        r.buf->filled = (uint32_t)r.res;
        if (op->kind == IO_RECV_DGRAM)
            way_msg_received(w->msg, io_buf_dgram_at(r.buf));
        deliver_one(io, op, r, armed);
    } else if (armed) {
        return;
    } else if (r.res == -ENOBUFS && !op->doomed) {
        io_starve(io, op);
    } else if (passing(r.res) || (r.res == -ECANCELED && !op->doomed) || r.res == -ENOBUFS ||
               (r.res == 0 && op->kind == IO_RECV_DGRAM)) {
        again(io, op);
    } else {
        io_deliver(io, op, r);
    }
}

static void sent(struct io *io, struct io_op *op, struct io_way *w, const struct io_uring_cqe *cqe)
{
    int res = cqe->res;

    (void)w;
    if (res > 0 && op->kind == IO_SEND) {
        op->send.sent += (uint32_t)res;
        if (op->send.sent == way_send_total(op))
            io_deliver(io, op, io_result((int32_t)op->send.sent, 0));
        else
            again(io, op); /* the error, if there is one, comes with the next */
    } else if (passing(res) || (res == -ECANCELED && !op->doomed)) {
        again(io, op);
    } else {
        io_deliver(io, op, io_result(res == 0 && op->kind == IO_SEND ? -EPIPE : res, 0));
    }
}

static void connected(struct io *io, struct io_op *op, struct io_way *w,
                      const struct io_uring_cqe *cqe)
{
    (void)w;
    if (passing(cqe->res))
        again(io, op);
    else
        io_deliver(io, op, io_result(cqe->res == -EISCONN ? 0 : cqe->res, 0));
}

static void file_goes_on(struct io *io, struct io_op *op, struct io_way *w,
                         const struct io_uring_cqe *cqe)
{
    bool full;

    (void)w;
    if (op->doomed) {
        io_deliver(io, op, io_result(-ECANCELED, 0));
        return;
    }
    if (cqe->res < 0 && !passing(cqe->res) && cqe->res != -ECANCELED) {
        io_deliver(io, op, io_result(cqe->res, 0));
        return;
    }
    struct io_result r = sendfile_step(io, op, &full);

    if (full)
        submit_poll(io, op, TAG_OUT_POLL);
    else
        io_deliver(io, op, r);
}

typedef void answer_fn(struct io *, struct io_op *, struct io_way *, const struct io_uring_cqe *);

static answer_fn *const answers[] = {
    [IO_ACCEPT] = accepted,       [IO_CONNECT] = connected, [IO_RECV] = received,
    [IO_RECV_DGRAM] = received,   [IO_SEND] = sent,         [IO_SEND_DGRAM] = sent,
    [IO_SENDFILE] = file_goes_on,
};

static void answer(struct io *io, const struct io_uring_cqe *cqe)
{
    enum tag tag = (cqe->user_data >> TAG_SHIFT) & 0xff;
    int fd = (int)(uint32_t)cqe->user_data;

    if (tag == TAG_CANCEL)
        return;
    if (tag == TAG_BELL) {
        bell_fd_drain(((struct state *)io->state)->bell);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0)
            arm_bell(io);
        offload_harvest(io);
        return;
    }
    struct io_way *w = io_way_at(io, fd);
    bool in = tag <= TAG_IN_POLL;
    struct io_op *op = in ? w->in : w->out;

    CHECK((w->generation & GENERATION_MASK) == cqe->user_data >> GENERATION_SHIFT);
    CHECK(op != NULL && w->watched & (in ? IO_READABLE : IO_WRITABLE));
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        w->watched &= (uint8_t) ~(in ? IO_READABLE : IO_WRITABLE);
    if (tag == TAG_IN_POLL)
        again(io, op);
    else
        answers[op->kind](io, op, w, cqe);
}

static void uring_wait(struct io *io, uint64_t wait_ns)
{
    struct io_uring_cq *cq = &ring_of(io)->uring.cq;

    ring_enter(ring_of(io), io->stats, wait_ns);
    io_woke(io);
    unsigned head = *cq->khead, tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);

    while (head != tail) {
        struct io_uring_cqe cqe = cq->cqes[head & cq->ring_mask];

        head++;
        __atomic_store_n(cq->khead, head, __ATOMIC_RELEASE);
        answer(io, &cqe);
    }
}

const struct io_engine io_engine_uring = {
    .name = "io_uring",
    .state_size = sizeof(struct state),
    .open = uring_open,
    .close = uring_close,
    .adopt = uring_adopt,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .wait = uring_wait,
    .wake = uring_wake,
    .forget = uring_forget,
    .buf_home = uring_buf_home,
};
