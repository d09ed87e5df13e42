/* worker.h - the process that serves: a control thread, which talks to the master, and loops.
 *
 * The control thread builds generations and waits for loops; it never serves a connection. It
 * ends the process when the master says so, when the master is gone, or on SIGTERM, SIGQUIT.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include "server/bell.h"
#include "server/generation.h"
#include "server/order.h"

struct loop_thread;

struct worker {
    const struct registry *registry;
    int orders, descriptors; /* our ends of the lines to the master                   */
    struct io *io;           /* the control thread's                                  */
    struct bell bell;        /* signals, and loops that have news                     */
    struct io_op rx;
    struct io_timer deadline; /* worker_shutdown_timeout                               */

    struct generation *now, *old; /* in force; left behind, but with requests on them      */
    struct listener *book, *leaving;
    struct tls_ring *tls_ring; /* keys of session tickets, for all loops                */
    const struct io_engine *engine;
    struct io_limits limits;
    struct loop_thread *loops;
    unsigned loop_count;
    bool as_process; /* not a thread of the master (master_process off)        */
    bool quitting, ended;
    int exit_status;
};

/* Runs until the worker has nothing more to do; the status to exit with. `descriptors` and
 * `orders` are the worker's ends. */
int worker_run(const struct registry *, int orders, int descriptors, bool as_process);

#endif
