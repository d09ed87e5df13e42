/* load.c - one loop of the load generator: starts connections, keeps time, ends the run. */
#include "bench/load.h"

#include "base/clock.h"
#include "bench/protocol.h"
#include "net/addr.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BUFS = 256,
    BUF_SIZE = 16 * 1024,
    FDS_SPARE = 128,
    TICKS_A_SECOND = 50,
    TICK_NS = NS_PER_SEC / TICKS_A_SECOND,
    LOOK_EVERY = 5, /* ticks between looks at all connections */
};

static volatile sig_atomic_t interrupted;

void load_interrupt(void)
{
    interrupted = 1;
}

/* ---- what connections ask ----------------------------------------------------------------- */

bool load_take(struct load *l, uint64_t now_ns)
{
    if (l->stopping)
        return false;
    if (l->plan->count > 0 && now_ns >= l->from_ns) {
        if (l->left == 0)
            return false;
        l->left--;
    }
    l->flying++;
    return true;
}

void load_untake(struct load *l, uint64_t stamp_ns, bool again)
{
    l->flying--;
    if (again && l->plan->count > 0 && stamp_ns >= l->from_ns)
        l->left++;
}

void load_error(struct load *l, enum bench_error error, uint64_t count)
{
    if (!l->stopping && clock_mono_ns() >= l->from_ns)
        l->now.errors[error] += count;
}

/* 127.0.0.2 and so on, in turn. */
static void next_loopback(struct sockaddr_storage *ret)
{
    static _Atomic uint32_t turn;
    struct sockaddr_in *a = (struct sockaddr_in *)(void *)ret;

    *a = (struct sockaddr_in){ .sin_family = AF_INET };
    a->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % BENCH_LOOPBACKS);
}

static int bind_source(struct load *l, int fd)
{
    const struct bench_plan *plan = l->plan;
    struct sockaddr_storage loopback;
    const struct sockaddr_storage *from = &loopback;
    int on = 1;

    if (plan->source_count > 0)
        from = &plan->sources[l->next_source++ % plan->source_count];
    else if (l->elsewhere)
        next_loopback(&loopback);
    else
        return 0;
    /* Ports are then chosen at connect(), and one may serve several destinations. */
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    socklen_t size =
        from->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    return bind(fd, (const struct sockaddr *)from, size) == 0 ? 0 : -errno;
}

bool load_elsewhere(struct load *l)
{
    bool fresh = l->plan->more_sources && !l->elsewhere;

    l->elsewhere |= fresh;
    return fresh;
}

int load_socket(struct load *l, struct io *io)
{
    int on = 1, error;
    int fd = socket(l->plan->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    error = bind_source(l, fd);
    if (error == 0)
        error = io_adopt(io, fd);
    if (error != 0)
        close(fd);
    return error == 0 ? fd : error;
}

/* ---- the end ------------------------------------------------------------------------------ */

static void post(struct load *l)
{
    board_post(l->board, l->second++, &l->now);
    l->now = (struct tally){ 0 };
}

/* Requests that were due and for which there was no connection. */
static uint64_t count_overdue(struct load *l, uint64_t now_ns)
{
    uint64_t overdue = 0, most = l->plan->count > 0 ? l->left : UINT64_MAX;

    while (l->share.rate > 0 && pace_due(&l->pace) <= now_ns && overdue < most) {
        pace_take(&l->pace);
        overdue++;
    }
    return overdue;
}

/* For who watches the server meanwhile; at the end there is a moment to look before connections
 * are closed. */
static void mark(const struct load *l, const char *word)
{
    static const struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };

    if (!l->plan->marks || l->share.index != 0)
        return;
    fprintf(stderr, "%s\n", word);
    if (l->stopping)
        nanosleep(&moment, NULL);
}

static void stop(struct load *l, uint64_t now_ns)
{
    l->unfinished = l->flying + count_overdue(l, now_ns);
    l->end_ns = now_ns;
    post(l);
    l->stopping = true;
    mark(l, "end");
    io_timer_stop(l->io, &l->arrival);
    io_timer_stop(l->io, &l->tick);
    for (unsigned i = 0; i < l->share.connections; i++)
        client_stop(&l->clients[i]);
    for (unsigned i = 0; i < l->side_count; i++)
        side_stop(&l->sides[i]);
}

/* ---- time --------------------------------------------------------------------------------- */

static void on_arrival(struct io *io, struct io_timer *timer)
{
    struct load *l = container_of(timer, struct load, arrival);
    uint64_t now_ns = clock_mono_ns();

    while (l->spare != NULL && pace_due(&l->pace) <= now_ns) {
        struct client *c = l->spare;

        if (!client_has_room(c)) { /* full, or closed meanwhile: it comes back by itself */
            l->spare = c->next;
            c->listed = false;
        } else if (load_take(l, now_ns)) {
            client_request(c, pace_take(&l->pace), now_ns);
        } else {
            break;
        }
    }
    uint64_t due_ns = pace_due(&l->pace);
    io_timer_set(io, timer, due_ns > now_ns ? due_ns - now_ns : TICK_NS, on_arrival);
}

void load_spare(struct load *l, struct client *c, uint64_t now_ns)
{
    uint64_t due_ns = pace_due(&l->pace);

    if (l->spare == NULL) /* on_arrival() looks seldom while there is none */
        io_timer_set(l->io, &l->arrival, due_ns > now_ns ? due_ns - now_ns : 1, on_arrival);
    c->listed = true;
    c->next = l->spare;
    l->spare = c;
}

