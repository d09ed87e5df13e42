/* reactor.c - tries ops, parks those that would block, tries again when told to. */
#include "io/reactor.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What became of a try. PARK: it would block. STARVED: no buffer. */
enum verdict { FINAL, MORE, PARK, STARVED };

typedef enum verdict try_fn(struct io *, struct io_op *, struct io_way *, struct io_result *);

static enum verdict final(struct io_result *r, int32_t res)
{
    *r = io_result(res, 0);
    return FINAL;
}

/* ---- the tries --------------------------------------------------------------------------- */

static enum verdict try_accept(struct io *io, struct io_op *op, struct io_way *w,
                               struct io_result *r)
{
    int flags = SOCK_CLOEXEC | (io->engine->nonblock ? SOCK_NONBLOCK : 0);

    (void)w;
    for (int i = 0; i < IO_ACCEPTS_PER_TURN; i++) {
        io->stats->syscalls++;
        int fd = accept4(op->fd, NULL, NULL, flags);
        if (fd >= 0) {
            int32_t res = way_accepted(io, fd);
            *r = io_result(res, res >= 0 && op->flags & IO_MULTI ? IO_MORE : 0);
            return r->flags & IO_MORE ? MORE : FINAL;
        }
        if (errno == EAGAIN)
            break;
        if (!way_accept_absorbs(errno))
            return final(r, -errno);
    }
    return PARK;
}

static enum verdict try_connect(struct io *io, struct io_op *op, struct io_way *w,
                                struct io_result *r)
{
    (void)w;
    int error = way_connect(io, op);

    return error == -EINPROGRESS ? PARK : final(r, error);
}

/* A read that did not fill the buffer has emptied the socket: unless the peer is done, what
 * comes later will be announced, and asking before would be a wasted call. */
bool reactor_received(struct io *io, struct io_op *op, struct io_buf *b, ssize_t n, int error,
                      struct io_result *r)
{
    struct io_way *w = io_way_at(io, op->fd);

    if (n > 0) {
        if ((size_t)n < b->size && !w->ended && !w->records)
            w->dry |= IO_READABLE;
        b->used = 0;
        b->filled = (uint32_t)n;
        *r = io_result((int32_t)n, op->flags & IO_MULTI ? IO_MORE : 0);
        r->buf = b;
        return true;
    }
    io_buf_release(io, b);
    if (n < 0 && error == EAGAIN) {
        w->dry |= IO_READABLE;
        w->ended = false;
        return false;
    }
    *r = io_result(n < 0 ? -error : 0, 0);
    return n == 0 || error != EINTR;
}

static enum verdict try_recv(struct io *io, struct io_op *op, struct io_way *w, struct io_result *r)
{
    struct io_buf *b = io_buf_take(io);
    ssize_t n;

