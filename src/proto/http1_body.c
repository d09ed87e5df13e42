/* http1_body.c - request bodies on HTTP/1: BODY brings them to whoever reads them, DISCARD
 * throws away what nobody read. Both share one decoder, which goes on where it was.
 */
#include "http/client_body.h"
#include "http/sleep.h"
#include "proto/http1_private.h"

/* ---- both: the decoder ---------------------------------------------------------------- */

static void wait_begins(struct conn *c)
{
    exchange_of(c)->body_since_ns = io_now_ns(c->io);
}

/* Only the time that we waited for the client counts for its rate. */
static void wait_ends(struct conn *c)
{
    struct exchange *x = exchange_of(c);

    x->body_waited_ns += io_now_ns(c->io) - x->body_since_ns;
    conn_deadline(c, 0);
}

static void decoder_begin(struct conn *c)
{
    const struct request *r = c->request;
    struct exchange *x = r->exchange;

    if (r->head.chunked && !x->body_begun)
        chunked_init(&x->chunked, h1_core(c)->allow_bare_lf,
                     (uint32_t)r->vhosts->head_limits->head_max);
    x->body_begun = true;
    wait_begins(c);
}

/* Sends 100 Continue (RFC 9110 §10.1.1), also to a client that did not wait for it, behind earlier
 * answers that still wait. While something is on its way this is left to body_sent(). */
static void send_waiting(struct conn *c)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct exchange *x = exchange_of(c);

    if (conn_sending(c))
        return;
    if (c->request->head.expect_continue && !x->continued && !x->body_read) {
        struct out *out = h1_out(c);

        if (out == NULL)
            return;
        if (OUT_ROOM - out->used >= sizeof interim) { /* else behind those */
            x->continued = true;
            memcpy(out->bytes + out->used, interim, sizeof interim - 1);
            out->used += (uint32_t)sizeof interim - 1;
        }
    }
    if (c->out != NULL && c->out->used > 0) {
        c->out->iov[0] = (struct iovec){ c->out->bytes, c->out->used };
        conn_send(c, c->out->iov, 1, 0);
    }
}

void body_sent(struct conn *c)
{
    c->out->used = 0;
    if (c->send_failed)
        conn_close(c, CLOSE_peer_reset);
    else
        send_waiting(c);
}

enum body_step { STEP_ON, STEP_DONE, STEP_BAD };

static enum body_step step_chunked(struct conn *c, struct slice in, struct slice *ret)
{
    struct exchange *x = exchange_of(c);
    size_t taken = 0;
    enum chunked_verdict v = chunked_feed(&x->chunked, in.at, in.size, &taken, ret);

    if (v != CHUNKED_DATA)
        *ret = (struct slice){ 0 };
    c->request->head_bytes += taken;
    x->body_bytes += ret->size;
    x->in_taken = taken;
    return v == CHUNKED_DONE ? STEP_DONE : v == CHUNKED_BAD ? STEP_BAD : STEP_ON;
}

static enum body_step step_length(struct conn *c, struct slice in, struct slice *ret)
{
    struct exchange *x = exchange_of(c);

    *ret = slice_head(in, x->body_left < in.size ? (size_t)x->body_left : in.size);
    x->body_left -= ret->size;
    x->body_bytes += ret->size;
    c->request->head_bytes += ret->size;
    x->in_taken = ret->size;
    return x->body_left == 0 ? STEP_DONE : STEP_ON;
}

/* What is wrong with the body so far: a status, or 0. */
static unsigned judge(struct conn *c, enum body_step step)
{
    struct request *r = c->request;
    const struct exchange *x = r->exchange;
    uint64_t most = (uint64_t)h1_core(c)->client_max_body_size;

    if (step == STEP_BAD) {
        request_log(r, LOG_INFO, 0, "client sent a broken chunked body: %s", x->chunked.why);
        return 400;
    }
    /* a chunk's size counts as soon as it is announced */
    if (most != 0 && x->body_bytes + (r->head.chunked ? x->chunked.left : 0) > most) {
        request_log(r, LOG_ERROR, 0, "client intended to send too large %sbody",
                    r->head.chunked ? "chunked " : "");
        return 413;
    }
    return 0;
}

