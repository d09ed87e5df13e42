/* channel_session.c - what a protocol keeps of a connection, while no request has it. */
#include "upstream/channel_private.h"

void *channel_session(const struct channel *c)
{
    return c->session;
}

void channel_begin_session(struct channel *c, const struct channel_session_ops *session_ops,
                           void *session)
{
    CHECK(c->session == NULL);
    c->session = session;
    c->session_ops = session_ops;
}

bool channel_idle_bytes(struct channel *c, struct io_buf *b)
{
    struct slice bytes = slice_of((const char *)b->bytes + b->used, b->filled - b->used);
    bool fine =
        c->session != NULL && c->session_ops->idle_bytes(c->session, io_now_ns(c->io), bytes);

    io_buf_release(c->io, b);
    if (!fine)
        channel_close(c);
    return fine;
}

/* An idle channel of the threads engine is nobody's: what is owed goes with the next request. */
void channel_session_flush(struct channel *c)
{
    struct slice out;

    if (c->session == NULL || c->closing || c->session_flies || c->io != c->loop->io ||
        channel_sending(c) || c->request != NULL)
        return;
    out = c->session_ops->fly(c->session);
    if (out.size == 0)
        return;
    c->session_flies = true;
    c->greeting_iov = (struct iovec){ (void *)(uintptr_t)out.at, out.size };
    channel_send(c, &c->greeting_iov, 1, 0);
}

void channel_session_flown(struct channel *c, int error)
{
    c->session_flies = false;
    c->session_ops->flown(c->session);
    if (error != 0)
        channel_close(c);
    else
        channel_session_flush(c);
}
