/* sockets.c - accept, connect, datagrams, and thousands of descriptors. */
#include "fixture.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- accept ------------------------------------------------------------------------------ */

static void close_fd(int fd)
{
    struct seen end = { 0 };

    io_close(t.io, &end.op, fd, note);
    UNTIL(end.finals == 1);
    MUST(end.r.res == 0);
}

static void accept_many_then_close(void)
{
    enum { CLIENTS = 5 };
    struct sockaddr_in at;
    struct seen acc = { 0 };
    int client[CLIENTS], listener = listener_open(&at, 64);

    MUST(io_adopt(t.io, listener) == 0);
    io_accept(t.io, &acc.op, listener, IO_MULTI, note);
    for (int i = 0; i < CLIENTS; i++) {
        client[i] = client_open(&at, false);
        UNTIL(acc.mores == i + 1);
        MUST(acc.finals == 0 && acc.r.res >= 0);
        MUST(fcntl(acc.r.res, F_GETFD) & FD_CLOEXEC);
        close(acc.r.res);
    }
    close_fd(listener);
    MUST(acc.finals == 1 && acc.r.res == -ECANCELED);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(connect(late, (struct sockaddr *)&at, sizeof at) < 0 && errno == ECONNREFUSED);
    close(late);
    for (int i = 0; i < CLIENTS; i++)
        close(client[i]);
}

static int burst_fds[64];
static int burst_count;

static void on_burst(struct io *io, struct io_op *op, struct io_result r)
{
    if (r.res >= 0)
        burst_fds[burst_count++] = r.res;
    note(io, op, r);
}

/* Clients that came before the op did; then one at a time, without IO_MULTI. */
static void accept_burst_and_single(void)
{
    enum { CLIENTS = 40 };
    struct sockaddr_in at;
    struct seen acc = { 0 };
    int client[CLIENTS], listener = listener_open(&at, 64);

    burst_count = 0;
    MUST(io_adopt(t.io, listener) == 0);
    for (int i = 0; i < CLIENTS; i++)
        client[i] = client_open(&at, false);
    for (int i = 0; i < 3; i++) {
        io_accept(t.io, &acc.op, listener, 0, on_burst);
        UNTIL(acc.finals == i + 1);
        MUST(acc.mores == 0 && acc.r.res >= 0);
    }
    io_accept(t.io, &acc.op, listener, IO_MULTI, on_burst);
    UNTIL(burst_count == CLIENTS);
    io_cancel(t.io, &acc.op);
    UNTIL(!io_busy(&acc.op));
    MUST(acc.r.res == -ECANCELED);
    for (int i = 0; i < CLIENTS; i++) {
        close(burst_fds[i]);
        close(client[i]);
    }
    io_accept(t.io, &acc.op, listener, IO_MULTI, on_burst); /* after a cancel, again */
    client[0] = client_open(&at, false);
    UNTIL(burst_count == CLIENTS + 1);
    close(burst_fds[CLIENTS]);
    close(client[0]);
    close_fd(listener);
}

/* Two loops accept on one listener; one leaves, and the other is woken for all. */
static struct {
    const struct io_engine *engine;
    int listener, accepted;
    bool left, over;
} other;

static void *other_loop(void *arg)
{
    struct io_limits limits = { .fds = 1024, .bufs = 4, .buf_size = 1024 };
    struct seen acc = { 0 };
    int error;
    struct io *io = io_create(other.engine, &limits, &error);

    MUST(io != NULL && io_adopt(io, other.listener) == 0);
    io_accept(io, &acc.op, other.listener, IO_MULTI, note);
    for (int i = 0; i < 5; i++)
        io_turn(io, MS);
    io_cancel(io, &acc.op);
    while (acc.finals == 0)
        io_turn(io, MS);
    __atomic_store_n(&other.left, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&other.over, __ATOMIC_ACQUIRE))
        usleep(1000);
    other.accepted = acc.mores;
    io_destroy(io);
    return arg;
}