/* Reads one piece: borrowed from the buffer at the front of c->in, which is to be dropped by
 * conn_consume(c, x->in_taken). */
static enum body_step step_on(struct conn *c, struct slice in, struct slice *ret)
{
    struct slice some = slice_head(in, CLIENT_BODY_PIECE_MAX);

    return c->request->head.chunked ? step_chunked(c, some, ret) : step_length(c, some, ret);
}

static bool too_slow(const struct conn *c)
{
    const struct exchange *x = c->request->exchange;
    uint64_t spent = x->body_waited_ns + io_now_ns(c->io) - x->body_since_ns;

    return spent > RATE_GRACE_SEC * 1000000000ull &&
           x->body_bytes < RATE_MIN * (spent / 1000000000ull);
}

static void refused(struct conn *c, unsigned status)
{
    struct exchange *x = exchange_of(c);

    x->linger = true;
    c->why = status == 408 ? CLOSE_body_late : CLOSE_body_bad;
}

/* Everything that came is read: waits for more. */
static void wait_for_more(struct conn *c, void (*refuse)(struct conn *, unsigned status))
{
    if (c->in_ended) {
        conn_close(c, c->in_failed ? CLOSE_peer_reset : CLOSE_peer_broke_off);
        return;
    }
    if (too_slow(c)) {
        refuse(c, 408);
        return;
    }
    conn_deadline(c, h1_core(c)->client_body_timeout);
    conn_receive(c);
}

/* ---- BODY: somebody reads it ------------------------------------------------------------ */

static void tell_end(struct conn *c, unsigned status)
{
    struct request *r = c->request;
    struct exchange *x = r->exchange;

    x->body_wanted = false;
    x->end_told = true;
    conn_deadline(c, 0);
    r->sink->end(r, status);
}

static void body_refuse(struct conn *c, unsigned status)
{
    refused(c, status);
    tell_end(c, status);
}

/* False: the sink has had enough for now, and its wish to go on is awaited. */
static bool give(struct conn *c, struct slice piece)
{
    struct request *r = c->request;
    struct exchange *x = r->exchange;

    if (piece.size == 0)
        return true;
    x->body_wanted = false;
    if (r->sink->bytes(r, piece))
        x->body_wanted = true;
    if (!x->body_wanted)
        wait_ends(c);
    return x->body_wanted;
}

void body_enter(struct conn *c)
{
    decoder_begin(c);
    send_waiting(c);
    if (!c->closing)
        body_bytes(c);
}

void body_bytes(struct conn *c)
{
    struct exchange *x = exchange_of(c);

    if (c->in_failed) {
        conn_close(c, CLOSE_peer_reset);
        return;
    }
    if (c->in_ended && x->end_told && c->request->leaves_with_client) {
        conn_close(c, CLOSE_peer_left);
        return;
    }
    if (x->end_told || !x->body_wanted || x->decided)
        return;
    for (struct slice in = conn_peek(c); in.size > 0 && !x->body_read; in = conn_peek(c)) {
        struct slice piece;
        enum body_step step = step_on(c, in, &piece);
        unsigned status = judge(c, step);

        if (status != 0) {
            conn_consume(c, x->in_taken);
            body_refuse(c, status);
            return;
        }
        x->body_read = step == STEP_DONE;
        bool more = give(c, piece);

        if (c->closing)
            return;
        conn_consume(c, x->in_taken);
        if (!more || x->decided)
            return;
    }
    if (x->body_read)
        tell_end(c, 0);
    else
        wait_for_more(c, body_refuse);
}

void body_late(struct conn *c)
{
    body_refuse(c, 408);
}

/* ---- an upgraded connection: whatever comes is for the sink --------------------------------- */

static void tunnel_end(struct conn *c)
{
    struct exchange *x = exchange_of(c);

    if (x->tunnel_ended)
        return;
    x->tunnel_ended = true;
    c->request->sink->end(c->request, 0);
}

