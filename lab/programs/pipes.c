/* pipes.c - what an event costs on weir's engines, HTTP left out.
 *
 *   lab-pipes ENGINE PAIRS ACTIVE SECONDS        ACTIVE: a count, or "all"
 *
 * PAIRS socket pairs are watched. In each round a byte is written into ACTIVE of them, evenly
 * spaced, and the loop turns until all have been received. Only the turns are timed. The ends
 * written to have high numbers, so that select can watch as many as it ever can. Prints JSON.
 */
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS_MAX = 9500, HIGH = 10000, WARM_ROUNDS = 3 };

static struct io *loop; /* with all that is its own, until the process ends */
static struct io_op ops[PAIRS_MAX];
static int writers[PAIRS_MAX];
static unsigned received;

static void fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

static double now_us(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void on_recv(struct io *io, struct io_op *op, struct io_result r)
{
    if (r.res <= 0)
        fail("receive", r.res == 0 ? EPIPE : -r.res);
    received += (unsigned)r.res;
    io_buf_release(io, r.buf);
    if (!(r.flags & IO_MORE))
        io_recv(io, op, op->fd, IO_MULTI, on_recv);
}

static void open_pairs(struct io *io, unsigned pairs)
{
    int ends[2];

    for (unsigned i = 0; i < pairs; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
            fail("socketpair", errno);
        writers[i] = fcntl(ends[1], F_DUPFD, HIGH);
        if (writers[i] < 0)
            fail("fcntl", errno);
        close(ends[1]);
        int error = io_adopt(io, ends[0]);
        if (error != 0)
            fail("this engine cannot watch as many", -error);
        io_recv(io, &ops[i], ends[0], IO_MULTI, on_recv);
    }
}

static void write_round(unsigned pairs, unsigned active)
{
    received = 0;
    for (unsigned i = 0; i < active; i++)
        if (write(writers[(size_t)i * pairs / active], "x", 1) != 1)
            fail("write", errno);
}

int main(int argc, char **argv)
{
    const struct io_limits limits = { .fds = 20000, .bufs = 4096, .buf_size = 4096 };
    double wall = 0, cpu = 0;
    unsigned long events = 0;
    int error = 0;

    if (argc != 5)
        fail("expected ENGINE PAIRS ACTIVE SECONDS", EINVAL);
    const struct io_engine *engine = io_engine_find(argv[1]);
    unsigned pairs = (unsigned)strtoul(argv[2], NULL, 10);
    unsigned active = strcmp(argv[3], "all") == 0 ? pairs : (unsigned)strtoul(argv[3], NULL, 10);
    double length = strtod(argv[4], NULL) * 1e6, end = 0;

    loop = engine != NULL ? io_create(engine, &limits, &error) : NULL;
    if (loop == NULL)
        fail(argv[1], engine == NULL ? EINVAL : -error);
    if (pairs == 0 || pairs > PAIRS_MAX || active == 0)
        fail("PAIRS is 1 to 9500, ACTIVE at least 1", EINVAL);
    active = active < pairs ? active : pairs;
    open_pairs(loop, pairs);
    for (unsigned n = 0; n <= WARM_ROUNDS || now_us(CLOCK_MONOTONIC) < end; n++) {
        if (n == WARM_ROUNDS)
            end = now_us(CLOCK_MONOTONIC) + length;
        write_round(pairs, active);
        double wall_start = now_us(CLOCK_MONOTONIC), cpu_start = now_us(CLOCK_PROCESS_CPUTIME_ID);
        while (received < active)
            io_turn(loop, UINT64_MAX);
        if (n < WARM_ROUNDS)
            continue;
        cpu += now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
        wall += now_us(CLOCK_MONOTONIC) - wall_start;
        events += active;
    }
    printf("{\"event_us\": %.4f, \"event_cpu_us\": %.4f}\n", wall / (double)events,
           cpu / (double)events);
    return 0;
}
