/* files.c - io_sendfile, io_read, and io_work's helpers. */
#include "fixture.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BIG = 900000 };

/* ---- sendfile ---------------------------------------------------------------------------- */

/* Reads what arrives, `most` bytes a turn, until the op is over and nothing more comes. */
static size_t drain_until_over(struct link *l, const struct seen *tx, int finals, size_t most,
                               uint32_t *hash)
{
    size_t got = 0, n;
    uint64_t end = patience_end();

    do {
        MUST(!patience_over(end));
        io_turn(t.io, MS);
        n = peer_drain(l, hash, most);
        got += n;
    } while (n > 0 || tx->finals < finals);
    return got;
}

static void sendfile_whole_and_part(void)
{
    struct link l;
    struct seen tx = { 0 };
    int file = file_open(BIG, false);
    uint32_t hash = 0;

    link_open_tcp(&l);
    io_sendfile(l.io, &tx.op, l.fd, file, 0, BIG, note);
    MUST(tx.finals == 0);
    MUST(drain_until_over(&l, &tx, 1, 1 << 20, &hash) == BIG);
    MUST(tx.r.res == BIG && hash == pattern_hash(BIG, 0) && tx.op.file.sent == BIG);
    hash = 0;
    io_sendfile(l.io, &tx.op, l.fd, file, 12345, 54321, note);
    MUST(drain_until_over(&l, &tx, 2, 1 << 20, &hash) == 54321);
    MUST(tx.r.res == 54321 && hash == pattern_hash(54321, 12345));
    io_sendfile(l.io, &tx.op, l.fd, file, 5, 0, note);
    UNTIL(tx.finals == 3);
    MUST(tx.r.res == 0);
    close(file);
    link_shut(&l);
}

static void sendfile_of_a_shorter_file(void)
{
    struct link l;
    struct seen tx = { 0 };
    int file = file_open(1000, false);
    uint32_t hash = 0;

    link_open_tcp(&l);
    io_sendfile(l.io, &tx.op, l.fd, file, 400, 5000, note);
    MUST(drain_until_over(&l, &tx, 1, 1 << 20, &hash) == 600);
    MUST(tx.r.res == -ENODATA && tx.op.file.sent == 600 && hash == pattern_hash(600, 400));
    close(file);
    link_shut(&l);
}

/* A slow reader, while bytes come in the other way; and the loop does not hang in between. */
static void sendfile_to_a_slow_reader(void)
{
    struct link l;
    struct seen tx = { 0 }, rx = { 0 };
    int file = file_open(BIG, false);
    uint32_t hash = 0;
    size_t got = 0;

    link_open(&l);
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
    io_sendfile(l.io, &tx.op, l.fd, file, 0, BIG, note);
    settle();
    MUST(tx.finals == 0 && tx.op.file.sent < BIG);
    uint32_t before = tx.op.file.sent;
    got += peer_drain(&l, &hash, 100000);
    UNTIL((got += peer_drain(&l, &hash, 100000), tx.op.file.sent > before));
    peer_put(&l, "hey", 3);
    UNTIL(rx.bytes == 3);
    got += drain_until_over(&l, &tx, 1, 7777, &hash);
    MUST(got == BIG && tx.r.res == BIG && hash == pattern_hash(BIG, 0));
    close(file);
    link_shut(&l);
}

static void sendfile_cancelled_midway(void)
{
    struct link l;
    struct seen tx = { 0 };
    int file = file_open(BIG, false);
    uint32_t hash = 0;

    link_open(&l);
    io_sendfile(l.io, &tx.op, l.fd, file, 0, BIG, note);
    settle();
    MUST(tx.finals == 0);
    io_cancel(l.io, &tx.op);
    UNTIL(tx.finals == 1);
    MUST(tx.r.res == -ECANCELED && tx.op.file.sent < BIG);
    size_t got = drain_until_over(&l, &tx, 1, 1 << 20, &hash);
    MUST(got == tx.op.file.sent && hash == pattern_hash(got, 0));
    io_sendfile(l.io, &tx.op, l.fd, file, 0, BIG, note);
    settle();
    peer_close(&l); /* and an error midway */
    UNTIL(tx.finals == 2);
    MUST(tx.r.res == -EPIPE || tx.r.res == -ECONNRESET);
    close(file);
    link_shut(&l);
}

/* ---- read -------------------------------------------------------------------------------- */

/* Results may be short, so reading goes on where the last one ended. */
static void read_all(int file, uint8_t *into, size_t size, uint64_t offset)
{
    struct seen rd = { 0 };
    size_t got = 0;
    int finals = 0;

    while (got < size) {
        io_read(t.io, &rd.op, file, into + got, (uint32_t)(size - got), offset + got, note);
        MUST(rd.finals == finals);
        UNTIL(rd.finals == finals + 1);
        finals++;
        MUST(rd.r.res > 0);
        got += (size_t)rd.r.res;
    }
}

static void reads_files(void)
{
    uint8_t *into = malloc(BIG);

    for (int cold = 0; cold < 2; cold++) {
        int file = file_open(BIG, cold != 0);
        struct seen rd = { 0 };

        memset(into, 0, BIG);
        read_all(file, into, BIG, 0);
        MUST(hash_add(0, into, BIG) == pattern_hash(BIG, 0));
        read_all(file, into, 1000, 777);
        MUST(hash_add(0, into, 1000) == pattern_hash(1000, 777));
        io_read(t.io, &rd.op, file, into, 10, BIG, note);
        UNTIL(rd.finals == 1);
        MUST(rd.r.res == 0); /* behind the end */
        close(file);
    }
    struct seen rd = { 0 };
    io_read(t.io, &rd.op, 9999, into, 10, 0, note);
    UNTIL(rd.finals == 1);
    MUST(rd.r.res == -EBADF);
    free(into);
}

