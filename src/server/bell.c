/* bell.c - a byte through a socket pair. */
#include "server/bell.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int bell_open(struct bell *b)
{
    *b = (struct bell){ .ends = { -1, -1 } };
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b->ends) == 0 ? 0 : -errno;
}

static void on_byte(struct io *io, struct io_op *op, struct io_result r)
{
    struct bell *b = container_of(op, struct bell, hear);

    if (r.buf != NULL)
        io_buf_release(io, r.buf);
    if (r.res <= 0)
        return; /* taken down */
    if (!(r.flags & IO_MORE))
        io_recv(io, op, b->ends[0], IO_MULTI, on_byte);
    b->rung(b->arg);
}

int bell_hang(struct bell *b, struct io *io, void (*rung)(void *arg), void *arg)
{
    int error = io_adopt(io, b->ends[0]);

    if (error != 0)
        return error;
    b->io = io;
    b->rung = rung;
    b->arg = arg;
    io_recv(io, &b->hear, b->ends[0], IO_MULTI, on_byte);
    return 0;
}

void bell_ring(const struct bell *b)
{
    int before = errno;

    (void)!send(b->ends[1], "!", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    errno = before;
}

static void on_closed(struct io *io, struct io_op *op, struct io_result r)
{
    struct bell *b = container_of(op, struct bell, end);

    (void)io;
    (void)r;
    b->ends[0] = -1;
}

void bell_take_down(struct bell *b)
{
    if (b->ends[0] >= 0 && !io_busy(&b->end))
        io_close(b->io, &b->end, b->ends[0], on_closed);
}

bool bell_down(const struct bell *b)
{
    return b->ends[0] < 0;
}
