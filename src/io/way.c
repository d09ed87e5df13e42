/* way.c - what all engines do to descriptors in the same words. */
#include "io/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* ---- modes ------------------------------------------------------------------------------- */

int way_mode(int fd, bool nonblock)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    int wanted = nonblock ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return wanted == flags || fcntl(fd, F_SETFL, wanted) == 0 ? 0 : -errno;
}

bool way_listens(int fd)
{
    int on = 0;
    socklen_t size = sizeof on;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on != 0;
}

/* ---- accept ------------------------------------------------------------------------------ */

/* Errors of the connection that was waiting, or of the network: the next may be fine. */
bool way_accept_absorbs(int error)
{
    switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case EPERM:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
        return true;
    default:
        return false;
    }
}

int32_t way_accepted(const struct io *io, int fd)
{
    if (io_fd_fits(io, fd))
        return fd;
    close(fd);
    return -EMFILE;
}

/* ---- send -------------------------------------------------------------------------------- */

uint64_t way_send_total(const struct io_op *op)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < op->send.iov_count; i++)
        total += op->send.iov[i].iov_len;
    return total;
}

int way_send_rest(const struct io_op *op, struct iovec *room)
{
    size_t skip = op->send.sent;
    int count = 0;

    for (uint32_t i = 0; i < op->send.iov_count; i++) {
        const struct iovec *v = &op->send.iov[i];

        if (skip >= v->iov_len) {
            skip -= v->iov_len;
            continue;
        }
        room[count++] = (struct iovec){ (char *)v->iov_base + skip, v->iov_len - skip };
        skip = 0;
    }
    return count;
}

/* A file that ends early makes sendfile() return 0: then left stays above 0. */
static int sendfile_all(struct io *io, struct io_op *op)
{
    while (op->file.left > 0) {
        off_t at = (off_t)op->file.offset;

        io->stats->syscalls++;
        ssize_t n = sendfile(op->fd, op->file.file, &at, op->file.left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        op->file.offset += (uint64_t)n;
        op->file.sent += (uint32_t)n;
        op->file.left -= (uint32_t)n;
    }
    return 0;
}

/* sendfile(2) has no flag for "do not block": only the descriptor's mode says so. */
int way_sendfile(struct io *io, struct io_op *op)
{
    bool nonblock = io->engine->nonblock;
    int error = nonblock ? 0 : way_mode(op->fd, true);

    if (error != 0)
        return error;
    error = sendfile_all(io, op);
    if (!nonblock)
        (void)way_mode(op->fd, false); /* was possible a moment ago */
    return error;
}

/* ---- connect ----------------------------------------------------------------------------- */

/* Asking again is how to learn what became of it: 0 or EISCONN, EALREADY, or the error. */
int way_connect(struct io *io, const struct io_op *op)
{
    bool nonblock = io->engine->nonblock;
    int error = nonblock ? 0 : way_mode(op->fd, true);

    if (error != 0)
        return error;
    io->stats->syscalls++;
    error = connect(op->fd, op->connect.addr, op->connect.len) == 0 ? 0 : -errno;
    if (!nonblock)
        (void)way_mode(op->fd, false);
    switch (error) {
    case -EISCONN:
        return 0;
    case -EALREADY:
    case -EINTR:
        return -EINPROGRESS;
    case -EAGAIN: /* a Unix listener with a full queue: nothing would wake us */
        return -ECONNREFUSED;
    default:
        return error;
    }
}

/* ---- datagrams --------------------------------------------------------------------------- */

void way_msg_to_recv(struct way_msg *m, void *bytes, size_t size)
{
    m->iov = (struct iovec){ bytes, size };
    m->head = (struct msghdr){
        .msg_name = &m->peer,
        .msg_namelen = sizeof m->peer,
        .msg_iov = &m->iov,
        .msg_iovlen = 1,
        .msg_control = m->control,
        .msg_controllen = sizeof m->control,
    };
}

void way_msg_received(const struct way_msg *m, struct io_dgram *d)
{
    struct msghdr head = m->head;

    *d = (struct io_dgram){ .peer_size = head.msg_namelen };
    if (d->peer_size > sizeof d->peer)
        d->peer_size = sizeof d->peer;
    memcpy(&d->peer, &m->peer, d->peer_size);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&head); c != NULL; c = CMSG_NXTHDR(&head, c)) {
        int value = 0;

        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            d->ecn = *CMSG_DATA(c) & 3; /* a byte here, an int in IPv6 */
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            memcpy(&value, CMSG_DATA(c), sizeof value);
            d->ecn = (uint8_t)(value & 3);
        } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&value, CMSG_DATA(c), sizeof value);
            d->segment = (uint16_t)value;
        }
    }
}

static void *control_add(struct way_msg *m, int level, int type, const void *value, size_t size)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)(m->control + m->head.msg_controllen);

    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    m->head.msg_controllen += CMSG_SPACE(size);
    return memcpy(CMSG_DATA(c), value, size);
}

void way_msg_to_send(struct way_msg *m, const struct io_op *op)
{
    const struct io_dgram *to = op->send.to;

    m->head = (struct msghdr){
        .msg_name = to->peer_size > 0 ? (void *)(uintptr_t)&to->peer : NULL,
        .msg_namelen = to->peer_size,
        .msg_iov = (struct iovec *)(uintptr_t)op->send.iov,
        .msg_iovlen = op->send.iov_count,
        .msg_control = m->control,
    };
    memset(m->control, 0, sizeof m->control);
    if (to->segment > 0)
        control_add(m, SOL_UDP, UDP_SEGMENT, &to->segment, sizeof to->segment);
    if (to->ecn > 0) {
        int tos = to->ecn;

        if (to->peer.ss_family == AF_INET6)
            control_add(m, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
        else
            control_add(m, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    }
    if (m->head.msg_controllen == 0)
        m->head.msg_control = NULL;
}

/* ---- an eventfd as a bell ---------------------------------------------------------------- */

int bell_fd_open(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    return fd >= 0 ? fd : -errno;
}

void bell_fd_ring(int fd)
{
    int saved = errno; /* signal handlers ring, too */
    uint64_t one = 1;

    while (write(fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
    errno = saved;
}

void bell_fd_drain(int fd)
{
    uint64_t count;

    while (read(fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
}
