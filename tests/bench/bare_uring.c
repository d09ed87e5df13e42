/* bare_uring.c - the floor for the proactor: multishot accept and receive into provided buffers, one
 * send for every piece of heads, nothing understood.
 *
 *   bare_uring PORT */
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFERS = 1024, BUFFER = 4096, PIPELINED = 32 };
enum { ACCEPT, RECEIVE, OTHER };

static const char answer[] = "HTTP/1.1 200 OK\r\nServer: bare\r\n"
                             "Date: Mon, 23 Nov 2026 00:00:00 GMT\r\n"
                             "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";
enum { ANSWER = sizeof answer - 1 };
static char answers[PIPELINED * ANSWER];
static char buffers[BUFFERS][BUFFER];
static struct io_uring ring;
static struct io_uring_buf_ring *pool;

static struct io_uring_sqe *entry(void)
{
    struct io_uring_sqe *s = io_uring_get_sqe(&ring);

    if (s == NULL) {
        io_uring_submit(&ring);
        s = io_uring_get_sqe(&ring);
    }
    return s;
}

static uint64_t tag(unsigned kind, int fd)
{
    return (uint64_t)kind << 32 | (uint32_t)fd;
}

static void receive(int fd)
{
    struct io_uring_sqe *s = entry();

    io_uring_prep_recv_multishot(s, fd, NULL, 0, 0);
    s->flags |= IOSQE_BUFFER_SELECT;
    s->ioprio |= IORING_RECVSEND_POLL_FIRST;
    s->user_data = tag(RECEIVE, fd);
}

static void respond(int fd, const char *at, size_t size)
{
    const char *end = at + size;
    size_t heads = 0;

    while ((at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL && heads < PIPELINED) {
        heads++;
        at += 4;
    }
    if (heads == 0)
        return;
    struct io_uring_sqe *s = entry();

    io_uring_prep_send(s, fd, answers, heads * ANSWER, MSG_NOSIGNAL);
    s->flags |= IOSQE_CQE_SKIP_SUCCESS;
    s->user_data = tag(OTHER, fd);
}

static void received(const struct io_uring_cqe *c, int fd)
{
    if (c->res > 0) {
        unsigned id = c->flags >> 16;

        respond(fd, buffers[id], (size_t)c->res);
        io_uring_buf_ring_add(pool, buffers[id], BUFFER, (unsigned short)id, BUFFERS - 1, 0);
        io_uring_buf_ring_advance(pool, 1);
    }
    if (c->flags & IORING_CQE_F_MORE)
        return;
    if (c->res > 0 || c->res == -ENOBUFS)
        receive(fd);
    else
        close(fd);
}

static void open_ring(void)
{
    struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                          IORING_SETUP_CQSIZE,
                                 .cq_entries = 16384 };
    struct io_uring_buf_reg reg = { .ring_entries = BUFFERS };

    if (io_uring_queue_init_params(4096, &ring, &p) != 0 ||
        posix_memalign((void **)&pool, 4096, BUFFERS * sizeof(struct io_uring_buf)) != 0)
        exit(1);
    io_uring_register_ring_fd(&ring);
    reg.ring_addr = (uintptr_t)pool;
    if (io_uring_register_buf_ring(&ring, &reg, 0) != 0)
        exit(1);
    io_uring_buf_ring_init(pool);
    for (int i = 0; i < BUFFERS; i++)
        io_uring_buf_ring_add(pool, buffers[i], BUFFER, (unsigned short)i, BUFFERS - 1, i);
    io_uring_buf_ring_advance(pool, BUFFERS);
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    at.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 8000));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0) {
        perror("listen");
        return 1;
    }
    for (int i = 0; i < PIPELINED; i++)
        memcpy(answers + i * ANSWER, answer, ANSWER);
    open_ring();
    struct io_uring_sqe *s = entry();

    io_uring_prep_multishot_accept(s, fd, NULL, NULL, 0);
    s->user_data = tag(ACCEPT, fd);
    for (;;) {
        struct io_uring_cqe *c;
        unsigned head, n = 0;

        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, c)
        {
            n++;
            if (c->user_data >> 32 == ACCEPT && c->res >= 0)
                receive(c->res);
            else if (c->user_data >> 32 == RECEIVE)
                received(c, (int)(uint32_t)c->user_data);
        }
        io_uring_cq_advance(&ring, n);
    }
}
