/* http2.c - HTTP/2 on a connection (RFC 9113): the states, what happens at the end of each event,
 * deadlines, and how a connection ends.
 *
 * Whatever an event brought - frames, answers that were decided, windows that opened - is worked
 * off first; then settle() lets requests' bodies and answers go on, and all frames that came of it
 * leave in one send. What happens outside of an event of the connection (an answer comes from
 * elsewhere) waits for one: h2_wake().
 *
 * A graceful end has two steps: WARNED says that no more streams are wanted and lets those come
 * that are on their way; DRAINING says which was the last one.
 */
#include "proto/http2_private.h"

#include "http/log_target.h"
#include "net/progress.h"

#include <stdlib.h>

static conn_event_fn preface_enter, preface_bytes, preface_late, open_enter, open_bytes, on_sent,
    on_late, warned_enter, draining_enter, closing_enter;

enum { LEAVES = TO(ENDING) | TO(CLOSING) };

/* The whole of HTTP/2, as far as the connection is concerned. */
static const struct conn_state states[] = {
    /*             name        enter           bytes          sent         late */
    [BEGUN] = { "begun", closing_enter, NULL, NULL, NULL, TO(PREFACE) },
    [PREFACE] = { "preface", preface_enter, preface_bytes, on_sent, preface_late,
                  TO(OPEN) | LEAVES },
    [OPEN] = { "open", open_enter, open_bytes, on_sent, on_late,
               TO(WARNED) | TO(DRAINING) | LEAVES },
    [WARNED] = { "warned", warned_enter, open_bytes, on_sent, on_late, TO(DRAINING) | LEAVES },
    [DRAINING] = { "draining", draining_enter, open_bytes, on_sent, on_late, LEAVES },
    [ENDING] = { "ending", h2_ending_enter, h2_ending_bytes, h2_ending_sent, h2_ending_late,
                 TO(LINGER) | TO(CLOSING) },
    [LINGER] = { "linger", h2_linger_enter, h2_linger_bytes, NULL, h2_linger_late, TO(CLOSING) },
    [CLOSING] = { "closing", closing_enter, NULL, NULL, NULL, 0 },
};

static void closing_enter(struct conn *c)
{
    (void)c;
}

/* ---- at the end of every event --------------------------------------------------------------- */

static bool live(const struct conn *c)
{
    return c->state == OPEN || c->state == WARNED || c->state == DRAINING;
}

static bool idle(const struct h2 *h2)
{
    return h2->stream_count == 0 && !h2->block_open;
}

static bool blocked(const struct h2 *h2)
{
    if (h2->send_window > 0)
        return false;
    for (unsigned u = 0; u < URGENCY_COUNT; u++)
        if (!list_empty((struct list *)&h2->ready[u]))
            return true;
    return false;
}

static uint64_t ms(uint64_t n)
{
    return n * 1000000u;
}

static void sooner(uint64_t *until, uint64_t other)
{
    if (other != 0 && other < *until)
        *until = other;
}

static void set_deadline(struct conn *c)
{
    struct h2 *h2 = h2_of(c);
    uint64_t until = UINT64_MAX, now = io_now_ns(c->io);

    if (h2->block_open)
        sooner(&until, h2->block_since_ns + ms(h2->head_ms));
    if (conn_sending(c))
        sooner(&until, h2->send_until_ns);
    if (idle(h2))
        sooner(&until, h2->idle_since_ns + ms(h2->idle_ms));
    if (c->state == WARNED)
        sooner(&until, h2->warned_ns + ms(WARN_MS));
    sooner(&until, h2->stall_until_ns);
    if (until == UINT64_MAX)
        conn_deadline(c, 0);
    else
        conn_deadline(c, until > now ? (int64_t)((until - now) / 1000000u) + 1 : 1);
}

static void note_idle(struct conn *c)
{
    struct h2 *h2 = h2_of(c);

    if (!idle(h2)) {
        h2->idle_since_ns = 0;
        conn_busy(c);
        return;
    }
    if (h2->idle_since_ns == 0)
        h2->idle_since_ns = io_now_ns(c->io);
    conn_idle(c);
}

static void note_stall(struct conn *c)
{
    struct h2 *h2 = h2_of(c);

    if (h2->send_window >= WINDOW_FAIR)
        h2->stall_until_ns = 0;
    if (!blocked(h2) || h2->stall_until_ns != 0)
        return;
    h2->stall_until_ns = io_now_ns(c->io) + ms(c->send_ms);
    h2->stall_mark = h2->sent_bytes;
}

