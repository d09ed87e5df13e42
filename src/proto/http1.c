/* http1.c - HTTP/1.0 and 1.1 (RFC 9112) on a connection: the states, and how requests are read.
 *
 * Where a listener asks for it, a connection begins in PROXY, with a header that is not HTTP's, and
 * goes on in TLS.
 * Where HTTP/2 is on, SNIFF looks at the first bytes: its preface is no request of HTTP/1.
 * A keep-alive request goes IDLE, HEAD, RUN, ANSWER, FLUSH, IDLE. Small answers are copied into
 * the connection's out buffer, so pipelined requests are answered by one send; larger bodies go
 * ANSWER, SEND, SEND … A request whose body somebody reads goes RUN, BODY, ANSWER. What nobody
 * read of a body is thrown away in DISCARD before the answer, so that what follows it is never
 * taken for a request.
 */
#include "proto/http1_private.h"

#include "http/http2_conf.h"
#include "proto/http2.h"
#include "wire/h1_write.h"
#include "wire/h2_frame.h"

enum { SNIFFED = 4 }; /* "PRI ": no method of HTTP/1 (RFC 9113 §11.6) */

static conn_event_fn sniff_enter, sniff_bytes, idle_enter, idle_bytes, idle_late, head_enter,
    head_bytes, head_late, run_enter, run_bytes, run_sent, queue_bytes, send_bytes, closing_enter;

/* The whole of HTTP/1, in the order a request meets it. */
static const struct conn_state states[] = {
    /*            name       enter          bytes          sent          late
     *            exits */
    [PROXY] = { "proxy", proxy_enter, proxy_bytes, NULL, proxy_late,
                TO(TLS) | TO(SNIFF) | TO(IDLE) | TO(CLOSING) },
    [TLS] = { "tls", tls_enter, tls_bytes, NULL, tls_late, TO(IDLE) | TO(LINGER) | TO(CLOSING) },
    [SNIFF] = { "sniff", sniff_enter, sniff_bytes, NULL, idle_late, TO(HEAD) | TO(CLOSING) },
    [IDLE] = { "idle", idle_enter, idle_bytes, NULL, idle_late, TO(HEAD) | TO(CLOSING) },
    [HEAD] = { "head", head_enter, head_bytes, NULL, head_late, TO(RUN) | TO(FLUSH) | TO(CLOSING) },
    [RUN] = { "run", run_enter, run_bytes, run_sent, NULL, TO(BODY) | TO(ANSWER) | TO(CLOSING) },
    [BODY] = { "body", body_enter, body_bytes, body_sent, body_late, TO(ANSWER) | TO(CLOSING) },
    [DISCARD] = { "discard", discard_enter, discard_bytes, body_sent, discard_late,
                  TO(ANSWER) | TO(CLOSING) },
    [ANSWER] = { "answer", answer_enter, queue_bytes, answer_sent, send_late,
                 TO(DISCARD) | TO(SEND) | TO(HEAD) | TO(FLUSH) | TO(IDLE) | TO(CLOSING) },
    [SEND] = { "send", send_enter, send_bytes, send_sent, send_late,
               TO(PACE) | TO(HEAD) | TO(FLUSH) | TO(IDLE) | TO(CLOSING) },
    [PACE] = { "pace", pace_enter, queue_bytes, NULL, pace_late, TO(SEND) | TO(CLOSING) },
    [FLUSH] = { "flush", flush_enter, queue_bytes, flush_sent, send_late,
                TO(HEAD) | TO(IDLE) | TO(LINGER) | TO(CLOSING) },
    [LINGER] = { "linger", linger_enter, linger_bytes, NULL, linger_late, TO(CLOSING) },
    [CLOSING] = { "closing", closing_enter, NULL, NULL, NULL, 0 },
};

const struct http_core *h1_core(const struct conn *c)
{
    return scope_conf(c->request->scope, &feature_http_core);
}

bool http1_open(struct loop *loop, struct io *io, int fd, unsigned listener_id)
{
    struct conn *c = conn_create(loop, io, fd, listener_id, states);

    if (c == NULL)
        return false;
    const struct vhosts *v = conn_vhosts(c);

    if (v != NULL) {
        const struct http_core *core = scope_conf(v->default_server->scope, &feature_http_core);

        c->keepalive_ms = (uint32_t)core->client_header_timeout;
    }
    conn_start(c, v != NULL && v->proxy_protocol ? PROXY : h1_first_state(v));
    return true;
}

unsigned h1_first_state(const struct vhosts *v)
{
    if (v == NULL)
        return IDLE;
    return v->tls ? TLS : http2_on(v, NULL) ? SNIFF : IDLE;
}

/* ---- SNIFF: HTTP/2 by prior knowledge? (RFC 9113 §3.3) ---------------------------- */

