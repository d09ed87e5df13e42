/* sim.c - an engine for tests, in which nothing happens but by the seed. */
#include "io/sim_net.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TURN_NS = 1000,        /* a turn that has something to do takes so long */
    FILE_STEP = 16 * 1024, /* most that one step of a sendfile moves        */
    START_NS = 1000000000, /* never 0: that means "not set" to timers       */
};

/* ---- birth and death ------------------------------------------------------------------------ */

static int sim_open(struct io *io)
{
    struct sim_state *s = io->state;

    io->fd_base = SIM_FD_BASE;
    s->now_ns = START_NS;
    s->random = 1;
    s->ends = calloc(io->limits.fds, sizeof(struct sim_peer *));
    return s->ends != NULL ? 0 : -ENOMEM;
}

/* What a test left open it had its reasons for; sim_ledger() tells. */
static void sim_close(struct io *io)
{
    struct sim_state *s = io->state;

    CHECK(s->job_count == 0);
    for (uint32_t i = 0; i < s->top; i++)
        if (s->ends[i] != NULL)
            sim_end_close(s->ends[i]);
    free(s->jobs);
    free(s->ends);
}

static int sim_adopt(struct io *io, int fd)
{
    (void)sim_end_at(io, fd);
    return 0;
}

static uint64_t sim_clock(struct io *io)
{
    return sim_of(io)->now_ns;
}

static int sim_shut(struct io *io, int fd)
{
    sim_end_close(sim_end_at(io, fd));
    return 0;
}

static void sim_finish(struct io *io, int fd)
{
    sim_end_finish(sim_end_at(io, fd));
}

static int sim_connectable(struct io *io)
{
    struct sim_peer *e = sim_end_new(io);
    int fd = sim_end_number(e);

    if (fd < 0)
        sim_end_close(e);
    return fd;
}

static bool sim_silent(struct io *io, int fd)
{
    const struct sim_peer *e = sim_end_at(io, fd);

    return e->used == 0 && !e->got_fin && !e->got_reset;
}

static void sim_reset_on_close(struct io *io, int fd)
{
    sim_end_at(io, fd)->resets = true;
}

/* The loop never sleeps: there is nobody to wake. */
static void sim_wake(struct io *io)
{
    (void)io;
}

/* ---- trying an op --------------------------------------------------------------------------- */

/* False: it would block, or has more to do; *r is the result otherwise. */
typedef bool try_fn(struct io *, struct io_op *, struct sim_peer *, struct io_result *);

static bool result(struct io_result *r, int32_t res, const struct io_op *op)
{
    *r = io_result(res, res > 0 && op->flags & IO_MULTI ? IO_MORE : 0);
    return true;
}

static bool try_accept(struct io *io, struct io_op *op, struct sim_peer *e, struct io_result *r)
{
    struct sim_peer *server = sim_queue_take(e);

    (void)io;
    if (server == NULL)
        return false;
    int fd = sim_end_number(server);

    if (fd < 0)
        sim_end_close(server);
    return result(r, fd, op);
}

static uint16_t port_of(const struct sockaddr *addr)
{
    struct sockaddr_in6 six;
    struct sockaddr_in four;

    if (addr->sa_family == AF_INET6) {
        memcpy(&six, addr, sizeof six);
        return ntohs(six.sin6_port);
    }
    if (addr->sa_family != AF_INET)
        return 0;
    memcpy(&four, addr, sizeof four);
    return ntohs(four.sin_port);
}

static bool try_connect(struct io *io, struct io_op *op, struct sim_peer *e, struct io_result *r)
{
    struct sim_peer *listener = sim_listener_at(io, port_of(op->connect.addr));

    if (listener == NULL)
        return result(r, -ECONNREFUSED, op);
    struct sim_peer *server = sim_end_new(io);

    sim_end_join(e, server);
    sim_queue_push(listener, server);
    return result(r, 0, op);
}

static bool try_recv(struct io *io, struct io_op *op, struct sim_peer *e, struct io_result *r)
{
    if (e->used == 0) {
        if (e->got_reset)
            return result(r, -ECONNRESET, op);
        return e->got_fin ? result(r, 0, op) : false;
    }
    struct io_buf *b = sim_chance(io, sim_of(io)->faults.no_bufs) ? NULL : io_buf_take(io);

    if (b == NULL) {
        io_starve(io, op);
        return false;
    }
    size_t room = b->size < e->used ? b->size : e->used;

    b->used = 0;
    b->filled = (uint32_t)sim_end_get(e, b->bytes, sim_short(io, room));
    result(r, (int32_t)b->filled, op);
    r->buf = b;
    return true;
}

/* How much of `left` can be moved now; 0: none. */
static size_t movable(struct io *io, const struct sim_peer *e, size_t left)
{
    size_t room = sim_end_room(e);

    return sim_short(io, left < room ? left : room);
}

