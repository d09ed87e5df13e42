/* offload.c - helper threads for what may block: io_work(), and io_read() of what is not in the
 * page cache.
 *
 * A loop has at most HELPERS of them, started when they are first needed. Queued ops are linked
 * through the ops themselves; a helper that is done with one puts it on the done list and wakes
 * the loop, which hands it to the loop (itself, or a branch) that the op belongs to.
 */
#include "io/engine.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { HELPERS = 4, HELPER_STACK = 512 * 1024 };

struct offload {
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t more;
    struct io_op *queue, **queue_end;
    struct io_op *done;
    uint32_t queued, idle, threads;
    bool over;
    struct io *io;
    pthread_t helpers[HELPERS];
};

int offload_open(struct io *io)
{
    struct offload *o = calloc(1, sizeof *o);

    if (o == NULL)
        return -ENOMEM;
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->more, NULL);
    o->queue_end = &o->queue;
    o->io = io;
    io->offload = o;
    return 0;
}

void offload_close(struct io *io)
{
    struct offload *o = io->offload;

    pthread_mutex_lock(&o->lock);
    CHECK(o->queue == NULL && o->done == NULL);
    o->over = true;
    pthread_cond_broadcast(&o->more);
    pthread_mutex_unlock(&o->lock);
    for (uint32_t i = 0; i < o->threads; i++)
        pthread_join(o->helpers[i], NULL);
    pthread_cond_destroy(&o->more);
    pthread_mutex_destroy(&o->lock);
    free(o);
    io->offload = NULL;
}

/* ---- helpers ----------------------------------------------------------------------------- */

static int32_t run(struct io_op *op)
{
    if (op->kind == IO_WORK)
        return op->work.fn(op);
    for (;;) {
        ssize_t n = pread(op->fd, op->read.into, op->read.size, (off_t)op->read.offset);

        if (n >= 0 || errno != EINTR)
            return n >= 0 ? (int32_t)n : -errno;
    }
}

static struct io_op *take(struct offload *o)
{
    struct io_op *op = o->queue;

    o->queue = op->next;
    if (o->queue == NULL)
        o->queue_end = &o->queue;
    o->queued--;
    return op;
}

static void *help(void *arg)
{
    struct offload *o = arg;

    pthread_mutex_lock(&o->lock);
    for (;;) {
        o->idle++;
        while (o->queue == NULL && !o->over)
            pthread_cond_wait(&o->more, &o->lock);
        o->idle--;
        if (o->queue == NULL)
            break;
        struct io_op *op = take(o);

        pthread_mutex_unlock(&o->lock);
        op->result = io_result(run(op), 0);
        pthread_mutex_lock(&o->lock);
        op->next = o->done;
        o->done = op;
        io_wake(o->io);
    }
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

/* Helpers see no signals: those are for the threads that wait for them. */
static void start_helper(struct offload *o)
{
    sigset_t all;
    pthread_attr_t attr;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setsigmask_np(&attr, &all);
    pthread_attr_setstacksize(&attr, HELPER_STACK);
    if (pthread_create(&o->helpers[o->threads], &attr, help, o) == 0)
        o->threads++;
    pthread_attr_destroy(&attr);
}

/* ---- the loop's side --------------------------------------------------------------------- */

static void enqueue(struct io *io, struct io_op *op)
{
    struct offload *o = io->home->offload;

    pthread_mutex_lock(&o->lock);
    if (o->idle <= o->queued && o->threads < HELPERS)
        start_helper(o);
    bool helped = o->threads > 0;
    if (helped) {
        op->next = NULL;
        *o->queue_end = op;
        o->queue_end = &op->next;
        o->queued++;
        pthread_cond_signal(&o->more);
    }
    pthread_mutex_unlock(&o->lock);
    if (!helped) /* not one thread could be had */
        io_defer(io, op, io_result(-ENOMEM, 0));
}

void offload_work(struct io *io, struct io_op *op)
{
    enqueue(io, op);
}

/* What the page cache has costs no helper. A short answer is an answer. */
void offload_read(struct io *io, struct io_op *op)
{
    struct iovec v = { op->read.into, op->read.size };
    ssize_t n;

    do {
        io->stats->syscalls++;
        n = preadv2(op->fd, &v, 1, (off_t)op->read.offset, RWF_NOWAIT);
    } while (n < 0 && errno == EINTR);
    if (n >= 0)
        io_defer(io, op, io_result((int32_t)n, 0));
    else if (errno == EAGAIN || errno == EOPNOTSUPP)
        enqueue(io, op);
    else
        io_defer(io, op, io_result(-errno, 0));
}

static bool unqueue(struct offload *o, struct io_op *op)
{
    for (struct io_op **at = &o->queue; *at != NULL; at = &(*at)->next) {
        if (*at != op)
            continue;
        *at = op->next;
        if (*at == NULL)
            o->queue_end = at;
        o->queued--;
        return true;
    }
    return false;
}

bool offload_cancel(struct io *io, struct io_op *op)
{
    struct offload *o = io->home->offload;

    pthread_mutex_lock(&o->lock);
    bool removed = unqueue(o, op);
    pthread_mutex_unlock(&o->lock);
    return removed;
}

static struct io_op *find_read(struct offload *o, int fd)
{
    struct io_op *op;

    pthread_mutex_lock(&o->lock);
    for (op = o->queue; op != NULL; op = op->next)
        if (op->kind == IO_READ && op->fd == fd)
            break;
    pthread_mutex_unlock(&o->lock);
    return op;
}

void offload_cancel_reads(struct io *io, int fd)
{
    struct offload *o = io->home->offload;
    struct io_op *op;

    /* Each call finds another: the last one left the queue, or a helper has it by now. */
    while ((op = find_read(o, fd)) != NULL)
        io_cancel(op->read.io, op);
}

void offload_harvest(struct io *io)
{
    struct offload *o = io->offload;

    pthread_mutex_lock(&o->lock);
    struct io_op *op = o->done;
    o->done = NULL;
    pthread_mutex_unlock(&o->lock);
    while (op != NULL) {
        struct io_op *next = op->next;
        struct io *owner = op->kind == IO_WORK ? op->work.io : op->read.io;

        io_defer(owner, op, op->result);
        op = next;
    }
}
