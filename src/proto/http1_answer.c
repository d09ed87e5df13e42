/* http1_answer.c - sending answers on HTTP/1: head and first bytes in one send, bodies pulled,
 * limit_rate, trailers, and how a connection ends or goes on afterwards. */
#include "http/pipeline.h"
#include "net/progress.h"
#include "proto/http1_private.h"
#include "wire/h1_write.h"

#include <errno.h>

struct out *h1_out(struct conn *c)
{
    if (c->out == NULL) {
        c->out = slab_take(&c->loop->out_slab);
        if (c->out == NULL)
            conn_close(c, CLOSE_no_memory);
        else
            c->out->used = 0;
    }
    return c->out;
}

void h1_out_give(struct conn *c)
{
    if (c->out == NULL)
        return;
    slab_give(&c->loop->out_slab, c->out);
    c->out = NULL;
}

static void send_out(struct conn *c, int iov_count, unsigned flags)
{
    c->out->iov[0] = (struct iovec){ c->out->bytes, c->out->used };
    c->taken_known = false;
    conn_deadline(c, c->request != NULL ? h1_core(c)->send_timeout : c->send_ms);
    conn_send(c, c->out->iov, iov_count, flags);
}

/* ---- after an answer ---------------------------------------------------------------- */

/* The request is over. Pipelined requests go on while there is room for their answers. */
static void answer_done(struct conn *c)
{
    struct request *r = c->request;
    const struct http_core *core = h1_core(c);
    struct exchange *x = r->exchange;
    bool keep = r->keep_alive, linger = x->linger || core->lingering_close == LINGER_ALWAYS;

    c->keepalive_ms = (uint32_t)core->keepalive_timeout;
    c->send_ms = (uint32_t)core->send_timeout;
    c->last_answer = !keep;
    c->linger_ms = 0;
    if (!keep && core->lingering_close != LINGER_OFF &&
        (linger || !x->body_read || conn_peek(c).size > 0)) {
        c->linger_ms = (uint32_t)core->lingering_timeout;
        c->linger_all_ms = (uint32_t)core->lingering_time;
    }
    c->request = NULL;
    r->complete = true;
    request_end(r);
    if (keep && conn_peek(c).size > 0 && (c->out == NULL || OUT_ROOM - c->out->used > HEAD_ROOM))
        conn_goto(c, HEAD);
    else if (!keep || (c->out != NULL && c->out->used > 0))
        conn_goto(c, FLUSH);
    else
        conn_goto(c, IDLE);
}

/* ---- ANSWER: the head is written ------------------------------------------------------ */

static bool may_keep(const struct conn *c)
{
    const struct request *r = c->request;
    const struct http_core *core = h1_core(c);
    const struct exchange *x = r->exchange;
    uint64_t age_ms = (io_now_ns(c->io) - c->opened_ns) / 1000000u;

    return r->head.keep_alive && x->body_read && !x->linger && !r->response.close && !c->in_ended &&
           !c->loop->draining && core->keepalive_timeout > 0 &&
           c->requests < (uint64_t)core->keepalive_requests &&
           age_ms < (uint64_t)core->keepalive_time;
}

static bool has_body(const struct request *r)
{
    return !r->header_only && r->response.body != NULL;
}

/* Fields behind the body need chunks, also where its length is known. */
static bool wants_trailers(struct conn *c)
{
    struct request *r = c->request;

    if (r->header_only || r->response.tunnel || r->head.version_minor == 0 ||
        !h1_core(c)->chunked_encoding || !trailers_wanted(r))
        return false;
    if (r->response.body == NULL)
        r->response.body = body_memory(r, SLICE(""));
    return r->response.body != NULL;
}

/* How the body's end will be known: a length, chunks, or the connection's end. */
static void choose_framing(struct conn *c)
{
    struct request *r = c->request;
    struct exchange *x = r->exchange;

    r->keep_alive = may_keep(c) && !r->response.tunnel;
    x->trailing = wants_trailers(c);
    if (x->trailing)
        r->response.length = -1;
    x->body_ended = !has_body(r);
    x->tunnel = r->response.tunnel;
    if (r->response.length >= 0) {
        x->answer_left = (uint64_t)r->response.length;
        if (x->answer_left == 0)
            x->body_ended = true;
        return;
    }
    x->answer_left = UINT64_MAX;
    x->chunking = r->response.body != NULL && !x->tunnel && r->head.version_minor == 1 &&
                  h1_core(c)->chunked_encoding;
    if (!x->chunking && r->response.body != NULL)
        r->keep_alive = false;
}

