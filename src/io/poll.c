/* poll.c - the array of poll(2), asked in full every turn. */
#include "io/poll_set.h"
#include "io/reactor.h"

#include <errno.h>
#include <unistd.h>

struct state {
    struct poll_set set; /* the first entry is the bell */
    int bell;
};

static int poll_open(struct io *io)
{
    struct state *s = io->state;

    s->bell = bell_fd_open();
    if (s->bell < 0)
        return s->bell;
    int error = poll_set_add(&s->set, s->bell);
    if (error != 0)
        close(s->bell);
    return error;
}

static void poll_close(struct io *io)
{
    struct state *s = io->state;

    close(s->bell);
    poll_set_done(&s->set);
}

static int poll_watch(struct io *io, int fd, unsigned wants)
{
    return poll_set_watch(&((struct state *)io->state)->set, io_way_at(io, fd), fd, wants);
}

static void poll_forget(struct io *io, int fd)
{
    poll_set_forget(&((struct state *)io->state)->set, io, fd);
}

static void poll_wait_once(struct io *io, uint64_t wait_ns)
{
    struct state *s = io->state;

    io->stats->syscalls++;
    int left = poll(s->set.fds, s->set.count, io_wait_ms(wait_ns));
    io_woke(io);
    if (left > 0 && s->set.fds[0].revents != 0) {
        bell_fd_drain(s->bell);
        offload_harvest(io);
        left--;
    }
    /* The array may grow, move and shrink while its events are told. */
    for (uint32_t i = 1; left > 0 && i < s->set.count; i++) {
        struct pollfd p = s->set.fds[i];

        if (p.revents == 0)
            continue;
        s->set.fds[i].revents = 0;
        left--;
        poll_set_tell(io, &p);
    }
}

static void poll_wake(struct io *io)
{
    bell_fd_ring(((struct state *)io->state)->bell);
}

const struct io_engine io_engine_poll = {
    .name = "poll",
    .nonblock = true,
    .state_size = sizeof(struct state),
    .open = poll_open,
    .close = poll_close,
    .adopt = reactor_adopt,
    .submit = reactor_submit,
    .cancel = reactor_cancel,
    .flush = reactor_flush,
    .watch = poll_watch,
    .forget = poll_forget,
    .wait = poll_wait_once,
    .wake = poll_wake,
};
