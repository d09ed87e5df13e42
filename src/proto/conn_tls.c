/* conn_tls.c - TLS between a connection's socket and its protocol. */
#include "proto/conn.h"

#include "proto/ssl_load.h"

static void on_sent(void *owner, int error)
{
    conn_sent(owner, error);
}

/* A helper's work is done: the handshake goes on, or the connection can go. */
static void on_ready(void *owner)
{
    struct conn *c = owner;

    OBJ(c, CONN_MAGIC);
    if (c->closing) {
        if (c->closed)
            conn_over(c);
        return;
    }
    conn_tls_take(c, NULL);
    conn_run(c, c->states[c->state].bytes);
}

static struct tls_choice on_hello(void *owner, const struct tls_hello *hello)
{
    struct conn *c = owner;

    OBJ(c, CONN_MAGIC);
    return ssl_choose(c, hello->name);
}

static const struct tls_ops conn_tls_ops = {
    .sent = on_sent,
    .ready = on_ready,
    .hello = on_hello,
};

void conn_tls_take(struct conn *c, struct io_buf *lent)
{
    struct io_buf *plain;
    bool open;

    if (c->tls_step == TLS_FAILED) { /* nothing is listened to any more */
        if (lent != NULL)
            io_buf_release(c->io, lent);
        return;
    }
    open = tls_is_open(c->tls);
    c->tls_step = (uint8_t)tls_feed(c->tls, lent, &plain);
    if (c->shaking_on != NULL && (tls_is_open(c->tls) || c->tls_step == TLS_FAILED))
        conn_tls_shaken(c);
    while (plain != NULL) {
        struct io_buf *b = plain;

        plain = b->next;
        conn_enqueue(c, b);
    }
    if (c->tls_step == TLS_ENDED)
        c->in_ended = true;
    if (c->tls_step == TLS_FAILED && open) /* for its protocol it is as good as reset */
        c->in_ended = c->in_failed = true;
}

bool conn_tls_begin(struct conn *c, struct tls_domain *first)
{
    struct io_buf *queued = c->in_first;
    struct loop *loop = c->loop;

    c->shaking_on = loop->site;
    site_hold(loop, c->shaking_on);
    if (loop->tls == NULL)
        loop->tls = tls_home_create(loop->tls_ring);
    if (loop->tls != NULL)
        c->tls = tls_accept(loop->tls, c->io, c->fd, first, &conn_tls_ops, c);
    if (c->tls == NULL)
        return false;
    c->in_first = c->in_last = NULL;
    c->in_count = 0;
    while (queued != NULL) {
        struct io_buf *b = queued;

        queued = b->next;
        b->next = NULL;
        conn_tls_take(c, b);
    }
    return true;
}

void conn_tls_shaken(struct conn *c)
{
    struct site *site = c->shaking_on;

    ssl_load_end(c);
    c->shaking_on = NULL;
    if (site != NULL)
        site_drop(c->loop, site);
}
