/* threads.c - a thread and a loop for each connection, blocking in recv, send or poll.
 *
 * The home loop accepts; io_branch() makes a thread with a loop of its own. All of them share
 * one lock, which a thread holds but while it blocks: so callbacks, and the tables they touch,
 * are single-threaded, and whoever runs a callback may use any loop of the family.
 *
 * Waking a blocked thread. Others change what it waits for only while they hold the lock and see
 * `blocked`; then they send it a signal. It may come before the thread has entered the system
 * call, so its handler, which runs on that thread, makes the call to come return at once: it
 * shortens the socket's timeout, or zeroes the timeout that poll is about to read.
 *
 * Deadlines of a blocking recv are SO_RCVTIMEO, set when the present value is off by more than
 * a factor of two: waking early is harmless, and a steady connection sets it once.
 */
#include "io/poll_set.h"
#include "io/reactor.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { BRANCH_STACK = 1024 * 1024 };
#else
enum { BRANCH_STACK = 256 * 1024 }; /* of which an HTTP connection touches a few pages */
#endif

enum {
    KICK_SIGNAL = SIGURG,  /* ignored by default: nobody misses it             */
    FILE_STEP = 64 * 1024, /* of a blocking sendfile: progress must be visible */
    KICKED_MS = 1,         /* what the handler made of a socket's timeout      */
};

struct home {
    pthread_mutex_t lock;
    pthread_cond_t gone; /* a branch has ended */
    uint32_t branches;
    int bell;
    bool kicked;
    struct poll_set set;  /* the first entry is the bell */
    struct pollfd *asked; /* what poll is asked about while others change the set */
    uint32_t asked_room;
};

struct branch {
    struct io io;
    pthread_t thread;
    struct poll_set set;
    struct pollfd *asked;
    uint32_t asked_room;
    bool over;                      /* io_branch_end() was called                          */
    bool kicked;                    /* since it blocked                                    */
    const struct io_op *blocked_in; /* the op whose system call it is in, or NULL          */
    /* Between the thread and its own signal handler: */
    volatile sig_atomic_t shortened;   /* the handler has touched the socket's timeout         */
    volatile int call_fd, call_option; /* the call to shorten; -1: none                        */
    volatile struct timespec poll_left;
};

static _Thread_local struct branch *here;

static struct home *home_of(struct io *io)
{
    return io->home->state;
}

static bool is_branch(const struct io *io)
{
    return io->home != io;
}

static struct branch *branch_of(struct io *io)
{
    return container_of(io, struct branch, io);
}

static struct poll_set *set_of(struct io *io)
{
    return is_branch(io) ? &branch_of(io)->set : &home_of(io)->set;
}

/* ---- kicking ----------------------------------------------------------------------------- */

static void on_kick(int number)
{
    static const struct timeval soon = { 0, 1 };
    struct branch *b = here;
    int saved = errno;

    (void)number;
    if (b == NULL)
        return;
    if (b->call_fd >= 0) {
        b->shortened = 1;
        setsockopt(b->call_fd, SOL_SOCKET, b->call_option, &soon, sizeof soon);
    }
    b->poll_left.tv_sec = 0;
    b->poll_left.tv_nsec = 0;
    errno = saved;
}

static void kicks_install(void)
{
    struct sigaction act = { .sa_handler = on_kick }; /* no SA_RESTART: calls must return */

    sigfillset(&act.sa_mask);
    CHECK(sigaction(KICK_SIGNAL, &act, NULL) == 0);
}

static void threads_kick(struct io *io)
{
    if (!is_branch(io)) {
        struct home *h = home_of(io);

        if (!h->kicked)
            bell_fd_ring(h->bell);
        h->kicked = true;
        return;
    }
    struct branch *b = branch_of(io);

    if (!b->kicked)
        pthread_kill(b->thread, KICK_SIGNAL);
    b->kicked = true;
}

static void threads_wake(struct io *io)
{
    bell_fd_ring(home_of(io)->bell);
}

/* From here to block_end() nothing that others may touch is read or written. */
static void block_begin(struct io *io)
{
    io->blocked = true;
    pthread_mutex_unlock(&home_of(io)->lock);
}

static void block_end(struct io *io)
{
    pthread_mutex_lock(&home_of(io)->lock);
    io->blocked = false;
    if (is_branch(io))
        branch_of(io)->kicked = false;
    else
        home_of(io)->kicked = false;
    io->stats->syscalls++;
    io_woke(io);
}

/* ---- poll, for the home loop and for branches with several waits ------------------------- */

