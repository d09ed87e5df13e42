/* select.c - three bitmaps and their limit: descriptors from FD_SETSIZE on are refused. */
#include "io/reactor.h"

#include <errno.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

struct state {
    fd_set in, out; /* who waits for what */
    int top;        /* highest number ever asked for, + 1 */
    int bell;
};

static int select_open(struct io *io)
{
    struct state *s = io->state;

    s->bell = bell_fd_open();
    if (s->bell >= FD_SETSIZE) {
        close(s->bell);
        return -EMFILE;
    }
    if (s->bell < 0)
        return s->bell;
    FD_SET(s->bell, &s->in);
    s->top = s->bell + 1;
    return 0;
}

static void select_close(struct io *io)
{
    close(((struct state *)io->state)->bell);
}

static void mark(fd_set *set, int fd, bool on)
{
    if (on)
        FD_SET(fd, set);
    else
        FD_CLR(fd, set);
}

/* The table of ways ends at FD_SETSIZE: a higher number does not come here. */
static int select_watch(struct io *io, int fd, unsigned wants)
{
    struct state *s = io->state;

    CHECK(fd >= 0 && fd < FD_SETSIZE);
    mark(&s->in, fd, (wants & IO_READABLE) != 0);
    mark(&s->out, fd, (wants & IO_WRITABLE) != 0);
    if (fd >= s->top)
        s->top = fd + 1;
    io_way_at(io, fd)->watched = (uint8_t)wants;
    return 0;
}

static void tell(struct io *io, const fd_set *in, const fd_set *out, int left, int top)
{
    const struct state *s = io->state;

    for (int fd = 0; fd < top && left > 0; fd++) {
        bool readable = FD_ISSET(fd, in), writable = FD_ISSET(fd, out);

        if (!readable && !writable)
            continue;
        left -= readable + writable;
        if (fd == s->bell) {
            bell_fd_drain(fd);
            offload_harvest(io);
            continue;
        }
        reactor_ready(io, fd, (readable ? IO_READABLE : 0) | (writable ? IO_WRITABLE : 0), false);
    }
}

static void select_wait_once(struct io *io, uint64_t wait_ns)
{
    struct state *s = io->state;
    fd_set in = s->in, out = s->out;
    int top = s->top, ms = io_wait_ms(wait_ns);
    struct timeval t = { ms / 1000, ms % 1000 * 1000 };

    io->stats->syscalls++;
    int left = select(top, &in, &out, NULL, &t);
    io_woke(io);
    tell(io, &in, &out, left, top);
}

static void select_wake(struct io *io)
{
    bell_fd_ring(((struct state *)io->state)->bell);
}

const struct io_engine io_engine_select = {
    .name = "select",
    .fds_max = FD_SETSIZE,
    .nonblock = true,
    .state_size = sizeof(struct state),
    .open = select_open,
    .close = select_close,
    .adopt = reactor_adopt,
    .submit = reactor_submit,
    .cancel = reactor_cancel,
    .flush = reactor_flush,
    .watch = select_watch,
    .wait = select_wait_once,
    .wake = select_wake,
};
