/* socket.c - sockets: made for io_connect(), asked whether their peer is silent, to be reset. */
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

bool io_silent(struct io *io, int fd)
{
    char byte;

    if (io->engine->silent != NULL)
        return io->engine->silent(io, fd);
    io->stats->syscalls++;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

bool io_alive(struct io *io, int fd)
{
    char byte;
    ssize_t size;

    if (io->engine->silent != NULL)
        return io->engine->silent(io, fd);
    io->stats->syscalls++;
    size = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size > 0 || (size < 0 && errno == EAGAIN);
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
