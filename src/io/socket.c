/* socket.c - sockets: made for io_connect(), asked whether their peer is silent, closed with last
 * words or with a reset. */
#include "io/engine.h"

#include <errno.h>
#include <unistd.h>

int io_socket(struct io *io, int family)
{
    if (io->engine->socket != NULL)
        return io->engine->socket(io);
    io->stats->syscalls++;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = fd < 0 ? -errno : io_adopt(io, fd);

    if (fd >= 0 && error < 0)
        close(fd);
    return error < 0 ? error : fd;
}

/* What the next recv(2) would return: bytes, 0 for the end, -errno. */
static ssize_t peek(struct io *io, int fd)
{
    char byte;
    ssize_t size = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    io->stats->syscalls++;
    return size < 0 ? -errno : size;
}

bool io_silent(struct io *io, int fd)
{
    return io->engine->silent != NULL ? io->engine->silent(io, fd) : peek(io, fd) == -EAGAIN;
}

bool io_alive(struct io *io, int fd)
{
    ssize_t next;

    if (io->engine->silent != NULL)
        return io->engine->silent(io, fd);
    next = peek(io, fd);
    return next > 0 || next == -EAGAIN;
}

void io_last_words(struct io *io, int fd, const void *bytes, size_t size)
{
    if (io->engine->socket != NULL) /* they are not the kernel's */
        return;
    io->stats->syscalls++;
    (void)!send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void io_reset_on_close(struct io *io, int fd)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (io->engine->reset_on_close != NULL) {
        io->engine->reset_on_close(io, fd);
        return;
    }
    io->stats->syscalls++;
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}
