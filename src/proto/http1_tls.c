/* http1_tls.c - in front of a connection's first request: the state TLS, in which hands are shaken.
 *
 * Its deadline is for the whole handshake. A connection that says nothing has no TLS object yet;
 * one that speaks HTTP on a port for HTTPS is told so (497, which is a 400).
 */
#include "proto/http1_private.h"
#include "proto/http2.h"
#include "proto/ssl.h"

enum { HANDSHAKE_MS = 15000, RECORD_HANDSHAKE = 0x16 };

void tls_enter(struct conn *c)
{
    const int64_t most = c->keepalive_ms; /* client_header_timeout */

    conn_idle(c);
    conn_deadline(c, most < HANDSHAKE_MS ? most : HANDSHAKE_MS);
    conn_receive(c);
    if (conn_peek(c).size > 0)
        tls_bytes(c);
}

/* True: it is TLS, and has begun. */
static bool begin(struct conn *c)
{
    const struct vhosts *v = conn_vhosts(c);
    struct tls_domain *first = v != NULL ? ssl_first_domain(v) : NULL;

    conn_busy(c);
    if (v == NULL) {
        conn_close(c, CLOSE_listener_gone);
        return false;
    }
    if (conn_peek(c).at[0] != RECORD_HANDSHAKE) {
        c->plain_on_tls = true;
        conn_goto(c, IDLE);
        return false;
    }
    if (first != NULL && conn_tls_begin(c, first))
        return true;
    conn_close(c, CLOSE_no_memory);
    return false;
}

/* An alert is on its way: the client is given time to read it. */
static void failed(struct conn *c)
{
    conn_log(c, LOG_INFO, "%s while SSL handshaking", tls_why(c->tls));
    stat_add(&c->loop->stats.handshakes_failed, 1);
    c->why = CLOSE_tls_bad;
    c->linger_ms = c->linger_all_ms = 1000;
    conn_goto(c, LINGER);
}

void tls_bytes(struct conn *c)
{
    if (c->tls == NULL && (conn_peek(c).size == 0 || !begin(c))) {
        if (c->tls == NULL && !c->closing && c->in_ended && conn_peek(c).size == 0)
            conn_close(c, c->in_failed ? CLOSE_peer_reset : CLOSE_peer_closed);
        return;
    }
    switch ((enum tls_step)c->tls_step) {
    case TLS_OPEN:
    case TLS_ENDED:
        stat_add(&c->loop->stats.handshakes, 1);
        if (slice_eq(tls_protocol_agreed(c->tls), SLICE("h2")))
            http2_begin(c);
        else
            conn_goto(c, IDLE);
        return;
    case TLS_FAILED:
        failed(c);
        return;
    case TLS_HANDSHAKE:
    case TLS_WAITS:
        if (c->in_ended)
            conn_close(c, c->in_failed ? CLOSE_peer_reset : CLOSE_peer_broke_off);
        return;
    }
}

void tls_late(struct conn *c)
{
    conn_close(c, CLOSE_tls_late);
}
