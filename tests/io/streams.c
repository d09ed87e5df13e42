/* streams.c - bytes over connections: whole sends, multi recv, starvation, ends of all kinds. */
#include "fixture.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* L6: a slow reader; two pieces; the caller's iovec is left alone. */
static void send_is_all_or_error(void)
{
    enum { HALF = IO_SEND_MAX / 2 };
    struct link l;
    struct seen tx = { 0 };
    uint8_t *bytes = malloc(IO_SEND_MAX);
    struct iovec iov[3] = { { bytes, HALF }, { bytes, 0 }, { bytes + HALF, HALF } };
    size_t got = 0;
    uint32_t hash = 0;

    pattern_fill(bytes, IO_SEND_MAX, 0);
    link_open(&l);
    io_send(l.io, &tx.op, l.fd, iov, 3, 0, note);
    settle();
    MUST(tx.finals == 0);
    while (got < IO_SEND_MAX) {
        size_t n = peer_drain(&l, &hash, 3000);

        got += n;
        if (n == 0)
            UNTIL((n = peer_drain(&l, &hash, 1)) > 0 && (got += n) > 0);
        MUST(tx.finals == 0 || got + 300000 > IO_SEND_MAX);
        io_turn(t.io, 0);
    }
    UNTIL(tx.finals == 1);
    MUST(tx.r.res == IO_SEND_MAX && hash == pattern_hash(IO_SEND_MAX, 0));
    MUST(iov[0].iov_len == HALF && iov[2].iov_base == bytes + HALF);
    io_send(l.io, &tx.op, l.fd, iov, 3, 0, note);
    settle();
    peer_close(&l);
    UNTIL(tx.finals == 2);
    MUST(tx.r.res < 0);
    link_shut(&l);
    free(bytes);
}

static void send_nothing(void)
{
    struct link l;
    struct seen tx = { 0 };
    struct iovec v = { NULL, 0 };

    link_open(&l);
    io_send(l.io, &tx.op, l.fd, &v, 1, 0, note);
    UNTIL(tx.finals == 1);
    MUST(tx.r.res == 0);
    io_send(l.io, &tx.op, l.fd, NULL, 0, 0, note);
    UNTIL(tx.finals == 2);
    MUST(tx.r.res == 0);
    link_shut(&l);
}

/* IO_HOLD: what is held leaves with the next send. Many pieces arrive in order. */
static void send_held_and_in_pieces(void)
{
    struct link l;
    struct seen tx = { 0 };
    struct iovec iov[IO_IOV_MAX];
    uint32_t hash = 0, expect = hash_add(0, "<head>", 6);
    size_t got = 0;

    for (int i = 0; i < IO_IOV_MAX; i++) {
        iov[i] = (struct iovec){ (void *)(uintptr_t) "abcdefgh", (size_t)i };
        expect = hash_add(expect, "abcdefgh", (size_t)i);
    }
    link_open_tcp(&l);
    io_send(l.io, &tx.op, l.fd, &(struct iovec){ (void *)(uintptr_t) "<head>", 6 }, 1, IO_HOLD,
            note);
    UNTIL(tx.finals == 1);
    io_send(l.io, &tx.op, l.fd, iov, IO_IOV_MAX, 0, note);
    UNTIL(tx.finals == 2);
    MUST(tx.r.res == 28);
    UNTIL((got += peer_drain(&l, &hash, 100)) == 34);
    MUST(hash == expect);
    link_shut(&l);
}

/* ---- multi recv -------------------------------------------------------------------------- */

static void multi_recv(void)
{
    struct link l;
    struct seen rx = { 0 };

    link_open(&l);
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
    for (unsigned i = 1; i <= 50; i++) {
        peer_put(&l, "ab", 2);
        UNTIL(rx.bytes == 2u * i);
        MUST(rx.finals == 0 && io_busy(&rx.op));
    }
    settle();
    peer_finish(&l);
    UNTIL(rx.finals == 1);
    MUST(rx.r.res == 0 && rx.r.flags == 0);
    link_shut(&l);
}