/* The connection's error is told, and everything on it is over. */
static void fall(struct conn *c)
{
    struct h2 *h2 = h2_of(c);
    const struct vhosts *v = conn_vhosts(c);

    if (v != NULL)
        log_write(log_of_scope(v->default_server->scope), LOG_INFO, 0,
                  "*%llu HTTP/2: %s (%s), %u requests on the connection",
                  (unsigned long long)c->number, h2->why, h2_error_name(h2->error), c->requests);
    h2_end_all(h2);
    h2_put_goaway(h2, h2->last_id, h2->error, h2->why);
    c->why = h2->error == H2_ENHANCE_YOUR_CALM ? CLOSE_calm_down : CLOSE_protocol_error;
    conn_goto(c, ENDING);
}

/* The client has finished sending: what it waits for it still gets. */
static void input_ended(struct conn *c)
{
    struct h2 *h2 = h2_of(c);

    if (c->in_failed) {
        conn_close(c, CLOSE_peer_reset);
        return;
    }
    enum close_reason why =
        h2->block_open || h2->feeding_frame ? CLOSE_peer_broke_off : CLOSE_peer_closed;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct h2_stream *s = h2->streams[i], *next; s != NULL; s = next) {
            next = s->same;
            if (s->remote_ended && !s->request->leaves_with_client)
                continue;
            why = s->remote_ended ? CLOSE_peer_left : CLOSE_peer_broke_off;
            h2_stream_end(s, false, false);
        }
    if (h2->stream_count == 0 && h2->out_first == NULL && !conn_sending(c))
        conn_close(c, c->why != 0 ? (enum close_reason)c->why : why);
}

static void settle(struct conn *c)
{
    struct h2 *h2 = h2_of(c);

    do {
        h2_feed_all(h2);
        h2_answer_all(h2);
    } while (!list_empty(&h2->feeding));
    if (h2->no_memory) {
        conn_close(c, CLOSE_no_memory);
        return;
    }
    if (h2->error != H2_NO_ERROR) {
        fall(c);
        return;
    }
    if (h2->leaving && c->state == OPEN && c->next == OPEN) {
        conn_goto(c, WARNED);
        return;
    }
    if (c->state == DRAINING && c->next == DRAINING && idle(h2)) {
        conn_goto(c, ENDING);
        return;
    }
    if (!conn_sending(c) && h2->out_first != NULL)
        h2->send_until_ns = io_now_ns(c->io) + ms(c->send_ms);
    h2_flush(h2);
    if (c->in_ended) {
        input_ended(c);
        if (c->closing)
            return;
    }
    note_idle(c);
    note_stall(c);
    set_deadline(c);
}

/* ---- PREFACE --------------------------------------------------------------------------------- */

static void preface_enter(struct conn *c)
{
    preface_bytes(c);
    if (c->closing || c->next != PREFACE)
        return;
    h2_flush(h2_of(c));
    conn_idle(c);
    conn_deadline(c, h2_of(c)->head_ms);
    conn_receive(c);
}

static void preface_bytes(struct conn *c)
{
    for (struct slice in = conn_peek(c); in.size > 0; in = conn_peek(c)) {
        struct slice rest =
            slice_of(H2_PREFACE + c->preface_seen, (size_t)(H2_PREFACE_SIZE - c->preface_seen));
        struct slice piece = slice_head(in, rest.size);

        if (!slice_eq(piece, slice_head(rest, piece.size))) {
            conn_close(c, CLOSE_preface_bad);
            return;
        }
        c->preface_seen = (uint8_t)(c->preface_seen + piece.size);
        conn_consume(c, piece.size);
        if (c->preface_seen < H2_PREFACE_SIZE)
            continue;
        conn_goto(c, OPEN);
        return;
    }
    if (c->in_ended)
        conn_close(c, c->in_failed          ? CLOSE_peer_reset
                      : c->preface_seen > 0 ? CLOSE_peer_broke_off
                                            : CLOSE_peer_closed);
}

static void preface_late(struct conn *c)
{
    conn_close(c, CLOSE_head_late);
}

/* ---- OPEN, WARNED, DRAINING ------------------------------------------------------------------ */

static void open_enter(struct conn *c)
{
    open_bytes(c);
    if (!c->closing)
        conn_receive(c);
}

