/* bell.h - wakes a loop from another thread or from a signal handler, with a callback.
 *
 * A socket pair whose one end the loop receives on: so what happens then runs as a completion
 * like any other, on every engine (the threads engine holds the home loop's lock there).
 */
#ifndef SERVER_BELL_H
#define SERVER_BELL_H

#include "io/io.h"

struct bell {
    struct io *io;
    int ends[2]; /* [0] the loop's, [1] the ringers'                      */
    struct io_op hear, end;
    void (*rung)(void *arg);
    void *arg;
};

/* The descriptors; 0 or -errno. Then bell_hang() by the thread that turns io. */
int bell_open(struct bell *) MUST_USE;
int bell_hang(struct bell *, struct io *, void (*rung)(void *arg), void *arg) MUST_USE;

/* Any thread, any signal. Rings before the callback ran may become one. */
void bell_ring(const struct bell *);

/* Stops hearing; after its completions the descriptors are closed and bell_down() is true. */
void bell_take_down(struct bell *);
bool bell_down(const struct bell *);

#endif
