/* disk.c - five ways to read a file at random places, DEPTH at a time where the way can.
 *
 *   lab-disk WAY CACHED DEPTH SECONDS      WAY: read pool posix-aio native-aio io_uring
 *                                          CACHED: cached (page cache) or direct (O_DIRECT)
 *
 * Makes a file of 64 MiB in the current directory, which it removes at once. Prints JSON.
 */
#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 16384, DEPTH_MAX = 128, SAMPLES_MAX = 1 << 21, STACK = 64 * 1024 };

static struct slot {
    char *bytes;
    double start;
    uint64_t seed;
    off_t at;
} slots[DEPTH_MAX];

static int file;
static unsigned depth;
static double end_us;
static float *samples;
static unsigned long reads;

static void fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static bool time_left(void)
{
    return now_us() < end_us;
}

/* Chooses the next place of a slot and starts its clock. */
static void aim(struct slot *s)
{
    s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
    s->at = (off_t)((s->seed >> 33) % BLOCKS) * BLOCK;
    s->start = now_us();
}

static void done(struct slot *s, long result)
{
    if (result != BLOCK)
        fail("read", result < 0 ? (int)-result : EIO);
    unsigned long n = __atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);

    if (n < SAMPLES_MAX)
        samples[n] = (float)(now_us() - s->start);
}

/* ---- one after the other ---------------------------------------------------------------- */

static void *reader(void *slot)
{
    while (time_left()) {
        struct slot *s = slot;

        aim(s);
        ssize_t n = pread(file, s->bytes, BLOCK, s->at);
        done(s, n < 0 ? -errno : n);
    }
    return NULL;
}

static void run_read(void)
{
    reader(&slots[0]);
}

static void run_pool(void)
{
    pthread_t threads[DEPTH_MAX];
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    for (unsigned i = 0; i < depth; i++)
        if (pthread_create(&threads[i], &attributes, reader, &slots[i]) != 0)
            fail("thread", errno);
    for (unsigned i = 0; i < depth; i++)
        pthread_join(threads[i], NULL);
}

/* ---- POSIX: glibc's own threads --------------------------------------------------------- */

static struct aiocb controls[DEPTH_MAX];
static const struct aiocb *watched[DEPTH_MAX];

static void posix_start(unsigned i)
{
    aim(&slots[i]);
    controls[i] = (struct aiocb){ .aio_fildes = file,
                                  .aio_buf = slots[i].bytes,
                                  .aio_nbytes = BLOCK,
                                  .aio_offset = slots[i].at,
                                  .aio_sigevent.sigev_notify = SIGEV_NONE };
    watched[i] = &controls[i];
    if (aio_read(&controls[i]) != 0)
        fail("aio_read", errno);
}

static void run_posix(void)
{
    unsigned flying = depth;
    const struct aioinit settings = { .aio_threads = (int)depth,
                                      .aio_num = DEPTH_MAX,
                                      .aio_idle_time = 1 };

    aio_init(&settings);
    for (unsigned i = 0; i < depth; i++)
        posix_start(i);
    while (flying > 0) {
        if (aio_suspend(watched, (int)depth, NULL) != 0 && errno != EINTR)
            fail("aio_suspend", errno);
        for (unsigned i = 0; i < depth; i++) {
            if (watched[i] == NULL || aio_error(&controls[i]) == EINPROGRESS)
                continue;
            int error = aio_error(&controls[i]);
            done(&slots[i], error != 0 ? -error : aio_return(&controls[i]));
            watched[i] = NULL;
            flying--;
            if (time_left()) {
                posix_start(i);
                flying++;
            }
        }
    }
}

/* ---- Linux: io_submit ------------------------------------------------------------------- */

static struct iocb blocks[DEPTH_MAX];

static void native_start(aio_context_t context, unsigned i)
{
    struct iocb *one = &blocks[i];

    aim(&slots[i]);
    *one = (struct iocb){ .aio_data = i,
                          .aio_lio_opcode = IOCB_CMD_PREAD,
                          .aio_fildes = (uint32_t)file,
                          .aio_buf = (uint64_t)(uintptr_t)slots[i].bytes,
                          .aio_nbytes = BLOCK,
                          .aio_offset = slots[i].at };
    if (syscall(SYS_io_submit, context, 1L, &one) != 1)
        fail("io_submit", errno);
}

