/* engine.h - what an engine is. Included by io.c and the engines, by nobody else.
 *
 * An engine moves ops from FLYING to done. It owns no policy: the table of descriptors, close,
 * timers, buffers, starvation and cancel's bookkeeping live in io.c and its helpers, once.
 *
 *   submit   start this op. Its completion goes through io_defer(), now or later.
 *   cancel   the op is FLYING and doomed: see to it that it completes soon.
 *   wait     ask the kernel, for at most wait_ns; then io_woke(), then io_deliver() or
 *            io_defer() what happened.
 *   forget   nothing flies on this fd any more and it is about to be closed.
 */
#ifndef IO_ENGINE_H
#define IO_ENGINE_H

#include "io/io.h"

enum {
    IO_FOREVER_MS = 3600 * 1000, /* longest single wait: nobody minds one wake-up an hour */
    IO_ACCEPTS_PER_TURN = 64,    /* of one listener, then others have their turn          */
    IO_DGRAMS_PER_TURN = 32,
};

struct io_engine {
    const char *name;
    uint32_t fds_max; /* 0: as many as you like                                */
    bool nonblock;    /* its sockets are O_NONBLOCK                            */
    size_t state_size;
    int (*open)(struct io *);
    void (*close)(struct io *);
    int (*adopt)(struct io *, int fd);
    void (*submit)(struct io *, struct io_op *);
    void (*cancel)(struct io *, struct io_op *);
    void (*flush)(struct io *); /* reactors: starts what submit() put off with io_later()  */
    void (*wait)(struct io *, uint64_t wait_ns);
    void (*wake)(struct io *);                        /* any thread, any signal                */
    void (*forget)(struct io *, int fd);              /* the rest is optional                  */
    void (*buf_home)(struct io *, struct io_buf *);   /* else it goes to the free list         */
    int (*watch)(struct io *, int fd, unsigned what); /* reactors: see reactor.h           */
    struct io *(*branch)(struct io *home);
    void (*branch_end)(struct io *);
    void (*kick)(struct io *); /* the loop is blocked, the caller has its home's lock    */
    void (*work)(struct io *, struct io_op *); /* reads and work, instead of offload.c; then
                                                  cancel() is asked about them, too */
    uint64_t (*clock)(struct io *);
    int (*shut)(struct io *, int fd);            /* instead of close(2)                   */
    void (*finish)(struct io *, int fd);         /* instead of shutdown(2)                */
    int (*socket)(struct io *);                  /* instead of socket(2) and adopt()      */
    bool (*silent)(struct io *, int fd);         /* instead of recv(2)                    */
    void (*reset_on_close)(struct io *, int fd); /* instead of setsockopt(2)      */
};

enum { IO_READABLE = 1, IO_WRITABLE = 2 };

struct way_msg;

/* One per descriptor number. Zero: nobody's. */
struct io_way {
    struct io_op *in, *out, *closing;
    struct way_msg *msg;                 /* io_uring: where the kernel puts a datagram's address  */
    uint32_t generation;                 /* of the number: grows at each close                    */
    uint32_t slot;                       /* poll: where it is in the set, + 1                     */
    uint32_t recv_wait_ms, send_wait_ms; /* threads: SO_RCVTIMEO, SO_SNDTIMEO as set      */
    uint16_t reads;                      /* io_read() ops                                         */
    uint8_t dry;                         /* directions that would block until an event says not   */
    uint8_t watched;                     /* what the kernel has been asked for                    */
    bool ended;                          /* the peer is done: reading never blocks again          */
    bool records; /* one read takes one message: a short one empties nothing */
    bool listens; /* epoll: it is registered as a listener                 */
    bool waiting; /* io_uring: more bytes wait, the last answer said       */
};

struct io_queue {
    struct io_op *first, **end;
};

/* First in, first out. Taking is for queues that are not empty. */
static inline void io_queue_init(struct io_queue *q)
{
    q->first = NULL;
    q->end = &q->first;
}

static inline void io_queue_append(struct io_queue *q, struct io_op *op)
{
    op->next = NULL;
    *q->end = op;
    q->end = &op->next;
}

static inline struct io_op *io_queue_take(struct io_queue *q)
{
    struct io_op *op = q->first;
    q->first = op->next;
    if (q->first == NULL)
        q->end = &q->first;
    return op;
}

struct io_timer_slot {
    uint64_t at_ns; /* the timer's own at_ns may be later: see timer.c       */
    struct io_timer *timer;
};

struct io_heap {
    struct io_timer_slot *slots;
    uint32_t count, room;
};

struct io_bufs {
    struct io_buf *all, *free;
    uint8_t *bytes;
    uint32_t total, lent; /* lent: to callers                                      */
    bool single;          /* threads: each is allocated alone, when it is needed   */
};

struct offload;

struct io {
    const struct io_engine *engine;
    void *state;     /* the engine's                                          */
    struct io *home; /* itself, unless it is a branch                         */
    struct io_limits limits;
    struct io_way *ways; /* by fd - fd_base; a branch uses its home's             */
    size_t ways_size;
    int fd_base, fd_top; /* numbers in use are below fd_top                       */
    struct io_queue ready, starved, later;
    uint32_t starved_doomed; /* cancelled ones among the starved                      */
    struct io_bufs bufs;
    struct io_heap timers;
    uint64_t now_ns, turn;
    uint32_t flying, ran;
    bool in_turn, in_done;
    bool blocked;            /* threads: waits without the lock; others must kick it  */
    struct offload *offload; /* the home's                                            */
    struct io_stats *stats;  /* the home's                                            */
    struct io_stats own_stats;
};