/* A small body in memory goes right behind its head; one buffer, one copy, one send. */
static bool copy_body(struct conn *c)
{
    struct request *r = c->request;
    struct exchange *x = r->exchange;
    struct out *out = c->out;
    struct chunk k;

    if (x->chunking || x->answer_left > COPY_MAX || x->rate != 0 ||
        x->answer_left > OUT_ROOM - out->used)
        return false;
    while (x->answer_left > 0) {
        enum body_status s = r->response.body->ops->pull(r->response.body, x->answer_left, &k);

        if (s != BODY_CHUNK || k.file >= 0) {
            out->chunk = k;
            x->pulled = (uint8_t)s + 1;
            return false;
        }
        memcpy(out->bytes + out->used, k.at, k.size);
        out->used += (uint32_t)k.size;
        x->answer_left -= k.size;
        r->body_sent += k.size;
        if (r->response.body->ops->sent != NULL)
            r->response.body->ops->sent(r->response.body, k.size);
    }
    x->body_ended = true;
    return true;
}

static void rate_of(struct conn *c, struct exchange *x)
{
    x->paced_since_ns = io_now_ns(c->io);
    x->rate = request_rate(c->request, &x->rate_after);
}

void answer_enter(struct conn *c)
{
    struct request *r = c->request;
    struct exchange *x = r->exchange;

    if (conn_sending(c)) {
        conn_deadline(c, h1_core(c)->send_timeout);
        return; /* earlier answers, or 100 Continue, are still on their way */
    }
    if (h1_body_wanted_first(c)) {
        conn_goto(c, DISCARD);
        return;
    }
    if (r->response.no_answer) {
        r->keep_alive = false; /* answers to earlier, pipelined requests still go out */
        answer_done(c);
        c->linger_ms = 0;
        c->why = CLOSE_no_answer;
        return;
    }
    struct out *out = h1_out(c);

    if (out == NULL)
        return;
    if (!x->head_written) {
        choose_framing(c);
        if (!h1_write_head(c, out)) {
            if (out->used > 0)
                send_out(c, 1, 0); /* comes back through answer_sent() */
            else
                conn_close(c, CLOSE_no_memory);
            return;
        }
        x->head_written = r->head_sent = true;
        rate_of(c, x);
    }
    if (x->body_ended || copy_body(c))
        answer_done(c);
    else
        conn_goto(c, SEND);
}

void answer_sent(struct conn *c)
{
    c->out->used = 0;
    if (c->send_failed)
        conn_close(c, CLOSE_peer_reset);
    else
        answer_enter(c);
}

/* ---- SEND: the body, a chunk at a time -------------------------------------------------- */

static uint64_t paced_ms(const struct conn *c, const struct exchange *x)
{
    return (io_now_ns(c->io) - x->paced_since_ns) / 1000000u;
}

/* How many bytes limit_rate allows now; 0: wait (PACE). The first second is given at once. */
static size_t allowance(const struct conn *c, const struct exchange *x, size_t most)
{
    if (x->rate == 0)
        return most;
    uint64_t budget = x->rate_after + x->rate * (paced_ms(c, x) + 1000) / 1000;
    uint64_t left = budget > x->paced_bytes ? budget - x->paced_bytes : 0;

    return left < most ? (size_t)left : most;
}

static enum body_status pull(struct request *r, struct exchange *x, struct out *out, size_t most)
{
    if (x->pulled != 0) { /* copy_body() pulled what it could not copy */
        enum body_status s = (enum body_status)(x->pulled - 1);

        x->pulled = 0;
        return s;
    }
    return r->response.body->ops->pull(r->response.body, most, &out->chunk);
}

/* The end of the chunk before (if it was a file's range), and the size of the next one. */
static void chunk_begin(struct exchange *x, struct gather *g, size_t size)
{
    if (x->line_due)
        gather_lit(g, "\r\n");
    x->line_due = false;
    h1_chunk_size(g, size);
}

static void file_size_line(struct exchange *x, struct out *out)
{
    struct gather g;

    if (!x->chunking || x->size_written || OUT_ROOM - out->used < sizeof out->size_line)
        return; /* no room: it comes back when what is there was sent */
    gather_init(&g, out->bytes + out->used, sizeof out->size_line, NULL, 0);
    chunk_begin(x, &g, out->chunk.size);
    out->used += (uint32_t)g.used;
    x->size_written = true;
}

static void send_file(struct conn *c, struct out *out)
{
    file_size_line(exchange_of(c), out);
    if (out->used > 0) { /* the head first; the kernel joins it with the file's bytes */
        send_out(c, 1, IO_HOLD);
        return;
    }
    c->taken_known = false;
    conn_deadline(c, h1_core(c)->send_timeout);
    conn_send_file(c, out->chunk.file, out->chunk.offset, (uint32_t)out->chunk.size);
}

