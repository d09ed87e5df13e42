/* socket.c - sockets for io_connect(): made, and asked whether their peer is silent. */
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
