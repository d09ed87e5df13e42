/* conformance.c - every law of io.h, on every engine.
 *
 *   conformance [engine [case]]      engines: io_uring epoll poll select threads branches sim
 *
 * Each case gets a fresh loop, and must leave no op in flight, no buffer lent and no descriptor
 * open. "threads" runs the cases on that engine's home loop, "branches" on a thread per link;
 * "sim" runs them on a quiet network, then with every fault there is, under SEEDS seeds.
 */
#include "fixture.h"

#include "io/sim.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEEDS = 20 };

static const struct variant {
    const char *name;
    const struct io_engine *engine;
    unsigned without; /* cases with such a flag are left out */
} variants[] = {
    { "io_uring", &io_engine_uring, ONLY_SELECT },
    { "epoll", &io_engine_epoll, ONLY_SELECT },
    { "poll", &io_engine_poll, ONLY_SELECT },
    { "select", &io_engine_select, 0 },
    { "threads", &io_engine_threads, ONLY_SELECT },
    { "branches", &io_engine_threads, ONLY_SELECT | NO_BRANCHES },
    { "sim", &io_engine_sim, ONLY_SELECT | NO_SIM },
};

static const struct test_case *const suites[] = {
    law_cases, stream_cases, file_cases, socket_cases, loop_cases,
};

static int descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int count = 0;

    HAVE(d != NULL);
    while (readdir(d) != NULL)
        count++;
    closedir(d);
    return count;
}

/* What CHECK() adds to its report. */
static void on_panic(int fd)
{
    dprintf(fd, "  in case %s/%s\n", t.engine, t.name);
}

static const struct sim_faults rough = {
    .short_io = 30,
    .delay = 30,
    .late_cancel = 40,
    .no_bufs = 20,
    .delay_max_us = 3000,
};

static struct sim_ledger ledger(void)
{
    return t.sim ? sim_ledger(t.io) : (struct sim_ledger){ 0 };
}

static void run(const struct variant *v, const struct test_case *c, uint64_t seed)
{
    static const struct io_limits usual = { .fds = 1024, .bufs = 16, .buf_size = 4096 };
    int error, before = descriptors();

    t = (struct fixture){ .engine = io_engine_name(v->engine),
                          .name = c->name,
                          .branches = strcmp(v->name, "branches") == 0,
                          .sim = strcmp(v->name, "sim") == 0,
                          .seed = seed };
    alarm(120); /* a hang is a failure */
    t.io = io_create(v->engine, c->limits.fds != 0 ? &c->limits : &usual, &error);
    if (t.io == NULL) {
        printf("cannot open %s: %s\n", v->name, strerror(-error));
        exit(1);
    }
    if (seed > 0) {
        sim_seed(t.io, seed);
        sim_faults(t.io, &rough);
    }
    c->run();
    struct sim_ledger l = ledger();
    MUST(l.sockets + l.peers + l.bufs_lent + l.flying + l.timers == 0);
    const struct io_stats s = *io_stats(t.io);
    MUST(s.submitted == s.completed);
    io_destroy(t.io);
    t.io = NULL;
    MUST(descriptors() == before);
}

int main(int argc, char **argv)
{
    const char *only_engine = argc > 1 ? argv[1] : "", *only_case = argc > 2 ? argv[2] : "";
    int count = 0;

    signal(SIGPIPE, SIG_IGN);
    check_on_panic(on_panic);
    for (size_t v = 0; v < COUNT_OF(variants); v++) {
        if (*only_engine != '\0' && strcmp(only_engine, variants[v].name) != 0)
            continue;
        for (size_t s = 0; s < COUNT_OF(suites); s++) {
            for (const struct test_case *c = suites[s]; c->name != NULL; c++) {
                if (c->flags & variants[v].without || strstr(c->name, only_case) == NULL)
                    continue;
                bool rough_too = variants[v].engine == &io_engine_sim && (c->flags & QUIET) == 0;

                run(&variants[v], c, 0);
                for (uint64_t seed = 1; rough_too && seed <= SEEDS; seed++)
                    run(&variants[v], c, seed);
                count++;
            }
        }
        printf("ok %s\n", variants[v].name);
    }
    printf("%d cases hold\n", count);
    return count > 0 ? 0 : 1;
}
