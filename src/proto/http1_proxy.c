/* http1_proxy.c - a PROXY header in front of a connection's first request: the state PROXY.
 *
 * What came of the header so far is gathered in the room for answers, which is given back with the
 * state: a connection that waits for its first byte holds nothing, and one that is idle later only
 * what the header told. Nothing is answered before the header is whole: a peer that does not speak
 * the protocol is not to be spoken with.
 */
#include "http/proxy_told.h"
#include "proto/http1_private.h"

enum { SHOWN_MAX = PROXY_V1_MAX };

_Static_assert((int)OUT_ROOM >= (int)PROXY_LINE_MAX, "a header fits into the room for answers");

void proxy_enter(struct conn *c)
{
    conn_idle(c);
    conn_deadline(c, c->keepalive_ms); /* not moved by bytes: for the whole header */
    conn_receive(c);
}

/* The words nginx's users look for in their logs. */
static void refuse(struct conn *c, const struct proxy_line *line, struct slice seen)
{
    conn_log(c, LOG_ERROR, "broken header: \"%.*s\" while reading PROXY protocol: %s",
             SLICE_FMT(slice_head(seen, SHOWN_MAX)), line->why);
    conn_close(c, CLOSE_proxy_bad);
}

static void finish(struct conn *c, const struct proxy_line *line)
{
    if (proxy_line_tells(line)) {
        c->told = proxy_told_create(line);
        if (c->told == NULL) {
            conn_close(c, CLOSE_no_memory);
            return;
        }
    }
    c->out->used = 0;
    conn_goto(c, h1_first_state(conn_vhosts(c)));
}

/* Adds what came to what is there. False: nothing to be had, or the state is left. */
static bool read_more(struct conn *c)
{
    struct slice in = conn_peek(c);
    struct out *out = in.size > 0 ? h1_out(c) : NULL;
    struct proxy_line line;

    if (out == NULL)
        return false;
    size_t before = out->used;

    in = slice_head(in, PROXY_LINE_MAX - before);
    memcpy(out->bytes + before, in.at, in.size);
    struct slice seen = slice_of(out->bytes, before + in.size);

    switch (proxy_line_read(seen, &line)) {
    case PROXY_MORE:
        CHECK(seen.size < PROXY_LINE_MAX);
        out->used = (uint32_t)seen.size;
        conn_consume(c, in.size);
        return true;
    case PROXY_DONE:
        conn_consume(c, line.size - before);
        finish(c, &line);
        return false;
    case PROXY_BAD:
        refuse(c, &line, seen);
        return false;
    }
    return false;
}

void proxy_bytes(struct conn *c)
{
    if (conn_peek(c).size > 0)
        conn_busy(c);
    while (read_more(c))
        continue;
    if (c->closing || c->next != PROXY || !c->in_ended)
        return;
    conn_close(c, c->in_failed                         ? CLOSE_peer_reset
                  : c->out != NULL && c->out->used > 0 ? CLOSE_peer_broke_off
                                                       : CLOSE_peer_closed);
}

void proxy_late(struct conn *c)
{
    conn_close(c, CLOSE_head_late);
}