static void send_memory(struct conn *c, struct exchange *x, struct out *out)
{
    int n = 1;

    if (x->chunking) {
        struct gather g;

        gather_init(&g, out->size_line, sizeof out->size_line, NULL, 0);
        chunk_begin(x, &g, out->chunk.size);
        out->iov[n++] = (struct iovec){ out->size_line, g.used };
    }
    out->iov[n++] = (struct iovec){ (void *)(uintptr_t)out->chunk.at, out->chunk.size };
    if (x->chunking)
        out->iov[n++] = (struct iovec){ (void *)(uintptr_t) "\r\n", 2 };
    send_out(c, n, 0);
}

static void write_trailers(struct request *r, struct gather *g)
{
    if (!trailers_make(r)) {
        request_log(r, LOG_ERROR, 0,
                    "the trailers are left out: a value is too long, or memory is out");
        r->response.trailers = NULL;
        return;
    }
    for (struct header *h = r->response.trailers; h != NULL; h = h->next) {
        if (h1_field(g, h->name, h->value))
            continue;
        request_log(r, LOG_ERROR, 0, "the trailer \"%.*s\" has a control byte", SLICE_FMT(h->name));
        h->value = (struct slice){ 0 };
    }
}

/* False: it does not fit behind what is there. */
static bool write_last_chunk(struct conn *c, bool trailers)
{
    struct out *out = c->out;
    struct gather g;

    gather_init(&g, out->bytes + out->used, OUT_ROOM - out->used, NULL, 0);
    if (exchange_of(c)->line_due)
        gather_lit(&g, "\r\n");
    gather_lit(&g, "0\r\n");
    if (trailers)
        write_trailers(c->request, &g);
    gather_lit(&g, "\r\n");
    if (!g.full)
        out->used += (uint32_t)g.used;
    return !g.full;
}

/* False: what is there is sent first, or there is no memory. */
static bool end_chunks(struct conn *c, struct exchange *x)
{
    struct out *out = h1_out(c);

    if (out == NULL)
        return false;
    if (write_last_chunk(c, x->trailing))
        return true;
    if (out->used > 0) {
        x->pulled = BODY_END + 1;
        send_out(c, 1, 0);
        return false;
    }
    request_log(c->request, LOG_ERROR, 0, "the trailers are left out: they are longer than %zu",
                (size_t)OUT_ROOM);
    c->request->response.trailers = NULL;
    return write_last_chunk(c, false);
}

static void body_end(struct conn *c, struct exchange *x)
{
    if (x->chunking && !end_chunks(c, x))
        return;
    if (!x->chunking && x->answer_left != UINT64_MAX && x->answer_left > 0) {
        conn_close(c, CLOSE_body_failed);
        return;
    }
    x->body_ended = true;
    answer_done(c);
}

void send_enter(struct conn *c)
{
    struct request *r = c->request;
    struct exchange *x = r->exchange;
    struct out *out = h1_out(c);

    if (x->tunnel)
        tunnel_bytes(c);
    if (out == NULL || conn_sending(c))
        return;
    size_t most = IO_SEND_MAX - OUT_SIZE;

    if (r->response.body->ops->files)
        most = IO_SENDFILE_MAX;
    if (x->answer_left < most)
        most = (size_t)x->answer_left;
    most = allowance(c, x, most);
    if (most == 0) {
        conn_goto(c, PACE);
        return;
    }
    enum body_status s = pull(r, x, out, most);

    switch (s) {
    case BODY_CHUNK:
        if (out->chunk.file >= 0)
            send_file(c, out);
        else
            send_memory(c, x, out);
        x->in_flight = out->chunk.size;
        return;
    case BODY_LATER:
        x->in_flight = 0;
        if (out->used > 0) {
            send_out(c, 1, 0);
        } else {
            h1_out_give(c); /* it may be long: a tunnel is idle most of its time */
            conn_deadline(c, x->tunnel ? TUNNEL_REST_MS : 0);
        }
        return;
    case BODY_END:
        body_end(c, x);
        return;
    case BODY_FAILED: /* what there was goes out: its reader sees that it broke off, by a reset if
                         nothing else says where the end is */
        if (out->used > 0) {
            x->pulled = BODY_FAILED + 1;
            x->in_flight = 0;
            send_out(c, 1, 0);
        } else {
            if (x->answer_left == UINT64_MAX && !x->chunking)
                io_reset_on_close(c->io, c->fd);
            conn_close(c, CLOSE_body_failed);
        }
        return;
    }
}

static void chunk_sent(struct conn *c, struct exchange *x, size_t size)
{
    struct request *r = c->request;

    r->body_sent += size;
    x->paced_bytes += size;
    if (x->answer_left != UINT64_MAX)
        x->answer_left -= size;
    x->in_flight = 0;
    x->line_due |= x->size_written;
    x->size_written = false;
    if (r->response.body->ops->sent != NULL)
        r->response.body->ops->sent(r->response.body, size);
}

