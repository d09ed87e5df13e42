/* laws.c - the laws of io.h, one by one: completions, cancels, closes, reused numbers. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* L1, L5: one completion, whose buffer holds what was sent; then end of stream. */
static void recv_then_eof(void)
{
    struct link l;
    struct seen rx = { .keep = true };

    link_open(&l);
    io_recv(l.io, &rx.op, l.fd, 0, note);
    settle();
    MUST(rx.finals == 0 && io_busy(&rx.op));
    peer_put(&l, "hello", 5);
    UNTIL(rx.finals == 1);
    MUST(rx.r.res == 5 && memcmp(rx.r.buf->bytes, "hello", 5) == 0 && !io_busy(&rx.op));
    io_buf_release(l.io, rx.r.buf);
    io_recv(l.io, &rx.op, l.fd, 0, note);
    peer_close(&l);
    UNTIL(rx.finals == 2);
    MUST(rx.r.res == 0 && rx.r.buf == NULL);
    link_shut(&l);
}

/* Bytes and the end arrive together: a short read must not hide the end. */
static void eof_behind(void (*open_link)(struct link *), bool before, unsigned flags)
{
    struct link l;
    struct seen rx = { 0 };

    open_link(&l);
    if (!before) {
        io_recv(l.io, &rx.op, l.fd, flags, note);
        settle();
    }
    peer_put(&l, "last words", 10);
    peer_finish(&l);
    if (before)
        io_recv(l.io, &rx.op, l.fd, flags, note);
    for (int i = 1; flags == 0 && rx.bytes < 10; i++) {
        UNTIL(rx.finals == i);
        MUST(rx.r.res > 0);
        io_recv(l.io, &rx.op, l.fd, 0, note);
    }
    UNTIL(!io_busy(&rx.op));
    MUST(rx.bytes == 10);
    MUST(rx.r.res == 0);
    link_shut(&l);
}

static void eof_behind_bytes(void)
{
    for (unsigned i = 0; i < 8; i++)
        eof_behind(i & 4 ? link_open : link_open_tcp, (i & 2) != 0, i & 1 ? IO_MULTI : 0);
}

/* A reset behind the last bytes must not be missed either, nor the bytes be waited for. */
static void reset_behind_bytes(void)
{
    for (unsigned i = 0; i < 4; i++) {
        struct link l;
        struct seen rx = { 0 };

        link_open_tcp(&l);
        if (i & 1) {
            io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
            settle();
        }
        peer_put(&l, "last words", 10);
        if (i & 2)
            settle();
        peer_reset(&l);
        if ((i & 1) == 0)
            io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
        UNTIL(rx.finals == 1);
        MUST(rx.r.res == -ECONNRESET && (rx.bytes == 0 || rx.bytes == 10));
        link_shut(&l);
    }
}

/* L2, L4. */
static void never_inline(void)
{
    static const struct iovec x = { (void *)(uintptr_t) "x", 1 };
    struct link l;
    struct seen tx = { 0 }, rx = { 0 };

    link_open(&l);
    io_send(l.io, &tx.op, l.fd, &x, 1, 0, note);
    MUST(tx.finals == 0);
    io_recv(l.io, &rx.op, l.fd, 0, note);
    io_cancel(l.io, &rx.op);
    MUST(rx.finals == 0);
    io_cancel(l.io, &rx.op);
    UNTIL(tx.finals == 1 && rx.finals == 1);
    MUST(tx.r.res == 1 && rx.r.res == -ECANCELED);
    io_cancel(l.io, &rx.op); /* at rest: nothing happens */
    settle();
    MUST(rx.finals == 1);
    link_close_start(&l);
    MUST(!link_closed(&l));
    io_cancel(l.io, &l.end.op); /* a close cannot be cancelled */
    UNTIL(link_closed(&l));
    peer_close(&l);
}

static struct {
    struct io_op op;
    struct link l;
    int depth, deepest, runs;
} again;

