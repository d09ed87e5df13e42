/* io.h - the only way weir touches a socket, and the way it reads files.
 *
 * You hand a loop an OPERATION; the loop later hands you its COMPLETION:
 *
 *      io_recv(io, &c->rx, fd, 0, on_recv);         you -> loop
 *      on_recv(io, &c->rx, (struct io_result){..})  loop -> you
 *
 * Five engines implement this file: io_uring (a proactor), epoll, poll and select
 * (reactors) and threads (a thread, and a loop, per connection); a sixth, sim, is for tests.
 * Callers cannot tell which one is running, because of these laws; tests/io/ tries each of
 * them on every engine.
 *
 *  L1  ONE FINAL COMPLETION. Every submitted op completes for good exactly once, whatever
 *      happens to it: success, failure, cancel, close. Until then the op is the loop's: do
 *      not touch, move or free it.
 *  L2  NEVER INLINE. Completions run from io_turn(), never from inside a submit, a cancel or
 *      a close: at most one done() is on the stack. done() may submit, cancel, close, and
 *      resubmit its own op (once its final completion is being delivered).
 *  L3  SUBMITTING CANNOT FAIL. Errors arrive as completions: res < 0 is -errno. EAGAIN,
 *      EINTR and ENOBUFS never arrive.
 *  L4  CANCEL ASKS. The op still completes: with -ECANCELED, or with what it had already
 *      got. Cancelling an idle op, or a close, does nothing.
 *  L5  BYTES IN ARE LENT, BYTES OUT ARE BORROWED. A received buffer is yours until
 *      io_buf_release(), called exactly once. What you pass to io_send() is the loop's
 *      until the final completion.
 *  L6  ALL OR ERROR. A send completes when the kernel has every byte, or with an error.
 *      Short writes are the engine's affair.
 *  L7  CLOSE IS LAST. io_close() cancels what is in flight on the fd and completes after
 *      all of it. Free the owner there, and only there.
 *  L8  TWO WAYS PER FD. At most one op inbound (accept, recv) and one outbound (connect,
 *      send, sendfile) are in flight on an fd. Checked.
 *  L9  DATA BEATS TIMEOUT. Within a turn, completions run before timers.
 *  L10 ONE LOOP, ONE THREAD. Only io_wake() may be called from another. (Threads engine: a
 *      branch's loop may be used by whoever holds its home loop's lock; see io_branch.)
 */
#ifndef IO_IO_H
#define IO_IO_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct io;
struct io_op;
struct io_buf;
struct io_timer;

/* ---- completions ------------------------------------------------------------------------- */

enum {
    IO_MORE = 1 << 0,  /* result: not final, this op will complete again          */
    IO_MULTI = 1 << 1, /* submit: keep completing until cancelled or failed       */
    IO_HOLD = 1 << 2,  /* submit: more follows at once, the kernel may wait (MSG_MORE) */
};

/* `buf` is set by recv alone. */
struct io_result {
    int32_t res;        /* >= 0: bytes, or a new fd; < 0: -errno             */
    uint32_t flags;     /* IO_MORE, or 0 when final                          */
    struct io_buf *buf; /* lent to you (L5), or NULL                         */
};

typedef void io_done_fn(struct io *, struct io_op *, struct io_result);
typedef int32_t io_work_fn(struct io_op *);

/* ---- operations: embed them in what owns them, never allocate them ----------------------- */

/* clang-format off */
#define IO_KINDS(X) \
    X(IDLE, idle) X(ACCEPT, accept) X(CONNECT, connect) X(RECV, recv) \
    X(RECV_DGRAM, recv_dgram) X(SEND, send) X(SEND_DGRAM, send_dgram) \
    X(SENDFILE, sendfile) X(READ, read) X(WORK, work) X(CLOSE, close)
/* clang-format on */

enum io_kind {
#define X(up, low) IO_##up,
    IO_KINDS(X)
#undef X
};

