/* relay_h2_private.h - a request's stream, for relay_h2.c and relay_h2_session.c. */
#ifndef UPSTREAM_RELAY_H2_PRIVATE_H
#define UPSTREAM_RELAY_H2_PRIVATE_H

#include "base/list.h"
#include "upstream/h2_link.h"
#include "upstream/relay_h2.h"

/* A connection, as its streams see it. */
struct h2_session {
    struct h2_link *link;
    struct list news; /* of streams that something is to be told to */
};

struct relay_h2 {
    struct relay *relay;
    struct h2_session *session; /* NULL: the stream has no connection, or none any more */
    struct h2_stream stream;
    struct link news; /* in session->news */
    const struct h1_limits *limits;
    struct h1_response *answer, trailers;
    enum http_method method;
    enum h1_verdict head; /* what came of it so far                              */
    unsigned interims;
    struct io_buf *first, *last; /* content that the relay was not given yet            */
    struct io_buf *spare;        /* the last one, if it was made and has room; else NULL */
    uint64_t aside;              /* bytes of them that were copied                      */
    uint64_t unread;             /* … and that it has, and has not read                 */
    uint64_t left;               /* of a body whose length is known                     */
    bool over;                   /* all of the answer came                              */
    bool has_trailers;
    bool shut; /* a window is: told when one opens                    */
};

static inline enum h1_verdict relay_h2_bad(struct relay *y, const char *why)
{
    y->why = why;
    return H1_BAD;
}

/* Of the connection that the channel is a stream of. NULL: no memory. */
struct h2_session *h2_session_begin(struct channel *) MUST_USE;

#endif