static void on_again(struct io *io, struct io_op *op, struct io_result r)
{
    static const struct iovec x = { (void *)(uintptr_t) "y", 1 };

    MUST(r.res == 1);
    again.depth++;
    if (again.depth > again.deepest)
        again.deepest = again.depth;
    if (++again.runs < 100)
        io_send(io, op, again.l.fd, &x, 1, 0, on_again);
    again.depth--;
}

/* L2: done() resubmits its own op, a hundred times, and is never on the stack twice. */
static void done_resubmits(void)
{
    static const struct iovec x = { (void *)(uintptr_t) "y", 1 };
    uint32_t hash = 0;
    size_t got = 0;

    memset(&again, 0, sizeof again);
    link_open(&again.l);
    io_send(again.l.io, &again.op, again.l.fd, &x, 1, 0, on_again);
    UNTIL((got += peer_drain(&again.l, &hash, 1000), again.runs == 100));
    MUST(again.deepest == 1);
    UNTIL((got += peer_drain(&again.l, &hash, 1000)) == 100);
    link_shut(&again.l);
}

/* ---- cancel ------------------------------------------------------------------------------ */

static void cancel_send_midway(void)
{
    struct link l;
    struct seen tx = { 0 };
    struct iovec v = { calloc(1, IO_SEND_MAX), IO_SEND_MAX };
    uint32_t hash = 0;

    link_open(&l);
    io_send(l.io, &tx.op, l.fd, &v, 1, 0, note);
    settle();
    MUST(tx.finals == 0);
    io_cancel(l.io, &tx.op);
    UNTIL(tx.finals == 1);
    MUST(tx.r.res == -ECANCELED);
    v.iov_len = 1; /* the direction is free again */
    io_send(l.io, &tx.op, l.fd, &v, 1, 0, note);
    for (int i = 0; i < 100 && tx.finals < 2; i++) {
        peer_drain(&l, &hash, IO_SEND_MAX);
        io_turn(t.io, MS);
    }
    MUST(tx.finals == 2 && tx.r.res == 1);
    link_shut(&l);
    free(v.iov_base);
}

/* L4: whoever completes first cancels the other, whose bytes are there already. */
static void bytes_beat_cancel(void)
{
    struct link a, b;
    struct seen ra = { 0 }, rb = { 0 };

    link_open(&a);
    link_open(&b);
    io_recv(a.io, &ra.op, a.fd, 0, note);
    io_recv(b.io, &rb.op, b.fd, 0, note);
    settle();
    ra.then_cancel = &rb.op;
    ra.then_io = b.io;
    rb.then_cancel = &ra.op;
    rb.then_io = a.io;
    peer_put(&a, "a", 1);
    peer_put(&b, "b", 1);
    UNTIL(ra.finals == 1 && rb.finals == 1);
    MUST(ra.r.res == 1 || ra.r.res == -ECANCELED);
    MUST(rb.r.res == 1 || rb.r.res == -ECANCELED);
    MUST(ra.r.res == 1 || rb.r.res == 1);
    link_shut(&a);
    link_shut(&b);
}

/* L4: a cancelled recv loses no bytes: they go to the next one. */
static void cancel_loses_nothing(void)
{
    struct link l;
    struct seen rx = { 0 };
    uint32_t sent = 0;

    link_open(&l);
    for (int i = 0; i < 200; i++) {
        uint8_t byte = (uint8_t)i;

        io_recv(l.io, &rx.op, l.fd, i & 1 ? IO_MULTI : 0, note);
        if (i % 3 == 0)
            io_turn(t.io, 0);
        peer_put(&l, &byte, 1);
        sent = hash_add(sent, &byte, 1);
        if (i % 5 == 0)
            io_turn(t.io, 0);
        io_cancel(l.io, &rx.op);
        UNTIL(!io_busy(&rx.op));
    }
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
    UNTIL(rx.bytes == 200);
    MUST(rx.hash == sent);
    link_shut(&l);
}

static void on_stop(struct io *io, struct io_op *op, struct io_result r)
{
    note(io, op, r);
    io_cancel(io, op);
}