enum io_state { IO_REST, IO_FLYING, IO_READY, IO_STARVED, IO_LATER };

/* Zero-initialised means at rest. At most 88 bytes: three of them live in every connection. */
struct io_op {
    uint8_t kind;  /* enum io_kind: what it is, for dumps and engines   */
    uint8_t state; /* enum io_state: whose it is                        */
    uint8_t flags; /* IO_MULTI, IO_HOLD                                 */
    bool doomed;   /* a cancel has been asked for                       */
    int fd;
    io_done_fn *done;
    union { /* the verb's own arguments                          */
        struct {
            const struct iovec *iov;
            uint32_t iov_count, sent;
            const struct io_dgram *to;
        } send;
        struct {
            const struct sockaddr *addr;
            socklen_t len;
        } connect;
        struct {
            uint64_t offset;
            uint32_t left, sent;
            int file;
        } file;
        struct {
            void *into;
            uint64_t offset;
            struct io *io;
            uint32_t size;
        } read;
        struct {
            io_work_fn *fn;
            struct io *io;
        } work;
    };
    struct io_op *next; /* the loop's: ready or starved queue                */
    struct io_result result;
};

/* ---- verbs ------------------------------------------------------------------------------- */

/* res is a connected fd, already in the mode this engine needs, close-on-exec. With IO_MULTI
 * it goes on until cancelled; transient errors (ECONNABORTED, EPROTO …) are absorbed.
 * EMFILE, ENFILE, ENOMEM and ENOBUFS-class shortages end it with that error (ENOBUFS is
 * reported as ENOMEM): the caller decides how long to wait before accepting again. */
void io_accept(struct io *, struct io_op *, int fd, unsigned flags, io_done_fn *);

/* Borrows addr until the final completion. A Unix socket whose listener's queue is full is
 * refused (-ECONNREFUSED) rather than waited for. */
void io_connect(struct io *, struct io_op *, int fd, const struct sockaddr *addr,
                socklen_t addr_size, io_done_fn *);

/* res > 0: result.buf holds res bytes. res == 0 (final, no buf): the peer finished sending.
 * No memory is set aside while the op waits, on any engine but threads. With IO_MULTI it
 * goes on until end of stream, an error, or a cancel; several buffers may then be lent. */
void io_recv(struct io *, struct io_op *, int fd, unsigned flags, io_done_fn *);

/* Borrows iov and the bytes it names until the final completion. Takes IO_HOLD. At most
 * IO_SEND_MAX bytes and IO_IOV_MAX pieces: one deadline must be able to cover one send. */
enum { IO_SEND_MAX = 256 * 1024, IO_IOV_MAX = 8 };
void io_send(struct io *, struct io_op *, int fd, const struct iovec *iov, int iov_count,
             unsigned flags, io_done_fn *);

/* Sends `size` bytes of the open file `file` from `offset` with sendfile(2); at most
 * IO_SENDFILE_MAX. res == size, or -ENODATA if the file ends before (what was there has been
 * sent), or another error. Progress (op->file.sent) may be read by the owner at any time. */
enum { IO_SENDFILE_MAX = 1024 * 1024 };
void io_sendfile(struct io *, struct io_op *, int fd, int file, uint64_t offset, uint32_t size,
                 io_done_fn *);

/* Reads up to size bytes at offset. Borrows into. res: bytes read, 0 at the end of the file.
 * Never blocks the loop: what is not in the page cache is read by a helper thread. */
void io_read(struct io *, struct io_op *, int file, void *into, uint32_t size, uint64_t offset,
             io_done_fn *);

/* A stream socket for io_connect(), in the mode this engine needs, close-on-exec; -errno. */
int io_socket(struct io *, int family) MUST_USE;

/* Its peer has neither ended nor said anything that was not read (recv(2) with MSG_PEEK). */
bool io_silent(struct io *, int fd);

