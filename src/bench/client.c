/* client.c - an active connection. What is in flight stands in a ring of times; answers come in the
 * order of requests, so the oldest time belongs to the next answer. */
#include "bench/client.h"

#include "base/clock.h"
#include "bench/load.h"
#include "bench/protocol.h"

#include <errno.h>

/* How long a server that said it would close the connection may take to do so. */
#define LINGER_NS ((uint64_t)NS_PER_SEC)

static void client_open(struct client *c, uint64_t now_ns);

/* ---- requests ----------------------------------------------------------------------------- */

static void push(struct client *c, uint64_t stamp_ns)
{
    unsigned depth = c->load->plan->depth;
    unsigned at = c->first + c->flying;

    c->stamps[at < depth ? at : at - depth] = stamp_ns;
    c->flying++;
    c->unsent++;
}

static uint64_t pop(struct client *c)
{
    uint64_t stamp_ns = c->stamps[c->first];

    if (++c->first == c->load->plan->depth)
        c->first = 0;
    c->flying--;
    return stamp_ns;
}

static void client_fail(struct client *c, enum bench_error error, uint64_t count);

static void on_sent(struct io *io, struct io_op *op, struct io_result result);

/* A send has a largest size: the rest waits for on_sent(). */
static void send_part(struct client *c, struct slice bytes)
{
    size_t size = bytes.size < IO_SEND_MAX ? bytes.size : IO_SEND_MAX;

    c->iov = (struct iovec){ (void *)(uintptr_t)bytes.at, size };
    c->rest = slice_skip(bytes, size);
    io_send(c->io, &c->out, c->fd, &c->iov, 1, 0, on_sent);
}

static void flush(struct client *c)
{
    const struct bench_plan *plan = c->load->plan;

    if (c->unsent == 0 || c->state != CLIENT_OPEN || io_busy(&c->out))
        return;
    struct slice bytes = plan->protocol->write(plan, c->unsent);
    c->unsent = 0;
    send_part(c, bytes);
}

static void on_sent(struct io *io, struct io_op *op, struct io_result result)
{
    struct client *c = container_of(op, struct client, out);

    (void)io;
    if (c->state != CLIENT_OPEN)
        return;
    if (result.res < 0) {
        if (result.res == -EPIPE || result.res == -ECONNRESET)
            return; /* on_bytes() hears of it, behind the answers that came before */
        client_fail(c, BENCH_RESET, c->flying);
        return;
    }
    if (c->rest.size > 0)
        send_part(c, c->rest);
    else
        flush(c);
}

bool client_has_room(const struct client *c)
{
    if (c->flying >= c->load->plan->depth || c->last)
        return false;
    if (c->load->plan->keep_alive)
        return c->state == CLIENT_OPEN;
    return c->state == CLIENT_CLOSED && !c->failed;
}

/* What was pushed leaves in one send. */
static void begin(struct client *c, uint64_t now_ns)
{
    c->progress_ns = now_ns;
    if (c->state == CLIENT_CLOSED)
        client_open(c, now_ns);
    else
        flush(c);
}

void client_request(struct client *c, uint64_t due_ns, uint64_t now_ns)
{
    push(c, due_ns);
    begin(c, now_ns);
}

/* As many requests as may be in flight now. */
static void refill(struct client *c, uint64_t now_ns)
{
    struct load *load = c->load;
    bool paced = load->share.rate > 0;

    while (client_has_room(c) && (!paced || pace_due(&load->pace) <= now_ns) &&
           load_take(load, now_ns))
        push(c, paced ? pace_take(&load->pace) : now_ns);
    if (c->unsent > 0)
        begin(c, now_ns);
    if (paced && client_has_room(c) && !c->listed && !load->stopping)
        load_spare(load, c, now_ns);
}

/* ---- closing ------------------------------------------------------------------------------ */

static void on_closed(struct io *io, struct io_op *op, struct io_result result)
{
    struct client *c = container_of(op, struct client, closing);

    (void)io;
    (void)result;
    c->state = CLIENT_CLOSED;
    c->fd = -1;
    c->load->open--;
    c->load->plan->protocol->done(c->reader);
    if (c->load->stopping) {
        io_wake(c->load->io);
        return;
    }
    if (!c->failed)
        client_start(c);
}

static void client_close(struct client *c)
{
    if (c->state == CLIENT_CLOSED || c->state == CLIENT_CLOSING)
        return;
    c->state = CLIENT_CLOSING;
    c->last = false;
    io_close(c->io, &c->closing, c->fd, on_closed);
}

/* What is in flight will not be answered. */
static void lose_all(struct client *c, bool again)
{
    while (c->flying > 0)
        load_untake(c->load, pop(c), again);
    c->unsent = 0;
}

static void client_fail(struct client *c, enum bench_error error, uint64_t count)
{
    load_error(c->load, error, count);
    lose_all(c, false);
    c->failed = true;
    client_close(c);
}

/* ---- answers ------------------------------------------------------------------------------ */

static void answered(struct client *c, const struct bench_answer *answer, uint64_t now_ns)
{
    struct load *load = c->load;
    const struct bench_plan *plan = load->plan;
    uint64_t stamp_ns = pop(c);
    bool fine = plan->expect != 0 ? answer->status == plan->expect
                                  : answer->status >= 200 && answer->status < 400;

    load->flying--;
    c->progress_ns = now_ns;
    c->last |= answer->last || !plan->keep_alive;
    if (stamp_ns < load->from_ns || load->stopping)
        return;
    load->now.requests++;
    load->now.errors[BENCH_STATUS] += !fine;
    histogram_add(&load->now.latency, now_ns > stamp_ns ? now_ns - stamp_ns : 0);
}

