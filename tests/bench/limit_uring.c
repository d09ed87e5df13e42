/* limit_uring.c - how little a request can cost on io_uring: multishot accept and receive into a
 * ring of buffers; each end of a head is answered with the same bytes.
 *
 *   limit_uring PORT
 */
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "limit_answer.h"

enum { BUFFERS = 1024, BUFFER_SIZE = 4096, GROUP = 0 };
enum { ACCEPTED = 1, RECEIVED, SENT, CLOSED };

static struct io_uring ring;
static struct io_uring_buf_ring *lent;
static char buffers[BUFFERS][BUFFER_SIZE];

static struct io_uring_sqe *entry(void)
{
    struct io_uring_sqe *e = io_uring_get_sqe(&ring);

    if (e == NULL) {
        io_uring_submit(&ring);
        e = io_uring_get_sqe(&ring);
    }
    return e;
}

static void mark(struct io_uring_sqe *e, int what, int fd)
{
    io_uring_sqe_set_data64(e, (uint64_t)what << 32 | (uint32_t)fd);
}

static void receive(int fd)
{
    struct io_uring_sqe *e = entry();

    io_uring_prep_recv_multishot(e, fd, NULL, 0, 0);
    e->flags |= IOSQE_BUFFER_SELECT;
    e->buf_group = GROUP;
    e->ioprio |= IORING_RECVSEND_POLL_FIRST;
    mark(e, RECEIVED, fd);
}

static void lend(unsigned id)
{
    io_uring_buf_ring_add(lent, buffers[id], BUFFER_SIZE, (unsigned short)id, BUFFERS - 1, 0);
    io_uring_buf_ring_advance(lent, 1);
}

static void received(int fd, const struct io_uring_cqe *c)
{
    if (c->res > 0) {
        unsigned id = c->flags >> IORING_CQE_BUFFER_SHIFT;
        size_t heads = heads_in(buffers[id], (size_t)c->res);

        lend(id);
        if (heads > 0) {
            struct io_uring_sqe *e = entry();

            io_uring_prep_send(e, fd, answers, heads * ANSWER_SIZE, MSG_NOSIGNAL);
            e->flags |= IOSQE_CQE_SKIP_SUCCESS;
            mark(e, SENT, fd);
        }
    } else if (c->res != -ENOBUFS) {
        struct io_uring_sqe *e = entry();

        io_uring_prep_close(e, fd);
        mark(e, CLOSED, fd);
        return;
    }
    if (!(c->flags & IORING_CQE_F_MORE))
        receive(fd);
}

static void open_ring(void)
{
    struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_CQSIZE |
                                          1u << 13 /* DEFER_TASKRUN */,
                                 .cq_entries = 16384 };
    struct io_uring_buf_reg reg = { .ring_entries = BUFFERS, .bgid = GROUP };

    if (io_uring_queue_init_params(4096, &ring, &p) != 0 ||
        posix_memalign((void **)&lent, 4096, BUFFERS * sizeof(struct io_uring_buf)) != 0)
        exit(1);
    reg.ring_addr = (uint64_t)(uintptr_t)lent;
    if (io_uring_register_ring_fd(&ring) != 1 || io_uring_register_buf_ring(&ring, &reg, 0) != 0)
        exit(1);
    io_uring_buf_ring_init(lent);
    for (unsigned i = 0; i < BUFFERS; i++)
        lend(i);
}

int main(int argc, char **argv)
{
    int listener = listen_on(argc > 1 ? atoi(argv[1]) : 0, 0), one = 1;

    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    open_ring();
    struct io_uring_sqe *e = entry();

    io_uring_prep_multishot_accept(e, listener, NULL, NULL, SOCK_NONBLOCK);
    mark(e, ACCEPTED, listener);
    for (;;) {
        struct io_uring_cqe *c;
        unsigned head, count = 0;

        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, c)
        {
            int what = (int)(c->user_data >> 32), fd = (int)(uint32_t)c->user_data;

            count++;
            if (what == ACCEPTED && c->res >= 0)
                receive(c->res);
            else if (what == RECEIVED)
                received(fd, c);
        }
        io_uring_cq_advance(&ring, count);
    }
}