/* Its peer has not ended; it may have said something. */
bool io_alive(struct io *, int fd);

/* The last words before its close, with nothing in flight that sends: they go if the socket takes
 * them at once (send(2) with MSG_DONTWAIT). The simulation's sockets take none. */
void io_last_words(struct io *, int fd, const void *bytes, size_t size);

/* Its close sends RST instead of FIN and forgets unsent bytes (socket(7) SO_LINGER). */
void io_reset_on_close(struct io *, int fd);

/* Sends FIN and keeps receiving: shutdown(2) with SHUT_WR. What is in flight is not touched. */
void io_finish(struct io *, int fd);

/* L7. Takes the fd. The fd number may be reused by the kernel once done() has begun. */
void io_close(struct io *, struct io_op *, int fd, io_done_fn *);

/* L4. */
void io_cancel(struct io *, struct io_op *);

static inline bool io_busy(const struct io_op *op)
{
    return op->state != IO_REST;
}

/* ---- what may block ---------------------------------------------------------------------- */

/* Runs fn(op) on a helper thread; res is what it returned (negative: -errno). For opening a
 * file on a slow disk, name look-ups, private-key work. fn may touch only what the op's owner
 * set aside for it. A cancel that comes before fn began completes with -ECANCELED; one that
 * comes later is answered when fn ends. */
void io_work(struct io *, struct io_op *, io_work_fn *, io_done_fn *);

/* ---- datagrams --------------------------------------------------------------------------- */

struct io_dgram {
    struct sockaddr_storage peer;
    socklen_t peer_size;
    uint16_t segment; /* GSO/GRO: bytes per datagram when there are several; 0: one */
    uint8_t ecn;
};

/* result.buf holds one datagram, or several of segment bytes; empty ones are dropped. What is
 * longer than the buffer's room (a little less than buf_size) is cut. IO_MULTI. */
void io_recv_dgram(struct io *, struct io_op *, int fd, unsigned flags, io_done_fn *);
const struct io_dgram *io_buf_dgram(const struct io_buf *);

/* Borrows to and iov until the final completion. Inbound and outbound count as in L8. */
void io_send_dgram(struct io *, struct io_op *, int fd, const struct io_dgram *to,
                   const struct iovec *iov, int iov_count, io_done_fn *);

/* ---- received bytes ---------------------------------------------------------------------- */

struct io_buf {
    uint8_t *bytes; /* the bytes received: result.res of them            */
    uint32_t size;  /* room, not content                                 */
    uint32_t id;
    uint32_t used;       /* free for the borrower: how much of it is consumed  */
    uint32_t filled;     /* the bytes received, as result.res                  */
    struct io_buf *next; /* free for the borrower's own use while lent        */
};

void io_buf_release(struct io *, struct io_buf *);

/* More than half of the loop's buffers are at home: holding one for a while disturbs nobody. */
bool io_bufs_plenty(const struct io *);

/* For bytes that must wait: a copy of what is not consumed, in place of the lent buffer, which
 * goes home. `used` stays zero or not; `next` is taken over. Released like any other, and returned
 * as it is if it is a copy already. NULL: no memory, and `buf` is still lent. */
struct io_buf *io_buf_keep(struct io *, struct io_buf *) MUST_USE;

/* A buffer of `size` bytes of room that no operation filled, for what is made of received bytes
 * (decrypted, say). Released like any other. NULL: no memory. */
struct io_buf *io_buf_make(uint32_t size) MUST_USE;

/* ---- time -------------------------------------------------------------------------------- */

typedef void io_fire_fn(struct io *, struct io_timer *);

/* Zero-initialised means not set. */
struct io_timer {
    uint64_t at_ns; /* when it shall fire; 0: not set                    */
    io_fire_fn *fire;
    uint32_t slot; /* the loop's                                        */
};

/* Monotonic, read once per turn, so every callback of a turn sees the same instant. */
uint64_t io_now_ns(const struct io *);