static void open_bytes(struct conn *c)
{
    struct h2 *h2 = h2_of(c);
    bool ok = true;

    for (struct slice in = conn_peek(c); ok && in.size > 0; in = conn_peek(c)) {
        ok = h2_input(h2, in);
        conn_consume(c, in.size);
    }
    settle(c);
}

static void on_sent(struct conn *c)
{
    h2_flown(h2_of(c));
    if (c->send_failed)
        conn_close(c, CLOSE_peer_reset);
    else if (live(c))
        settle(c);
}

static void on_wake(struct io *io, struct io_timer *timer)
{
    struct conn *c = container_of(timer, struct h2, wake)->conn;

    (void)io;
    if (!c->closing && live(c))
        conn_run(c, settle);
}

void h2_wake(struct h2 *h2)
{
    if (!h2->conn->running && !h2->conn->closing && h2->wake.at_ns == 0)
        io_timer_set(h2->conn->io, &h2->wake, 0, on_wake);
}

bool h2_fail(struct h2 *h2, enum h2_error e, const char *why)
{
    if (h2->error == H2_NO_ERROR) {
        h2->error = e;
        h2->why = why;
    }
    return false;
}

static void warned_enter(struct conn *c)
{
    static const char ping[8] = "goingway";
    struct h2 *h2 = h2_of(c);

    h2->warned_ns = io_now_ns(c->io);
    h2_put_goaway(h2, H2_STREAM_MAX, H2_NO_ERROR, NULL);
    h2_put_frame(h2, H2_PING, 0, 0, ping, sizeof ping);
    settle(c);
}

static void draining_enter(struct conn *c)
{
    struct h2 *h2 = h2_of(c);

    h2->goaway_id = h2->last_id;
    h2_put_goaway(h2, h2->last_id, H2_NO_ERROR, NULL);
    settle(c);
}

