/* ask.c - connects, sends, and reads until the other side closes. */
#include "tool/ask.h"

#include "net/addr.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PATIENCE_S = 30, PIECE = 16 * 1024, ANSWER_MAX = 64 * 1024 * 1024, HEAD_SIZE = 4096 };

static int send_all(int fd, const char *at, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

static int read_all(int fd, struct asked *a, struct gather *g)
{
    gather_init(g, NULL, 0, &a->room, ANSWER_MAX);
    while (gather_room(g, PIECE)) {
        ssize_t n = recv(fd, g->at + g->used, g->size - g->used, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n == 0)
            return 0;
        g->used += (size_t)n;
    }
    return -EMSGSIZE;
}

/* It is our own server's: the status, and what stands behind the head. */
static int read_answer(struct asked *a, struct slice all)
{
    struct slice line;
    size_t end = slice_search(all, SLICE("\r\n\r\n"));
    uint64_t status;

    if (end == all.size || !slice_starts(all, SLICE("HTTP/1.1 ")))
        return -EPROTO;
    line = slice_head(slice_skip(all, 9), 3);
    if (!slice_to_u64(line, 999, &status))
        return -EPROTO;
    a->status = (unsigned)status;
    a->body = slice_skip(all, end + 4);
    return 0;
}

static int connect_to(const char *path, int *ret_fd)
{
    struct timeval patience = { .tv_sec = PATIENCE_S };
    struct sockaddr_storage to;
    socklen_t size;
    int error = addr_unix(path, &to, &size), fd;

    if (error != 0)
        return error;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&to, size) != 0) {
        error = -errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int ask_unix(const char *socket_path, const char *method, const char *path, const char *body,
             struct asked *ret)
{
    char head[HEAD_SIZE];
    size_t size = body != NULL ? strlen(body) : 0;
    struct gather text = { 0 };
    int fd = -1, error = connect_to(socket_path, &fd);
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     method, path, size);

    *ret = (struct asked){ 0 };
    arena_init(&ret->room, NULL, 0, PIECE, 4 * (size_t)ANSWER_MAX);
    if (error != 0)
        return error;
    error = n > 0 && (size_t)n < sizeof head ? send_all(fd, head, (size_t)n) : -ENAMETOOLONG;
    if (error == 0)
        error = send_all(fd, body, size);
    if (error == 0)
        error = read_all(fd, ret, &text);
    close(fd);
    return error == 0 ? read_answer(ret, gather_get(&text)) : error;
}

void asked_done(struct asked *a)
{
    arena_done(&a->room);
}
