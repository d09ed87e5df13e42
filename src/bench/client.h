/* client.h - an active connection: sends requests, times their answers, opens again when closed. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "bench/line.h"

struct client {
    struct line
        line;    /* closed: it will be opened by client_tick(), or for a request in an open loop */
    bool last;   /* the server will close it: nothing more is sent      */
    bool listed; /* is in load->spare                                   */
    bool failed; /* its last attempt: wait for a tick before the next   */
    uint16_t flying, first, unsent; /* requests: in stamps; of them not sent yet */
    uint64_t *stamps;               /* a ring of depth: when each began          */
    uint64_t progress_ns;           /* the last thing that happened              */
    struct iovec iov;
    struct slice rest; /* of what is being sent: behind iov */
    void *reader;
    struct client *next; /* in load->spare */
};

/* Borrows stamps (the plan's depth of them) and reader. */
void client_init(struct client *, struct load *, uint64_t *stamps, void *reader);

/* Begins: to be called inside a callback of the loop. */
void client_start(struct client *);

/* From time to time: opens what is closed, gives up what takes too long. */
void client_tick(struct client *, uint64_t now_ns);

/* Closes for good, or does nothing when it is closed. */
void client_stop(struct client *);

/* Closed: gives back what it holds. */
void client_done(struct client *);

/* Can it take another request? */
bool client_has_room(const struct client *);

/* Open loop: a request that was due at due_ns begins here. The connection has room. */
void client_request(struct client *, uint64_t due_ns, uint64_t now_ns);

#endif
