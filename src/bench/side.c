/* side.c - connections that are only there. */
#include "bench/side.h"

#include "bench/load.h"

static void on_side_closed(struct io *io, struct io_op *op, struct io_result result)
{
    struct side *s = container_of(op, struct side, closing);

    (void)io;
    (void)result;
    s->state = CLIENT_CLOSED;
    s->load->open--;
    if (s->load->stopping)
        io_wake(s->load->io);
}

static void side_close(struct side *s)
{
    if (s->state == CLIENT_CLOSED || s->state == CLIENT_CLOSING)
        return;
    s->state = CLIENT_CLOSING;
    io_close(s->io, &s->closing, s->fd, on_side_closed);
}

static void side_lost(struct side *s)
{
    if (s->state == CLIENT_OPEN)
        s->load->now.side_lost++;
    else
        load_error(s->load, BENCH_CONNECT, 1);
    side_close(s);
}

static void on_side_bytes(struct io *io, struct io_op *op, struct io_result result)
{
    struct side *s = container_of(op, struct side, in);

    if (result.buf != NULL)
        io_buf_release(io, result.buf);
    if (s->state != CLIENT_OPEN)
        return;
    if (result.res <= 0)
        side_lost(s);
    else if (!(result.flags & IO_MORE))
        io_recv(s->io, &s->in, s->fd, IO_MULTI, on_side_bytes);
}

static void on_side_sent(struct io *io, struct io_op *op, struct io_result result)
{
    struct side *s = container_of(op, struct side, out);

    (void)io;
    if (s->state == CLIENT_OPEN && result.res < 0)
        side_lost(s);
}

static void on_side_connected(struct io *io, struct io_op *op, struct io_result result)
{
    struct side *s = container_of(op, struct side, out);

    (void)io;
    if (s->state != CLIENT_CONNECTING)
        return;
    if (result.res < 0) {
        side_lost(s);
        return;
    }
    s->state = CLIENT_OPEN;
    s->sent = 0;
    io_recv(s->io, &s->in, s->fd, IO_MULTI, on_side_bytes);
}

static void side_open(struct side *s)
{
    const struct bench_plan *plan = s->load->plan;
    int fd = load_socket(s->load, s->io);

    if (fd < 0) {
        load_error(s->load, BENCH_CONNECT, 1);
        return;
    }
    s->fd = fd;
    s->state = CLIENT_CONNECTING;
    s->load->open++;
    io_connect(s->io, &s->out, fd, (const struct sockaddr *)&plan->to, plan->to_size,
               on_side_connected);
}

void side_init(struct side *s, struct load *load, bool trickles)
{
    *s = (struct side){ .load = load, .trickles = trickles, .fd = -1 };
}

void side_tick(struct side *s)
{
    struct slice request = s->load->plan->request;

    if (s->state == CLIENT_CLOSED) {
        side_open(s);
    } else if (s->state == CLIENT_OPEN && s->trickles && !io_busy(&s->out)) {
        s->iov = (struct iovec){ (void *)(uintptr_t)(request.at + s->sent), 1 };
        s->sent = s->sent + 1 < request.size ? s->sent + 1 : 0;
        io_send(s->io, &s->out, s->fd, &s->iov, 1, 0, on_side_sent);
    }
}

void side_stop(struct side *s)
{
    side_close(s);
}
