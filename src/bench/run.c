/* run.c - shares a plan among loops and runs them. */
#include "bench/run.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct runner {
    const struct bench_plan *plan;
    struct board *board;
    struct load_share share;
    pthread_t thread;
    bool started;
    int error;
    double seconds;
    uint64_t unfinished;
};

static void on_interrupt(int number)
{
    (void)number;
    load_interrupt();
}

/* The i-th of n nearly equal parts. */
static uint64_t part(uint64_t whole, unsigned i, unsigned n)
{
    return whole / n + (i < whole % n);
}

static void *runner_main(void *arg)
{
    struct runner *r = arg;
    struct load *l = load_create(r->plan, &r->share, r->board, &r->error);

    if (l == NULL) {
        load_interrupt();
        return NULL;
    }
    load_run(l);
    if (l->end_ns > l->from_ns)
        r->seconds = (double)(l->end_ns - l->from_ns) / NS_PER_SEC;
    r->unfinished = l->unfinished;
    r->error = l->crippled ? -EAGAIN : 0;
    load_destroy(l);
    return NULL;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void runners_start(struct runner *runners, const struct bench_plan *plan,
                          struct board *board)
{
    unsigned n = plan->threads;

    for (unsigned i = 0; i < n; i++) {
        struct runner *r = &runners[i];
        *r = (struct runner){ .plan = plan, .board = board };
        r->share = (struct load_share){ .index = i,
                                        .connections = (unsigned)part(plan->connections, i, n),
                                        .idle = (unsigned)part(plan->idle, i, n),
                                        .trickle = (unsigned)part(plan->trickle, i, n),
                                        .rate = plan->rate / n,
                                        .count = part(plan->count, i, n) };
        if (i > 0) {
            r->error = -pthread_create(&r->thread, NULL, runner_main, r);
            r->started = r->error == 0;
        }
    }
    runner_main(&runners[0]);
}

bool bench_run(const struct bench_plan *plan, bool live, struct bench_result *result)
{
    static struct runner runners[BENCH_THREADS_MAX];
    struct sigaction on_int = { .sa_handler = on_interrupt };
    struct rusage before, after;
    uint64_t begin_ns = clock_mono_ns();
    bool fine = true;

    memset(result, 0, sizeof *result);
    board_init(&result->board, plan->threads, live);
    sigaction(SIGINT, &on_int, NULL);
    sigaction(SIGTERM, &on_int, NULL);
    getrusage(RUSAGE_SELF, &before);
    runners_start(runners, plan, &result->board);
    for (unsigned i = 0; i < plan->threads; i++) {
        if (runners[i].started)
            pthread_join(runners[i].thread, NULL);
        if (runners[i].error != 0) {
            fprintf(stderr, "weir bench: cannot make a loop on %s: %s\n",
                    io_engine_name(plan->engine), strerror(-runners[i].error));
            fine = false;
        }
        if (runners[i].seconds > result->seconds)
            result->seconds = runners[i].seconds;
        result->unfinished += runners[i].unfinished;
    }
    getrusage(RUSAGE_SELF, &after);
    board_finish(&result->board);
    result->user_s = seconds_of(after.ru_utime) - seconds_of(before.ru_utime);
    result->system_s = seconds_of(after.ru_stime) - seconds_of(before.ru_stime);
    result->wall_s = (double)(clock_mono_ns() - begin_ns) / NS_PER_SEC;
    return fine;
}

void bench_result_done(struct bench_result *result)
{
    board_done(&result->board);
}
