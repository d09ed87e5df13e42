/* subrequest.h - a request inside a request.
 *
 * auth_request asks one for its opinion, mirror sends one beside the answer, addition and SSI put
 * the answers of some into theirs. A sub-request runs down the same pipeline, on the same server,
 * from the server's own rewrite instructions on; steps and filters that are about the client
 * (access, limits, ranges, compression …) pass it over. It is a GET of a path, and has its client,
 * fields, method and variables from the main request.
 *
 *   struct request *s = subrequest_create(r, uri, args, &ops, me);
 *   if (s != NULL)
 *       subrequest_run(s);                   ops.answered(s, me), from inside or later
 *
 * Whoever made it ends it with request_end(), from answered() on; what is left is ended with its
 * parent. Its answer's body is pulled by the parent: see subrequest_body().
 */
#ifndef HTTP_SUBREQUEST_H
#define HTTP_SUBREQUEST_H

#include "http/request.h"

enum {
    SUBREQUEST_DEPTH_MAX = 50,     /* requests inside one another                           */
    SUBREQUESTS_MAX = 10000,       /* of one request, over its life                         */
    SUBREQUESTS_DETACHED_MAX = 512 /* of one loop at a time                                 */
};

struct subrequest_ops {
    /* Its answer is decided. It may be ended from here. */
    void (*answered)(struct request *child, void *arg);
    /* Its body said BODY_LATER and can be pulled again. NULL: nobody pulls it. */
    void (*body_ready)(struct request *child, void *arg);
};

/* A GET of uri (a decoded path; args may be absent). Both are copied, ops and arg borrowed. NULL:
 * no memory, or one of the limits above, which is logged. */
struct request *subrequest_create(struct request *parent, struct slice uri, struct slice args,
                                  const struct subrequest_ops *, void *arg) MUST_USE;

/* The same for what the parent asked for, which was answered by a step: that step runs again, in
 * the same location, with the same captures. */
struct request *subrequest_clone(struct request *parent, const struct subrequest_ops *,
                                 void *arg) MUST_USE;

/* Cuts "path?args" for subrequest_create(), which takes both. */
struct slice subrequest_split(struct slice *uri);

/* Runs it. */
void subrequest_run(struct request *);

/* The child goes on after its parent has ended, and ends itself once it was answered, its body
 * having been pulled and thrown away. Before subrequest_run(). False: the loop has
 * SUBREQUESTS_DETACHED_MAX of them: the child was ended instead. */
bool subrequest_detach(struct request *) MUST_USE;

/* The answer to a GET of uri as a body of its parent: made and run when it is pulled first, ended
 * with its last byte. NULL: no memory. Copies both. */
struct body *subrequest_body(struct request *parent, struct slice uri, struct slice args) MUST_USE;

/* Was the child's answer decided? */
bool subrequest_answered(const struct request *);

#endif