/* Setting a set timer moves it. Moving one later costs two stores: the heap learns of it when
 * the old time comes. A stopped timer does not fire: unlike ops, timers are the loop's own
 * and stop at once. Timers have no limit but memory. */
void io_timer_set(struct io *, struct io_timer *, uint64_t after_ns, io_fire_fn *);
void io_timer_stop(struct io *, struct io_timer *);

/* ---- the loop ---------------------------------------------------------------------------- */

struct io_limits {
    uint32_t fds;  /* highest fd number + 1 (an upper bound; memory follows use)  */
    uint32_t bufs; /* receive buffers; at the last one, reading waits             */
    uint32_t buf_size;
};

struct io_engine;
extern const struct io_engine io_engine_uring, io_engine_epoll, io_engine_poll, io_engine_select,
    io_engine_threads, io_engine_sim;

/* "io_uring", "epoll", "poll", "select", "threads"; NULL for anything else. */
const struct io_engine *io_engine_find(const char *name);
const char *io_engine_name(const struct io_engine *);
uint32_t io_engine_fds_max(const struct io_engine *); /* 0: no limit of its own; select: 1024 */

/* Can this machine run io_uring with `loops` loops of these limits? 0, or -errno with a
 * sentence in why[0..why_size) that says what refused it: kernel, seccomp, sysctl, memory lock.
 * Opens what a running server would open, all at once, and closes it again. */
int io_uring_probe(unsigned loops, const struct io_limits *, char *why, size_t why_size);

/* NULL, and *error = -errno. To be called by the thread that will turn the loop. */
struct io *io_create(const struct io_engine *, const struct io_limits *, int *error);
void io_destroy(struct io *); /* all ops must be at rest    */

/* One turn: run what is ready; else wait up to wait_ns (UINT64_MAX: until something
 * happens); run it; then timers. Returns how many completions and timers ran. */
int io_turn(struct io *, uint64_t wait_ns);

void io_wake(struct io *); /* any thread, any signal     */

/* A number that changes with every turn that delivered something: "checked in this turn". */
uint64_t io_turn_number(const struct io *);

/* Takes a socket made elsewhere: sets the mode the engine needs. Nobody else calls fcntl on
 * it: reactors want O_NONBLOCK, io_uring and threads must not. 0 or -errno (-EMFILE: the fd
 * number is above what this engine can watch). */
int io_adopt(struct io *, int fd) MUST_USE;

/* The fd, on which nothing is in flight, may be used with another loop of the same home from now
 * on. Does nothing where a home has one loop. */
void io_leave(struct io *, int fd);

/* ---- a loop for one connection ----------------------------------------------------------- */

/* Reactors and io_uring return the loop itself. The threads engine starts a thread with a
 * loop of its own, which blocks in recv, send or poll without the home loop's lock and runs
 * callbacks with it; so everything of one home loop stays single-threaded code. Call it
 * inside a callback of `home`, then submit the connection's ops to what it returned.
 * NULL: no thread or memory could be had. */
struct io *io_branch(struct io *home) MUST_USE;

/* The connection is gone (call it in its close completion): ends the branch's thread once
 * the running callback returns. Does nothing on other engines. */
void io_branch_end(struct io *branch);
/* Every thread that becomes a branch calls run() before it ends, for a library that keeps something
 * of each thread. One for the process. */
void io_at_thread_end(void (*run)(void));

/* The loop a branch belongs to; the loop itself on other engines. */
struct io *io_home(struct io *);

/* ---- seeing inside ----------------------------------------------------------------------- */

struct io_stats { /* the same on every engine   */
    uint64_t turns, submitted, completed, cancelled, starved, syscalls;
};

/* A loop's own, its branches' included. */
const struct io_stats *io_stats(const struct io *);
const char *io_kind_name(enum io_kind);
void io_dump(const struct io *, FILE *); /* every op in flight         */

#endif
