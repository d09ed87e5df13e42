/* client_body_private.h - one body being read: shared by client_body.c and body_stream.c. */
#ifndef HANDLER_CLIENT_BODY_PRIVATE_H
#define HANDLER_CLIENT_BODY_PRIVATE_H

#include "handler/client_body.h"
#include "handler/temp_file.h"
#include "io/io.h"

struct stream;

enum { TEMP_NAME_SIZE = 4096 };

struct reading {
    struct client_body body;
    struct request *request;
    char *buffer; /* most + CLIENT_BODY_PIECE_MAX bytes, or the body's length     */
    size_t most, used;
    uint64_t written; /* to the file                                              */
    unsigned status;  /* it was refused, or could not be written                   */
    int in_file_only;
    unsigned users; /* requests that may open it: its own, those it is shared with; holds    */
    bool waiting;   /* a step said WAIT                                             */
    bool ended;     /* the sink was told the end                                     */
    bool flying;
    struct stream *stream; /* client_body_stream()'s; NULL: it is read whole          */
    struct io_op op;
    struct temp_place place;
    char *name; /* of the file, TEMP_NAME_SIZE bytes; NULL: none was tried        */
};

static inline struct reading *reading_of(const struct request *r)
{
    return container_of(r->client_body, struct reading, body);
}

/* Enters a reading with a buffer of so many bytes into r->client_body; it is freed when the
 * request ends. NULL: no memory. */
struct reading *client_body_begin(struct request *, size_t room) MUST_USE;

#endif
