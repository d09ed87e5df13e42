/* http2_end.c - how a connection of HTTP/2 ends: ENDING sends the last frames, LINGER waits for the
 * client to have read them.
 */
#include "proto/http2_private.h"

static void over(struct conn *c)
{
    if (h2_of(c)->linger_ms > 0 && !c->in_ended)
        conn_goto(c, LINGER);
    else
        conn_close(c, c->why != 0 ? (enum close_reason)c->why : CLOSE_answered);
}

void h2_ending_enter(struct conn *c)
{
    struct h2 *h2 = h2_of(c);

    conn_busy(c);
    conn_deadline(c, c->send_ms);
    h2_flush(h2);
    if (!conn_sending(c))
        over(c);
}

void h2_ending_bytes(struct conn *c)
{
    conn_discard_input(c);
    if (c->in_failed)
        conn_close(c, (enum close_reason)c->why);
}

void h2_ending_sent(struct conn *c)
{
    h2_flown(h2_of(c));
    if (c->send_failed)
        conn_close(c, (enum close_reason)c->why);
    else
        h2_ending_enter(c);
}

void h2_ending_late(struct conn *c)
{
    conn_close(c, CLOSE_send_late);
}

void h2_linger_enter(struct conn *c)
{
    conn_finish(c);
    conn_deadline(c, h2_of(c)->linger_ms); /* not moved by what comes */
    h2_linger_bytes(c);
}

void h2_linger_bytes(struct conn *c)
{
    conn_discard_input(c);
    if (c->in_ended)
        conn_close(c, c->why != 0 ? (enum close_reason)c->why : CLOSE_answered);
    else
        conn_receive(c);
}

void h2_linger_late(struct conn *c)
{
    conn_close(c, c->why != 0 ? (enum close_reason)c->why : CLOSE_lingered);
}