/* ---- io.c, for engines ------------------------------------------------------------------- */

/* The kernel has answered: reads the clock. At the top of what wait() delivers. */
void io_woke(struct io *);
/* Runs the op's done() now. Only from wait(). */
void io_deliver(struct io *, struct io_op *, struct io_result);
/* Runs it from the ready queue. From anywhere. */
void io_defer(struct io *, struct io_op *, struct io_result);
/* No buffer was free: submit() will be called for it when one came home. */
void io_starve(struct io *, struct io_op *);
/* It waits, in state IO_LATER, until all that is ready has been handled: flush() then takes it
 * with io_later_take(), which says NULL when there is none; a doomed op is ended on the way. */
void io_later(struct io *, struct io_op *);
struct io_op *io_later_take(struct io *);
/* Somebody else may have changed what a blocked loop waits for. */
static inline void io_touch(struct io *io)
{
    if (io->blocked)
        io->engine->kick(io);
}

/* CHECKs that the number is in the table. */
struct io_way *io_way_at(const struct io *, int fd);
bool io_fd_fits(const struct io *, int fd);

/* Everything but the wait: for loops that are not turned by io_turn(). */
void io_run_ready(struct io *);
uint64_t io_patience(struct io *, uint64_t wait_ns); /* 0 if something waits to be run     */
int io_init(struct io *, const struct io_engine *, const struct io_limits *);
void io_done(struct io *);

static inline int io_wait_ms(uint64_t wait_ns)
{
    uint64_t ms = wait_ns / 1000000u + (wait_ns % 1000000u != 0);
    return ms > IO_FOREVER_MS ? IO_FOREVER_MS : (int)ms;
}

static inline struct io_result io_result(int32_t res, uint32_t flags)
{
    return (struct io_result){ .res = res, .flags = flags };
}

/* ---- bufs.c ------------------------------------------------------------------------------ */

int io_bufs_open(struct io *);
void io_bufs_close(struct io *);
/* Lends one; NULL: none is free. */
struct io_buf *io_buf_take(struct io *);
/* One the engine's kernel filled: it is lent from now on. */
struct io_buf *io_buf_lend(struct io *, uint32_t id);
/* Where a buffer keeps its datagram's address: behind the bytes. */
struct io_dgram *io_buf_dgram_at(const struct io_buf *);
static inline uint32_t io_dgram_room(uint32_t buf_size)
{
    return (buf_size - (uint32_t)sizeof(struct io_dgram)) &
           ~((uint32_t) _Alignof(struct io_dgram) - 1);
}
static inline uint32_t io_bufs_left(const struct io *io)
{
    return io->bufs.total - io->bufs.lent;
}

/* ---- timer.c ----------------------------------------------------------------------------- */

uint64_t io_timers_next(const struct io *); /* UINT64_MAX: none. May be too early.        */
void io_timers_run(struct io *);
void io_timers_close(struct io *);

/* ---- offload.c: the helper threads of a home loop ---------------------------------------- */

int offload_open(struct io *);
void offload_close(struct io *);
void offload_read(struct io *, struct io_op *);
void offload_work(struct io *, struct io_op *);
/* True: it had not begun, and is nobody's now. */
bool offload_cancel(struct io *, struct io_op *);
void offload_cancel_reads(struct io *, int fd);
void offload_harvest(struct io *); /* home only; from wait()                     */

/* ---- way.c: what all engines do to descriptors in the same words ------------------------- */

int way_mode(int fd, bool nonblock); /* 0 or -errno                                */
bool way_listens(int fd);
/* Can accept go on after this error? */
bool way_accept_absorbs(int error);
/* accept(2) gave an fd that is too high for us: closes it. */
int32_t way_accepted(const struct io *, int fd);

uint64_t way_send_total(const struct io_op *);
/* The pieces of a send that are still to go; room is IO_IOV_MAX of them. Returns how many. */
int way_send_rest(const struct io_op *, struct iovec *room);
/* One sendfile(2), or several: 0: all is sent, or the file ended; -EAGAIN; another -errno. */
int way_sendfile(struct io *, struct io_op *);
/* connect(2), also to ask how it went. -EINPROGRESS: wait until writable. */
int way_connect(struct io *, const struct io_op *);
/* Room for a datagram's address and control messages, and what recvmsg() left there. */
struct way_msg {
    struct msghdr head;
    struct iovec iov;
    struct sockaddr_storage peer;
    _Alignas(struct cmsghdr) unsigned char control[64];
};
void way_msg_to_recv(struct way_msg *, void *bytes, size_t size);
void way_msg_received(const struct way_msg *, struct io_dgram *);
void way_msg_to_send(struct way_msg *, const struct io_op *);

/* ---- an eventfd as a bell ---------------------------------------------------------------- */

int bell_fd_open(void); /* fd or -errno                               */
void bell_fd_ring(int fd);
void bell_fd_drain(int fd);

/* thread_end.c: a thread that an engine made calls it, before anybody can know that it is over: see
 * io_at_thread_end(). */
void io_end_thread(void);

#endif
