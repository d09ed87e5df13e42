/* relay_send.c - the request on its way to the peer: its head, then its body, pulled. */
#include "upstream/relay.h"

#include "wire/h1_write.h"

#include <errno.h>

enum {
    PULL_MAX = IO_SEND_MAX - 64 * 1024,
    SECOND_LOOK = 8, /* the part of …_send_timeout after which it is asked again */
};

static size_t chunk_size_line(struct relay *y, size_t size, char into[RELAY_FRAME_MAX])
{
    struct gather g;

    (void)y;
    gather_init(&g, into, RELAY_FRAME_MAX, NULL, 0);
    h1_chunk_size(&g, size);
    return g.used;
}

const struct relay_framing framing_plain = { 0 };
const struct relay_framing framing_chunked = {
    .before = chunk_size_line,
    .behind = { "\r\n", 2 },
    .end = { "0\r\n\r\n", 5 },
};

static struct iovec iov_of(struct slice s)
{
    return (struct iovec){ (void *)(uintptr_t)s.at, s.size };
}

void relay_all_sent(struct relay *y)
{
    y->all_sent = true;
    if (y->state == RELAY_HEAD)
        channel_deadline(y->channel, y->conf->read_timeout);
}

void relay_send_iov(struct relay *y, int count, unsigned flags)
{
    y->any_sent = true;
    y->taken_known = false;
    if (y->state != RELAY_ANSWER) /* else the time runs for what is read */
        channel_deadline(y->channel, y->conf->send_timeout);
    channel_send(y->channel, y->iov, count, flags);
    channel_receive(y->channel);
}

/* What stands before a piece of the body, and before all of it. */
static int begin_iov(struct relay *y, size_t piece)
{
    int count = 0;

    if (!y->head_sent && y->greeting.size > 0 && !channel_reused(y->channel) &&
        y->tls.domain == NULL) /* else the channel has said it */
        y->iov[count++] = iov_of(y->greeting);
    if (!y->head_sent)
        y->iov[count++] = iov_of(y->head);
    y->head_sent = true;
    if (piece > 0 && y->framing->before != NULL) {
        size_t size = y->framing->before(y, piece, y->frame);

        y->iov[count++] = (struct iovec){ y->frame, size };
    }
    return count;
}

void relay_send_file(struct relay *y)
{
    y->any_sent = true;
    y->taken_known = false;
    if (y->state != RELAY_ANSWER)
        channel_deadline(y->channel, y->conf->send_timeout);
    channel_send_file(y->channel, y->chunk.file, y->chunk.offset, (uint32_t)y->chunk.size);
    channel_receive(y->channel);
}

static void send_piece(struct relay *y)
{
    int count = begin_iov(y, y->chunk.size);

    if (y->chunk.file >= 0) {
        y->file_next = count > 0;
        if (count > 0)
            relay_send_iov(y, count, IO_HOLD);
        else
            relay_send_file(y);
        return;
    }
    y->iov[count++] = iov_of(slice_of(y->chunk.at, y->chunk.size));
    if (y->framing->behind.size > 0)
        y->iov[count++] = iov_of(y->framing->behind);
    relay_send_iov(y, count, 0);
}

static void send_end(struct relay *y)
{
    int count = begin_iov(y, 0);

    y->end_sent = true;
    if (y->framing->end.size > 0)
        y->iov[count++] = iov_of(y->framing->end);
    if (count > 0)
        relay_send_iov(y, count, 0);
    else
        relay_all_sent(y);
}

/* The client's body cannot be had: nobody else is asked, and client_body_status() says why. An
 * answer that is on its way already goes on. */
void relay_body_failed(struct relay *y)
{
    y->up = NULL;
    y->deaf = true;
    if (y->state == RELAY_HEAD)
        relay_give_up(y, 502);
    else if (y->duplex)
        relay_break(y);
}

void relay_send(struct relay *y)
{
    size_t most = y->framing->piece_max > 0 ? y->framing->piece_max : PULL_MAX;

    if (channel_sending(y->channel))
        return;
    if (y->protocol->send != NULL) {
        y->protocol->send(y);
        return;
    }
    if (y->all_sent || y->deaf)
        return;
    if (y->up == NULL) {
        send_end(y);
        return;
    }
    if (y->up_left > 0 && (uint64_t)y->up_left < most)
        most = (size_t)y->up_left;
    switch (y->up->ops->pull(y->up, most, &y->chunk)) {
    case BODY_CHUNK:
        send_piece(y);
        return;
    case BODY_LATER:
        if (!y->head_sent)
            relay_send_iov(y, begin_iov(y, 0), 0);
        else
            channel_deadline(y->channel, 0); /* the client's own time limit holds */
        y->chunk.size = 0;
        return;
    case BODY_END:
        send_end(y);
        return;
    case BODY_FAILED:
        relay_body_failed(y);
        return;
    }
}

/* As for answers to clients: a first look makes the mark, a second one compares. */
bool relay_still_sends(struct relay *y)
{
    uint64_t taken;

    if (!channel_sending(y->channel))
        return false;
    taken = channel_taken(y->channel);
    if (y->taken_known && taken <= y->taken)
        return false;
    channel_deadline(y->channel, y->taken_known ? y->conf->send_timeout
                                                : y->conf->send_timeout / SECOND_LOOK + 1);
    y->taken_known = true;
    y->taken = taken;
    return true;
}

/* A whole piece has gone out. */
void relay_piece_sent(struct relay *y)
{
    size_t size = y->chunk.size;

    if (size == 0)
        return;
    y->chunk.size = 0;
    y->attempt->sent += size;
    if (y->up->ops->sent != NULL)
        y->up->ops->sent(y->up, size);
    if (y->up_left > 0)
        y->up_left -= (int64_t)size;
    if (y->up_left == 0)
        y->up = NULL;
}

void relay_sent(struct relay *y, int error)
{
    if (y->state == RELAY_TUNNEL) {
        relay_tunnel_sent(y, error);
        return;
    }
    if (error != 0) { /* an answer may have come before: it will be heard, or the end */
        y->deaf = true;
        channel_deadline(y->channel, y->conf->read_timeout);
        channel_receive(y->channel);
        return;
    }
    if (y->file_next) {
        y->file_next = false;
        relay_send_file(y);
        return;
    }
    relay_piece_sent(y);
    /* plain bodies end with their last piece, others with what says so */
    if (y->end_sent || (y->up == NULL && y->framing->end.size == 0 && y->protocol->send == NULL))
        relay_all_sent(y);
    if (!y->all_sent || y->protocol->send != NULL)
        relay_send(y);
}

void relay_use_bytes(struct relay *y, struct slice bytes)
{
    y->source = SOURCE_FIXED;
    y->fixed = bytes;
}
