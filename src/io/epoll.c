/* epoll.c - a socket is registered once, edge-triggered, and never touched again.
 *
 * Writability is asked for from the first time that a send would block: most connections never
 * come there, and are spared the event that says a new socket can be written to. A listener is
 * level-triggered, exclusive (one loop is woken per connection), and registered only while an
 * accept waits: a loop that has none must not swallow wake-ups meant for others.
 */
#include "io/reactor.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_PER_TURN = 512 };

struct state {
    int epoll, bell;
    struct epoll_event events[EVENTS_PER_TURN];
};

static int epoll_open(struct io *io)
{
    struct state *s = io->state;
    struct epoll_event e = { .events = EPOLLIN, .data.fd = -1 };

    s->bell = -1;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0)
        return -errno;
    s->bell = bell_fd_open();
    int error = s->bell;
    if (error >= 0)
        error = epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->bell, &e) == 0 ? 0 : -errno;
    if (error != 0) {
        if (s->bell >= 0)
            close(s->bell);
        close(s->epoll);
    }
    return error;
}

static void epoll_close(struct io *io)
{
    struct state *s = io->state;

    close(s->bell);
    close(s->epoll);
}

static int control(struct io *io, int verb, int fd, uint32_t events)
{
    struct state *s = io->state;
    struct epoll_event e = { .events = events, .data.fd = fd };

    io->stats->syscalls++;
    return epoll_ctl(s->epoll, verb, fd, &e) == 0 ? 0 : -errno;
}

static int watch_listener(struct io *io, int fd, struct io_way *w, unsigned wants)
{
    int error = wants != 0 ? control(io, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE)
                           : control(io, EPOLL_CTL_DEL, fd, 0);
    if (error == 0)
        w->watched = (uint8_t)wants;
    return error;
}

static int epoll_watch(struct io *io, int fd, unsigned wants)
{
    struct io_way *w = io_way_at(io, fd);
    uint32_t events = EPOLLET | EPOLLIN | EPOLLRDHUP;

    if (w->in != NULL && w->in->kind == IO_ACCEPT)
        w->listens = true;
    if (w->listens)
        return watch_listener(io, fd, w, wants);
    if ((wants & ~w->watched) == 0)
        return 0; /* registered already: edges keep coming */
    if (wants & IO_WRITABLE)
        events |= EPOLLOUT;
    int error = control(io, w->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, events);
    if (error == 0)
        w->watched = IO_READABLE | (wants & IO_WRITABLE);
    return error;
}

static void epoll_wait_once(struct io *io, uint64_t wait_ns)
{
    struct state *s = io->state;

    io->stats->syscalls++;
    int count = epoll_wait(s->epoll, s->events, EVENTS_PER_TURN, io_wait_ms(wait_ns));
    io_woke(io);
    for (int i = 0; i < count; i++) {
        uint32_t e = s->events[i].events;
        bool ended = (e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        unsigned what = (e & EPOLLIN || ended ? IO_READABLE : 0) |
                        (e & (EPOLLOUT | EPOLLHUP | EPOLLERR) ? IO_WRITABLE : 0);

        if (s->events[i].data.fd >= 0) {
            reactor_ready(io, s->events[i].data.fd, what, ended);
        } else {
            bell_fd_drain(s->bell);
            offload_harvest(io);
        }
    }
}

static void epoll_wake(struct io *io)
{
    bell_fd_ring(((struct state *)io->state)->bell);
}

const struct io_engine io_engine_epoll = {
    .name = "epoll",
    .nonblock = true,
    .state_size = sizeof(struct state),
    .open = epoll_open,
    .close = epoll_close,
    .adopt = reactor_adopt,
    .submit = reactor_submit,
    .cancel = reactor_cancel,
    .flush = reactor_flush,
    .watch = epoll_watch,
    .wait = epoll_wait_once,
    .wake = epoll_wake,
};
