/* relay_tunnel.c - an upgraded connection (RFC 9110 §7.8): bytes go both ways until both sides have
 * ended. What comes from the peer is the answer's body; what comes from the client is read by a
 * sink, one piece at a time: none is taken before the one before it has gone out.
 */
#include "upstream/relay.h"

#include <stdlib.h>

static bool take_bytes(struct request *r, struct slice piece)
{
    struct relay *y = r->slots[SLOT_TUNNEL];

    if (y->channel == NULL)
        return true; /* the peer has gone: its answer ends, and all of it with that */
    y->tunnel = calloc(1, piece.size);
    if (y->tunnel == NULL)
        return true;
    memcpy(y->tunnel, piece.at, piece.size);
    y->attempt->sent += piece.size;
    y->iov[0] = (struct iovec){ y->tunnel, piece.size };
    y->taken_known = false;
    channel_deadline(y->channel, y->conf->send_timeout);
    channel_send(y->channel, y->iov, 1, 0);
    return false;
}

static void take_end(struct request *r, unsigned status)
{
    struct relay *y = r->slots[SLOT_TUNNEL];

    (void)status;
    if (y->channel != NULL)
        channel_finish(y->channel);
}

static bool quiet(const struct request *r)
{
    const struct relay *y = r->slots[SLOT_TUNNEL];

    return y->channel == NULL || !channel_sending(y->channel);
}

static const struct body_sink sink = { take_bytes, take_end, quiet };

void relay_tunnel(struct relay *y)
{
    struct request *r = y->request;

    y->state = RELAY_TUNNEL;
    r->slots[SLOT_TUNNEL] = y;
    r->sink = &sink;
    r->response.tunnel = true;
    r->ops->read_body(r);
}

/* The next piece; both directions keep the connection alive. */
void relay_tunnel_sent(struct relay *y, int error)
{
    struct request *r = y->request;

    free(y->tunnel);
    y->tunnel = NULL;
    channel_deadline(y->channel, y->conf->read_timeout);
    if (error == 0)
        r->ops->read_body(r);
}
