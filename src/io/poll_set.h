/* poll_set.h - the array that poll(2) wants, kept up to date instead of built for each call.
 *
 * A descriptor enters at its first wait and stays until it is closed; while nobody waits for it,
 * its entry is masked (a negative number), because poll reports errors even of those that ask
 * for nothing. For poll.c and threads.c.
 */
#ifndef IO_POLL_SET_H
#define IO_POLL_SET_H

#include "io/engine.h"

#include <poll.h>

struct poll_set {
    struct pollfd *fds;
    uint32_t count, room;
};

void poll_set_done(struct poll_set *);
int poll_set_watch(struct poll_set *, struct io_way *, int fd, unsigned wants) MUST_USE;
void poll_set_forget(struct poll_set *, struct io *, int fd);

/* One that is always waited for: readable. */
int poll_set_add(struct poll_set *, int fd) MUST_USE;

/* Tells the reactor about an entry that has revents. */
void poll_set_tell(struct io *, const struct pollfd *);

#endif