void h2_warn(struct h2 *h2, enum close_reason why)
{
    struct conn *c = h2->conn;

    if (c->closing || h2->leaving || c->state != OPEN)
        return;
    c->why = (uint8_t)why;
    h2->leaving = true;
    h2_wake(h2);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

/* As on HTTP/1: the deadline is for progress, not for a whole send. True: there was none. */
static bool send_stuck(struct conn *c)
{
    struct h2 *h2 = h2_of(c);
    uint64_t taken = conn_progress(c), now = io_now_ns(c->io);

    if (c->taken_known && taken <= c->taken)
        return true;
    h2->send_until_ns = now + ms(c->taken_known ? c->send_ms : c->send_ms / 8 + 1);
    c->taken_known = true;
    c->taken = taken;
    return false;
}

static bool window_stuck(struct conn *c)
{
    struct h2 *h2 = h2_of(c);
    uint64_t least = (uint64_t)c->send_ms * STREAM_RATE_MIN / 1000;

    if (h2->sent_bytes - h2->stall_mark < least && blocked(h2) && !conn_sending(c))
        return true;
    h2->stall_until_ns = 0;
    return false;
}

static bool passed(uint64_t until, uint64_t now)
{
    return until != 0 && until <= now;
}

static void on_late(struct conn *c)
{
    struct h2 *h2 = h2_of(c);
    uint64_t now = io_now_ns(c->io);

    if ((conn_sending(c) && passed(h2->send_until_ns, now) && send_stuck(c)) ||
        (passed(h2->stall_until_ns, now) && window_stuck(c))) {
        io_reset_on_close(c->io, c->fd);
        conn_close(c, CLOSE_send_late);
        return;
    }
    if (h2->block_open && passed(h2->block_since_ns + ms(h2->head_ms), now)) {
        h2_end_all(h2);
        c->why = CLOSE_head_late;
        h2_put_goaway(h2, h2->last_id, H2_NO_ERROR, "a header block took too long");
        conn_goto(c, ENDING);
        return;
    }
    if (c->state == WARNED && passed(h2->warned_ns + ms(WARN_MS), now)) {
        conn_goto(c, DRAINING);
        return;
    }
    if (idle(h2) && c->state == OPEN && passed(h2->idle_since_ns + ms(h2->idle_ms), now)) {
        c->why = c->requests == 0 ? CLOSE_head_late : CLOSE_keepalive_end;
        conn_goto(c, DRAINING);
        return;
    }
    settle(c);
}

/* ---- what http/ may ask for ------------------------------------------------------------------ */

static void ops_respond(struct request *r)
{
    struct h2_stream *s = stream_of(r);

    CHECK(!s->decided);
    s->decided = true;
    s->duplex = r->response.duplex;
    if (s->ended || s->h2->conn->closing)
        return;
    io_timer_stop(s->h2->conn->io, &s->timer);
    h2_make_ready(s);
    h2_wake(s->h2);
}

static void ops_body_ready(struct request *r)
{
    struct h2_stream *s = stream_of(r);

    if (s->ended || s->h2->conn->closing)
        return;
    h2_make_ready(s);
    h2_wake(s->h2);
}

static void ops_interim(struct request *r, unsigned status)
{
    struct h2_stream *s = stream_of(r);

    if (s->ended || s->decided || s->h2->conn->closing)
        return;
    (void)h2_write_interim(s, status);
    h2_wake(s->h2);
}

const struct request_ops h2_ops = {
    .name = "HTTP/2.0",
    .duplex = true,
    .read_body = h2_read_body,
    .respond = ops_respond,
    .body_ready = ops_body_ready,
    .interim = ops_interim,
    .peer = conn_ops_peer,
    .local = conn_ops_local,
    .socket = conn_ops_socket,
    .tls = conn_ops_tls,
    .freed = conn_request_freed,
};

/* ---- beginning and end ----------------------------------------------------------------------- */

static void session_leave(struct conn *c, enum close_reason why)
{
    h2_warn(h2_of(c), why);
}

static void session_closed(struct conn *c)
{
    struct h2 *h2 = h2_of(c);

    io_timer_stop(c->io, &h2->wake);
    h2_end_all(h2);
}

static void session_freed(struct conn *c)
{
    struct h2 *h2 = h2_of(c);

    h2_out_drop(h2);
    hpack_reader_destroy(h2->fields);
    free(h2->partial);
    free(h2->recent_resets);
    free(h2);
    c->session = NULL;
}

static const struct session_ops session_ops = { session_leave, session_closed, session_freed };

static void set_up(struct h2 *h2, const struct vhosts *v)
{
    struct conn *c = h2->conn;
    const struct http_core *core = scope_conf(v->default_server->scope, &feature_http_core);
    const struct http2_conf *conf = scope_conf(v->default_server->scope, &feature_http2);

    for (unsigned u = 0; u < URGENCY_COUNT; u++)
        list_init(&h2->ready[u]);
    list_init(&h2->feeding);
    h2_ledger_open(h2);
    h2->limits = *v->head_limits;
    h2->goaway_id = H2_STREAM_MAX;
    h2->send_window = h2->peer_window = H2_WINDOW_FIRST;
    h2->recv_window = CONN_WINDOW;
    h2->peer_frame = H2_FRAME_MAX_LEAST;
    h2->preread = (uint32_t)conf->preread_size;
    h2->head_ms = h2->idle_ms = (uint32_t)core->client_header_timeout;
    c->send_ms = (uint32_t)core->send_timeout;
    h2->linger_ms = core->lingering_close != LINGER_OFF ? (uint32_t)core->lingering_timeout : 0;
    h2_put_settings(h2, (uint32_t)conf->streams_max, h2->limits.head_max);
}

/* False: no memory, or nobody to speak for. */
static bool create(struct conn *c, const struct vhosts *v)
{
    struct h2 *h2 = calloc(1, sizeof *h2);

    if (h2 == NULL)
        return false;
    h2->fields = hpack_reader_create();
    if (h2->fields == NULL) {
        free(h2);
        return false;
    }
    h2->conn = c;
    c->session = h2;
    c->session_ops = &session_ops;
    set_up(h2, v);
    return !h2->no_memory;
}

void http2_begin(struct conn *c)
{
    const struct vhosts *v = conn_vhosts(c);

    OBJ(c, CONN_MAGIC);
    CHECK(c->request == NULL && c->session == NULL && !conn_sending(c));
    if (c->out != NULL)
        slab_give(&c->loop->out_slab, c->out);
    c->out = NULL;
    if (v == NULL || !create(c, v)) {
        conn_close(c, v == NULL ? CLOSE_listener_gone : CLOSE_no_memory);
        return;
    }
    c->states = states;
    c->state = BEGUN;
    c->next = PREFACE;
    if (!c->running)
        conn_run(c, NULL);
}