/* More than the buffers hold, from a fast peer: everything, in order. */
static void multi_recv_much(void)
{
    enum { SIZE = 400000 };
    struct link l;
    struct seen rx = { 0 };
    uint8_t piece[5000];
    size_t sent = 0;

    link_open(&l);
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
    while (sent < SIZE) {
        pattern_fill(piece, sizeof piece, sent);
        peer_put(&l, piece, sizeof piece);
        sent += sizeof piece;
        if (sent % 20000 == 0)
            UNTIL(rx.bytes == sent);
    }
    peer_finish(&l);
    UNTIL(rx.finals == 1);
    MUST(rx.bytes == SIZE && rx.hash == pattern_hash(SIZE, 0));
    link_shut(&l);
}

/* A peer that never stops does not keep the others from being served, nor timers from firing. */
static int greedy_fired;
static void on_greedy_timer(struct io *io, struct io_timer *timer)
{
    (void)io;
    (void)timer;
    greedy_fired++;
}

static void greedy_peer_is_bounded(void)
{
    struct link greedy, modest;
    struct seen rg = { 0 }, rm = { 0 };
    struct io_timer timer = { 0 };
    uint8_t piece[4096] = { 0 };

    greedy_fired = 0;
    link_open(&greedy);
    link_open(&modest);
    for (int i = 0; i < 10; i++)
        peer_put(&greedy, piece, sizeof piece);
    peer_put(&modest, "?", 1);
    io_recv(greedy.io, &rg.op, greedy.fd, IO_MULTI, note);
    io_recv(modest.io, &rm.op, modest.fd, IO_MULTI, note);
    io_timer_set(t.io, &timer, 1, on_greedy_timer);
    UNTIL(rm.bytes == 1 && greedy_fired == 1);
    UNTIL(rg.bytes == 10 * sizeof piece);
    link_shut(&greedy);
    link_shut(&modest);
}

/* ---- starvation -------------------------------------------------------------------------- */

/* Buffers that a case holds on to. */
static struct io_buf *held[16];
static unsigned held_count;

static void on_held(struct io *io, struct io_op *op, struct io_result r)
{
    struct seen *s = (struct seen *)(void *)op;

    note(io, op, r);
    if (r.buf != NULL) {
        MUST(held_count < COUNT_OF(held));
        held[held_count++] = r.buf;
        s->r.buf = NULL;
    }
}

enum { STARVERS = 8 }; /* with 4 buffers */

static int fed(const struct seen rx[STARVERS])
{
    int n = 0;

    for (int i = 0; i < STARVERS; i++)
        n += rx[i].bytes > 0;
    return n;
}

static void starved_waits(void)
{
    struct link l[STARVERS];
    struct seen rx[STARVERS] = { 0 };

    for (int i = 0; i < STARVERS; i++) {
        link_open(&l[i]);
        rx[i].keep = true;
        io_recv(l[i].io, &rx[i].op, l[i].fd, i & 1 ? IO_MULTI : 0, note);
    }
    settle();
    for (int i = 0; i < STARVERS; i++)
        peer_put(&l[i], "x", 1);
    UNTIL(fed(rx) == 4);
    settle();
    MUST(fed(rx) == 4 && io_stats(t.io)->starved > 0);
    MUST_NOT_SPIN();
    for (int round = 4; round < STARVERS; round++) {
        for (int i = 0; i < STARVERS; i++) {
            if (rx[i].r.buf == NULL)
                continue;
            io_buf_release(l[i].io, rx[i].r.buf); /* one only */
            rx[i].r.buf = NULL;
            break;
        }
        UNTIL(fed(rx) == round + 1);
    }
    for (int i = 0; i < STARVERS; i++) {
        if (rx[i].r.buf != NULL)
            io_buf_release(l[i].io, rx[i].r.buf);
        link_shut(&l[i]);
    }
}