void tunnel_bytes(struct conn *c)
{
    struct request *r = c->request;
    struct exchange *x = r->exchange;

    while (x->body_wanted && conn_peek(c).size > 0) {
        struct slice piece = slice_head(conn_peek(c), CLIENT_BODY_PIECE_MAX);

        x->body_wanted = r->sink->bytes(r, piece);
        conn_consume(c, piece.size);
    }
    if (!conn_sending(c))
        conn_deadline(c, TUNNEL_REST_MS);
    if (conn_peek(c).size > 0)
        return;
    if (c->in_ended)
        tunnel_end(c);
    else
        conn_receive(c);
}

/* Nothing came for a while. What waits to be asked for lies in the request, and keeps it awake. */
void tunnel_late(struct conn *c)
{
    struct request *r = c->request;
    const struct exchange *x = r->exchange;

    if (c->in_first != NULL || x->ask.slot != 0 || r->sink->quiet == NULL || !r->sink->quiet(r) ||
        !request_sleep(r))
        conn_deadline(c, TUNNEL_REST_MS);
}

static void asked(struct conn *c)
{
    if (exchange_of(c)->tunnel) {
        if (c->state == SEND)
            tunnel_bytes(c);
        return;
    }
    if (c->state == RUN) {
        conn_goto(c, BODY);
        return;
    }
    wait_begins(c);
    body_bytes(c);
}

static void on_ask(struct io *io, struct io_timer *timer)
{
    struct exchange *x = container_of(timer, struct exchange, ask);
    struct conn *c = x->conn;

    (void)io;
    if (!c->closing && x->body_wanted && (x->tunnel || !x->decided))
        conn_run(c, asked);
}

static void drop_ask(void *exchange)
{
    struct exchange *x = exchange;

    io_timer_stop(x->conn->io, &x->ask);
}

void h1_read_body(struct request *r)
{
    struct conn *c = r->conn;
    struct exchange *x = r->exchange;

    CHECK(r->sink != NULL && (r->response.tunnel || (!x->decided && !x->end_told)));
    if (c->closing)
        return;
    x->body_wanted = true;
    if (c->running && c->state == RUN && !r->response.tunnel) {
        conn_goto(c, BODY); /* entered when the event that we are in returns */
        return;
    }
    if (x->conn == NULL) {
        x->conn = c;
        if (!request_at_end(r, drop_ask, x)) {
            conn_close(c, CLOSE_no_memory);
            return;
        }
    }
    io_timer_set(c->io, &x->ask, 0, on_ask);
}

/* ---- DISCARD: the request's body, which nobody wants ------------------------------------- */

bool h1_body_wanted_first(const struct conn *c)
{
    const struct request *r = c->request;
    const struct exchange *x = r->exchange;

    if (x->body_read || x->refused || x->linger)
        return false;
    if (r->response.status < 400)
        return true;
    /* An error: read a short body, so that the connection can be kept; never ask for one. */
    return !(r->head.expect_continue && !x->continued && conn_peek(c).size == 0) &&
           (r->head.chunked || x->body_left <= DRAIN_MAX);
}

void discard_enter(struct conn *c)
{
    decoder_begin(c);
    send_waiting(c);
    if (!c->closing)
        discard_bytes(c);
}

/* The body cannot be read to its end: another answer, then the connection goes. */
static void discard_refuse(struct conn *c, unsigned status)
{
    refused(c, status);
    request_replace(c->request, status);
    conn_goto(c, ANSWER);
}

void discard_bytes(struct conn *c)
{
    struct exchange *x = exchange_of(c);

    for (struct slice in = conn_peek(c); in.size > 0; in = conn_peek(c)) {
        struct slice piece;
        enum body_step step = step_on(c, in, &piece);
        unsigned status = judge(c, step);

        conn_consume(c, x->in_taken);
        if (status != 0) {
            discard_refuse(c, status);
            return;
        }
        if (step == STEP_DONE) {
            x->body_read = true;
            conn_goto(c, ANSWER);
            return;
        }
    }
    wait_for_more(c, discard_refuse);
}

void discard_late(struct conn *c)
{
    discard_refuse(c, 408);
}
