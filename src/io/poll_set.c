/* poll_set.c - the array that poll(2) wants. */
#include "io/poll_set.h"

#include "io/reactor.h"

#include <errno.h>
#include <stdlib.h>

enum { ROOM_FIRST = 4 };

void poll_set_done(struct poll_set *set)
{
    free(set->fds);
    *set = (struct poll_set){ 0 };
}

int poll_set_add(struct poll_set *set, int fd)
{
    if (set->count == set->room) {
        uint32_t room = set->room == 0 ? ROOM_FIRST : set->room * 2;
        struct pollfd *more = realloc(set->fds, room * sizeof *more);

        if (more == NULL)
            return -ENOMEM;
        set->fds = more;
        set->room = room;
    }
    set->fds[set->count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
    return 0;
}

int poll_set_watch(struct poll_set *set, struct io_way *w, int fd, unsigned wants)
{
    int events = (wants & IO_READABLE ? POLLIN : 0) | (wants & IO_WRITABLE ? POLLOUT : 0);

    if (w->slot == 0) {
        int error = poll_set_add(set, fd);
        if (error != 0)
            return error;
        w->slot = set->count;
    }
    struct pollfd *p = &set->fds[w->slot - 1];

    CHECK(p->fd == fd || p->fd == ~fd);
    p->fd = wants != 0 ? fd : ~fd;
    p->events = (short)events;
    w->watched = (uint8_t)wants;
    return 0;
}

/* The last entry takes the hole. If it moves in front of where poll's answer is being read, its
 * event is told next time: poll is level-triggered. */
void poll_set_forget(struct poll_set *set, struct io *io, int fd)
{
    struct io_way *w = io_way_at(io, fd);

    if (w->slot == 0)
        return;
    CHECK(w->slot <= set->count &&
          (set->fds[w->slot - 1].fd == fd || set->fds[w->slot - 1].fd == ~fd));
    struct pollfd last = set->fds[--set->count];

    if (w->slot - 1 != set->count) {
        set->fds[w->slot - 1] = last;
        io_way_at(io, last.fd >= 0 ? last.fd : ~last.fd)->slot = w->slot;
    }
    w->slot = 0;
}

void poll_set_tell(struct io *io, const struct pollfd *p)
{
    int e = p->revents;
    bool broken = (e & (POLLHUP | POLLERR | POLLNVAL)) != 0;
    unsigned what =
        (e & POLLIN || broken ? IO_READABLE : 0) | (e & POLLOUT || broken ? IO_WRITABLE : 0);

    if (p->fd >= 0)
        reactor_ready(io, p->fd, what, broken);
}
