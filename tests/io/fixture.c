/* fixture.c - what the cases of the conformance test share. */
#include "fixture.h"

#include "base/clock.h"
#include "io/sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture t;

enum { SNDBUF_SMALL = 8192, PATTERN_STEP = 64 * 1024 };

_Noreturn void fail_at(const char *file, int line, const char *func, const char *what)
{
    fprintf(stderr, "FAILED %s/%s (seed %llu)\n  %s:%d in %s(): %s\n", t.engine, t.name,
            (unsigned long long)t.seed, file, line, func, what);
    if (t.io != NULL)
        io_dump(t.io, stderr);
    exit(1);
}

/* Sim's clock only moves when its loop has nothing to do; the same bound serves both. */
static uint64_t clock_of_test(void)
{
    return t.sim ? io_now_ns(t.io) : clock_mono_ns();
}

uint64_t patience_end(void)
{
    return clock_of_test() + (uint64_t)PATIENCE_MS * MS * (t.sim ? 20 : 1);
}

bool patience_over(uint64_t end)
{
    return clock_of_test() > end;
}

void settle(void)
{
    for (int i = 0; i < SETTLE_TURNS; i++)
        io_turn(t.io, 3 * MS);
}

static void on_quiet_over(struct io *io, struct io_timer *timer)
{
    (void)io;
    (void)timer;
}

void must_not_spin(const char *file, int line)
{
    enum { QUIET_MS = 150, TURNS_MAX = 12 };
    struct io_timer quiet = { 0 };
    uint64_t before = io_stats(t.io)->turns;

    io_timer_set(t.io, &quiet, (uint64_t)QUIET_MS * MS, on_quiet_over);
    while (quiet.slot != 0)
        io_turn(t.io, 1000 * (uint64_t)MS);
    if (io_stats(t.io)->turns - before > TURNS_MAX)
        fail_at(file, line, __func__, "the loop spins");
}

/* ---- completions ------------------------------------------------------------------------- */

uint32_t hash_add(uint32_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * 16777619u;
    return hash;
}

void note(struct io *io, struct io_op *op, struct io_result r)
{
    struct seen *s = (struct seen *)(void *)op;

    MUST(s->finals == 0 || (r.flags & IO_MORE) || !io_busy(op));
    s->r = r;
    if (r.flags & IO_MORE)
        s->mores++;
    else
        s->finals++;
    if (r.res > 0 && op->kind != IO_ACCEPT)
        s->bytes += (uint64_t)r.res;
    if (r.buf != NULL) {
        MUST(r.res > 0 && r.buf->filled == (uint32_t)r.res);
        s->hash = hash_add(s->hash, r.buf->bytes, (size_t)r.res);
        if (!s->keep)
            io_buf_release(io, r.buf);
    }
    if (s->then_cancel != NULL) {
        io_cancel(s->then_io, s->then_cancel);
        s->then_cancel = NULL;
    }
}

/* ---- links ------------------------------------------------------------------------------- */

struct io *loop_open(void)
{
    if (!t.branches && strcmp(t.engine, "threads") == 0)
        return t.io;
    struct io *io = io_branch(t.io);

    MUST(io != NULL);
    return io;
}

static void link_start(struct link *l, int ours, int peer)
{
    int small = SNDBUF_SMALL;

    *l = (struct link){ .fd = ours, .peer = peer };
    l->io = loop_open();
    HAVE(fcntl(peer, F_SETFL, O_NONBLOCK) == 0);
    setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    MUST(io_adopt(l->io, ours) == 0);
}

void link_open(struct link *l)
{
    int ends[2];

    if (t.sim) {
        *l = (struct link){ .io = t.io, .peer = -1 };
        l->sim = sim_pair(t.io, &l->fd);
        return;
    }
    HAVE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    link_start(l, ends[0], ends[1]);
}

void link_open_tcp(struct link *l)
{
    struct sockaddr_in at;

    if (t.sim) {
        link_open(l);
        return;
    }
    int listener = listener_open(&at, 1), peer = client_open(&at, false);
    int ours = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    HAVE(ours >= 0);
    close(listener);
    link_start(l, ours, peer);
}