/* A multi recv that its own done() cancels: the rest is the next recv's. */
static void cancel_multi_from_done(void)
{
    struct link l;
    struct seen rx = { 0 };
    uint8_t bytes[4096];
    uint32_t hash = hash_add(0, memset(bytes, 'm', sizeof bytes), sizeof bytes);

    link_open(&l);
    peer_put(&l, bytes, sizeof bytes);
    for (int i = 0; i < 20 && rx.bytes < sizeof bytes; i++) {
        io_recv(l.io, &rx.op, l.fd, IO_MULTI, on_stop);
        UNTIL(!io_busy(&rx.op));
    }
    MUST(rx.bytes == sizeof bytes && rx.hash == hash);
    link_shut(&l);
}

/* ---- close ------------------------------------------------------------------------------- */

static struct {
    char order[8];
    int count;
} closing;

struct owner {
    struct link l;
    struct io_op rx, tx;
};

static void on_owner_rx(struct io *io, struct io_op *op, struct io_result r)
{
    (void)op;
    if (r.buf != NULL)
        io_buf_release(io, r.buf);
    closing.order[closing.count++] = 'r';
}

static void on_owner_tx(struct io *io, struct io_op *op, struct io_result r)
{
    (void)io;
    (void)op;
    MUST(r.res < 0);
    closing.order[closing.count++] = 't';
}

static void on_owner_end(struct io *io, struct io_op *op, struct io_result r)
{
    struct owner *o = container_of((struct seen *)(void *)op, struct owner, l.end);
    struct link l = o->l;

    (void)io;
    MUST(r.res == 0);
    closing.order[closing.count++] = 'e';
    memset(o, 0xee, sizeof *o);
    free(o); /* whoever still has a pointer to it is found out */
    io_branch_end(l.io);
    peer_close(&l);
}

/* L7. */
static void close_is_last(void)
{
    struct owner *o = calloc(1, sizeof *o);
    struct iovec v = { calloc(1, IO_SEND_MAX), IO_SEND_MAX };

    memset(&closing, 0, sizeof closing);
    link_open(&o->l);
    io_recv(o->l.io, &o->rx, o->l.fd, IO_MULTI, on_owner_rx);
    io_send(o->l.io, &o->tx, o->l.fd, &v, 1, 0, on_owner_tx);
    settle();
    MUST(closing.count == 0);
    io_close(o->l.io, &o->l.end.op, o->l.fd, on_owner_end);
    MUST(closing.count == 0);
    UNTIL(closing.count == 3);
    MUST(closing.order[2] == 'e');
    free(v.iov_base);
}

/* What was sent before a close arrives, and the end behind it. */
static void close_sends_the_rest(void)
{
    struct link l;
    struct seen tx = { 0 };
    struct iovec v = { (void *)(uintptr_t) "goodbye", 7 };
    char got[16];
    int n;

    link_open_tcp(&l);
    io_send(l.io, &tx.op, l.fd, &v, 1, 0, note);
    UNTIL(tx.finals == 1);
    link_close_start(&l);
    UNTIL(link_closed(&l));
    UNTIL((n = peer_get(&l, got, sizeof got)) != -1);
    MUST(n == 7 && memcmp(got, "goodbye", 7) == 0);
    UNTIL((n = peer_get(&l, got, sizeof got)) != -1);
    MUST(n == 0);
    peer_close(&l);
}

/* The number is free when the close has completed, and its next owner hears of no old event. */
static void number_reused(void)
{
    struct link a, b;
    struct seen ra = { 0 }, rb = { 0 };

    link_open(&a);
    io_recv(a.io, &ra.op, a.fd, 0, note);
    settle();
    peer_close(&a); /* an event for the old one waits now */
    link_close_start(&a);
    UNTIL(link_closed(&a));
    MUST(ra.finals == 1);
    MUST(t.sim || (fcntl(a.fd, F_GETFD) == -1 && errno == EBADF));
    link_open(&b);
    io_recv(b.io, &rb.op, b.fd, 0, note);
    settle();
    MUST(rb.finals == 0);
    peer_put(&b, "new", 3);
    UNTIL(rb.finals == 1);
    MUST(rb.r.res > 0);
    link_shut(&b);
}