static int asked_copy(struct pollfd **asked, uint32_t *room, const struct poll_set *set)
{
    if (*room < set->room) {
        struct pollfd *more = realloc(*asked, set->room * sizeof *more);

        if (more == NULL)
            return -ENOMEM;
        *asked = more;
        *room = set->room;
    }
    if (set->count > 0)
        memcpy(*asked, set->fds, set->count * sizeof **asked);
    return 0;
}

/* The kernel reads poll_left itself: the handler's zero counts until the call has begun. The
 * thread sanitizer runs handlers only at calls it knows, so it gets the C library's. */
static void poll_call(struct branch *b, struct pollfd *fds, uint32_t count)
{
#ifdef __SANITIZE_THREAD__
    (void)ppoll(fds, count, (const struct timespec *)(uintptr_t)&b->poll_left, NULL);
#else
    (void)syscall(SYS_ppoll, fds, (nfds_t)count, &b->poll_left, NULL, (size_t)0);
#endif
}

/* The number may have been closed meanwhile, and be another loop's now. */
static void tell(struct io *io, const struct pollfd *p)
{
    const struct poll_set *set = set_of(io);
    uint32_t slot = p->fd >= 0 ? io_way_at(io, p->fd)->slot : 0;

    if (slot > 0 && slot <= set->count && set->fds[slot - 1].fd == p->fd)
        poll_set_tell(io, p);
}

static void home_wait(struct io *io, uint64_t wait_ns)
{
    struct home *h = home_of(io);
    uint32_t count = h->set.count;

    CHECK(asked_copy(&h->asked, &h->asked_room, &h->set) == 0);
    block_begin(io);
    int left = poll(h->asked, count, io_wait_ms(wait_ns));
    block_end(io);
    if (left <= 0)
        return;
    if (h->asked[0].revents != 0) {
        bell_fd_drain(h->bell);
        offload_harvest(io);
    }
    for (uint32_t i = 1; i < count; i++)
        if (h->asked[i].revents != 0)
            tell(io, &h->asked[i]);
}

static void branch_poll(struct branch *b, uint64_t wait_ns)
{
    uint32_t count = b->set.count;
    int ms = io_wait_ms(wait_ns);

    CHECK(asked_copy(&b->asked, &b->asked_room, &b->set) == 0);
    for (uint32_t i = 0; i < count; i++)
        b->asked[i].revents = 0;
    b->poll_left.tv_sec = ms / 1000;
    b->poll_left.tv_nsec = ms % 1000 * 1000000L;
    block_begin(&b->io);
    poll_call(b, b->asked, count);
    block_end(&b->io);
    for (uint32_t i = 0; i < count; i++)
        if (b->asked[i].revents != 0)
            tell(&b->io, &b->asked[i]);
}

/* ---- blocking in one op ------------------------------------------------------------------ */

static void timeout_set(struct io *io, int fd, int option, uint32_t *have_ms, uint64_t wait_ns)
{
    uint32_t need_ms = (uint32_t)io_wait_ms(wait_ns);

    if (wait_ns == UINT64_MAX && *have_ms == 0)
        return;
    if (*have_ms > 0 && *have_ms <= need_ms && *have_ms >= need_ms / 2)
        return;
    *have_ms = need_ms - need_ms / 4;
    if (*have_ms == 0)
        *have_ms = 1;
    struct timeval t = { *have_ms / 1000, *have_ms % 1000 * 1000 };

    io->stats->syscalls++;
    (void)setsockopt(fd, SOL_SOCKET, option, &t, sizeof t);
}

static void call_begin(struct branch *b, const struct io_op *op, int option)
{
    b->blocked_in = op;
    b->call_option = option;
    b->call_fd = op->fd;
    block_begin(&b->io);
}

static void call_end(struct branch *b, uint32_t *have_ms)
{
    b->call_fd = -1; /* a late kick shortens nothing any more */
    block_end(&b->io);
    b->blocked_in = NULL;
    if (b->shortened) {
        b->shortened = 0;
        *have_ms = KICKED_MS;
    }
}

/* L4: what the call got counts, even if a cancel came while it ran. */
static void call_over(struct io *io, struct io_op *op, bool result, struct io_result r)
{
    if (op->doomed)
        r.flags = 0;
    if (op->doomed && (!result || r.res < 0))
        r = io_result(-ECANCELED, 0);
    if (result || op->doomed)
        io_deliver(io, op, r);
}

static void block_in_recv(struct branch *b, struct io_op *op, struct io_way *w, uint64_t wait_ns)
{
    struct io *io = &b->io;
    struct io_buf *buf = io_buf_take(io);
    struct io_result r;

    if (buf == NULL) {
        io_starve(io, op);
        return;
    }
    timeout_set(io, op->fd, SO_RCVTIMEO, &w->recv_wait_ms, wait_ns);
    call_begin(b, op, SO_RCVTIMEO);
    ssize_t n = recv(op->fd, buf->bytes, buf->size, 0);
    int error = errno;
    call_end(b, &w->recv_wait_ms);
    bool result = reactor_received(io, op, buf, n, error, &r);
    call_over(io, op, result, r);
}