    (void)w;
    if (b == NULL)
        return STARVED;
    do {
        io->stats->syscalls++;
        n = recv(op->fd, b->bytes, b->size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (!reactor_received(io, op, b, n, errno, r))
        return PARK;
    return r->flags & IO_MORE ? MORE : FINAL;
}

static enum verdict try_recv_dgram(struct io *io, struct io_op *op, struct io_way *w,
                                   struct io_result *r)
{
    struct io_buf *b = io_buf_take(io);
    struct way_msg m;
    ssize_t n;

    if (b == NULL)
        return STARVED;
    way_msg_to_recv(&m, b->bytes, io_dgram_room(b->size));
    do {
        io->stats->syscalls++;
        n = recvmsg(op->fd, &m.head, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        way_msg_received(&m, io_buf_dgram_at(b));
        b->used = 0;
        b->filled = (uint32_t)n;
        *r = io_result((int32_t)n, op->flags & IO_MULTI ? IO_MORE : 0);
        r->buf = b;
        return r->flags & IO_MORE ? MORE : FINAL;
    }
    int error = n < 0 ? -errno : 0;
    io_buf_release(io, b);
    if (error != 0 && error != -EAGAIN)
        return final(r, error);
    if (error == -EAGAIN)
        w->dry |= IO_READABLE;
    return PARK;
}

/* A short write has filled the socket. */
bool reactor_sent(struct io *io, struct io_op *op, ssize_t n, int error, struct io_result *r)
{
    if (n > 0)
        op->send.sent += (uint32_t)n;
    if (op->send.sent == way_send_total(op)) {
        *r = io_result((int32_t)op->send.sent, 0);
        return true;
    }
    if (n < 0 && error != EAGAIN && error != EINTR) {
        *r = io_result(-error, 0);
        return true;
    }
    io_way_at(io, op->fd)->dry |= IO_WRITABLE;
    return false;
}

static enum verdict try_send(struct io *io, struct io_op *op, struct io_way *w, struct io_result *r)
{
    struct iovec rest[IO_IOV_MAX];
    struct msghdr m = { .msg_iov = rest, .msg_iovlen = (size_t)way_send_rest(op, rest) };
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (op->flags & IO_HOLD ? MSG_MORE : 0);
    ssize_t n = 0;

    (void)w;
    if (m.msg_iovlen == 0)
        return final(r, (int32_t)op->send.sent);
    do {
        io->stats->syscalls++;
        n = m.msg_iovlen == 1 ? send(op->fd, rest[0].iov_base, rest[0].iov_len, flags)
                              : sendmsg(op->fd, &m, flags);
    } while (n < 0 && errno == EINTR);
    return reactor_sent(io, op, n, errno, r) ? FINAL : PARK;
}

static enum verdict try_send_dgram(struct io *io, struct io_op *op, struct io_way *w,
                                   struct io_result *r)
{
    struct way_msg m;
    ssize_t n;

    way_msg_to_send(&m, op);
    do {
        io->stats->syscalls++;
        n = sendmsg(op->fd, &m.head, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        w->dry |= IO_WRITABLE;
        return PARK;
    }
    return final(r, n >= 0 ? (int32_t)n : -errno);
}

static enum verdict try_sendfile(struct io *io, struct io_op *op, struct io_way *w,
                                 struct io_result *r)
{
    int error = way_sendfile(io, op);

    if (error == -EAGAIN) {
        w->dry |= IO_WRITABLE;
        return PARK;
    }
    if (error == 0 && op->file.left > 0)
        error = -ENODATA;
    return final(r, error == 0 ? (int32_t)op->file.sent : error);
}

/* per_turn: how many results of a multi op are delivered before other descriptors' turn.
 *
 * staged: a turn receives from all that are ready, then runs all handlers, then sends for all.
 * The kernel's code and weir's would otherwise push each other out of the processor's caches with
 * every request (docs/decisions/0003-turns-have-stages.md). */
static const struct {
    try_fn *fn;
    uint8_t direction, per_turn;
    bool staged;
} tries[] = {
    [IO_ACCEPT] = { try_accept, IO_READABLE, IO_ACCEPTS_PER_TURN, false },
    [IO_RECV] = { try_recv, IO_READABLE, 1, true },
    [IO_RECV_DGRAM] = { try_recv_dgram, IO_READABLE, IO_DGRAMS_PER_TURN, false },
    [IO_CONNECT] = { try_connect, IO_WRITABLE, 1, false },
    [IO_SEND] = { try_send, IO_WRITABLE, 1, true },
    [IO_SEND_DGRAM] = { try_send_dgram, IO_WRITABLE, 1, false },
    [IO_SENDFILE] = { try_sendfile, IO_WRITABLE, 1, false },
};

static enum verdict try_op(struct io *io, struct io_op *op, struct io_way *w, struct io_result *r)
{
    if (w->dry & tries[op->kind].direction)
        return PARK;
    return tries[op->kind].fn(io, op, w, r);
}

/* ---- parking ----------------------------------------------------------------------------- */

static unsigned reactor_wants(const struct io_way *w)
{
    unsigned in = w->in != NULL && w->in->state == IO_FLYING ? IO_READABLE : 0;
    unsigned out = w->out != NULL && w->out->state == IO_FLYING ? IO_WRITABLE : 0;

    return in | out;
}

int reactor_rewatch(struct io *io, int fd)
{
    const struct io_way *w = io_way_at(io, fd);
    unsigned wants = reactor_wants(w);

    return wants == w->watched ? 0 : io->engine->watch(io, fd, wants);
}

/* ---- what engines call ------------------------------------------------------------------- */

static bool keeps_records(int fd)
{
    int type = SOCK_STREAM;
    socklen_t size = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type != SOCK_STREAM;
}

int reactor_adopt(struct io *io, int fd)
{
    io_way_at(io, fd)->records = keeps_records(fd);
    return way_mode(fd, io->engine->nonblock || way_listens(fd));
}

static void submit_now(struct io *io, struct io_op *op)
{
    struct io_way *w = io_way_at(io, op->fd);
    struct io_result r;

    switch (try_op(io, op, w, &r)) {
    case FINAL:
    case MORE:
        io_defer(io, op, r);
        return;
    case STARVED:
        io_starve(io, op);
        return;
    case PARK:
        break;
    }
    int error = reactor_rewatch(io, op->fd);
    if (error != 0)
        io_defer(io, op, io_result(error, 0));
}

void reactor_submit(struct io *io, struct io_op *op)
{
    bool late = tries[op->kind].staged && tries[op->kind].direction == IO_WRITABLE;

    if (late && io->engine->flush != NULL) /* a blocking thread serves one: no stages */
        io_later(io, op);
    else
        submit_now(io, op);
}

void reactor_flush(struct io *io)
{
    for (struct io_op *op = io_later_take(io); op != NULL; op = io_later_take(io))
        submit_now(io, op);
}

void reactor_cancel(struct io *io, struct io_op *op)
{
    int fd = op->fd;

    io_defer(io, op, io_result(-ECANCELED, 0));
    (void)reactor_rewatch(io, fd); /* asking for less cannot fail */
}

/* Runs the op that waits for this direction until it would block again or had its share. */
static void run_parked(struct io *io, struct io_way *w, struct io_op *const *slot)
{
    struct io_op *op = *slot;
    struct io_result r;

    if (op == NULL || op->state != IO_FLYING)
        return;
    uint32_t generation = w->generation;
    for (int share = tries[op->kind].per_turn; share > 0; share--) {
        enum verdict v = try_op(io, op, w, &r);

        if (tries[op->kind].staged && (v == FINAL || v == MORE)) {
            io_defer(io, op, r);
            return;
        }
        switch (v) {
        case FINAL:
            io_deliver(io, op, r);
            return;
        case MORE:
            io_deliver(io, op, r);
            break;
        case STARVED:
            io_starve(io, op);
            return;
        case PARK:
            return;
        }
        /* done() may have cancelled it, or closed the fd, and the number may be another's. */
        if (w->generation != generation || *slot != op || op->state != IO_FLYING)
            return;
    }
    /* More may be there. An edge-triggered poller will not say so again: the queue does. */
    if ((w->dry & tries[op->kind].direction) == 0 && op->kind != IO_ACCEPT)
        reactor_submit(io, op);
}

void reactor_ready(struct io *io, int fd, unsigned what, bool ended)
{
    struct io_way *w = io_way_at(io, fd);
    uint32_t generation = w->generation;

    w->dry &= (uint8_t)~what;
    w->ended |= ended;
    if (what & IO_WRITABLE)
        run_parked(io, w, &w->out);
    if (what & IO_READABLE && w->generation == generation)
        run_parked(io, w, &w->in);
    if (w->generation == generation)
        (void)reactor_rewatch(io, fd);
}
