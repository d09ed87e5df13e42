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
    uint16_t flying;         /* requests that the protocol has               */
    uint16_t first, waiting; /* those that it will have next, in the queue   */
    uint32_t ended;          /* on this connection, well or not              */
    uint64_t *stamps;        /* when each began: by slot; 0: nothing in it   */
    uint64_t *queue;         /* likewise; a ring                             */
    uint64_t progress_ns;    /* the last thing that happened                 */
    struct iovec iov;
    struct slice rest; /* of what is being sent: behind iov */
    void *link;
    struct client *next; /* in load->spare */
};

/* Borrows times (twice the plan's depth of them) and the protocol's link, both zeroed. */
void client_init(struct client *, struct load *, uint64_t *times, void *link);

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