static void block_in_send(struct branch *b, struct io_op *op, struct io_way *w, uint64_t wait_ns)
{
    struct io *io = &b->io;
    struct iovec rest[IO_IOV_MAX];
    struct msghdr m = { .msg_iov = rest, .msg_iovlen = (size_t)way_send_rest(op, rest) };
    int flags = MSG_NOSIGNAL | (op->flags & IO_HOLD ? MSG_MORE : 0);
    struct io_result r;

    if (wait_ns == 0)
        flags |= MSG_DONTWAIT;
    else
        timeout_set(io, op->fd, SO_SNDTIMEO, &w->send_wait_ms, wait_ns);
    call_begin(b, op, SO_SNDTIMEO);
    ssize_t n = sendmsg(op->fd, &m, flags);
    int error = errno;
    call_end(b, &w->send_wait_ms);
    bool result = reactor_sent(io, op, n, error, &r);
    call_over(io, op, result, r);
}

static void block_in_sendfile(struct branch *b, struct io_op *op, struct io_way *w,
                              uint64_t wait_ns)
{
    struct io *io = &b->io;
    off_t at = (off_t)op->file.offset;
    size_t step = op->file.left < FILE_STEP ? op->file.left : FILE_STEP;

    if (wait_ns > 0)
        timeout_set(io, op->fd, SO_SNDTIMEO, &w->send_wait_ms, wait_ns);
    call_begin(b, op, SO_SNDTIMEO);
    if (wait_ns == 0)
        (void)way_mode(op->fd, true);
    ssize_t n = sendfile(op->fd, op->file.file, &at, step);
    int error = errno;
    if (wait_ns == 0)
        (void)way_mode(op->fd, false);
    call_end(b, &w->send_wait_ms);
    bool passing = n < 0 && (error == EAGAIN || error == EINTR);

    if (n < (ssize_t)step)
        w->dry |= IO_WRITABLE;

    if (n > 0) {
        op->file.offset += (uint64_t)n;
        op->file.sent += (uint32_t)n;
        op->file.left -= (uint32_t)n;
    }
    struct io_result r = io_result(n < 0 ? -error : -ENODATA, 0);

    if (op->file.left == 0)
        r.res = (int32_t)op->file.sent;
    call_over(io, op, op->file.left == 0 || (n <= 0 && !passing), r);
}

typedef void block_fn(struct branch *, struct io_op *, struct io_way *, uint64_t wait_ns);

/* The others wait in poll. */
static block_fn *const blocks[] = {
    [IO_RECV] = block_in_recv,
    [IO_SEND] = block_in_send,
    [IO_SENDFILE] = block_in_sendfile,
    [IO_CLOSE] = NULL,
};

/* What a branch waits for: how many directions, and one of them that a call can block in. A
 * send that has not been tried yet comes first: trying it is what submit left undone. */
struct waits {
    unsigned count;
    struct io_op *op;
    struct io_way *way;
    bool fresh;
};

static void waits_add(struct waits *all, struct io_way *w, struct io_op *op, bool fresh)
{
    all->count++;
    if (all->fresh || blocks[op->kind] == NULL)
        return;
    all->op = op;
    all->way = w;
    all->fresh = fresh;
}

static struct waits waits_of(const struct branch *b)
{
    struct waits all = { 0 };

    for (uint32_t i = 0; i < b->set.count; i++) {
        if (b->set.fds[i].fd < 0)
            continue;
        struct io_way *w = io_way_at(&b->io, b->set.fds[i].fd);

        if (w->watched & IO_WRITABLE)
            waits_add(&all, w, w->out, blocks[w->out->kind] && !(w->dry & IO_WRITABLE));
        if (w->watched & IO_READABLE)
            waits_add(&all, w, w->in, false);
    }
    return all;
}

static void branch_wait(struct branch *b, uint64_t wait_ns)
{
    struct waits all = waits_of(b);

    if (all.op == NULL || (!all.fresh && (all.count > 1 || wait_ns == 0))) {
        branch_poll(b, wait_ns);
        return;
    }
    uint32_t generation = all.way->generation;
    int fd = all.op->fd;

    blocks[all.op->kind](b, all.op, all.way, all.count == 1 ? wait_ns : 0);
    if (all.way->generation == generation)
        (void)reactor_rewatch(&b->io, fd); /* it is parked less than before */
}

static void threads_wait(struct io *io, uint64_t wait_ns)
{
    home_wait(io, wait_ns);
}

