/* transform.h - a body whose bytes are changed on their way: compressed, converted, replaced.
 *
 *   static const struct transform_ops ops = { "gzip", run, done };
 *   if (!transform_wrap(r, &ops, state))          around r->response.body
 *       return request_fail(r, 500);
 *
 * What changes the bytes knows no request: it takes from a slice and puts into a room, and is told
 * when to hold nothing back. One pull takes at most TRANSFORM_WORK bytes: then what has come out
 * is sent, and other connections have their turn. Memory is a room of TRANSFORM_ROOM bytes and
 * what run() keeps.
 */
#ifndef FILTER_TRANSFORM_H
#define FILTER_TRANSFORM_H

#include "http/request.h"

enum { TRANSFORM_ROOM = 32 * 1024, TRANSFORM_WORK = 64 * 1024 };

enum transform_op {
    TRANSFORM_FEED,  /* take what you can                                             */
    TRANSFORM_FLUSH, /* nothing more will come for a while: put out what may be read   */
    TRANSFORM_END,   /* nothing more will come                                        */
};

struct transform_room {
    char *at;
    size_t left;
};

enum transform_status {
    TRANSFORM_DONE, /* all of *in was taken, and the op is complete                   */
    TRANSFORM_FULL, /* call again with more room                                      */
    TRANSFORM_FAILED,
};

struct transform_ops {
    const char *name;
    /* Takes bytes off *in, puts bytes into *out. in is empty with FLUSH and END. FULL is said
     * only when out cannot take more. */
    enum transform_status (*run)(void *state, enum transform_op op, struct slice *in,
                                 struct transform_room *out);
    void (*done)(void *state); /* may be NULL */
};

/* Puts it around r's body; the length is then unknown and there are no ranges. Takes state, also
 * when it fails: false, memory ran out. An answer without a body, or to HEAD, is left alone but for
 * its length. */
bool transform_wrap(struct request *, const struct transform_ops *, void *state) MUST_USE;

#endif
