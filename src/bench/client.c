/* client.c - an active connection. Requests wait in a queue until the protocol has room for them;
 * then the time when each began stands at its slot, until it has ended. */
#include "bench/client.h"

#include "base/clock.h"
#include "bench/load.h"
#include "bench/protocol.h"

#include <errno.h>

/* How long a server that said it would close the connection may take to do so. */
#define LINGER_NS ((uint64_t)NS_PER_SEC)

static void client_open(struct client *c, uint64_t now_ns);

static const struct bench_protocol *protocol_of(const struct client *c)
{
    return c->line.load->plan->protocol;
}

/* ---- requests ----------------------------------------------------------------------------- */

static void push(struct client *c, uint64_t stamp_ns)
{
    unsigned depth = c->line.load->plan->depth, at = c->first + c->waiting;

    c->queue[at < depth ? at : at - depth] = stamp_ns;
    c->waiting++;
}

static uint64_t pop(struct client *c)
{
    uint64_t stamp_ns = c->queue[c->first];

    if (++c->first == c->line.load->plan->depth)
        c->first = 0;
    c->waiting--;
    return stamp_ns;
}

/* A request has ended, one way or another: when it began. */
static uint64_t take_back(struct client *c, unsigned slot)
{
    uint64_t stamp_ns = c->stamps[slot];

    c->stamps[slot] = 0;
    c->flying--;
    c->ended++;
    return stamp_ns;
}