/* ---- an event belongs to a socket, not to its number ------------------------------------- */

static struct {
    struct io_op end, con;
    struct link victim;
    int fresh, ends, cons;
    struct sockaddr_in at;
} swap;

static void on_swap_con(struct io *io, struct io_op *op, struct io_result r)
{
    (void)io;
    (void)op;
    (void)r;
    swap.cons++;
}

static void on_swap_end(struct io *io, struct io_op *op, struct io_result r)
{
    (void)op;
    (void)r;
    swap.ends++;
    swap.fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(io_adopt(io, swap.fresh) == 0);
    io_connect(io, &swap.con, swap.fresh, (struct sockaddr *)&swap.at, sizeof swap.at, on_swap_con);
}

static void on_swap(struct io *io, struct io_op *op, struct io_result r)
{
    (void)op;
    MUST(r.buf != NULL);
    io_buf_release(io, r.buf);
    io_close(swap.victim.io, &swap.end, swap.victim.fd, on_swap_end);
}

/* In one batch: the first event closes x and gives its number to a connect that nobody answers;
 * the second says that x is writable. */
static void stale_event_is_not_mine(void)
{
    enum { FILL = 4 };
    int fill[FILL], listener = listener_open(&swap.at, 0);
    struct sockaddr_in at = swap.at;
    struct link a;
    struct io_op rx = { 0 };
    struct seen tx = { 0 }, end = { 0 };
    struct iovec v = { calloc(1, IO_SEND_MAX), IO_SEND_MAX };
    uint32_t hash = 0;

    memset(&swap, 0, sizeof swap);
    swap.at = at;
    for (int i = 0; i < FILL; i++) /* a full queue: further connects hang */
        fill[i] = client_open(&at, true);
    link_open(&a);
    link_open(&swap.victim);
    io_send(swap.victim.io, &tx.op, swap.victim.fd, &v, 1, 0, note);
    io_recv(a.io, &rx, a.fd, 0, on_swap);
    settle();
    io_cancel(swap.victim.io, &tx.op);
    UNTIL(tx.finals == 1);
    peer_put(&a, "!", 1);                         /* the first event of the batch  */
    peer_drain(&swap.victim, &hash, IO_SEND_MAX); /* the second: writable at last  */
    UNTIL(swap.ends == 1);
    settle();
    MUST(swap.fresh == swap.victim.fd);
    MUST(swap.cons == 0); /* nobody answered it            */
    io_close(t.io, &end.op, swap.fresh, note);
    UNTIL(end.finals == 1);
    MUST(swap.cons == 1);
    for (int i = 0; i < FILL; i++)
        close(fill[i]);
    close(listener);
    peer_close(&swap.victim);
    link_shut(&a);
    free(v.iov_base);
}

const struct test_case law_cases[] = {
    { .name = "recv_then_eof", .run = recv_then_eof, .flags = QUIET },
    { .name = "eof_behind_bytes", .run = eof_behind_bytes },
    { .name = "reset_behind_bytes", .run = reset_behind_bytes },
    { .name = "never_inline", .run = never_inline },
    { .name = "done_resubmits", .run = done_resubmits },
    { .name = "cancel_send_midway", .run = cancel_send_midway },
    { .name = "bytes_beat_cancel", .run = bytes_beat_cancel },
    { .name = "cancel_loses_nothing", .run = cancel_loses_nothing },
    { .name = "cancel_multi_from_done",
      .run = cancel_multi_from_done,
      .limits = { .fds = 1024, .bufs = 8, .buf_size = 512 } },
    { .name = "close_is_last", .run = close_is_last },
    { .name = "close_sends_the_rest", .run = close_sends_the_rest },
    { .name = "number_reused", .run = number_reused },
    { .name = "stale_event_is_not_mine",
      .run = stale_event_is_not_mine,
      .flags = NO_SIM | NO_BRANCHES },
    { 0 },
};