/* A starved op can be cancelled, and its descriptor closed. */
static void starved_cancelled(void)
{
    struct link l[STARVERS];
    struct seen rx[STARVERS] = { 0 };

    held_count = 0;
    for (int i = 0; i < STARVERS; i++) {
        link_open(&l[i]);
        rx[i].keep = true;
        io_recv(l[i].io, &rx[i].op, l[i].fd, IO_MULTI, on_held);
        peer_put(&l[i], "x", 1);
    }
    UNTIL(fed(rx) == 4);
    settle();
    for (int i = 0; i < STARVERS; i++)
        io_cancel(l[i].io, &rx[i].op);
    for (int i = 0; i < STARVERS; i++) {
        UNTIL(rx[i].finals == 1);
        MUST(rx[i].r.res == -ECANCELED);
        link_close_start(&l[i]);
    }
    for (int i = 0; i < STARVERS; i++) {
        UNTIL(link_closed(&l[i]));
        peer_close(&l[i]);
    }
    while (held_count > 0)
        io_buf_release(t.io, held[--held_count]);
}

/* One peer fills all buffers; as they come home, one by one, the bytes go on. */
static void multi_recv_starves_and_goes_on(void)
{
    enum { SIZE = 20000 };
    struct link l;
    struct seen rx = { .keep = true };
    uint8_t *bytes = malloc(SIZE);

    held_count = 0;
    pattern_fill(bytes, SIZE, 0);
    link_open(&l);
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, on_held);
    peer_put(&l, bytes, SIZE);
    UNTIL(held_count == 4);
    settle();
    MUST(held_count == 4 && rx.finals == 0);
    while (rx.bytes < SIZE) {
        uint64_t before = rx.bytes;

        io_buf_release(l.io, held[--held_count]);
        UNTIL(rx.bytes > before);
    }
    MUST(rx.hash == pattern_hash(SIZE, 0));
    while (held_count > 0)
        io_buf_release(l.io, held[--held_count]);
    link_shut(&l);
    free(bytes);
}

/* Who keeps copies holds none of them: all that a peer sent comes, though nothing is consumed. */
static void kept_bytes_starve_nobody(void)
{
    enum { SIZE = 20000 };
    struct link l;
    struct seen rx = { .keep = true };
    uint8_t *bytes = malloc(SIZE);
    struct io_buf *first = NULL, **end = &first;
    size_t at = 0;

    held_count = 0;
    pattern_fill(bytes, SIZE, 0);
    link_open(&l);
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, on_held);
    peer_put(&l, bytes, SIZE);
    while (at < SIZE) {
        UNTIL(held_count > 0);
        for (unsigned i = 0; i < held_count; i++) {
            struct io_buf *b = held[i];

            b->used = at == 0; /* the very first byte is consumed */
            b->next = NULL;
            *end = io_buf_keep(l.io, b);
            MUST(*end != NULL && io_buf_keep(l.io, *end) == *end);
            MUST((*end)->used == (at == 0) && (*end)->filled == (*end)->size);
            MUST(memcmp((*end)->bytes, bytes + at, (*end)->filled) == 0);
            at += (*end)->filled;
            end = &(*end)->next;
        }
        held_count = 0;
    }
    MUST(at == SIZE);
    while (first != NULL) {
        struct io_buf *next = first->next;

        io_buf_release(l.io, first);
        first = next;
    }
    link_shut(&l);
    free(bytes);
}

/* ---- how connections end ----------------------------------------------------------------- */

static void peer_resets(void)
{
    struct link l;
    struct seen rx = { 0 }, tx = { 0 };
    struct iovec v = { (void *)(uintptr_t) "x", 1 };

    link_open_tcp(&l);
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
    settle();
    peer_reset(&l);
    UNTIL(rx.finals == 1);
    MUST(rx.r.res == -ECONNRESET && rx.r.buf == NULL);
    io_send(l.io, &tx.op, l.fd, &v, 1, 0, note);
    UNTIL(tx.finals == 1);
    MUST(tx.r.res == -EPIPE || tx.r.res == -ECONNRESET);
    link_shut(&l);
}

