/* http2_streams.c - requests come and go: the table of streams, what is remembered of those that
 * have ended, resets, priorities, and the time that a stream may stand still.
 */
#include "proto/http2_private.h"

#include <stdlib.h>

static struct h2_stream **bucket_of(struct h2 *h2, uint32_t id)
{
    return &h2->streams[id / 2 % BUCKETS];
}

struct h2_stream *h2_find(const struct h2 *h2, uint32_t id)
{
    struct h2_stream *s = h2->streams[id / 2 % BUCKETS];

    while (s != NULL && s->id != id)
        s = s->same;
    return s;
}

uint32_t h2_recent(const struct h2 *h2, uint32_t id)
{
    for (unsigned i = 0; h2->recent_resets != NULL && i < RECENT_RESETS; i++)
        if (h2->recent_resets[i] == id)
            return id | RESET_BY_US;
    for (unsigned i = 0; i < RECENT; i++)
        if (h2->recent[i] == id)
            return id;
    return 0;
}

static void remember(struct h2 *h2, uint32_t id, bool by_us)
{
    if (by_us && h2->recent_resets == NULL)
        h2->recent_resets = calloc(RECENT_RESETS, sizeof *h2->recent_resets);
    if (by_us && h2->recent_resets != NULL)
        h2->recent_resets[h2->resets_at++ % RECENT_RESETS] = id;
    else
        h2->recent[h2->recent_at++ % RECENT] = id;
}

struct h2_stream *h2_stream_create(struct h2 *h2, uint32_t id, const struct vhosts *v)
{
    struct conn *c = h2->conn;
    struct request *r = conn_request(c, &h2_ops, v);

    if (r == NULL)
        return NULL;
    r->nth = ++c->requests;
    r->keep_alive = true;
    struct h2_stream *s = arena_zalloc(&r->arena, sizeof *s);

    if (s == NULL) {
        request_end(r);
        return NULL;
    }
    r->exchange = s;
    s->request = r;
    s->h2 = h2;
    s->id = id;
    s->priority = PRIORITY_DEFAULT;
    s->send_window = h2->peer_window;
    s->early_window = !h2->settings_acked;
    s->recv_window = h2->settings_acked ? h2->preread : H2_WINDOW_FIRST;
    s->same = *bucket_of(h2, id);
    *bucket_of(h2, id) = s;
    h2->stream_count++;
    return s;
}

static void take_out(struct h2_stream *s)
{
    struct h2_stream **at = bucket_of(s->h2, s->id);

    while (*at != s)
        at = &(*at)->same;
    *at = s->same;
    s->h2->stream_count--;
}

/* The last request's settings are the connection's until the next. */
static void take_over(struct h2 *h2, const struct http_core *core)
{
    struct conn *c = h2->conn;
    uint64_t age_ms = (io_now_ns(c->io) - c->opened_ns) / 1000000u;

    c->send_ms = (uint32_t)core->send_timeout;
    h2->idle_ms = (uint32_t)core->keepalive_timeout;
    h2->linger_ms = core->lingering_close != LINGER_OFF ? (uint32_t)core->lingering_timeout : 0;
    if (c->loop->draining)
        h2_warn(h2, CLOSE_shutting_down);
    else if (c->requests >= (uint64_t)core->keepalive_requests ||
             age_ms >= (uint64_t)core->keepalive_time || core->keepalive_timeout == 0)
        h2_warn(h2, CLOSE_answered);
}

void h2_stream_end(struct h2_stream *s, bool complete, bool by_us)
{
    struct h2 *h2 = s->h2;
    struct request *r = s->request;

    if (r->server != NULL)
        take_over(h2, h2_core(s));
    take_out(s);
    remember(h2, s->id, by_us);
    list_remove(&s->ready);
    list_remove(&s->feed);
    io_timer_stop(h2->conn->io, &s->timer);
    io_timer_stop(h2->conn->io, &s->pace);
    if (h2->block_stream == s)
        h2->block_stream = NULL;
    h2_body_drop(s);
    if (!s->reading)
        free(s->room);
    s->ended = true;
    r->complete = complete;
    request_end(r);
}

bool h2_reset(struct h2 *h2, uint32_t id, enum h2_error e)
{
    struct h2_stream *s = h2_find(h2, id);

    h2_put_rst(h2, id, e);
    if (s != NULL)
        h2_stream_end(s, false, true);
    else if (h2_recent(h2, id) == 0)
        remember(h2, id, true);
    return h2_count_reset(h2);
}

void h2_end_all(struct h2 *h2)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        while (h2->streams[i] != NULL)
            h2_stream_end(h2->streams[i], false, true);
}

/* ---- what is urgent -------------------------------------------------------------------------- */

/* Answers that somebody put in order go out one by one; those of one that is incremental, or of
 * which nothing was said, take turns. One by one means by number (RFC 9218 §10). */
void h2_make_ready(struct h2_stream *s)
{
    struct list *l = &s->h2->ready[s->priority.urgency];

    if (list_linked(&s->ready) || !s->decided)
        return;
    if (!s->ordered || s->priority.incremental) {
        list_append(l, &s->ready);
        return;
    }
    struct link *k = l->head.next;

    while (k != &l->head && container_of(k, struct h2_stream, ready)->id < s->id)
        k = k->next;
    list_insert_before(k, &s->ready);
}

void h2_prioritise(struct h2_stream *s, struct slice text)
{
    s->priority = PRIORITY_DEFAULT;
    priority_from(text, &s->priority);
    s->ordered = true;
    if (list_linked(&s->ready)) {
        list_remove(&s->ready);
        h2_make_ready(s);
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

void h2_stream_wait(struct h2_stream *s, int64_t after_ms)
{
    s->stall_mark = s->request->body_sent;
    io_timer_set(s->h2->conn->io, &s->timer, (uint64_t)after_ms * 1000000u, h2_stream_late);
}

/* The client's window was shut, or opened by drops, for send_timeout: its share of the work that
 * answers cost is over. It cannot open what it has not got: what is on its way has a deadline of
 * its own. */
static void stalled(struct h2_stream *s)
{
    const struct http_core *core = h2_core(s);
    uint64_t least = (uint64_t)core->send_timeout * STREAM_RATE_MIN / 1000;

    if (s->send_window > 0)
        return;
    if (s->request->body_sent - s->stall_mark >= least || conn_sending(s->h2->conn)) {
        h2_stream_wait(s, core->send_timeout);
        return;
    }
    request_log(s->request, LOG_INFO, 0, "client took too little of an answer for send_timeout");
    stat_add(&s->h2->conn->loop->stats.h2_stalled, 1);
    (void)h2_reset(s->h2, s->id, H2_CANCEL);
}

void h2_stream_late(struct io *io, struct io_timer *timer)
{
    struct h2_stream *s = container_of(timer, struct h2_stream, timer);
    struct h2 *h2 = s->h2;

    (void)io;
    if (h2->conn->closing)
        return;
    if (s->head_written)
        stalled(s);
    else
        h2_body_late(s);
    h2_wake(h2);
}

void h2_stream_paced(struct io *io, struct io_timer *timer)
{
    struct h2_stream *s = container_of(timer, struct h2_stream, pace);

    (void)io;
    if (s->h2->conn->closing)
        return;
    h2_make_ready(s);
    h2_wake(s->h2);
}