static void run_native(void)
{
    aio_context_t context = 0;
    struct io_event events[DEPTH_MAX];
    unsigned flying = depth;

    if (syscall(SYS_io_setup, (unsigned)DEPTH_MAX, &context) != 0)
        fail("io_setup", errno);
    for (unsigned i = 0; i < depth; i++)
        native_start(context, i);
    while (flying > 0) {
        long count = syscall(SYS_io_getevents, context, 1L, (long)DEPTH_MAX, events, NULL);

        if (count < 0 && errno != EINTR)
            fail("io_getevents", errno);
        for (long n = 0; n < count; n++) {
            done(&slots[events[n].data], (long)events[n].res);
            flying--;
            if (time_left()) {
                native_start(context, (unsigned)events[n].data);
                flying++;
            }
        }
    }
    syscall(SYS_io_destroy, context);
}

/* ---- io_uring --------------------------------------------------------------------------- */

static void uring_start(struct io_uring *ring, unsigned i)
{
    struct io_uring_sqe *e = io_uring_get_sqe(ring);

    aim(&slots[i]);
    io_uring_prep_read(e, file, slots[i].bytes, BLOCK, (uint64_t)slots[i].at);
    io_uring_sqe_set_data64(e, i);
}

static void run_uring(void)
{
    struct io_uring ring;
    struct io_uring_cqe *c;
    unsigned flying = depth, head, count;
    int error = io_uring_queue_init(DEPTH_MAX, &ring, IORING_SETUP_SINGLE_ISSUER | 1u << 13);

    if (error != 0)
        fail("io_uring", -error);
    for (unsigned i = 0; i < depth; i++)
        uring_start(&ring, i);
    while (flying > 0) {
        io_uring_submit_and_wait(&ring, 1);
        count = 0;
        io_uring_for_each_cqe(&ring, head, c)
        {
            count++;
            flying--;
            done(&slots[c->user_data], c->res);
            if (time_left()) {
                uring_start(&ring, (unsigned)c->user_data);
                flying++;
            }
        }
        io_uring_cq_advance(&ring, count);
    }
    io_uring_queue_exit(&ring);
}

/* ---- the rest ----------------------------------------------------------------------------- */

static const struct {
    const char *word;
    void (*run)(void);
} ways[] = {
    { "read", run_read },         { "pool", run_pool },      { "posix-aio", run_posix },
    { "native-aio", run_native }, { "io_uring", run_uring },
};

static void open_file(bool cached)
{
    char name[] = "weir-lab-disk-XXXXXX";
    char *block = slots[0].bytes;
    int made = mkstemp(name);

    if (made < 0)
        fail("a file in the current directory", errno);
    file = open(name, O_RDONLY | (cached ? 0 : O_DIRECT));
    int error = errno;

    unlink(name);
    if (file < 0)
        fail(cached ? "opening" : "opening with O_DIRECT (not on this file system?)", error);
    for (unsigned i = 0; i < BLOCKS; i++) {
        memset(block, (int)i, BLOCK);
        if (write(made, block, BLOCK) != BLOCK)
            fail("writing 64 MiB", errno);
    }
    fsync(made);
    close(made);
    for (unsigned i = 0; cached && i < BLOCKS; i++)
        if (pread(file, block, BLOCK, (off_t)i * BLOCK) != BLOCK)
            fail("reading", errno);
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static double used_us(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void tell(double wall, double used)
{
    unsigned long kept = reads < SAMPLES_MAX ? reads : SAMPLES_MAX;

    if (reads == 0)
        fail("nothing was read", ETIME);
    qsort(samples, kept, sizeof *samples, by_size);
    printf("{\"reads\": %.1f, \"read_cpu_us\": %.3f, \"read_p99_us\": %.1f}\n",
           (double)reads / wall * 1e6, used / (double)reads, (double)samples[kept * 99 / 100]);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        fail("expected WAY CACHED DEPTH SECONDS", EINVAL);
    depth = (unsigned)strtoul(argv[3], NULL, 10);
    if (depth == 0 || depth > DEPTH_MAX)
        fail("DEPTH is 1 to 128", EINVAL);
    samples = calloc(SAMPLES_MAX, sizeof *samples);
    for (unsigned i = 0; i < DEPTH_MAX; i++) {
        slots[i].seed = i + 1;
        if (posix_memalign((void **)&slots[i].bytes, BLOCK, BLOCK) != 0 || samples == NULL)
            fail("memory", ENOMEM);
    }
    open_file(strcmp(argv[2], "cached") == 0);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(argv[1], ways[i].word) != 0)
            continue;
        double start = now_us(), used = used_us();
        end_us = start + strtod(argv[4], NULL) * 1e6;
        ways[i].run();
        tell(now_us() - start, used_us() - used);
        return 0;
    }
    fail("WAY is read, pool, posix-aio, native-aio or io_uring", EINVAL);
}