/* False: the connection has failed. */
static bool read_answers(struct client *c, const struct io_buf *buf, uint64_t now_ns)
{
    const struct bench_protocol *protocol = c->load->plan->protocol;
    const char *at = (const char *)buf->bytes;
    size_t left = buf->filled, taken;
    struct bench_answer answer;

    while (left > 0) {
        if (c->flying == 0)
            break; /* nobody asked */
        enum bench_read verdict = protocol->read(c->reader, at, left, &taken, &answer);
        if (verdict == BENCH_MORE)
            return true;
        if (verdict == BENCH_BAD)
            break;
        at += taken;
        left -= taken;
        answered(c, &answer, now_ns);
        if (c->last)
            return true;
    }
    if (left > 0)
        client_fail(c, BENCH_MALFORMED, c->flying > 0 ? c->flying : 1);
    return left == 0;
}

/* Whether that was expected or not: what is in flight behind a last answer may begin again. */
static void stream_ended(struct client *c, uint64_t now_ns)
{
    struct bench_answer answer;

    if (!c->last && c->flying > 0 &&
        c->load->plan->protocol->end(c->reader, &answer) == BENCH_ANSWER)
        answered(c, &answer, now_ns);
    if (!c->last && c->flying > 0) {
        client_fail(c, BENCH_RESET, c->flying);
        return;
    }
    lose_all(c, true);
    client_close(c);
}

static void on_bytes(struct io *io, struct io_op *op, struct io_result result)
{
    struct client *c = container_of(op, struct client, in);
    uint64_t now_ns = clock_mono_ns();
    bool fine = true;

    if (result.buf != NULL) {
        c->load->now.bytes += (uint64_t)result.res;
        if (c->state == CLIENT_OPEN)
            c->progress_ns = now_ns;
        if (c->state == CLIENT_OPEN && !c->last)
            fine = read_answers(c, result.buf, now_ns);
        io_buf_release(io, result.buf);
    }
    if (c->state != CLIENT_OPEN || !fine)
        return;
    if (result.res == 0 || (result.res < 0 && c->last)) {
        stream_ended(c, now_ns);
        return;
    }
    if (result.res < 0) {
        client_fail(c, BENCH_RESET, c->flying);
        return;
    }
    refill(c, now_ns);
    if (!(result.flags & IO_MORE))
        io_recv(c->io, &c->in, c->fd, IO_MULTI, on_bytes);
}

/* ---- opening ------------------------------------------------------------------------------ */

static void on_connected(struct io *io, struct io_op *op, struct io_result result)
{
    struct client *c = container_of(op, struct client, out);
    uint64_t now_ns = clock_mono_ns();

    (void)io;
    if (c->state != CLIENT_CONNECTING)
        return;
    if (result.res == -EADDRNOTAVAIL && load_elsewhere(c->load)) {
        lose_all(c, true);
        client_close(c); /* and opened again at once */
        return;
    }
    if (result.res < 0) {
        client_fail(c, BENCH_CONNECT, 1);
        return;
    }
    c->state = CLIENT_OPEN;
    c->load->now.connections++;
    c->progress_ns = now_ns;
    io_recv(c->io, &c->in, c->fd, IO_MULTI, on_bytes);
    flush(c);
    if (c->load->plan->keep_alive)
        refill(c, now_ns);
}

static void client_open(struct client *c, uint64_t now_ns)
{
    const struct bench_plan *plan = c->load->plan;
    int fd = load_socket(c->load, c->io);

    c->failed = false;
    c->last = false;
    c->progress_ns = now_ns;
    if (fd < 0) {
        load_error(c->load, BENCH_CONNECT, 1);
        lose_all(c, false);
        c->failed = true;
        return;
    }
    c->fd = fd;
    c->state = CLIENT_CONNECTING;
    c->load->open++;
    plan->protocol->begin(c->reader, plan);
    io_connect(c->io, &c->out, fd, (const struct sockaddr *)&plan->to, plan->to_size, on_connected);
}

void client_init(struct client *c, struct load *load, uint64_t *stamps, void *reader)
{
    *c = (struct client){ .load = load, .stamps = stamps, .reader = reader, .fd = -1 };
}

void client_start(struct client *c)
{
    uint64_t now_ns = clock_mono_ns();

    c->failed = false;
    if (c->load->plan->keep_alive)
        client_open(c, now_ns);
    else
        refill(c, now_ns);
}

void client_tick(struct client *c, uint64_t now_ns)
{
    bool waits = c->state == CLIENT_CONNECTING || c->flying > 0 || c->last;

    if (c->state == CLIENT_CLOSED) {
        if (c->failed || (!c->load->plan->keep_alive && !c->listed))
            client_start(c);
    } else if (c->state != CLIENT_CLOSING && waits &&
               now_ns > c->progress_ns + (c->last ? LINGER_NS : c->load->plan->timeout_ns)) {
        if (c->state == CLIENT_CONNECTING)
            client_fail(c, BENCH_CONNECT, 1);
        else if (c->flying > 0 && !c->last)
            client_fail(c, BENCH_TIMEOUT, c->flying);
        else
            stream_ended(c, now_ns);
    }
}

void client_stop(struct client *c)
{
    client_close(c);
}