void send_sent(struct conn *c)
{
    struct exchange *x = exchange_of(c);
    struct out *out = c->out;
    bool was_file = c->file_sent;

    if (c->send_failed) {
        if (c->file_short)
            request_log(c->request, LOG_ALERT, 0, "the file became shorter while it was sent");
        conn_close(c, c->file_short ? CLOSE_body_failed : CLOSE_peer_reset);
        return;
    }
    bool head_only = !was_file && out->used > 0 && out->chunk.file >= 0 && x->in_flight > 0;

    out->used = 0;
    if (head_only) {
        send_file(c, out);
        return;
    }
    if (x->in_flight > 0)
        chunk_sent(c, x, x->in_flight);
    if (x->answer_left == 0) {
        x->body_ended = true;
        answer_done(c);
        return;
    }
    send_enter(c);
}

/* The deadline is for progress, not for a whole send: a slow client that takes bytes stays. How
 * much was taken is asked only now; a first look makes the mark, a second one compares. */
void send_late(struct conn *c)
{
    if (c->request != NULL && exchange_of(c)->tunnel && !conn_sending(c)) {
        tunnel_late(c);
        return;
    }
    uint64_t taken = conn_progress(c);
    int64_t most = c->request != NULL ? h1_core(c)->send_timeout : c->send_ms;

    if (!c->taken_known || taken > c->taken) {
        conn_deadline(c, c->taken_known ? most : most / SEND_SECOND_LOOK + 1);
        c->taken_known = true;
        c->taken = taken;
        return;
    }
    if (c->request != NULL && h1_core(c)->reset_timedout)
        io_reset_on_close(c->io, c->fd);
    conn_close(c, CLOSE_send_late);
}

/* ---- PACE: limit_rate says wait ------------------------------------------------------------ */

/* Until an eighth of a second's worth may go. */
void pace_enter(struct conn *c)
{
    const struct exchange *x = exchange_of(c);
    uint64_t wanted = x->paced_bytes + x->rate / 8 + 1;
    uint64_t over = wanted > x->rate_after ? wanted - x->rate_after : 0;
    int64_t wait = (int64_t)(over * 1000 / x->rate) - 1000 - (int64_t)paced_ms(c, x);

    conn_deadline(c, wait > 1 ? wait : 1);
}

void pace_late(struct conn *c)
{
    conn_goto(c, SEND);
}

/* ---- FLUSH: finished answers go out ---------------------------------------------------------- */

static void flushed(struct conn *c)
{
    if (!c->last_answer)
        conn_goto(c, conn_peek(c).size > 0 ? HEAD : IDLE);
    else if (c->linger_ms > 0 && !c->in_ended)
        conn_goto(c, LINGER);
    else
        conn_close(c, c->why != 0 ? (enum close_reason)c->why : CLOSE_answered);
}

/* HEAD comes here with its request begun: it goes on behind the answers to earlier ones. */
void flush_enter(struct conn *c)
{
    if (conn_sending(c)) {
        conn_deadline(c, c->send_ms);
        return;
    }
    if (c->out != NULL && c->out->used > 0)
        send_out(c, 1, 0);
    else
        flushed(c);
}

void flush_sent(struct conn *c)
{
    c->out->used = 0;
    if (c->send_failed)
        conn_close(c, CLOSE_peer_reset);
    else if (c->request != NULL)
        conn_goto(c, HEAD);
    else
        flushed(c);
}

/* ---- LINGER: the last answer is out; unread input must not turn it into a reset ------------ */

static void linger_deadline(struct conn *c)
{
    uint64_t now = io_now_ns(c->io);
    int64_t left = c->linger_until_ns > now ? (int64_t)((c->linger_until_ns - now) / 1000000u) : 0;

    conn_deadline(c, left < c->linger_ms ? left + 1 : (int64_t)c->linger_ms);
}

void linger_enter(struct conn *c)
{
    h1_out_give(c);
    conn_finish(c);
    c->linger_until_ns = io_now_ns(c->io) + (uint64_t)c->linger_all_ms * 1000000u;
    linger_deadline(c);
    linger_bytes(c);
}

void linger_bytes(struct conn *c)
{
    conn_discard_input(c);
    if (c->in_ended) {
        conn_close(c, c->why != 0 ? (enum close_reason)c->why : CLOSE_answered);
        return;
    }
    linger_deadline(c);
    conn_receive(c);
}

void linger_late(struct conn *c)
{
    conn_close(c, c->why != 0 ? (enum close_reason)c->why : CLOSE_lingered);
}
