/* sim_net.h - sim's sockets: two ends of a connection and what lies between. For sim.c. */
#ifndef IO_SIM_NET_H
#define IO_SIM_NET_H

#include "io/engine.h"
#include "io/sim.h"

enum { SIM_QUEUE_USUAL = 64 * 1024 };

/* One end of a connection, or a listener. Ours has a number, the test's has none. */
struct sim_peer {
    struct sim_peer *other; /* NULL: not connected                                  */
    struct io *io;
    int fd;         /* -1: the test's                                       */
    uint16_t port;  /* a listener's                                         */
    uint8_t *bytes; /* what has come for this end: a queue that moves down  */
    size_t used, room;
    bool open, got_fin, got_reset, mute, resets;
    uint64_t reads_left, writes_left; /* until the other end resets                   */
    uint64_t in_due_ns, out_due_ns;   /* when what could complete will; 0: undecided  */
    struct sim_peer *queue, *next;    /* a listener's connections                     */
};

struct sim_job {
    struct io_op *op;
    uint64_t due_ns;
};

struct sim_state {
    uint64_t now_ns, random;
    struct sim_faults faults;
    struct sim_peer **ends; /* by fd - SIM_FD_BASE */
    uint32_t top;           /* numbers that were ever used are below it */
    uint32_t sockets, peers;
    struct sim_job *jobs;
    uint32_t job_count, job_room;
};

static inline struct sim_state *sim_of(const struct io *io)
{
    return io->state;
}

bool sim_chance(struct io *, unsigned percent);
uint64_t sim_due(struct io *);              /* now, or later                          */
size_t sim_short(struct io *, size_t most); /* most, or less, but not 0 if most is not */

struct sim_peer *sim_end_at(const struct io *, int fd);
struct sim_peer *sim_end_new(struct io *);
int sim_end_number(struct sim_peer *); /* gives it an fd; -EMFILE                */
void sim_end_join(struct sim_peer *, struct sim_peer *);
void sim_end_close(struct sim_peer *);
void sim_end_finish(struct sim_peer *);
struct sim_peer *sim_listener_at(struct io *, uint16_t port);
void sim_queue_push(struct sim_peer *listener, struct sim_peer *end);
struct sim_peer *sim_queue_take(struct sim_peer *listener);

size_t sim_end_room(const struct sim_peer *); /* bytes that the other end can still take */
void sim_end_put(struct sim_peer *, const void *bytes, size_t size);
size_t sim_end_get(struct sim_peer *, void *into, size_t size);

#endif
