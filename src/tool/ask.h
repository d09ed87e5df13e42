/* ask.h - one question over a unix socket: HTTP for commands that wait for the answer. */
#ifndef TOOL_ASK_H
#define TOOL_ASK_H

#include "base/gather.h"

struct asked {
    unsigned status;
    struct slice body;
    struct arena room; /* of the body: asked_done()'s */
};

/* body may be NULL. 0 or -errno; -EPROTO: what came is no answer. */
int ask_unix(const char *socket_path, const char *method, const char *path, const char *body,
             struct asked *) MUST_USE;
void asked_done(struct asked *);

#endif
