/* io_serve.c - a server of fixed answers over io.h: what the interface costs, and nothing else.
 *
 *   io_serve ENGINE PORT [FILE]
 *
 * Answers every request head without parsing it; with FILE, by that file through sendfile. To be
 * measured against loops that use the kernel directly and do as little (tests/bench).
 */
#include "io/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPELINED_MAX = 64, FDS = 20000, BUFS = 1024, BUF_SIZE = 4096, IDLE_MS = 60000 };

#define ANSWER                                                                      \
    "HTTP/1.1 200 OK\r\nServer: limit/0\r\nDate: Mon, 23 Nov 2026 02:09:00 GMT\r\n" \
    "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!"

struct conn {
    struct io_op rx, tx, end;
    struct io_timer idle;
    struct io *io;
    struct iovec out[2];
    int fd, finals;
    bool closing;
};

static char answers[PIPELINED_MAX * sizeof ANSWER];
static char file_head[128];
static struct iovec two[2]; /* head and body apart, if asked for */
static int file = -1;
static uint32_t file_size;

static io_done_fn on_closed, on_bytes, on_sent, on_head;

static void conn_end(struct conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    io_timer_stop(c->io, &c->idle);
    io_close(c->io, &c->end, c->fd, on_closed);
}

static void on_closed(struct io *io, struct io_op *op, struct io_result r)
{
    struct conn *c = container_of(op, struct conn, end);

    (void)io;
    (void)r;
    io_branch_end(c->io);
    free(c);
}

static void on_idle(struct io *io, struct io_timer *t)
{
    (void)io;
    conn_end(container_of(t, struct conn, idle));
}

static void on_sent(struct io *io, struct io_op *op, struct io_result r)
{
    struct conn *c = container_of(op, struct conn, tx);

    if (r.res < 0)
        conn_end(c);
    else if (!c->closing)
        io_timer_set(io, &c->idle, (uint64_t)IDLE_MS * 1000000u, on_idle);
}

static void on_head(struct io *io, struct io_op *op, struct io_result r)
{
    struct conn *c = container_of(op, struct conn, tx);

    if (r.res < 0)
        conn_end(c);
    else if (!c->closing)
        io_sendfile(io, op, c->fd, file, 0, file_size, on_sent);
}

static unsigned heads(const struct io_buf *b, int32_t size)
{
    const char *at = (const char *)b->bytes, *end = at + size;
    unsigned count = 0;

    while ((at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL) {
        at += 4;
        count++;
    }
    return count < PIPELINED_MAX ? count : PIPELINED_MAX;
}

static void on_bytes(struct io *io, struct io_op *op, struct io_result r)
{
    struct conn *c = container_of(op, struct conn, rx);

    if (r.buf == NULL) {
        conn_end(c);
        return;
    }
    unsigned count = heads(r.buf, r.res);

    io_buf_release(io, r.buf);
    if (count == 0 || c->closing || io_busy(&c->tx))
        return;
    if (file >= 0) {
        c->out[0] = (struct iovec){ file_head, strlen(file_head) };
        io_send(io, &c->tx, c->fd, c->out, 1, IO_HOLD, on_head);
    } else if (two[1].iov_len > 0) {
        io_send(io, &c->tx, c->fd, two, 2, 0, on_sent);
    } else {
        c->out[0] = (struct iovec){ answers, count * (sizeof ANSWER - 1) };
        io_send(io, &c->tx, c->fd, c->out, 1, 0, on_sent);
    }
}

static void on_accept(struct io *io, struct io_op *op, struct io_result r)
{
    (void)op;
    if (r.res < 0) {
        fprintf(stderr, "accept: %s\n", strerror(-r.res));
        exit(1);
    }
    struct conn *c = calloc(1, sizeof *c);
    struct io *branch = c != NULL ? io_branch(io) : NULL;

    if (branch == NULL) {
        close(r.res);
        free(c);
        return;
    }
    c->io = branch;
    c->fd = r.res;
    io_timer_set(c->io, &c->idle, (uint64_t)IDLE_MS * 1000000u, on_idle);
    io_recv(c->io, &c->rx, c->fd, IO_MULTI, on_bytes);
}

static int listen_at(const char *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)strtol(port, NULL, 10)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0) {
        perror("listen");
        exit(1);
    }
    return fd;
}

static void answer_by(const char *path)
{
    struct stat st;

    if (strcmp(path, "two") == 0) {
        two[0] = (struct iovec){ answers, sizeof ANSWER - 14 };
        two[1] = (struct iovec){ answers + sizeof ANSWER - 14, 13 };
        return;
    }
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &st) != 0 || st.st_size > IO_SENDFILE_MAX) {
        fprintf(stderr, "%s: cannot be used\n", path);
        exit(1);
    }
    file_size = (uint32_t)st.st_size;
    snprintf(file_head, sizeof file_head, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n",
             file_size);
}

int main(int argc, char **argv)
{
    struct io_limits limits = { .fds = FDS, .bufs = BUFS, .buf_size = BUF_SIZE };
    const struct io_engine *engine = argc > 2 ? io_engine_find(argv[1]) : NULL;
    struct io_op accept = { 0 };
    int error;

    if (engine == NULL) {
        fprintf(stderr, "usage: io_serve io_uring|epoll|poll|select|threads PORT [FILE|two]\n");
        return 2;
    }
    for (size_t i = 0; i < PIPELINED_MAX; i++)
        memcpy(answers + i * (sizeof ANSWER - 1), ANSWER, sizeof ANSWER - 1);
    if (argc > 3)
        answer_by(argv[3]);
    struct io *io = io_create(engine, &limits, &error);
    int listener = listen_at(argv[2]);

    if (io == NULL || io_adopt(io, listener) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(-error));
        return 1;
    }
    io_accept(io, &accept, listener, IO_MULTI, on_accept);
    for (;;)
        io_turn(io, UINT64_MAX);
}
