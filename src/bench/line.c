/* line.c - a socket, and TLS in the role of a client on top of it. */
#include "bench/line.h"

#include "base/clock.h"
#include "bench/load.h"

#include <errno.h>

static io_done_fn on_received, on_sent, on_closed;

/* ---- TLS ---------------------------------------------------------------------------------- */

static void on_tls_sent(void *owner, int error)
{
    struct line *l = owner;

    if (l->state == LINE_OPEN)
        l->ops->sent(l, error);
}

static void on_tls_ready(void *owner)
{
    (void)owner; /* a client has no helper at work: nothing waits for this */
}

/* The newest is the best: a session of TLS 1.3 comes behind the handshake, and maybe again. */
static void on_tls_session(void *owner, SSL_SESSION *session)
{
    struct line *l = owner;

    if (!l->load->plan->tls.resume) {
        SSL_SESSION_free(session);
        return;
    }
    SSL_SESSION_free(l->session);
    l->session = session;
}

static const struct tls_ops tls_ops = {
    .sent = on_tls_sent,
    .ready = on_tls_ready,
    .session = on_tls_session,
};

static void note_failure(struct line *l)
{
    long verdict = SSL_get_verify_result(tls_ssl(l->tls));
    bool judged = l->load->plan->tls.verify && verdict != X509_V_OK;

    board_note(l->load->board, BENCH_TLS,
               judged ? X509_verify_cert_error_string(verdict) : tls_why(l->tls));
}

static void shaken(struct line *l)
{
    struct load *load = l->load;
    uint64_t now_ns = clock_mono_ns();

    if (!bench_tls_agreed(&load->plan->tls, tls_protocol_agreed(l->tls))) {
        board_note(load->board, BENCH_TLS, "the server did not agree to the protocol (ALPN)");
        l->ops->open(l, -EPROTO);
        return;
    }
    l->state = LINE_OPEN;
    if (l->shook_ns >= load->from_ns && !load->stopping) {
        load->now.handshakes++;
        load->now.resumed += (uint64_t)SSL_session_reused(tls_ssl(l->tls));
        histogram_add(&load->now.handshake, now_ns - l->shook_ns);
    }
    l->ops->open(l, 0);
}

/* What the socket gave, which may be nothing, becomes what was meant. */
static void decrypt(struct line *l, struct io_buf *lent, int result)
{
    struct io_buf *plain;
    enum tls_step step = tls_feed(l->tls, lent, &plain);

    if (l->state == LINE_SHAKING && (step == TLS_OPEN || step == TLS_ENDED))
        shaken(l);
    if (l->state == LINE_SHAKING && (step == TLS_FAILED || result <= 0)) {
        if (step == TLS_FAILED)
            note_failure(l);
        else
            board_note(l->load->board, BENCH_TLS, "the server ended the connection");
        l->ops->open(l, -EPROTO);
    }
    if (l->state == LINE_OPEN) {
        if (step == TLS_FAILED)
            note_failure(l);
        l->ops->bytes(l, plain, step == TLS_FAILED ? -EPROTO : step == TLS_ENDED ? 0 : result);
    }
    while (plain != NULL) {
        struct io_buf *b = plain;

        plain = b->next;
        io_buf_release(l->io, b);
    }
}

static void shake(struct line *l)
{
    struct load *load = l->load;
    const struct bench_tls *wish = &load->plan->tls;
    struct tls_greeting greeting = {
        .name = wish->name, .alpn = wish->alpn, .tell = wish->tell, .session = l->session
    };

    l->shook_ns = clock_mono_ns();
    l->tls = tls_connect(load->tls, l->io, l->fd, wish->domain, &greeting, &tls_ops, l);
    if (l->tls == NULL) {
        l->ops->open(l, -ENOMEM);
        return;
    }
    l->state = LINE_SHAKING;
    io_recv(l->io, &l->in, l->fd, IO_MULTI, on_received);
    decrypt(l, NULL, 1);
}

/* ---- the socket --------------------------------------------------------------------------- */

static void on_received(struct io *io, struct io_op *op, struct io_result r)
{
    struct line *l = container_of(op, struct line, in);

    if (l->state != LINE_OPEN && l->state != LINE_SHAKING) {
        if (r.buf != NULL)
            io_buf_release(io, r.buf);
        return;
    }
    if (l->tls != NULL) {
        decrypt(l, r.buf, r.res);
    } else {
        if (r.buf != NULL)
            r.buf->next = NULL;
        l->ops->bytes(l, r.buf, r.res);
        if (r.buf != NULL)
            io_buf_release(io, r.buf);
    }
    if (r.res > 0 && !(r.flags & IO_MORE) && (l->state == LINE_OPEN || l->state == LINE_SHAKING))
        io_recv(l->io, &l->in, l->fd, IO_MULTI, on_received);
}

static void on_sent(struct io *io, struct io_op *op, struct io_result r)
{
    struct line *l = container_of(op, struct line, out);

    (void)io;
    if (l->state == LINE_OPEN)
        l->ops->sent(l, r.res < 0 ? r.res : 0);
}

static void on_connected(struct io *io, struct io_op *op, struct io_result r)
{
    struct line *l = container_of(op, struct line, out);

    (void)io;
    if (l->state != LINE_CONNECTING)
        return;
    if (r.res < 0) {
        l->ops->open(l, r.res);
        return;
    }
    if (l->load->plan->tls.domain != NULL) {
        shake(l);
        return;
    }
    l->state = LINE_OPEN;
    io_recv(l->io, &l->in, l->fd, IO_MULTI, on_received);
    l->ops->open(l, 0);
}

static void on_closed(struct io *io, struct io_op *op, struct io_result r)
{
    struct line *l = container_of(op, struct line, closing);

    (void)io;
    (void)r;
    l->state = LINE_CLOSED;
    l->fd = -1;
    l->load->open--;
    if (l->tls != NULL)
        tls_destroy(l->tls);
    l->tls = NULL;
    if (l->load->stopping)
        io_wake(l->load->io);
    l->ops->closed(l);
}

bool bench_tls_agreed(const struct bench_tls *wish, struct slice chosen)
{
    return !wish->agree || slice_eq(chosen, slice_skip(wish->alpn, 1));
}

/* ---- for its owner ------------------------------------------------------------------------ */

void line_init(struct line *l, struct load *load, const struct line_ops *ops)
{
    *l = (struct line){ .load = load, .ops = ops, .fd = -1 };
}

void line_done(struct line *l)
{
    CHECK(l->state == LINE_CLOSED);
    SSL_SESSION_free(l->session);
    l->session = NULL;
}

int line_open(struct line *l)
{
    const struct bench_plan *plan = l->load->plan;
    int fd = load_socket(l->load, l->io);

    if (fd < 0)
        return fd;
    l->fd = fd;
    l->state = LINE_CONNECTING;
    l->load->open++;
    io_connect(l->io, &l->out, fd, (const struct sockaddr *)&plan->to, plan->to_size, on_connected);
    return 0;
}

void line_send(struct line *l, const struct iovec *iov)
{
    if (l->tls != NULL)
        tls_send(l->tls, iov, 1);
    else
        io_send(l->io, &l->out, l->fd, iov, 1, 0, on_sent);
}

bool line_sending(const struct line *l)
{
    return l->tls != NULL ? tls_sending(l->tls) : io_busy(&l->out);
}

void line_close(struct line *l)
{
    if (l->state == LINE_CLOSED || l->state == LINE_CLOSING)
        return;
    l->state = LINE_CLOSING;
    if (l->tls != NULL)
        tls_close(l->tls, true);
    io_close(l->io, &l->closing, l->fd, on_closed);
}
