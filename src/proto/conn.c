/* conn.c - what every connection does, whatever protocol its table speaks. */
#include "proto/conn.h"

#include "base/trace.h"
#include "http/proxy_told.h"
#include "http/sleep.h"
#include "io/io.h"
#include "net/progress.h"

#include <errno.h>

/* Enough for a pipelining client to keep us busy; beyond it the kernel's window does the rest. */
enum { IN_BUFFERS_MAX = 2 };

static io_done_fn on_bytes, on_sent, on_closed;
static io_fire_fn on_late;

struct conn *conn_create(struct loop *loop, struct io *io, int fd, unsigned listener_id,
                         const struct conn_state *states)
{
    struct conn *c = slab_take(&loop->conn_slab);

    if (c == NULL)
        return NULL;
    memset(c, 0, sizeof *c);
    OBJ_BORN(c, CONN_MAGIC);
    c->fd = fd;
    c->listener_id = listener_id;
    c->states = states;
    c->loop = loop;
    c->io = io;
    c->opened_ns = io_now_ns(io);
    c->number = loop->conn_numbers;
    loop->conn_numbers += loop->conn_number_step;
    list_append(&loop->conns, &c->all);
    loop->conn_count++;
    stat_add(&loop->stats.active, 1);
    return c;
}

void conn_start(struct conn *c, unsigned first)
{
    c->state = c->next = (uint8_t)first;
    c->running = true;
    c->states[first].enter(c);
    c->running = false;
    conn_run(c, NULL);
}

/* ---- events ------------------------------------------------------------------ */

/* What an event finds of the connection's request is there. */
static void rouse(struct conn *c)
{
    if (c->request != NULL)
        request_awake(c->loop, c->request);
}

void conn_run(struct conn *c, conn_event_fn *event)
{
    OBJ(c, CONN_MAGIC);
    CHECK(!c->running);
    rouse(c);
    c->running = true;
    if (event != NULL)
        event(c);
    while (c->next != c->state && !c->closing) {
        trace_put("conn", c->number, c->states[c->state].name, c->states[c->next].name);
        c->state = c->next;
        c->late_at_ns = 0;
        c->states[c->state].enter(c);
    }
    c->running = false;
}

/* ---- input -------------------------------------------------------------------- */

/* Lent buffers are few, and others wait for them: what this connection has no use for yet is
 * copied. Else clients that talk and do not read would take all of them. */
static bool keep_input(struct conn *c)
{
    for (struct io_buf **at = &c->in_first; *at != NULL; at = &(*at)->next) {
        struct io_buf *lent = *at, *kept = io_buf_keep(c->io, lent);

        if (kept == NULL)
            return false;
        *at = kept;
        if (c->in_last == lent)
            c->in_last = kept;
    }
    return true;
}

void conn_enqueue(struct conn *c, struct io_buf *b)
{
    b->next = NULL;
    if (c->in_last != NULL)
        c->in_last->next = b;
    else
        c->in_first = b;
    c->in_last = b;
    c->in_count++;
}

static void on_bytes(struct io *io, struct io_op *op, struct io_result r)
{
    struct conn *c = container_of(op, struct conn, rx);

    (void)io;
    OBJ(c, CONN_MAGIC);
    if (c->closing) {
        if (r.buf != NULL)
            io_buf_release(c->io, r.buf);
        return;
    }
    if (r.buf != NULL) {
        r.buf->used = 0;
        r.buf->filled = (uint32_t)r.res;
        if (c->tls != NULL)
            conn_tls_take(c, r.buf);
        else
            conn_enqueue(c, r.buf);
    } else if (r.res == 0) {
        c->in_ended = true;
    } else if (r.res != -ECANCELED) {
        c->in_ended = c->in_failed = true;
    }
    if (c->in_count >= IN_BUFFERS_MAX && !c->in_paused && (r.flags & IO_MORE)) {
        c->in_paused = true;
        io_cancel(c->io, &c->rx);
    }
    if (r.res != -ECANCELED)
        conn_run(c, c->states[c->state].bytes);
    if (c->closing)
        return;
    if (keep_input(c))
        conn_receive(c);
    else
        conn_close(c, CLOSE_no_memory);
}

void conn_sent(struct conn *c, int error)
{
    OBJ(c, CONN_MAGIC);
    c->send_failed = error < 0;
    c->file_short = error == -ENODATA;
    if (c->closing)
        return;
    conn_event_fn *event = c->states[c->state].sent;

    CHECK(event != NULL);
    conn_run(c, event);
}

static void on_sent(struct io *io, struct io_op *op, struct io_result r)
{
    (void)io;
    conn_sent(container_of(op, struct conn, tx), r.res);
}

void conn_send(struct conn *c, const struct iovec *iov, int count, unsigned flags)
{
    c->file_sent = false;
    if (c->tls != NULL)
        tls_send(c->tls, iov, count);
    else
        io_send(c->io, &c->tx, c->fd, iov, count, flags, on_sent);
}

void conn_send_file(struct conn *c, int file, uint64_t offset, uint32_t size)
{
    c->file_sent = true;
    if (c->tls != NULL)
        tls_send_file(c->tls, file, offset, size);
    else
        io_sendfile(c->io, &c->tx, c->fd, file, offset, size, on_sent);
}

bool conn_sending(const struct conn *c)
{
    return c->tls != NULL ? tls_sending(c->tls) : io_busy(&c->tx);
}

uint64_t conn_progress(const struct conn *c)
{
    uint64_t moved = c->tls != NULL ? tls_moved(c->tls)
                     : c->file_sent ? c->tx.file.sent
                                    : c->tx.send.sent;

    return net_taken(c->fd) + moved;
}