static void accept_is_left_to_others(void)
{
    struct sockaddr_in at;
    struct seen here = { 0 };
    pthread_t thread;
    int listener = listener_open(&at, 64);

    MUST(io_adopt(t.io, listener) == 0);
    memset(&other, 0, sizeof other);
    other.engine = io_engine_find(t.engine);
    other.listener = listener;
    HAVE(pthread_create(&thread, NULL, other_loop, NULL) == 0);
    io_accept(t.io, &here.op, listener, IO_MULTI, note);
    UNTIL(__atomic_load_n(&other.left, __ATOMIC_ACQUIRE));
    for (int i = 0; i < 10; i++) {
        int client = client_open(&at, false);

        UNTIL(here.mores == i + 1);
        close(here.r.res);
        close(client);
    }
    __atomic_store_n(&other.over, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    MUST(other.accepted == 0);
    close_fd(listener);
}

/* No descriptor is left: the op ends with EMFILE, and works again later. */
static void accept_without_descriptors(void)
{
    struct sockaddr_in at;
    struct seen acc = { 0 };
    struct rlimit old, none;
    int listener = listener_open(&at, 8), client = client_open(&at, false);

    MUST(io_adopt(t.io, listener) == 0);
    HAVE(getrlimit(RLIMIT_NOFILE, &old) == 0);
    none = old;
    none.rlim_cur = (rlim_t)client + 1;
    HAVE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    io_accept(t.io, &acc.op, listener, IO_MULTI, note);
    UNTIL(acc.finals == 1 || acc.mores == 1);
    HAVE(setrlimit(RLIMIT_NOFILE, &old) == 0);
    MUST(acc.finals == 1 && acc.r.res == -EMFILE && acc.mores == 0);
    io_accept(t.io, &acc.op, listener, IO_MULTI, note);
    UNTIL(acc.mores == 1);
    close(acc.r.res);
    close(client);
    close_fd(listener);
}

/* ---- connect ----------------------------------------------------------------------------- */

static void connects(void)
{
    struct sockaddr_in at;
    struct link l = { .peer = -1 };
    struct seen con = { 0 }, tx = { 0 }, rx = { 0 };
    struct iovec v = { (void *)(uintptr_t) "hi", 2 };
    char got[4];
    int n, listener = listener_open(&at, 8);

    l.io = loop_open();
    l.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(io_adopt(l.io, l.fd) == 0);
    io_connect(l.io, &con.op, l.fd, (struct sockaddr *)&at, sizeof at, note);
    MUST(con.finals == 0);
    UNTIL(con.finals == 1);
    MUST(con.r.res == 0);
    l.peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    io_recv(l.io, &rx.op, l.fd, 0, note);
    io_send(l.io, &tx.op, l.fd, &v, 1, 0, note);
    UNTIL(tx.finals == 1);
    UNTIL((n = peer_get(&l, got, sizeof got)) != -1);
    MUST(n == 2);
    peer_put(&l, "yo", 2);
    UNTIL(rx.finals == 1);
    MUST(rx.r.res == 2);
    link_shut(&l);
    close(listener);
}

static void connect_fails(void)
{
    struct sockaddr_in at;
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/nonexistent/weir.sock" };
    struct seen con = { 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    close(listener_open(&at, 1)); /* nobody listens there any more */
    MUST(io_adopt(t.io, fd) == 0);
    io_connect(t.io, &con.op, fd, (struct sockaddr *)&at, sizeof at, note);
    UNTIL(con.finals == 1);
    MUST(con.r.res == -ECONNREFUSED);
    close_fd(fd);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(io_adopt(t.io, fd) == 0);
    io_connect(t.io, &con.op, fd, (struct sockaddr *)&un, sizeof un, note);
    UNTIL(con.finals == 2);
    MUST(con.r.res == -ENOENT);
    close_fd(fd);
}

/* A Unix listener with a full queue refuses: nothing would say when there is room. */
static void connect_to_a_full_unix_listener(void)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct seen con[3] = { 0 };
    int fd[3], listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    socklen_t size = sizeof(sa_family_t); /* an abstract name of the kernel's choice */
    HAVE(bind(listener, (struct sockaddr *)&un, size) == 0 && listen(listener, 0) == 0);
    size = sizeof un;
    HAVE(getsockname(listener, (struct sockaddr *)&un, &size) == 0);
    for (int i = 0; i < 3; i++) {
        fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        MUST(io_adopt(t.io, fd[i]) == 0);
        io_connect(t.io, &con[i].op, fd[i], (struct sockaddr *)&un, size, note);
        UNTIL(con[i].finals == 1);
    }
    MUST(con[0].r.res == 0 && con[2].r.res == -ECONNREFUSED);
    for (int i = 0; i < 3; i++)
        close_fd(fd[i]);
    close(listener);
}

/* Nobody answers: the op waits, and can be cancelled. */
static void connect_cancelled(void)
{
    enum { FILL = 4 };
    struct sockaddr_in at;
    struct seen con = { 0 };
    int fill[FILL], listener = listener_open(&at, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    for (int i = 0; i < FILL; i++)
        fill[i] = client_open(&at, true);
    MUST(io_adopt(t.io, fd) == 0);
    io_connect(t.io, &con.op, fd, (struct sockaddr *)&at, sizeof at, note);
    settle();
    MUST(con.finals == 0);
    io_cancel(t.io, &con.op);
    UNTIL(con.finals == 1);
    MUST(con.r.res == -ECANCELED);
    close_fd(fd);
    for (int i = 0; i < FILL; i++)
        close(fill[i]);
    close(listener);
}

/* ---- datagrams --------------------------------------------------------------------------- */

static int dgram_open(struct io_dgram *ret_at)
{
    struct sockaddr_in *at = (struct sockaddr_in *)&ret_at->peer;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memset(ret_at, 0, sizeof *ret_at);
    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    ret_at->peer_size = sizeof *at;
    HAVE(bind(fd, (struct sockaddr *)at, sizeof *at) == 0);
    HAVE(getsockname(fd, (struct sockaddr *)at, &ret_at->peer_size) == 0);
    MUST(io_adopt(t.io, fd) == 0);
    return fd;
}

static struct sockaddr_in last_peer;
static unsigned last_ecn;

static void on_dgram(struct io *io, struct io_op *op, struct io_result r)
{
    if (r.buf != NULL) {
        memcpy(&last_peer, &io_buf_dgram(r.buf)->peer, sizeof last_peer);
        last_ecn = io_buf_dgram(r.buf)->ecn;
    }
    note(io, op, r);
}

static void datagrams(void)
{
    struct io_dgram a_at, b_at;
    struct seen rx = { 0 }, tx = { 0 };
    int on = 1, a = dgram_open(&a_at), b = dgram_open(&b_at);
    struct iovec v[2] = { { (void *)(uintptr_t) "data", 4 }, { (void *)(uintptr_t) "gram", 4 } };

    HAVE(setsockopt(b, IPPROTO_IP, IP_RECVTOS, &on, sizeof on) == 0);
    io_recv_dgram(t.io, &rx.op, b, IO_MULTI, on_dgram);
    b_at.ecn = 1;
    for (int i = 0; i < 30; i++) {
        io_send_dgram(t.io, &tx.op, a, &b_at, v, 2, note);
        UNTIL(tx.finals == i + 1);
        MUST(tx.r.res == 8);
        if (i % 3 == 0)
            UNTIL(rx.mores == i + 1);
    }
    UNTIL(rx.mores == 30);
    MUST(rx.bytes == 240 && rx.finals == 0 && last_ecn == 1);
    MUST(last_peer.sin_port == ((struct sockaddr_in *)&a_at.peer)->sin_port);
    b_at.segment = 4; /* two datagrams by one call */
    b_at.ecn = 0;
    io_send_dgram(t.io, &tx.op, a, &b_at, v, 2, note);
    UNTIL(rx.mores == 32);
    MUST(tx.r.res == 8 && rx.bytes == 248 && rx.r.res == 4);
    HAVE(sendto(a, "", 0, 0, (struct sockaddr *)&b_at.peer, b_at.peer_size) == 0);
    settle();
    MUST(rx.mores == 32 && rx.finals == 0); /* an empty one is nothing */
    close_fd(b);
    MUST(rx.finals == 1 && rx.r.res == -ECANCELED);
    close_fd(a);
}

static void datagram_single(void)
{
    struct io_dgram a_at;
    struct seen rx = { 0 };
    int a = dgram_open(&a_at);

    io_recv_dgram(t.io, &rx.op, a, 0, on_dgram);
    settle();
    MUST(rx.finals == 0);
    HAVE(sendto(a, "one", 3, 0, (struct sockaddr *)&a_at.peer, a_at.peer_size) == 3);
    UNTIL(rx.finals == 1);
    MUST(rx.r.res == 3);
    io_recv_dgram(t.io, &rx.op, a, 0, on_dgram);
    settle();
    io_cancel(t.io, &rx.op);
    UNTIL(rx.finals == 2);
    MUST(rx.r.res == -ECANCELED);
    close_fd(a);
}

/* A socket that keeps messages apart: a short read has not emptied it. */
static void messages_stay_apart(void)
{
    enum { MESSAGES = 20 };
    struct seen rx = { 0 };
    int ends[2];

    HAVE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    MUST(io_adopt(t.io, ends[0]) == 0);
    for (int i = 0; i < MESSAGES; i++)
        HAVE(send(ends[1], "msg", 3, 0) == 3);
    io_recv(t.io, &rx.op, ends[0], IO_MULTI, note);
    UNTIL(rx.mores == MESSAGES);
    MUST(rx.bytes == 3 * MESSAGES && rx.r.res == 3);
    close(ends[1]);
    UNTIL(rx.finals == 1);
    MUST(rx.r.res == 0);
    close_fd(ends[0]);
}

/* ---- many -------------------------------------------------------------------------------- */

enum { MANY = 4000, MANY_SELECT = 480 };

struct many {
    struct link l;
    struct seen rx, tx;
    uint8_t tag;
    struct iovec v[2];
};

static void answer_each(struct many *all, int count, int round)
{
    uint8_t got[2];

    for (int i = 0; i < count; i++)
        peer_put(&all[i].l, "?", 1);
    for (int i = 0; i < count; i++) {
        struct many *m = &all[i];

        UNTIL(m->rx.bytes == (uint64_t)round);
        m->tag = (uint8_t)(i + round);
        m->v[0] = (struct iovec){ &m->tag, 1 };
        m->v[1] = (struct iovec){ (void *)(uintptr_t) "!", 1 };
        io_send(m->l.io, &m->tx.op, m->l.fd, m->v, 2, 0, note);
        if (round > 1 && i % 64 == 0)
            io_turn(t.io, 0); /* but the first round's go all at once */
    }
    for (int i = 0; i < count; i++) {
        UNTIL(all[i].tx.finals == round);
        MUST(peer_get(&all[i].l, got, 2) == 2 && got[0] == all[i].tag && got[1] == '!');
    }
}

/* Each link gets a byte and answers two of its own; then all are closed at once. */
static void thousands(void)
{
    int count = strcmp(t.engine, "select") == 0 ? MANY_SELECT : MANY;
    struct many *all = calloc((size_t)count, sizeof *all);

    for (int i = 0; i < count; i++) {
        struct link *l = &all[i].l;

        link_open(l);
        io_recv(l->io, &all[i].rx.op, l->fd, IO_MULTI, note);
        if (i % 64 == 0)
            io_turn(t.io, 0);
    }
    for (int round = 1; round <= 3; round++)
        answer_each(all, count, round);
    for (int i = 0; i < count; i++)
        link_close_start(&all[i].l);
    for (int i = 0; i < count; i++) {
        UNTIL(link_closed(&all[i].l));
        MUST(all[i].rx.finals == 1 && all[i].rx.r.res == -ECANCELED);
        peer_close(&all[i].l);
    }
    free(all);
}

/* Some leave, and the ones that stay are still heard; others come in their places. */
static void links_come_and_go(void)
{
    enum { LINKS = 24, ROUNDS = 12 };
    struct link l[LINKS];
    struct seen rx[LINKS] = { 0 };

    for (int i = 0; i < LINKS; i++) {
        link_open(&l[i]);
        io_recv(l[i].io, &rx[i].op, l[i].fd, IO_MULTI, note);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = round % 5; i < LINKS; i += 2 + round % 3) {
            link_shut(&l[i]);
            MUST(rx[i].finals == 1);
            if (round % 2 == 0)
                link_open(&l[i]);
            rx[i] = (struct seen){ .finals = round % 2 };
        }
        for (int i = 0; i < LINKS; i++) {
            if (rx[i].finals > 0) {
                rx[i].finals = 0;
                link_open(&l[i]);
            }
            if (!io_busy(&rx[i].op))
                io_recv(l[i].io, &rx[i].op, l[i].fd, IO_MULTI, note);
            uint64_t before = rx[i].bytes;

            peer_put(&l[i], "x", 1);
            UNTIL(rx[i].bytes == before + 1);
        }
    }
    for (int i = 0; i < LINKS; i++)
        link_shut(&l[i]);
}

/* select's own limit: adopt says so, and accept closes what it cannot watch. */
static void above_the_limit(void)
{
    struct sockaddr_in at;
    struct seen acc = { 0 };
    int listener = listener_open(&at, 8), high, dull = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fill[1024], count = 0;

    MUST(io_adopt(t.io, listener) == 0);
    high = fcntl(dull, F_DUPFD_CLOEXEC, 1024);
    MUST(high >= 1024 && io_adopt(t.io, high) == -EMFILE);
    close(high);
    int client = client_open(&at, false);
    while ((fill[count] = dup(dull)) < 1023)
        count++;
    close(fill[count]); /* number 1023 or above */
    fill[count] = fcntl(dull, F_DUPFD_CLOEXEC, 1023);
    io_accept(t.io, &acc.op, listener, IO_MULTI, note);
    UNTIL(acc.finals == 1);
    MUST(acc.r.res == -EMFILE && acc.mores == 0);
    for (int i = 0; i <= count; i++)
        close(fill[i]);
    close(dull);
    close(client);
    close_fd(listener);
}

const struct test_case socket_cases[] = {
    { .name = "accept_many_then_close", .run = accept_many_then_close, .flags = NO_SIM },
    { .name = "accept_burst_and_single", .run = accept_burst_and_single, .flags = NO_SIM },
    { .name = "accept_is_left_to_others",
      .run = accept_is_left_to_others,
      .flags = NO_SIM | NO_BRANCHES },
    { .name = "accept_without_descriptors", .run = accept_without_descriptors, .flags = NO_SIM },
    { .name = "connects", .run = connects, .flags = NO_SIM },
    { .name = "connect_fails", .run = connect_fails, .flags = NO_SIM },
    { .name = "connect_to_a_full_unix_listener",
      .run = connect_to_a_full_unix_listener,
      .flags = NO_SIM },
    { .name = "connect_cancelled", .run = connect_cancelled, .flags = NO_SIM },
    { .name = "datagrams", .run = datagrams, .flags = NO_SIM },
    { .name = "datagram_single", .run = datagram_single, .flags = NO_SIM },
    { .name = "messages_stay_apart", .run = messages_stay_apart, .flags = NO_SIM },
    { .name = "links_come_and_go", .run = links_come_and_go },
    { .name = "thousands",
      .run = thousands,
      .flags = QUIET,
      .limits = { .fds = 20000, .bufs = 64, .buf_size = 2048 } },
    { .name = "above_the_limit",
      .run = above_the_limit,
      .flags = ONLY_SELECT,
      .limits = { .fds = 20000, .bufs = 16, .buf_size = 4096 } },
    { 0 },
};
