/* uring_ways.c - the least a request costs on io_uring with one thing done in another way.
 *
 *   lab-uring-ways PORT [WAY ...]
 *
 * Without a WAY: DEFER_TASKRUN, multishot accept and receive, a ring of buffers, the ring's own
 * descriptor registered, POLL_FIRST. Nothing is parsed; each end of a head gets the same answer.
 */
#include "../../tests/bench/limit_answer.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <unistd.h>

enum { BUFFERS = 1024, BUFFER_SIZE = 4096, GROUP = 0, FDS = 20000, OWN_SIZE = 1024 };
enum { ACCEPTED = 1, RECEIVED, SENT, CLOSED };

static struct {
    bool no_defer, coop, single_accept, single_recv, own_buffers, no_ring_fd, no_poll_first, sqpoll,
        small_cq;
} way;

static const struct {
    const char *word;
    bool *on;
} ways[] = {
    { "no-defer", &way.no_defer },           { "coop", &way.coop },
    { "single-accept", &way.single_accept }, { "single-recv", &way.single_recv },
    { "own-buffers", &way.own_buffers },     { "no-ring-fd", &way.no_ring_fd },
    { "no-poll-first", &way.no_poll_first }, { "sqpoll", &way.sqpoll },
    { "small-cq", &way.small_cq },
};

static struct io_uring ring;
static struct io_uring_buf_ring *lent;
static char buffers[BUFFERS][BUFFER_SIZE];
static char own[FDS][OWN_SIZE];

static struct io_uring_sqe *entry(void)
{
    struct io_uring_sqe *e = io_uring_get_sqe(&ring);

    while (e == NULL) {
        io_uring_submit(&ring);
        if (way.sqpoll)
            io_uring_sqring_wait(&ring);
        e = io_uring_get_sqe(&ring);
    }
    return e;
}

static void mark(struct io_uring_sqe *e, int what, int fd)
{
    io_uring_sqe_set_data64(e, (uint64_t)what << 32 | (uint32_t)fd);
}

static void accept_more(int listener)
{
    struct io_uring_sqe *e = entry();

    if (way.single_accept)
        io_uring_prep_accept(e, listener, NULL, NULL, SOCK_NONBLOCK);
    else
        io_uring_prep_multishot_accept(e, listener, NULL, NULL, SOCK_NONBLOCK);
    mark(e, ACCEPTED, listener);
}

static void receive(int fd)
{
    struct io_uring_sqe *e = entry();

    if (way.own_buffers) {
        io_uring_prep_recv(e, fd, own[fd], OWN_SIZE, 0);
    } else {
        if (way.single_recv)
            io_uring_prep_recv(e, fd, NULL, BUFFER_SIZE, 0);
        else
            io_uring_prep_recv_multishot(e, fd, NULL, 0, 0);
        e->flags |= IOSQE_BUFFER_SELECT;
        e->buf_group = GROUP;
    }
    if (!way.no_poll_first)
        e->ioprio |= IORING_RECVSEND_POLL_FIRST;
    mark(e, RECEIVED, fd);
}

static void lend(unsigned id)
{
    io_uring_buf_ring_add(lent, buffers[id], BUFFER_SIZE, (unsigned short)id, BUFFERS - 1, 0);
    io_uring_buf_ring_advance(lent, 1);
}

static void answer(int fd, size_t heads)
{
    struct io_uring_sqe *e = entry();

    io_uring_prep_send(e, fd, answers, heads * ANSWER_SIZE, MSG_NOSIGNAL);
    e->flags |= IOSQE_CQE_SKIP_SUCCESS;
    mark(e, SENT, fd);
}

static void received(int fd, const struct io_uring_cqe *c)
{
    if (c->res <= 0 && c->res != -ENOBUFS) {
        struct io_uring_sqe *e = entry();

        io_uring_prep_close(e, fd);
        mark(e, CLOSED, fd);
        return;
    }
    if (c->res > 0) {
        unsigned id = c->flags >> IORING_CQE_BUFFER_SHIFT;
        size_t heads = heads_in(way.own_buffers ? own[fd] : buffers[id], (size_t)c->res);

        if (!way.own_buffers)
            lend(id);
        if (heads > 0)
            answer(fd, heads);
    }
    if (!(c->flags & IORING_CQE_F_MORE))
        receive(fd);
}

static void open_ring(void)
{
    struct io_uring_params p = { .cq_entries = way.small_cq ? 128 : 16384, .sq_thread_cpu = 0 };
    struct io_uring_buf_reg reg = { .ring_entries = BUFFERS, .bgid = GROUP };
    int error;

    p.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER;
    if (way.sqpoll)
        p.flags |= IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF;
    else if (way.coop)
        p.flags |= IORING_SETUP_COOP_TASKRUN;
    else if (!way.no_defer)
        p.flags |= 1u << 13; /* DEFER_TASKRUN */
    error = io_uring_queue_init_params(way.small_cq ? 64 : 4096, &ring, &p);
    if (error == 0 && posix_memalign((void **)&lent, 4096, BUFFERS * sizeof(struct io_uring_buf)))
        error = -ENOMEM;
    if (error == 0 && !way.no_ring_fd && io_uring_register_ring_fd(&ring) != 1)
        error = -EINVAL;
    reg.ring_addr = (uint64_t)(uintptr_t)lent;
    if (error == 0)
        error = io_uring_register_buf_ring(&ring, &reg, 0);
    if (error != 0) {
        fprintf(stderr, "no ring of this kind: %s\n", strerror(-error));
        exit(1);
    }
    io_uring_buf_ring_init(lent);
    for (unsigned i = 0; i < BUFFERS; i++)
        lend(i);
}

static void choose(const char *word)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(word, ways[i].word) == 0) {
            *ways[i].on = true;
            return;
        }
    }
    fprintf(stderr, "\"%s\" is no way; expected one of", word);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        fprintf(stderr, " %s", ways[i].word);
    fprintf(stderr, "\n");
    exit(2);
}

static void completed(const struct io_uring_cqe *c)
{
    int what = (int)(c->user_data >> 32), fd = (int)(uint32_t)c->user_data;

    if (what == ACCEPTED) {
        if (c->res >= 0 && c->res < FDS)
            receive(c->res);
        if (!(c->flags & IORING_CQE_F_MORE))
            accept_more(fd);
    } else if (what == RECEIVED) {
        received(fd, c);
    }
}

int main(int argc, char **argv)
{
    int listener, one = 1;

    for (int i = 2; i < argc; i++)
        choose(argv[i]);
    listener = listen_on(argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0, 0);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    open_ring();
    accept_more(listener);
    for (;;) {
        struct io_uring_cqe *c;
        unsigned head, count = 0;

        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, c)
        {
            completed(c);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}