/* A pipe has no page cache and cannot be read at an offset, a file being closed waits for its
 * readers: L7 holds for files, too. */
static void close_waits_for_reads(void)
{
    enum { READS = 12 };
    static uint8_t into[READS][4096];
    struct seen rd[READS] = { 0 }, end = { 0 };
    int file = file_open(BIG, true), over = 0;

    for (int i = 0; i < READS; i++)
        io_read(t.io, &rd[i].op, file, into[i], sizeof into[i], (uint64_t)i * 65536, note);
    io_close(t.io, &end.op, file, note);
    MUST(end.finals == 0);
    UNTIL(end.finals == 1);
    for (int i = 0; i < READS; i++) {
        over += rd[i].finals;
        MUST(rd[i].r.res > 0 || rd[i].r.res == -ECANCELED);
    }
    MUST(over == READS);
}

/* ---- work -------------------------------------------------------------------------------- */

struct job {
    struct seen s;
    pthread_t ran_on;
    int value;
};

static bool gate_shut;
static int started;

static int32_t work_square(struct io_op *op)
{
    struct job *j = (struct job *)(void *)op;

    j->ran_on = pthread_self();
    return j->value * j->value;
}

static void gate(bool shut)
{
    __atomic_store_n(&gate_shut, shut, __ATOMIC_RELEASE);
}

static int32_t work_gated(struct io_op *op)
{
    (void)op;
    __atomic_add_fetch(&started, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&gate_shut, __ATOMIC_ACQUIRE))
        usleep(1000);
    return -EIO;
}

static void work_runs_elsewhere(void)
{
    enum { JOBS = 100 };
    static struct job jobs[JOBS];
    int over = 0;

    memset(jobs, 0, sizeof jobs);
    for (int i = 0; i < JOBS; i++) {
        jobs[i].value = i;
        io_work(t.io, &jobs[i].s.op, work_square, note);
    }
    MUST(jobs[0].s.finals == 0);
    for (int i = 0; i < JOBS; i++) {
        UNTIL(jobs[i].s.finals == 1);
        MUST(jobs[i].s.r.res == i * i);
        MUST(t.sim || !pthread_equal(jobs[i].ran_on, pthread_self()));
        over++;
    }
    MUST(over == JOBS);
}

/* What has not begun is cancelled; what has is answered when it ends. */
static void work_cancelled(void)
{
    enum { JOBS = 20 };
    static struct job jobs[JOBS];
    int cancelled = 0, finished = 0, begun;

    memset(jobs, 0, sizeof jobs);
    started = 0;
    gate(true);
    for (int i = 0; i < JOBS; i++)
        io_work(t.io, &jobs[i].s.op, work_gated, note);
    UNTIL(__atomic_load_n(&started, __ATOMIC_RELAXED) > 0);
    settle();
    begun = __atomic_load_n(&started, __ATOMIC_RELAXED);
    MUST(begun < JOBS);
    for (int i = 0; i < JOBS; i++)
        io_cancel(t.io, &jobs[i].s.op);
    settle();
    for (int i = 0; i < JOBS; i++)
        cancelled += jobs[i].s.finals == 1 && jobs[i].s.r.res == -ECANCELED;
    MUST(cancelled == JOBS - __atomic_load_n(&started, __ATOMIC_RELAXED));
    gate(false);
    for (int i = 0; i < JOBS; i++) {
        UNTIL(jobs[i].s.finals == 1);
        finished += jobs[i].s.r.res == -EIO;
    }
    MUST(cancelled + finished == JOBS && finished >= begun);
}

/* The loop goes on while a helper is stuck. */
static void work_does_not_block_the_loop(void)
{
    struct job j = { 0 };
    struct link l;
    struct seen rx = { 0 };

    link_open(&l);
    started = 0;
    gate(true);
    io_work(l.io, &j.s.op, work_gated, note);
    io_recv(l.io, &rx.op, l.fd, 0, note);
    peer_put(&l, "x", 1);
    UNTIL(rx.finals == 1);
    MUST(j.s.finals == 0);
    gate(false);
    UNTIL(j.s.finals == 1);
    MUST(j.s.r.res == -EIO);
    link_shut(&l);
}

const struct test_case file_cases[] = {
    { .name = "sendfile_whole_and_part", .run = sendfile_whole_and_part },
    { .name = "sendfile_of_a_shorter_file", .run = sendfile_of_a_shorter_file },
    { .name = "sendfile_to_a_slow_reader", .run = sendfile_to_a_slow_reader },
    { .name = "sendfile_cancelled_midway", .run = sendfile_cancelled_midway },
    { .name = "reads_files", .run = reads_files },
    { .name = "close_waits_for_reads", .run = close_waits_for_reads, .flags = NO_SIM },
    { .name = "work_runs_elsewhere", .run = work_runs_elsewhere },
    { .name = "work_cancelled", .run = work_cancelled, .flags = NO_SIM },
    { .name = "work_does_not_block_the_loop",
      .run = work_does_not_block_the_loop,
      .flags = NO_SIM },
    { 0 },
};