void conn_finish(struct conn *c)
{
    if (c->tls != NULL)
        tls_finish(c->tls);
    else
        io_finish(c->io, c->fd);
}

/* The timer may ring early: deadlines that move later are not told to it. */
static void on_late(struct io *io, struct io_timer *timer)
{
    struct conn *c = container_of(timer, struct conn, timer);
    uint64_t now = io_now_ns(io);

    OBJ(c, CONN_MAGIC);
    DCHECK(!c->closing);
    if (c->late_at_ns == 0)
        return;
    if (now < c->late_at_ns) {
        io_timer_set(io, timer, c->late_at_ns - now, on_late);
        return;
    }
    c->late_at_ns = 0;
    conn_event_fn *event = c->states[c->state].late;

    CHECK(event != NULL);
    conn_run(c, event);
}

void conn_deadline(struct conn *c, int64_t after_ms)
{
    uint64_t after = (uint64_t)after_ms * 1000000u;

    DCHECK(!c->closing);
    if (after_ms <= 0) {
        c->late_at_ns = 0;
        return;
    }
    c->late_at_ns = io_now_ns(c->io) + after;
    if (c->timer.at_ns == 0 || c->timer.at_ns > c->late_at_ns)
        io_timer_set(c->io, &c->timer, after, on_late);
}

void conn_receive(struct conn *c)
{
    if (c->in_ended || c->closing || io_busy(&c->rx) || c->in_count >= IN_BUFFERS_MAX)
        return;
    c->in_paused = false;
    io_recv(c->io, &c->rx, c->fd, IO_MULTI, on_bytes);
}

void conn_consume(struct conn *c, size_t size)
{
    struct io_buf *b = c->in_first;

    DCHECK(b != NULL && size <= b->filled - b->used);
    b->used += (uint32_t)size;
    if (b->used < b->filled)
        return;
    c->in_first = b->next;
    if (c->in_first == NULL)
        c->in_last = NULL;
    c->in_count--;
    io_buf_release(c->io, b);
    if (c->in_paused)
        conn_receive(c);
}

void conn_discard_input(struct conn *c)
{
    while (c->in_first != NULL)
        conn_consume(c, c->in_first->filled - c->in_first->used);
}

/* ---- the end -------------------------------------------------------------------- */

void conn_close(struct conn *c, enum close_reason why)
{
    OBJ(c, CONN_MAGIC);
    if (c->closing)
        return;
    if (why == CLOSE_peer_reset && c->tls_step == TLS_FAILED)
        why = CLOSE_tls_bad;
    c->why = (uint8_t)why;
    trace_put("close", c->number, c->states[c->state].name, close_reasons[why].name);
    stat_add(&c->loop->stats.closed[why], 1);
    conn_busy(c);
    c->in_paused = false; /* nothing more is received, whatever room there is */
    conn_discard_input(c);
    io_timer_stop(c->io, &c->timer);
    if (c->tls != NULL)
        tls_close(c->tls, close_reasons[why].fault == NONE);
    c->closing = true;
    c->end = (struct io_op){ 0 };
    io_close(c->io, &c->end, c->fd, on_closed);
}

static void conn_free(struct conn *c)
{
    struct loop *loop = c->loop;
    struct io *io = c->io;

    if (c->out != NULL)
        slab_give(&loop->out_slab, c->out);
    if (c->session != NULL)
        c->session_ops->freed(c);
    proxy_told_destroy(c->told);
    conn_tls_shaken(c);
    if (c->tls != NULL)
        tls_destroy(c->tls);
    list_remove(&c->all);
    loop->conn_count--;
    stat_sub(&loop->stats.active, 1);
    OBJ_DEAD(c);
    slab_give(&loop->conn_slab, c);
    io_branch_end(io);
}

static void on_closed(struct io *io, struct io_op *op, struct io_result r)
{
    struct conn *c = container_of(op, struct conn, end);

    (void)io;
    (void)r;
    OBJ(c, CONN_MAGIC);
    CHECK(!io_busy(&c->rx) && !io_busy(&c->tx));
    c->closed = true;
    if (c->tls == NULL || !tls_busy(c->tls))
        conn_over(c);
}

void conn_over(struct conn *c)
{
    c->live_requests++; /* until all of them have been ended */
    rouse(c);
    if (c->request != NULL)
        request_end(c->request);
    if (c->session != NULL)
        c->session_ops->closed(c);
    conn_request_freed(c);
}

void conn_request_freed(void *conn)
{
    struct conn *c = conn;

    OBJ(c, CONN_MAGIC);
    CHECK(c->live_requests > 0);
    c->live_requests--;
    if (c->closed && c->live_requests == 0 && (c->tls == NULL || !tls_busy(c->tls)))
        conn_free(c);
}

/* ---- idle ones -------------------------------------------------------------------- */

void conn_idle(struct conn *c)
{
    if (list_linked(&c->idle))
        return;
    list_append(&c->loop->idle, &c->idle);
    stat_add(&c->loop->stats.waiting, 1);
}

void conn_busy(struct conn *c)
{
    if (!list_linked(&c->idle))
        return;
    list_remove(&c->idle);
    stat_sub(&c->loop->stats.waiting, 1);
}

void conn_leave(struct conn *c, enum close_reason why)
{
    if (c->closing)
        return;
    if (c->session != NULL)
        c->session_ops->leave(c, why);
    else if (list_linked(&c->idle))
        conn_close(c, why);
}

unsigned conn_close_idle(struct loop *loop, unsigned most, enum close_reason why)
{
    unsigned closed = 0;

    for (struct link *l = list_first(&loop->idle); l != NULL && closed < most;
         l = list_first(&loop->idle)) {
        struct conn *c = container_of(l, struct conn, idle);

        conn_busy(c);
        conn_close(c, why);
        closed++;
    }
    return closed;
}