static bool try_send(struct io *io, struct io_op *op, struct sim_peer *e, struct io_result *r)
{
    struct iovec rest[IO_IOV_MAX];
    int count = way_send_rest(op, rest);

    if (count > 0 && e->got_reset)
        return result(r, -EPIPE, op);
    for (int i = 0; i < count && !e->got_reset; i++) {
        size_t n = movable(io, e, rest[i].iov_len);

        if (n == 0)
            return false;
        sim_end_put(e, rest[i].iov_base, n);
        op->send.sent += (uint32_t)n;
        if (n < rest[i].iov_len)
            return false;
    }
    if (op->send.sent < way_send_total(op))
        return result(r, -EPIPE, op);
    return result(r, (int32_t)op->send.sent, op);
}

static bool try_sendfile(struct io *io, struct io_op *op, struct sim_peer *e, struct io_result *r)
{
    uint8_t step[FILE_STEP];

    if (op->file.left > 0 && e->got_reset)
        return result(r, -EPIPE, op);
    size_t n = movable(io, e, op->file.left < sizeof step ? op->file.left : sizeof step);

    if (op->file.left > 0 && n == 0)
        return false;
    ssize_t got = n > 0 ? pread(op->file.file, step, n, (off_t)op->file.offset) : 0;

    if (got < 0)
        return result(r, -errno, op);
    if (got > 0)
        sim_end_put(e, step, (size_t)got);
    op->file.offset += (uint64_t)got;
    op->file.left -= (uint32_t)got;
    op->file.sent += (uint32_t)got;
    if (got == 0 && op->file.left > 0)
        return result(r, -ENODATA, op);
    return op->file.left == 0 ? result(r, (int32_t)op->file.sent, op) : false;
}

static try_fn *const tries[] = {
    [IO_ACCEPT] = try_accept, [IO_CONNECT] = try_connect,   [IO_RECV] = try_recv,
    [IO_SEND] = try_send,     [IO_SENDFILE] = try_sendfile, [IO_CLOSE] = NULL,
};

/* Could it get anywhere now? Decides nothing, takes nothing. */
static bool could(const struct io_op *op, const struct sim_peer *e)
{
    const struct sim_peer *listener;

    switch (op->kind) {
    case IO_ACCEPT:
        return e->queue != NULL;
    case IO_CONNECT:
        listener = sim_listener_at(e->io, port_of(op->connect.addr));
        return listener == NULL || !listener->mute;
    case IO_RECV:
        return e->used > 0 || e->got_fin || e->got_reset;
    case IO_SEND:
    case IO_SENDFILE:
        return e->got_reset || sim_end_room(e) > 0;
    default:
        return true;
    }
}

/* ---- submit and cancel ---------------------------------------------------------------------- */

static void sim_submit(struct io *io, struct io_op *op)
{
    struct sim_peer *e = sim_end_at(io, op->fd);

    CHECK(op->kind < COUNT_OF(tries) && tries[op->kind] != NULL); /* sim has no datagrams */
    if (io_way_at(io, op->fd)->in == op)
        e->in_due_ns = 0;
    else
        e->out_due_ns = 0;
}

static void sim_work(struct io *io, struct io_op *op)
{
    struct sim_state *s = sim_of(io);

    if (s->job_count == s->job_room) {
        s->job_room = s->job_room * 2 + 8;
        s->jobs = realloc(s->jobs, s->job_room * sizeof *s->jobs);
        CHECK(s->jobs != NULL);
    }
    s->jobs[s->job_count++] = (struct sim_job){ op, sim_due(io) };
}

static struct io_op *job_remove(struct sim_state *s, uint32_t i)
{
    struct io_op *op = s->jobs[i].op;

    s->jobs[i] = s->jobs[--s->job_count];
    return op;
}

