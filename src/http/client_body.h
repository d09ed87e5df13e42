/* client_body.h - the request's body, between the protocol that brings it and who reads it.
 *
 *   r->sink = &my_sink;
 *   r->ops->read_body(r);            the protocol calls sink->bytes() and sink->end(), later
 *
 * A handler wants handler/client_body.h, which is such a sink. Laws:
 *   - nothing is brought from inside read_body();
 *   - after bytes() returned false, nothing (end() included) is brought before read_body() is
 *     called again: what the client sends waits in its receive window;
 *   - end() is called once, and nothing after it; read_body() must not be called then;
 *   - a client that goes away ends the request: see request_at_end(). No end() is called.
 */
#ifndef HTTP_CLIENT_BODY_H
#define HTTP_CLIENT_BODY_H

#include "base/slice.h"

#include <stdint.h>

struct request;

enum { CLIENT_BODY_PIECE_MAX = 16 * 1024 };

struct body_sink {
    /* A piece of 1 … CLIENT_BODY_PIECE_MAX bytes, lent for the call; all of it is taken. False:
     * enough for now. */
    bool (*bytes)(struct request *, struct slice piece);
    /* 0: that was all. 400 (a broken chunk), 408 (late, or too slow), 413 (too large): the rest
     * is not read, and the connection ends behind the answer. */
    void (*end)(struct request *, unsigned status);
    /* Nothing of the request's memory is on its way to somebody: it may sleep (http/sleep.h) until
     * there is more. NULL: never. */
    bool (*quiet)(const struct request *);
};

/* What was read of a body: in memory, or, as soon as it is too large for that, in a file. Made
 * by handler/client_body.c; read by variables. */
struct client_body {
    struct slice memory; /* all of it, if file is -1                                       */
    int file;            /* else its file, open for reading; -1: none                      */
    struct slice name;   /* of that file; size 0: it has none                              */
    uint64_t size;       /* bytes so far                                                   */
    bool complete;       /* it was read to its end                                         */
};

#endif