static unsigned owed(const struct client *c)
{
    return c->flying + c->waiting;
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

static void flush(struct client *c, uint64_t now_ns)
{
    const struct bench_protocol *protocol = protocol_of(c);

    if (c->line.state != LINE_OPEN || line_sending(&c->line))
        return;
    while (c->waiting > 0 && !c->last && protocol->room(c->link) > 0) {
        c->stamps[protocol->ask(c->link, now_ns)] = pop(c);
        c->flying++;
    }
    struct slice bytes = protocol->write(c->link);

    if (bytes.size > 0)
        send_part(c, bytes);
}

static void on_sent(struct line *line, int error)
{
    struct client *c = container_of(line, struct client, line);

    if (error < 0) {
        if (error == -EPIPE || error == -ECONNRESET)
            return; /* on_bytes() hears of it, behind the answers that came before */
        client_fail(c, BENCH_RESET, owed(c));
        return;
    }
    if (c->rest.size > 0)
        send_part(c, c->rest);
    else
        flush(c, clock_mono_ns());
}

bool client_has_room(const struct client *c)
{
    if (c->last)
        return false;
    if (c->line.load->plan->keep_alive)
        return c->line.state == LINE_OPEN && c->waiting < protocol_of(c)->room(c->link);
    return c->line.state == LINE_CLOSED && !c->failed && c->waiting == 0;
}

/* What waits leaves in one send. */
static void begin(struct client *c, uint64_t now_ns)
{
    c->progress_ns = now_ns;
    if (c->line.state == LINE_CLOSED)
        client_open(c, now_ns);
    else
        flush(c, now_ns);
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
    if (c->waiting > 0)
        begin(c, now_ns);
    else
        flush(c, now_ns);
    if (paced && client_has_room(c) && !c->listed && !load->stopping)
        load_spare(load, c, now_ns);
}

/* ---- closing ------------------------------------------------------------------------------ */

static void on_closed(struct line *line)
{
    struct client *c = container_of(line, struct client, line);

    protocol_of(c)->done(c->link);
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

/* What is in flight will not be answered. What waits may do so for the next connection, or not. */
static void lose_all(struct client *c, bool again)
{
    for (unsigned slot = 0; c->flying > 0; slot++)
        if (c->stamps[slot] != 0)
            load_untake(c->line.load, take_back(c, slot), again);
    while (!again && c->waiting > 0)
        load_untake(c->line.load, pop(c), false);
}

static void client_fail(struct client *c, enum bench_error error, uint64_t count)
{
    load_error(c->line.load, error, count);
    lose_all(c, false);
    c->failed = true;
    client_close(c);
}

/* ---- answers ------------------------------------------------------------------------------ */

typedef void read_fn(struct client *, const struct bench_answer *, uint64_t now_ns);

static void answered(struct client *c, const struct bench_answer *answer, uint64_t now_ns)
{
    struct load *load = c->line.load;
    const struct bench_plan *plan = load->plan;
    uint64_t stamp_ns = take_back(c, answer->slot);
    bool fine = plan->expect != 0 ? answer->status == plan->expect
                                  : answer->status >= 200 && answer->status < 400;

    load->flying--;
    c->progress_ns = now_ns;
    c->last |= answer->last;
    if (stamp_ns < load->from_ns || load->stopping)
        return;
    load->now.requests++;
    load->now.errors[BENCH_STATUS] += !fine;
    histogram_add(&load->now.latency, now_ns > stamp_ns ? now_ns - stamp_ns : 0);
}

static void lost(struct client *c, const struct bench_answer *answer, uint64_t now_ns)
{
    struct load *load = c->line.load;

    (void)now_ns;
    board_note(load->board, answer->error, answer->why);
    load_error(load, answer->error, 1);
    load_untake(load, take_back(c, answer->slot), false);
}

/* On the next connection, and its time goes on. */
static void not_begun(struct client *c, const struct bench_answer *answer, uint64_t now_ns)
{
    (void)now_ns;
    push(c, take_back(c, answer->slot));
    c->ended--;
}

/* A server that takes leave again and again, and does nothing else, is no better than one that
 * closes. */
static void over(struct client *c, const struct bench_answer *answer, uint64_t now_ns)
{
    (void)answer;
    (void)now_ns;
    if (c->ended == 0 && c->waiting > 0)
        client_fail(c, BENCH_RESET, c->waiting);
    else
        client_close(c);
}

static void bad(struct client *c, const struct bench_answer *answer, uint64_t now_ns)
{
    (void)now_ns;
    board_note(c->line.load->board, BENCH_MALFORMED, answer->why);
    client_fail(c, BENCH_MALFORMED, owed(c) > 0 ? owed(c) : 1);
}

static const struct {
    read_fn *on;
    bool ends; /* the connection */
} VERDICTS[] = {
    [BENCH_ANSWER] = { answered, false }, [BENCH_LOST] = { lost, false },
    [BENCH_AGAIN] = { not_begun, false }, [BENCH_OVER] = { over, true },
    [BENCH_BAD] = { bad, true },
};

/* False: the connection has ended. */
static bool read_answers(struct client *c, const struct io_buf *buf, uint64_t now_ns)
{
    const char *at = (const char *)buf->bytes;
    size_t left = buf->filled, taken;

    while (!c->last) {
        struct bench_answer answer = { 0 };
        enum bench_read verdict = protocol_of(c)->read(c->link, now_ns, at, left, &taken, &answer);

        if (verdict == BENCH_MORE)
            break;
        at += taken;
        left -= taken;
        VERDICTS[verdict].on(c, &answer, now_ns);
        if (VERDICTS[verdict].ends)
            return false;
    }
    return true;
}

/* Whether that was expected or not: what is in flight behind a last answer may begin again. */
static void stream_ended(struct client *c, uint64_t now_ns)
{
    struct bench_answer answer;

    if (!c->last && c->flying > 0 && protocol_of(c)->end(c->link, &answer) == BENCH_ANSWER)
        answered(c, &answer, now_ns);
    if (!c->last && c->flying > 0) {
        client_fail(c, BENCH_RESET, owed(c));
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
        if (c->flying > 0)
            c->progress_ns = now_ns;
        if (fine && !c->last)
            fine = read_answers(c, b, now_ns);
    }
    if (!fine)
        return;
    if (result == 0 || (result < 0 && c->last))
        stream_ended(c, now_ns);
    else if (result < 0)
        client_fail(c, result == -EPROTO ? BENCH_TLS : BENCH_RESET, owed(c));
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
    flush(c, now_ns);
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
    c->ended = 0;
    c->progress_ns = now_ns;
    if (line_open(&c->line) < 0) {
        load_error(load, BENCH_CONNECT, 1);
        lose_all(c, false);
        c->failed = true;
        return;
    }
    if (!protocol_of(c)->begin(c->link, load->plan))
        client_fail(c, BENCH_CONNECT, 1);
}

void client_init(struct client *c, struct load *load, uint64_t *times, void *link)
{
    *c = (struct client){ .stamps = times, .queue = times + load->plan->depth, .link = link };
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

/* Of requests that have nothing to do with each other, one alone may hang. */
static void give_up(struct client *c, uint64_t now_ns)
{
    const struct bench_protocol *protocol = protocol_of(c);
    struct bench_answer answer = { .error = BENCH_TIMEOUT };
    uint64_t timeout_ns = c->line.load->plan->timeout_ns;
    bool any = false;
    int slot;

    while (protocol->give_up != NULL &&
           (slot = protocol->give_up(c->link, now_ns, timeout_ns)) != BENCH_NO_SLOT) {
        answer.slot = (unsigned)slot;
        lost(c, &answer, now_ns);
        any = true;
    }
    if (any)
        refill(c, now_ns);
}

void client_tick(struct client *c, uint64_t now_ns)
{
    bool opening = c->line.state == LINE_CONNECTING || c->line.state == LINE_SHAKING;
    bool shut = c->line.state == LINE_OPEN && protocol_of(c)->room(c->link) == 0;
    bool waits = opening || owed(c) > 0 || shut || c->last;

    if (c->line.state == LINE_CLOSED) {
        if (c->failed || (!c->line.load->plan->keep_alive && !c->listed))
            client_start(c);
    } else if (c->line.state != LINE_CLOSING && waits &&
               now_ns > c->progress_ns + (c->last ? LINGER_NS : c->line.load->plan->timeout_ns)) {
        if (opening)
            client_fail(c, BENCH_CONNECT, 1);
        else if (!c->last)
            client_fail(c, BENCH_TIMEOUT, owed(c) > 0 ? owed(c) : 1);
        else
            stream_ended(c, now_ns);
    } else if (c->line.state == LINE_OPEN && c->flying > 0) {
        give_up(c, now_ns);
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