static void sim_cancel(struct io *io, struct io_op *op)
{
    struct sim_state *s = sim_of(io);

    if (sim_chance(io, s->faults.late_cancel))
        return; /* the next wait decides */
    if (op->kind == IO_WORK || op->kind == IO_READ)
        for (uint32_t i = 0; i < s->job_count; i++)
            if (s->jobs[i].op == op) {
                job_remove(s, i);
                break;
            }
    io_defer(io, op, io_result(-ECANCELED, 0));
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* Things that can happen: an op of an end, or a job. */
struct chance {
    int fd;
    bool in;
    struct io_op *job;
};

struct chances {
    struct chance *all;
    uint32_t count, room;
    uint64_t next_ns;
};

static void chance_add(struct chances *c, struct chance one)
{
    if (c->count == c->room) {
        c->room = c->room * 2 + 16;
        c->all = realloc(c->all, c->room * sizeof *c->all);
        CHECK(c->all != NULL);
    }
    c->all[c->count++] = one;
}

static void consider(struct io *io, struct chances *c, struct sim_peer *e, const struct io_op *op,
                     uint64_t *due_ns)
{
    if (op == NULL || op->state != IO_FLYING)
        return;
    if (op->doomed) {
        *due_ns = sim_of(io)->now_ns;
    } else if (!could(op, e)) {
        *due_ns = 0;
        return;
    }
    if (*due_ns == 0)
        *due_ns = sim_due(io);
    if (*due_ns <= sim_of(io)->now_ns)
        chance_add(c, (struct chance){ e->fd, due_ns == &e->in_due_ns, NULL });
    else if (*due_ns < c->next_ns)
        c->next_ns = *due_ns;
}

static void look_around(struct io *io, struct chances *c)
{
    struct sim_state *s = sim_of(io);

    c->count = 0;
    c->next_ns = UINT64_MAX;
    for (int fd = io->fd_base; fd < io->fd_top; fd++) {
        struct sim_peer *e = s->ends[fd - io->fd_base];

        if (e == NULL)
            continue;
        consider(io, c, e, io_way_at(io, fd)->in, &e->in_due_ns);
        consider(io, c, e, io_way_at(io, fd)->out, &e->out_due_ns);
    }
    for (uint32_t i = 0; i < s->job_count; i++) {
        if (s->jobs[i].due_ns <= s->now_ns)
            chance_add(c, (struct chance){ -1, false, s->jobs[i].op });
        else if (s->jobs[i].due_ns < c->next_ns)
            c->next_ns = s->jobs[i].due_ns;
    }
}

/* An earlier one of this turn may have changed everything: each is looked at afresh. */
static void happen(struct io *io, const struct chance *c)
{
    struct sim_peer *e = sim_of(io)->ends[c->fd - io->fd_base];
    struct io_way *w = io_way_at(io, c->fd);
    struct io_op *op = c->in ? w->in : w->out;
    struct io_result r;

    if (e == NULL || op == NULL || op->state != IO_FLYING || !could(op, e)) {
        if (e != NULL && op != NULL && op->state == IO_FLYING && op->doomed)
            io_deliver(io, op, io_result(-ECANCELED, 0));
        return;
    }
    *(c->in ? &e->in_due_ns : &e->out_due_ns) = 0;
    if (tries[op->kind](io, op, e, &r)) {
        if (op->doomed)
            r.flags = 0;
        io_deliver(io, op, r);
    } else if (op->doomed && op->state == IO_FLYING) {
        io_deliver(io, op, io_result(-ECANCELED, 0));
    }
}

static void job_happen(struct io *io, struct io_op *op)
{
    struct sim_state *s = sim_of(io);
    uint32_t i = 0;

    while (i < s->job_count && s->jobs[i].op != op)
        i++;
    if (i == s->job_count)
        return; /* cancelled by one before */
    job_remove(s, i);
    if (op->kind == IO_WORK) {
        io_deliver(io, op, io_result(op->work.fn(op), 0));
        return;
    }
    ssize_t n = pread(op->fd, op->read.into, sim_short(io, op->read.size), (off_t)op->read.offset);

    io_deliver(io, op, io_result(n >= 0 ? (int32_t)n : -errno, 0));
}

static void all_happen(struct io *io, struct chances *c)
{
    while (c->count > 0) {
        uint32_t i = sim_random(io, c->count);
        struct chance one = c->all[i];

        c->all[i] = c->all[--c->count];
        if (one.job != NULL)
            job_happen(io, one.job);
        else
            happen(io, &one);
    }
}

static void sim_wait(struct io *io, uint64_t wait_ns)
{
    struct sim_state *s = sim_of(io);
    struct chances c = { 0 };
    uint64_t end = wait_ns > UINT64_MAX - s->now_ns ? UINT64_MAX : s->now_ns + wait_ns;

    s->now_ns += TURN_NS;
    look_around(io, &c);
    if (c.count == 0 && s->now_ns < end) {
        uint64_t next = c.next_ns < end ? c.next_ns : end;

        if (next != UINT64_MAX)
            s->now_ns = next;
        look_around(io, &c);
    }
    io_woke(io);
    all_happen(io, &c);
    free(c.all);
}

/* ---- what tests call ------------------------------------------------------------------------ */

void sim_seed(struct io *io, uint64_t seed)
{
    sim_of(io)->random = seed * 2 + 1;
}

void sim_faults(struct io *io, const struct sim_faults *faults)
{
    sim_of(io)->faults = *faults;
}

int sim_step(struct io *io, uint64_t time_ns)
{
    uint64_t end = sim_of(io)->now_ns + time_ns;
    int ran = 0;

    do
        ran += io_turn(io, end > sim_of(io)->now_ns ? end - sim_of(io)->now_ns : 0);
    while (sim_of(io)->now_ns < end);
    return ran;
}

struct sim_ledger sim_ledger(const struct io *io)
{
    const struct sim_state *s = sim_of(io);

    return (struct sim_ledger){ s->sockets, s->peers, io->bufs.lent, io->flying, io->timers.count };
}

const struct io_engine io_engine_sim = {
    .name = "sim",
    .state_size = sizeof(struct sim_state),
    .open = sim_open,
    .close = sim_close,
    .adopt = sim_adopt,
    .submit = sim_submit,
    .cancel = sim_cancel,
    .wait = sim_wait,
    .wake = sim_wake,
    .work = sim_work,
    .clock = sim_clock,
    .shut = sim_shut,
    .finish = sim_finish,
    .socket = sim_connectable,
    .silent = sim_silent,
    .reset_on_close = sim_reset_on_close,
};
