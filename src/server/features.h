/* features.h - THE list: every feature, step and filter of this server, in their order. */
#ifndef SERVER_FEATURES_H
#define SERVER_FEATURES_H

#include "http/pipeline.h"

/* NULL-terminated. Adding a feature means adding a line here. */
extern const struct feature *const features[];
extern const struct pipeline pipeline;

/* What features keep per loop. 0 or -errno; close is also for a loop that was half opened. */
int features_loop_open(struct loop *) MUST_USE;
void features_loop_close(struct loop *);

/* The loop goes over from one site (NULL: its first) to another. */
void features_loop_use(struct loop *, struct site *from, struct site *to);

/* The loop leaves: what features keep open is closed. Asked until it is true: all of it is. */
bool features_loop_leave(struct loop *);

#endif