/* ---- what io.c asks for ------------------------------------------------------------------ */

static int threads_watch(struct io *io, int fd, unsigned wants)
{
    return poll_set_watch(set_of(io), io_way_at(io, fd), fd, wants);
}

static void threads_forget(struct io *io, int fd)
{
    poll_set_forget(set_of(io), io, fd);
}

/* A branch tries nothing here: its thread does, and without the lock. */
static void threads_submit(struct io *io, struct io_op *op)
{
    if (!is_branch(io) || blocks[op->kind] == NULL ||
        (op->kind == IO_SEND && way_send_total(op) == 0)) {
        reactor_submit(io, op);
        return;
    }
    int error = reactor_rewatch(io, op->fd);

    if (error != 0)
        io_defer(io, op, io_result(error, 0));
}

/* A call that is under way answers for itself: it may have got something. */
static void threads_cancel(struct io *io, struct io_op *op)
{
    if (!is_branch(io) || branch_of(io)->blocked_in != op)
        reactor_cancel(io, op);
}

static int threads_open(struct io *io)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct home *h = io->state;

    h->bell = bell_fd_open();
    if (h->bell < 0)
        return h->bell;
    int error = poll_set_add(&h->set, h->bell);
    if (error != 0) {
        close(h->bell);
        return error;
    }
    pthread_once(&once, kicks_install);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->gone, NULL);
    pthread_mutex_lock(&h->lock);
    return 0;
}

static void threads_close(struct io *io)
{
    struct home *h = io->state;

    while (h->branches > 0) /* told to end, on their way out */
        pthread_cond_wait(&h->gone, &h->lock);
    pthread_mutex_unlock(&h->lock);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->gone);
    poll_set_done(&h->set);
    free(h->asked);
    close(h->bell);
}

/* ---- branches ---------------------------------------------------------------------------- */

static void branch_free(struct branch *b)
{
    struct home *h = home_of(&b->io);

    io_done(&b->io);
    poll_set_done(&b->set);
    free(b->asked);
    free(b);
    h->branches--;
    pthread_cond_signal(&h->gone);
}

static bool branch_over(const struct branch *b)
{
    return b->over && b->io.flying == 0;
}

static void *branch_main(void *arg)
{
    struct branch *b = arg;
    struct io *io = &b->io;
    pthread_mutex_t *lock = &home_of(io)->lock;

    here = b;
    block_end(io); /* it was born blocked */
    while (!branch_over(b)) {
        io->ran = 0;
        io_run_ready(io);
        if (branch_over(b))
            break;
        branch_wait(b, io_patience(io, io->ran > 0 ? 0 : UINT64_MAX));
        /* The lock may have come late: what arrived meanwhile beats a deadline (L9). */
        if (io->ran == 0 && io_timers_next(io) <= io->now_ns)
            branch_poll(b, 0);
        io_run_ready(io);
        io_timers_run(io);
        io->turn += io->ran > 0;
    }
    here = NULL;
    io_end_thread();
    branch_free(b);
    pthread_mutex_unlock(lock);
    return NULL;
}

static int thread_start(struct branch *b)
{
    pthread_attr_t attr;
    sigset_t blocked;

    sigfillset(&blocked);
    sigdelset(&blocked, KICK_SIGNAL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, BRANCH_STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setsigmask_np(&attr, &blocked);
    int error = pthread_create(&b->thread, &attr, branch_main, b);

    pthread_attr_destroy(&attr);
    return error;
}

static struct io *threads_branch(struct io *home)
{
    struct home *h = home_of(home);
    struct branch *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    b->io.home = home;
    if (io_init(&b->io, home->engine, &home->limits) != 0) {
        free(b);
        return NULL;
    }
    b->io.ways = home->ways;
    b->io.stats = home->stats;
    b->io.now_ns = home->now_ns;
    b->io.blocked = true; /* until its thread has the lock it need not be told */
    b->kicked = true;
    b->call_fd = -1;
    h->branches++;
    if (thread_start(b) != 0) {
        branch_free(b);
        return NULL;
    }
    return &b->io;
}

static void threads_branch_end(struct io *io)
{
    branch_of(io)->over = true;
    io_touch(io);
}

const struct io_engine io_engine_threads = {
    .name = "threads",
    .state_size = sizeof(struct home),
    .open = threads_open,
    .close = threads_close,
    .adopt = reactor_adopt,
    .submit = threads_submit,
    .cancel = threads_cancel,
    .watch = threads_watch,
    .forget = threads_forget,
    .wait = threads_wait,
    .wake = threads_wake,
    .kick = threads_kick,
    .branch = threads_branch,
    .branch_end = threads_branch_end,
};
