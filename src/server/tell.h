/* tell.h - `weir -s …` and `weir -t`: commands that act on a configuration and go. */
#ifndef SERVER_TELL_H
#define SERVER_TELL_H

#include "server/config.h"

/* Each returns the exit status. */
int tell_signal(const struct options *, const struct registry *);
int tell_test(const struct options *, const struct registry *);

#endif