static void sniff_enter(struct conn *c)
{
    sniff_bytes(c);
    if (c->closing || c->next != SNIFF)
        return;
    conn_idle(c);
    conn_deadline(c, c->keepalive_ms);
    conn_receive(c);
}

/* What is taken off as the preface's beginning is given back to HEAD, if it was none. */
static void sniff_bytes(struct conn *c)
{
    for (struct slice in = conn_peek(c); in.size > 0; in = conn_peek(c)) {
        size_t same = 0;

        while (same < in.size && c->preface_seen < SNIFFED &&
               in.at[same] == H2_PREFACE[c->preface_seen]) {
            same++;
            c->preface_seen++;
        }
        if (c->preface_seen < SNIFFED && same < in.size) {
            conn_goto(c, HEAD);
            return;
        }
        conn_consume(c, same);
        if (c->preface_seen < SNIFFED)
            continue;
        conn_busy(c);
        http2_begin(c);
        return;
    }
    if (!c->in_ended)
        return;
    conn_close(c, c->in_failed          ? CLOSE_peer_reset
                  : c->preface_seen > 0 ? CLOSE_peer_broke_off
                                        : CLOSE_peer_closed);
}

/* ---- IDLE: between requests, holding nothing ------------------------------------- */

static void idle_enter(struct conn *c)
{
    if (conn_peek(c).size > 0) {
        conn_goto(c, HEAD);
        return;
    }
    h1_out_give(c);
    if (c->in_ended) {
        conn_close(c, c->in_failed ? CLOSE_peer_reset : CLOSE_peer_closed);
        return;
    }
    if (c->loop->draining && c->requests > 0) {
        conn_close(c, CLOSE_shutting_down);
        return;
    }
    conn_idle(c);
    conn_deadline(c, c->keepalive_ms);
    conn_receive(c);
}

static void idle_bytes(struct conn *c)
{
    if (conn_peek(c).size > 0)
        conn_goto(c, HEAD);
    else if (c->in_ended)
        conn_close(c, c->in_failed ? CLOSE_peer_reset : CLOSE_peer_closed);
}

static void idle_late(struct conn *c)
{
    conn_close(c, c->requests == 0 ? CLOSE_head_late : CLOSE_keepalive_end);
}

/* ---- HEAD: a request has begun ----------------------------------------------------- */

/* The limits come from the listener's default server: the real one is not known yet. */
static bool request_begin(struct conn *c)
{
    const struct vhosts *v = conn_vhosts(c);

    if (v == NULL) {
        conn_close(c, CLOSE_listener_gone);
        return false;
    }
    struct request *r = conn_request(c, &h1_ops, v);

    if (r == NULL) {
        conn_close(c, CLOSE_no_memory);
        return false;
    }
    c->request = r;
    r->exchange = arena_zalloc(&r->arena, sizeof(struct exchange));
    if (r->exchange == NULL) {
        conn_close(c, CLOSE_no_memory);
        return false;
    }
    r->nth = ++c->requests;
    r->pipelined = c->in_first != NULL && c->in_first->used > 0;
    h1_head_init(&r->head, v->head_limits, &r->arena);
    return true;
}

static void head_enter(struct conn *c)
{
    conn_busy(c);
    if (c->request == NULL && !request_begin(c))
        return;
    if (c->preface_seen > 0) {
        size_t taken;

        (void)h1_head_feed(&c->request->head, H2_PREFACE, c->preface_seen, &taken);
        c->request->head_bytes = c->preface_seen;
        c->preface_seen = 0;
    }
    head_bytes(c);
    if (c->next != HEAD || c->closing)
        return;
    if (c->out != NULL && c->out->used > 0)
        conn_goto(c, FLUSH); /* answers to earlier, pipelined requests must not wait */
}

/* The head's deadline is absolute: a byte a second does not move it. */
static void head_wait(struct conn *c, const struct request *r)
{
    int64_t spent = (int64_t)((io_now_ns(c->io) - r->started_ns) / 1000000u);
    int64_t left = h1_core(c)->client_header_timeout - spent;

    if (c->late_at_ns == 0)
        conn_deadline(c, left > 0 ? left : 1);
    conn_receive(c);
}

static void head_bytes(struct conn *c)
{
    struct request *r = c->request;

    for (struct slice in = conn_peek(c); in.size > 0; in = conn_peek(c)) {
        size_t taken = 0;
        enum h1_verdict v = h1_head_feed(&r->head, in.at, in.size, &taken);

        r->head_bytes += taken;
        conn_consume(c, taken);
        if (v == H1_MORE)
            continue;
        exchange_of(c)->refused = v == H1_BAD;
        conn_goto(c, RUN);
        return;
    }
    if (!c->in_ended) {
        head_wait(c, r);
        return;
    }
    enum close_reason why = c->in_failed        ? CLOSE_peer_reset
                            : r->head.line_seen ? CLOSE_peer_broke_off
                                                : CLOSE_peer_closed;
    conn_close(c, why);
}

