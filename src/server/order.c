/* order.c - messages and descriptors over socket pairs. */
#include "server/order.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { AT_ONCE_MAX = 128 }; /* descriptors in one message; the kernel's limit is 253 */

int order_line_open(struct order_line *line)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line->orders) != 0)
        return -errno;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line->descriptors) == 0)
        return 0;
    int error = -errno;

    close(line->orders[0]);
    close(line->orders[1]);
    return error;
}

void order_line_close(struct order_line *line, unsigned end)
{
    if (line->orders[end] < 0)
        return;
    close(line->orders[end]);
    close(line->descriptors[end]);
    line->orders[end] = line->descriptors[end] = -1;
}

int order_send(int fd, const void *message, size_t size)
{
    ssize_t n;

    do
        n = send(fd, message, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)size ? 0 : n < 0 ? -errno : -EIO;
}

union ancillary {
    struct cmsghdr head; /* for its alignment */
    char room[CMSG_SPACE(AT_ONCE_MAX * sizeof(int))];
};

static int send_some(int fd, const int *fds, uint32_t count)
{
    char byte = 'd';
    struct iovec iov = { &byte, 1 };
    union ancillary space;
    struct msghdr m = { .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &space,
                        .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
    ssize_t n;

    memset(&space, 0, sizeof space);
    space.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(count * sizeof(int)),
                                   .cmsg_level = SOL_SOCKET,
                                   .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(&space.head), fds, count * sizeof(int));
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n == 1 ? 0 : n < 0 ? -errno : -EIO;
}

int descriptors_send(int fd, const int *fds, uint32_t count)
{
    int error = 0;

    for (uint32_t sent = 0; sent < count && error == 0; sent += AT_ONCE_MAX) {
        uint32_t some = count - sent < AT_ONCE_MAX ? count - sent : AT_ONCE_MAX;

        error = send_some(fd, fds + sent, some);
    }
    return error;
}

/* How many came, or -errno. */
static int receive_some(int fd, int *fds, uint32_t room)
{
    char byte;
    struct iovec iov = { &byte, 1 };
    union ancillary space;
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof space
    };
    ssize_t n;

    do
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;

    if (n < 0)
        return -errno;
    if (c == NULL || c->cmsg_type != SCM_RIGHTS || (m.msg_flags & MSG_CTRUNC))
        return m.msg_flags & MSG_CTRUNC ? -EMFILE : -EPROTO;
    uint32_t count = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

    for (uint32_t i = 0; i < count; i++) {
        int one;

        memcpy(&one, CMSG_DATA(c) + i * sizeof one, sizeof one);
        if (i < room)
            fds[i] = one;
        else
            close(one);
    }
    return count <= room ? (int)count : -EPROTO;
}

int descriptors_receive(int fd, int *fds, uint32_t count)
{
    uint32_t have = 0;

    while (have < count) {
        int some = receive_some(fd, fds + have, count - have);

        if (some > 0) {
            have += (uint32_t)some;
            continue;
        }
        while (have > 0)
            close(fds[--have]);
        return some < 0 ? some : -EPROTO;
    }
    return 0;
}