static bool is_over(const struct load *l, uint64_t now_ns)
{
    if (interrupted || now_ns >= l->until_ns)
        return true;
    return l->plan->count > 0 && l->left == 0 && l->flying == 0 && now_ns >= l->from_ns;
}

static void on_tick(struct io *io, struct io_timer *timer)
{
    struct load *l = container_of(timer, struct load, tick);
    uint64_t now_ns = clock_mono_ns();

    if (!l->began && now_ns >= l->from_ns) {
        l->began = true;
        mark(l, "begin");
    }
    if (is_over(l, now_ns)) {
        stop(l, now_ns);
        return;
    }
    if (now_ns >= l->from_ns + (l->second + 1) * NS_PER_SEC)
        post(l);
    if (l->ticks % TICKS_A_SECOND == 0)
        for (unsigned i = 0; i < l->side_count; i++)
            side_tick(&l->sides[i]);
    if (l->ticks % LOOK_EVERY == 0)
        for (unsigned i = 0; i < l->share.connections; i++)
            client_tick(&l->clients[i], now_ns);
    l->ticks++;
    io_timer_set(io, timer, TICK_NS, on_tick);
}

/* On the threads engine each connection has a thread, and that can only be had in a callback. */
static void on_begin(struct io *io, struct io_timer *timer)
{
    struct load *l = container_of(timer, struct load, tick);
    uint64_t now_ns = clock_mono_ns();

    for (unsigned i = 0; i < l->share.connections; i++)
        l->crippled |= (l->clients[i].line.io = io_branch(io)) == NULL;
    for (unsigned i = 0; i < l->side_count; i++)
        l->crippled |= (l->sides[i].line.io = io_branch(io)) == NULL;
    if (l->crippled)
        interrupted = 1;
    l->from_ns = now_ns + l->plan->warmup_ns;
    l->until_ns = l->plan->duration_ns > 0 ? l->from_ns + l->plan->duration_ns : UINT64_MAX;
    if (l->share.rate > 0) {
        pace_init(&l->pace, l->share.rate, l->plan->gaps, now_ns, now_ns + l->share.index);
        io_timer_set(io, &l->arrival, 1, on_arrival);
    }
    if (!interrupted)
        for (unsigned i = 0; i < l->share.connections; i++)
            client_start(&l->clients[i]);
    on_tick(io, timer);
}

/* ---- life --------------------------------------------------------------------------------- */

static int allocate(struct load *l)
{
    const struct bench_plan *plan = l->plan;
    unsigned count = l->share.connections;
    size_t size = (plan->protocol->link_size(plan) + 15) & ~(size_t)15;
    size_t times = 2 * (size_t)plan->depth;

    l->side_count = l->share.idle + l->share.trickle;
    l->clients = calloc(count + 1, sizeof *l->clients);
    l->sides = calloc(l->side_count + 1, sizeof *l->sides);
    l->times = calloc(count + 1, times * sizeof *l->times);
    l->links = calloc(count + 1, size);
    if (l->clients == NULL || l->sides == NULL || l->times == NULL || l->links == NULL)
        return -ENOMEM;
    if (plan->tls.domain != NULL) {
        l->tls_ring = tls_ring_create();
        l->tls = l->tls_ring != NULL ? tls_home_create(l->tls_ring) : NULL;
        if (l->tls == NULL)
            return -ENOMEM;
    }
    for (unsigned i = 0; i < count; i++)
        client_init(&l->clients[i], l, l->times + i * times, l->links + i * size);
    for (unsigned i = 0; i < l->side_count; i++)
        side_init(&l->sides[i], l, i >= l->share.idle);
    return 0;
}

struct load *load_create(const struct bench_plan *plan, const struct load_share *share,
                         struct board *board, int *error)
{
    struct load *l = calloc(1, sizeof *l);
    unsigned fds = plan->connections + plan->idle + plan->trickle + FDS_SPARE;
    unsigned most = io_engine_fds_max(plan->engine);
    struct io_limits limits = { .fds = most != 0 && most < fds ? most : fds,
                                .bufs = BUFS,
                                .buf_size = BUF_SIZE };

    *error = -ENOMEM;
    if (l == NULL)
        return NULL;
    l->plan = plan;
    l->share = *share;
    l->board = board;
    l->left = share->count;
    *error = allocate(l);
    if (*error == 0)
        l->io = io_create(plan->engine, &limits, error);
    if (l->io != NULL)
        return l;
    load_destroy(l);
    return NULL;
}

void load_run(struct load *l)
{
    io_timer_set(l->io, &l->tick, 1, on_begin);
    while (!l->stopping || l->open > 0)
        io_turn(l->io, UINT64_MAX);
    for (unsigned i = 0; i < l->share.connections; i++)
        if (l->clients[i].line.io != NULL)
            io_branch_end(l->clients[i].line.io);
    for (unsigned i = 0; i < l->side_count; i++)
        if (l->sides[i].line.io != NULL)
            io_branch_end(l->sides[i].line.io);
}

void load_destroy(struct load *l)
{
    for (unsigned i = 0; l->clients != NULL && i < l->share.connections; i++)
        client_done(&l->clients[i]);
    for (unsigned i = 0; l->sides != NULL && i < l->side_count; i++)
        side_done(&l->sides[i]);
    if (l->io != NULL)
        io_destroy(l->io);
    if (l->tls != NULL)
        tls_home_drop(l->tls);
    tls_ring_destroy(l->tls_ring);
    free(l->links);
    free(l->times);
    free(l->sides);
    free(l->clients);
    free(l);
}