/* 408 if a request line was begun; a peer that said nothing is told nothing. */
static void head_late(struct conn *c)
{
    if (!c->request->head.line_seen) {
        conn_close(c, CLOSE_head_late);
        return;
    }
    exchange_of(c)->refused = true;
    exchange_of(c)->late_status = 408;
    c->why = CLOSE_head_late;
    conn_goto(c, RUN);
}

/* ---- RUN: the pipeline has it ------------------------------------------------------ */

static void run_enter(struct conn *c)
{
    struct request *r = c->request;
    struct exchange *x = r->exchange;

    stat_add(&c->loop->stats.requests, 1);
    if (c->plain_on_tls && !x->refused) {
        x->refused = true;
        x->late_status = 497;
    }
    if (x->refused) {
        x->linger = true;
        r->head.keep_alive = false;
        request_start_refused(r, r->vhosts, x->late_status ? x->late_status : r->head.status);
    } else {
        x->body_left = r->head.has_length ? r->head.length : 0;
        x->body_read = !r->head.chunked && x->body_left == 0;
        request_start(r, r->vhosts);
    }
    if (c->request != NULL && !exchange_of(c)->decided && c->out != NULL && c->out->used > 0) {
        c->out->iov[0] = (struct iovec){ c->out->bytes, c->out->used };
        conn_send(c, c->out->iov, 1, 0);
    }
}

static void run_bytes(struct conn *c)
{
    if (c->in_failed)
        conn_close(c, CLOSE_peer_reset);
    else if (c->in_ended && c->request->leaves_with_client)
        conn_close(c, CLOSE_peer_left);
}

static void run_sent(struct conn *c)
{
    c->out->used = 0;
    if (c->send_failed)
        conn_close(c, CLOSE_peer_reset);
}

/* More input while an answer is being sent: it waits its turn in c->in. A half-closed client
 * still gets its answer (RFC 9112 §9.6). */
static void queue_bytes(struct conn *c)
{
    if (c->in_failed)
        conn_close(c, CLOSE_peer_reset);
}

static void send_bytes(struct conn *c)
{
    if (c->in_failed)
        conn_close(c, CLOSE_peer_reset);
    else if (exchange_of(c)->tunnel)
        tunnel_bytes(c);
    else if (c->in_ended && c->request->leaves_with_client)
        conn_close(c, CLOSE_peer_left);
}

static void decided(struct conn *c)
{
    conn_goto(c, ANSWER);
}

static void ops_respond(struct request *r)
{
    struct conn *c = r->conn;

    CHECK(!exchange_of(c)->decided);
    exchange_of(c)->decided = true;
    if (c->closing)
        return;
    if (c->running)
        conn_goto(c, ANSWER);
    else
        conn_run(c, decided);
}

static void closing_enter(struct conn *c)
{
    (void)c;
}

/* ---- what http/ may ask for ----------------------------------------------------------- */

static void body_ready(struct conn *c)
{
    send_enter(c);
}

static void ops_body_ready(struct request *r)
{
    struct conn *c = r->conn;

    if (c->closing || c->state != SEND || conn_sending(c))
        return;
    CHECK(!c->running);
    conn_run(c, body_ready);
}

/* Into the room for answers, which is not to be had at any price. */
static bool write_interim(struct conn *c, const struct request *r, unsigned status)
{
    struct gather g;

    if (c->out == NULL) {
        c->out = slab_take(&c->loop->out_slab);
        if (c->out == NULL)
            return false;
        c->out->used = 0;
    }
    gather_init(&g, c->out->bytes + c->out->used, OUT_ROOM - c->out->used, NULL, 0);
    h1_status_line(&g, status);
    for (struct header *h = r->response.headers; h != NULL; h = h->next)
        if (h->value.at != NULL && !h1_field(&g, h->name, h->value))
            return false;
    gather_lit(&g, "\r\n");
    if (!g.full)
        c->out->used += (uint32_t)g.used;
    return !g.full;
}

/* It is worth something only now: left out while other bytes are on their way, or once the answer
 * is decided. RUN and BODY are told when it was sent. */
static void ops_interim(struct request *r, unsigned status)
{
    struct conn *c = r->conn;

    if (c->closing || (c->state != RUN && c->state != BODY) || r->head.version_minor == 0 ||
        exchange_of(c)->decided || conn_sending(c) || !write_interim(c, r, status))
        return;
    c->out->iov[0] = (struct iovec){ c->out->bytes, c->out->used };
    conn_send(c, c->out->iov, 1, 0);
}

const struct request_ops h1_ops = {
    .name = "HTTP/1.1",
    .read_body = h1_read_body,
    .respond = ops_respond,
    .body_ready = ops_body_ready,
    .interim = ops_interim,
    .peer = conn_ops_peer,
    .local = conn_ops_local,
    .socket = conn_ops_socket,
    .tls = conn_ops_tls,
    .freed = conn_request_freed,
};
