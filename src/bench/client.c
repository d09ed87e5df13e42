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
    unsigned depth = c->line.load->plan->depth;
    unsigned at = c->first + c->flying;

    c->stamps[at < depth ? at : at - depth] = stamp_ns;
    c->flying++;
    c->unsent++;
}

static uint64_t pop(struct client *c)
{
    uint64_t stamp_ns = c->stamps[c->first];

    if (++c->first == c->line.load->plan->depth)
        c->first = 0;
    c->flying--;
    return stamp_ns;
}

static void client_fail(struct client *c, enum bench_error error, uint64_t count);

/* A send has a largest size: the rest waits for its end. */
static void send_part(struct client *c, struct slice bytes)
{
    size_t size = bytes.size < IO_SEND_MAX ? bytes.size : IO_SEND_MAX;

    c->iov = (struct iovec){ (void *)(uintptr_t)bytes.at, size };
    c->rest = slice_skip(bytes, size);
    line_send(&c->line, &c->iov);
}

static void flush(struct client *c)
{
    const struct bench_plan *plan = c->line.load->plan;

    if (c->unsent == 0 || c->line.state != LINE_OPEN || line_sending(&c->line))
        return;
    struct slice bytes = plan->protocol->write(plan, c->unsent);
    c->unsent = 0;
    send_part(c, bytes);
}

static void on_sent(struct line *line, int error)
{
    struct client *c = container_of(line, struct client, line);

    if (error < 0) {
        if (error == -EPIPE || error == -ECONNRESET)
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
    if (c->flying >= c->line.load->plan->depth || c->last)
        return false;
    if (c->line.load->plan->keep_alive)
        return c->line.state == LINE_OPEN;
    return c->line.state == LINE_CLOSED && !c->failed;
}

/* What was pushed leaves in one send. */
static void begin(struct client *c, uint64_t now_ns)
{
    c->progress_ns = now_ns;
    if (c->line.state == LINE_CLOSED)
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
    struct load *load = c->line.load;
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

static void on_closed(struct line *line)
{
    struct client *c = container_of(line, struct client, line);

    line->load->plan->protocol->done(c->reader);
    if (!line->load->stopping && !c->failed)
        client_start(c);
}

static void client_close(struct client *c)
{
    if (c->line.state == LINE_CLOSED || c->line.state == LINE_CLOSING)
        return;
    c->last = false;
    line_close(&c->line);
}

/* What is in flight will not be answered. */
static void lose_all(struct client *c, bool again)
{
    while (c->flying > 0)
        load_untake(c->line.load, pop(c), again);
    c->unsent = 0;
}

static void client_fail(struct client *c, enum bench_error error, uint64_t count)
{
    load_error(c->line.load, error, count);
    lose_all(c, false);
    c->failed = true;
    client_close(c);
}

/* ---- answers ------------------------------------------------------------------------------ */

static void answered(struct client *c, const struct bench_answer *answer, uint64_t now_ns)
{
    struct load *load = c->line.load;
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
    const struct bench_protocol *protocol = c->line.load->plan->protocol;
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
        c->line.load->plan->protocol->end(c->reader, &answer) == BENCH_ANSWER)
        answered(c, &answer, now_ns);
    if (!c->last && c->flying > 0) {
        client_fail(c, BENCH_RESET, c->flying);
        return;
    }
    lose_all(c, true);
    client_close(c);
}

static void on_bytes(struct line *line, const struct io_buf *list, int result)
{
    struct client *c = container_of(line, struct client, line);
    uint64_t now_ns = clock_mono_ns();
    bool fine = true;

    for (const struct io_buf *b = list; b != NULL; b = b->next) {
        line->load->now.bytes += b->filled;
        c->progress_ns = now_ns;
        if (fine && !c->last)
            fine = read_answers(c, b, now_ns);
    }
    if (!fine)
        return;
    if (result == 0 || (result < 0 && c->last))
        stream_ended(c, now_ns);
    else if (result < 0)
        client_fail(c, result == -EPROTO ? BENCH_TLS : BENCH_RESET, c->flying);
    else
        refill(c, now_ns);
}

/* ---- opening ------------------------------------------------------------------------------ */

static void on_open(struct line *line, int error)
{
    struct client *c = container_of(line, struct client, line);
    uint64_t now_ns = clock_mono_ns();

    if (error == -EADDRNOTAVAIL && load_elsewhere(line->load)) {
        lose_all(c, true);
        client_close(c); /* and opened again at once */
        return;
    }
    if (error < 0) {
        client_fail(c, error == -EPROTO ? BENCH_TLS : BENCH_CONNECT, 1);
        return;
    }
    line->load->now.connections++;
    c->progress_ns = now_ns;
    flush(c);
    if (line->load->plan->keep_alive)
        refill(c, now_ns);
}

static const struct line_ops line_ops = {
    .open = on_open,
    .bytes = on_bytes,
    .sent = on_sent,
    .closed = on_closed,
};

static void client_open(struct client *c, uint64_t now_ns)
{
    struct load *load = c->line.load;

    c->failed = false;
    c->last = false;
    c->progress_ns = now_ns;
    if (line_open(&c->line) < 0) {
        load_error(load, BENCH_CONNECT, 1);
        lose_all(c, false);
        c->failed = true;
        return;
    }
    load->plan->protocol->begin(c->reader, load->plan);
}

void client_init(struct client *c, struct load *load, uint64_t *stamps, void *reader)
{
    *c = (struct client){ .stamps = stamps, .reader = reader };
    line_init(&c->line, load, &line_ops);
}

void client_start(struct client *c)
{
    uint64_t now_ns = clock_mono_ns();

    c->failed = false;
    if (c->line.load->plan->keep_alive)
        client_open(c, now_ns);
    else
        refill(c, now_ns);
}

void client_tick(struct client *c, uint64_t now_ns)
{
    bool opening = c->line.state == LINE_CONNECTING || c->line.state == LINE_SHAKING;
    bool waits = opening || c->flying > 0 || c->last;

    if (c->line.state == LINE_CLOSED) {
        if (c->failed || (!c->line.load->plan->keep_alive && !c->listed))
            client_start(c);
    } else if (c->line.state != LINE_CLOSING && waits &&
               now_ns > c->progress_ns + (c->last ? LINGER_NS : c->line.load->plan->timeout_ns)) {
        if (opening)
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

void client_done(struct client *c)
{
    line_done(&c->line);
}
