/* relay_try.c - whether a peer may be asked, and how a connection to it is made. */
#include "upstream/relay.h"

#include "conf/expr.h"

enum { TEXT_MAX = 1024 };

/* ---- …_allow_upstream ---------------------------------------------------------------------- */

bool relay_allowed(struct relay *y)
{
    const struct relay_allow *a = y->conf->allow;
    struct request *r = y->request;

    for (unsigned i = 0; a != NULL && i < a->count; i++) {
        struct slice value;

        if (!expr_eval(a->all[i], r, &r->arena, TEXT_MAX, &value) || value.size == 0 ||
            slice_eq(value, SLICE("0")))
            return false;
    }
    return true;
}

/* ---- …_bind ---------------------------------------------------------------------------------- */

/* Empty, or off: from anywhere. */
static bool read_bind(struct relay *y)
{
    struct request *r = y->request;
    struct slice text, host;
    uint16_t port = 0;

    if (!expr_eval(y->conf->bind.text, r, &r->arena, TEXT_MAX, &text) || text.size == 0 ||
        slice_eq(text, SLICE("off")))
        return false;
    if (endpoint_split(text, &host, &port) && endpoint_literal(&r->arena, host, port, &y->bind))
        return true;
    request_log(r, LOG_ERROR, 0, "\"%.*s\" is no address to connect from", SLICE_FMT(text));
    return false;
}

static const struct endpoint *bind_of(struct relay *y)
{
    const struct relay_conf *c = y->conf;

    if (c->bind.text == NULL)
        return c->bind.at;
    if (!y->bind_known || c->bind_dynamic)
        y->bind_used = read_bind(y);
    y->bind_known = true;
    return y->bind_used ? &y->bind : NULL;
}

/* ---- ntlm ------------------------------------------------------------------------------------ */

/* Whose connection it is; 0: everybody's. */
static uint64_t owner_of(const struct relay *y)
{
    return y->pick.group->ntlm ? request_main(y->request)->number : 0;
}

void relay_follow_client(struct relay *y)
{
    const struct endpoint *at;

    if (owner_of(y) == 0)
        return;
    at = channels_kept_for(y->request->loop->channels, owner_of(y));
    if (at != NULL)
        balance_want(&y->pick, at);
}

struct channel_manner relay_manner(struct relay *y)
{
    const struct relay_conf *c = y->conf;

    return (struct channel_manner){ .bind = bind_of(y),
                                    .transparent = c->bind.transparent,
                                    .keepalive = c->keepalive,
                                    .rcvbuf = (int)c->rcvbuf,
                                    .sndbuf = (int)c->sndbuf,
                                    .greeting = y->greeting,
                                    .tls = y->tls.domain != NULL ? &y->tls : NULL,
                                    .identity = owner_of(y),
                                    .streams = y->h2 != NULL ? &y->pick.group->keeping : NULL };
}