static void reset_ends_a_send(void)
{
    struct link l;
    struct seen tx = { 0 };
    struct iovec v = { calloc(1, IO_SEND_MAX), IO_SEND_MAX };

    link_open_tcp(&l);
    for (int i = 0; i < 100 && tx.finals == i; i++) { /* until the socket is full */
        io_send(l.io, &tx.op, l.fd, &v, 1, 0, note);
        settle();
    }
    MUST(io_busy(&tx.op));
    int before = tx.finals;
    peer_reset(&l);
    UNTIL(tx.finals == before + 1);
    MUST(tx.r.res == -ECONNRESET || tx.r.res == -EPIPE);
    link_shut(&l);
    free(v.iov_base);
}

/* The peer has finished sending; we still can. Then we finish, and still receive. */
static void half_closes(void)
{
    struct link l;
    struct seen rx = { 0 }, tx = { 0 };
    struct iovec v = { (void *)(uintptr_t) "answer", 6 };
    char got[16];
    int n;

    link_open_tcp(&l);
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
    peer_put(&l, "question", 8);
    peer_finish(&l);
    UNTIL(rx.finals == 1);
    MUST(rx.r.res == 0 && rx.bytes == 8);
    io_send(l.io, &tx.op, l.fd, &v, 1, 0, note);
    UNTIL(tx.finals == 1);
    MUST(tx.r.res == 6);
    UNTIL((n = peer_get(&l, got, sizeof got)) != -1);
    MUST(n == 6);
    link_shut(&l);

    link_open_tcp(&l);
    rx = (struct seen){ 0 };
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
    io_finish(l.io, l.fd);
    UNTIL((n = peer_get(&l, got, sizeof got)) != -1);
    MUST(n == 0);
    peer_put(&l, "more", 4);
    UNTIL(rx.bytes == 4);
    MUST(rx.finals == 0);
    link_shut(&l);
}

/* Both directions at once, much in each. */
static void both_ways(void)
{
    struct link l;
    struct seen rx = { 0 }, tx = { 0 };
    uint8_t *bytes = malloc(IO_SEND_MAX);
    struct iovec v = { bytes, IO_SEND_MAX };
    size_t got = 0, put = 0;
    uint32_t hash = 0;

    pattern_fill(bytes, IO_SEND_MAX, 0);
    link_open(&l);
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
    io_send(l.io, &tx.op, l.fd, &v, 1, 0, note);
    for (int i = 0; i < 100000 && (got < IO_SEND_MAX || put < IO_SEND_MAX); i++) {
        got += peer_drain(&l, &hash, 2000);
        if (put < IO_SEND_MAX && rx.bytes == put) {
            peer_put(&l, bytes + put, 2048);
            put += 2048;
        }
        io_turn(t.io, MS);
    }
    UNTIL(tx.finals == 1 && rx.bytes == IO_SEND_MAX);
    MUST(hash == pattern_hash(IO_SEND_MAX, 0) && rx.hash == hash);
    link_shut(&l);
    free(bytes);
}

#define FOUR_BUFS                                \
    {                                            \
        .fds = 1024, .bufs = 4, .buf_size = 1024 \
    }

const struct test_case stream_cases[] = {
    { .name = "send_is_all_or_error", .run = send_is_all_or_error },
    { .name = "send_nothing", .run = send_nothing },
    { .name = "send_held_and_in_pieces", .run = send_held_and_in_pieces },
    { .name = "multi_recv", .run = multi_recv },
    { .name = "multi_recv_much", .run = multi_recv_much },
    { .name = "greedy_peer_is_bounded", .run = greedy_peer_is_bounded, .limits = FOUR_BUFS },
    { .name = "starved_waits", .run = starved_waits, .flags = NO_BRANCHES, .limits = FOUR_BUFS },
    { .name = "starved_cancelled",
      .run = starved_cancelled,
      .flags = NO_BRANCHES,
      .limits = FOUR_BUFS },
    { .name = "kept_bytes_starve_nobody", .run = kept_bytes_starve_nobody, .limits = FOUR_BUFS },
    { .name = "multi_recv_starves_and_goes_on",
      .run = multi_recv_starves_and_goes_on,
      .limits = FOUR_BUFS },
    { .name = "peer_resets", .run = peer_resets },
    { .name = "reset_ends_a_send", .run = reset_ends_a_send },
    { .name = "half_closes", .run = half_closes },
    { .name = "both_ways", .run = both_ways },
    { 0 },
};
