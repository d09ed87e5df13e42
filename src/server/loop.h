/* loop.h - one loop thread of the worker: its I/O loop, its connections, its errands.
 *
 *   loops_start(worker)                     threads that accept and answer
 *   loops_do(worker, run, arg)              run(thread, arg) on each of them, and wait
 *   loop_begin_leaving(thread, …)           (an errand) finish what there is, then end
 *
 * Everything a loop thread does happens in completions of its I/O loop; errands come in by its
 * bell. So on the threads engine all of it holds the home loop's lock.
 */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include "http/loop.h"
#include "server/bell.h"
#include "server/generation.h"
#include "server/worker.h"

#include <pthread.h>

struct accepting;
struct errand;

struct loop_thread {
    _Alignas(64) struct loop loop; /* what http/ and proto/ see                              */
    struct worker *worker;
    unsigned index;
    pthread_t thread;
    struct bell bell;
    pthread_mutex_t mutex; /* of the errands                                         */
    struct errand *errands, **errands_end;
    struct loop_call *calls, **calls_end; /* from other loops                      */
    struct accepting *accepting; /* one per socket it accepts on                           */
    _Atomic uint32_t promised;   /* connections other loops handed over, not yet begun     */
    struct io_timer tick;        /* while leaving, or while a listener is leaving          */
    uint64_t leaving_since_ns;
    bool leaving, ended;
    _Atomic bool ready; /* has a generation: others may hand connections over */
    _Atomic bool gone;  /* the thread's last act                                  */
    int error;          /* of starting                                            */
};

/* Starts the worker's loops on its newest generation; waits until each runs. 0 or -errno; then
 * text says what failed. */
int loops_start(struct worker *, char *text, size_t size) MUST_USE;

typedef void errand_fn(struct loop_thread *, void *arg);

/* Control thread only. */
void loops_do(struct worker *, errand_fn *run, void *arg);
/* Any thread; does not wait. `arg` is the errand's. False: no memory. */
bool loop_post(struct loop_thread *, errand_fn *run, void *arg) MUST_USE;

/* Errands. arg: a struct generation; a bool `alone` (see order.h); nothing. */
errand_fn loop_use, loop_begin_leaving, loop_close_all, loop_flush_logs;

/* True when all threads are gone; joins and frees them. */
bool loops_ended(struct worker *);

/* Closes up to `most` of the connections that have been idle longest; returns how many. */
unsigned loop_reclaim(struct loop *, unsigned most);

static inline struct loop_thread *thread_of(struct loop *loop)
{
    return container_of(loop, struct loop_thread, loop);
}

#endif