static void on_link_end(struct io *io, struct io_op *op, struct io_result r)
{
    struct link *l = container_of((struct seen *)(void *)op, struct link, end);

    note(io, op, r);
    io_branch_end(l->io);
}

void link_close_start(struct link *l)
{
    io_close(l->io, &l->end.op, l->fd, on_link_end);
}

bool link_closed(const struct link *l)
{
    return l->end.finals == 1;
}

void link_shut(struct link *l)
{
    link_close_start(l);
    UNTIL(link_closed(l));
    MUST(l->end.r.res == 0);
    peer_close(l);
}

void peer_put(struct link *l, const void *bytes, size_t size)
{
    if (l->sim != NULL)
        MUST(sim_peer_write(l->sim, bytes, size) == size);
    else
        HAVE(write(l->peer, bytes, size) == (ssize_t)size);
}

int peer_get(struct link *l, void *into, size_t size)
{
    ssize_t n = l->sim != NULL ? sim_peer_read(l->sim, into, size) : read(l->peer, into, size);

    if (n >= 0)
        return (int)n;
    return errno == EAGAIN ? -1 : -2;
}

size_t peer_drain(struct link *l, uint32_t *hash, size_t most)
{
    static uint8_t sink[PATTERN_STEP];
    size_t got = 0;

    while (got < most) {
        size_t room = most - got < sizeof sink ? most - got : sizeof sink;
        int n = peer_get(l, sink, room);

        if (n <= 0)
            break;
        *hash = hash_add(*hash, sink, (size_t)n);
        got += (size_t)n;
    }
    return got;
}

void peer_finish(struct link *l)
{
    if (l->sim != NULL)
        sim_peer_shutdown(l->sim);
    else
        HAVE(shutdown(l->peer, SHUT_WR) == 0);
}

void peer_close(struct link *l)
{
    if (l->sim != NULL)
        sim_peer_close(l->sim);
    else if (l->peer >= 0)
        close(l->peer);
    l->sim = NULL;
    l->peer = -1;
}

void peer_reset(struct link *l)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (l->sim != NULL) {
        sim_peer_reset(l->sim);
        l->sim = NULL;
        return;
    }
    HAVE(setsockopt(l->peer, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    peer_close(l);
}

int listener_open(struct sockaddr_in *ret_at, int backlog)
{
    socklen_t size = sizeof *ret_at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *ret_at =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    HAVE(fd >= 0 && bind(fd, (struct sockaddr *)ret_at, size) == 0);
    HAVE(listen(fd, backlog) == 0);
    HAVE(getsockname(fd, (struct sockaddr *)ret_at, &size) == 0);
    return fd;
}

int client_open(const struct sockaddr_in *at, bool nonblock)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0), 0);

    HAVE(fd >= 0);
    int error = connect(fd, (const struct sockaddr *)at, sizeof *at);
    HAVE(error == 0 || errno == EINPROGRESS);
    return fd;
}

/* ---- files ------------------------------------------------------------------------------- */

void pattern_fill(uint8_t *bytes, size_t size, uint64_t offset)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((offset + i) * 2654435761u >> 13);
}

uint32_t pattern_hash(size_t size, uint64_t offset)
{
    static uint8_t step[PATTERN_STEP];
    uint32_t hash = 0;

    while (size > 0) {
        size_t n = size < sizeof step ? size : sizeof step;

        pattern_fill(step, n, offset);
        hash = hash_add(hash, step, n);
        offset += n;
        size -= n;
    }
    return hash;
}

int file_open(size_t size, bool cold)
{
    static uint8_t step[PATTERN_STEP];
    char name[] = "/var/tmp/weir-io-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);

    HAVE(fd >= 0);
    unlink(name);
    for (size_t at = 0; at < size;) {
        size_t n = size - at < sizeof step ? size - at : sizeof step;

        pattern_fill(step, n, at);
        HAVE(write(fd, step, n) == (ssize_t)n);
        at += n;
    }
    if (cold) {
        HAVE(fsync(fd) == 0);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    }
    return fd;
}
