/* client_body.h - request bodies for handlers: read whole (memory, then a temporary file), or
 * taken as they come.
 *
 *   switch (client_body_read(r)) {         in a step; it is run again until NEXT or DONE
 *   case NEXT: body = client_body_open(r); … pull it, as often as it is opened
 *   default:   return the verdict
 *   }
 */
#ifndef HANDLER_CLIENT_BODY_H
#define HANDLER_CLIENT_BODY_H

#include "http/client_body.h"
#include "http/request.h"

extern const struct feature feature_client_body;

/* What a scope says; server/temp_dirs.c makes the directory. */
struct client_body_conf {
    int64_t buffer_size;
    int in_file_only; /* IN_FILE_OFF, IN_FILE_ON, IN_FILE_CLEAN                       */
    bool single_buffer;
    struct slice temp_path; /* absolute, NUL-terminated                               */
    bool temp_path_said;
    uint8_t levels[3]; /* digits of each level of directories below it; 0: no more      */
};
enum { IN_FILE_OFF, IN_FILE_ON, IN_FILE_CLEAN };

/* NEXT: the body is complete (or there is none). WAIT: it is being read, and the step will be
 * resumed. DONE: it cannot be had, and the request was failed (400, 408, 413, 500). */
enum verdict client_body_read(struct request *);

/* After NEXT: the body from its beginning; may be called several times, and each lives until the
 * request ends. NULL: no memory, or it has been read by client_body_stream(). */
struct body *client_body_open(struct request *) MUST_USE;

/* The body as it comes, instead of client_body_read(); at most client_body_buffer_size and one
 * piece are held. pull() says BODY_LATER when nothing is there, and ready(r, arg) is called (not
 * from inside pull) when it may be tried again; BODY_FAILED when the body was refused. Once for
 * each request. NULL: no memory. */
struct body *client_body_stream(struct request *, void (*ready)(struct request *, void *arg),
                                void *arg) MUST_USE;

/* What client_body_stream() gave begins again, if all of it so far is still at hand, and nothing of
 * it is lent. */
bool client_body_rewind(struct request *) MUST_USE;

/* After NEXT, gives a sub-request the same body; it stays until both have ended. False: no
 * memory. */
bool client_body_share(struct request *child, struct request *parent) MUST_USE;

/* Its bytes stay where they are until it is let go, also when the request ends before: for who
 * sends them. Lets go of what hold gave. */
void *client_body_hold(struct request *) MUST_USE;
void client_body_let_go(void *held);

/* What a stream's BODY_FAILED was for: 400, 408 or 413; 0: it has not failed. */
unsigned client_body_status(const struct request *);

/* Bytes of the body if that is known by now, or -1. */
int64_t client_body_length(const struct request *);

#endif
