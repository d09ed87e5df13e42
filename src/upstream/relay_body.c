/* relay_body.c - the body of an answer: from the peer's buffers to whoever pulls it.
 *
 * A buffer goes to the client as it is, without a copy, while the loop has buffers enough; else
 * what must wait is copied (io_buf_keep). No more than …_buffers of it waits.
 */
#include "upstream/relay.h"

static struct relay *relay_of_body(struct body *b)
{
    return container_of(b, struct relay, body);
}

/* ---- what waits --------------------------------------------------------------------------- */

static void pop(struct relay *y)
{
    struct io_buf *b = y->in_first;

    y->in_first = b->next;
    if (y->in_first == NULL)
        y->in_last = NULL;
    io_buf_release(y->request->io, b);
}

/* Of the first; it goes home when nothing is left of it. */
static void consume(struct relay *y, size_t size)
{
    y->in_first->used += (uint32_t)size;
    y->in_size -= size;
    if (y->in_first->used == y->in_first->filled)
        pop(y);
}

void relay_drop_input(struct relay *y)
{
    y->piece = (struct slice){ 0 };
    y->tail = 0;
    y->in_size = 0;
    while (y->in_first != NULL)
        pop(y);
}

/* A loop has few buffers: what lies in them longer than this turn is copied. */
static struct io_buf *kept(struct relay *y, struct io_buf *b)
{
    struct io_buf *copy = io_buf_keep(y->request->io, b);

    if (copy != NULL)
        return copy;
    y->broken = y->over = true;
    y->why = "there is no memory left";
    return b;
}

void relay_take(struct relay *y, struct io_buf *b)
{
    y->in_size += b->filled;
    if (!io_bufs_plenty(y->request->io))
        b = kept(y, b);
    if (y->in_last != NULL)
        y->in_last->next = b;
    else
        y->in_first = b;
    y->in_last = b;
}

/* What nobody took at once. The first may be on its way to the client: then it stays where it
 * is. */
static void keep_rest(struct relay *y)
{
    struct io_buf **at = &y->in_first;

    if (io_bufs_plenty(y->request->io))
        return;
    if (*at != NULL && y->lent)
        at = &(*at)->next;
    for (; *at != NULL; at = &(*at)->next) {
        struct io_buf *b = *at;

        *at = kept(y, b);
        if (y->in_last == b)
            y->in_last = *at;
    }
    if (y->piece.size > 0 && !y->lent)
        y->piece.at = (const char *)y->in_first->bytes + y->in_first->used;
}

/* ---- more of it ----------------------------------------------------------------------------- */

static bool has_room(const struct relay *y)
{
    const struct relay_conf *c = y->conf;
    int64_t most = y->buffering ? c->buffers.count * c->buffers.size : c->buffer_size;

    return y->in_size == 0 || y->in_size < (size_t)most;
}

/* …_limit_rate: ms until more may be read; 0: now. */
static int64_t pause_ms(const struct relay *y)
{
    uint64_t rate = (uint64_t)y->conf->limit_rate, got = y->attempt->received, spent_ms;

    if (rate == 0)
        return 0;
    spent_ms = (io_now_ns(y->request->io) - y->attempt->head_ns) / 1000000u;
    return got > rate * spent_ms / 1000 ? (int64_t)(got * 1000 / rate - spent_ms + 1) : 0;
}

void relay_listen(struct relay *y)
{
    if (y->channel == NULL || y->over || y->in_ended)
        return;
    int64_t pause = pause_ms(y);

    y->paused = pause > 0;
    if (y->paused) {
        channel_deadline(y->channel, pause);
        return;
    }
    if (!has_room(y)) {
        channel_deadline(y->channel, 0);
        return;
    }
    channel_receive(y->channel);
    channel_deadline(y->channel, y->conf->read_timeout);
}

void relay_settle(struct relay *y)
{
    if (y->state != RELAY_ANSWER && y->state != RELAY_TUNNEL)
        return;
    if (y->pulled && (y->in_first != NULL || y->in_ended || y->over)) {
        y->pulled = false;
        request_body_ready(y->request);
    }
    if (y->request->ended)
        return;
    keep_rest(y);
    relay_listen(y);
}

/* ---- pulling ----------------------------------------------------------------------------- */

static void over(struct relay *y, bool broken)
{
    y->over = true;
    y->broken |= broken;
    if (broken && y->why != NULL && y->why[0] != '\0')
        request_log(y->request, LOG_ERROR, 0, "%s while reading upstream", y->why);
    if (y->in_size > y->piece.size + y->tail)
        y->in_ended = true; /* bytes that nobody asked for: never used again */
    relay_finish(y);
}

/* Everything that came was read, and more will not come. */
static void stream_end(struct relay *y)
{
    bool whole = y->why == NULL && y->protocol->read_end(y) == H1_DONE;

    if (!whole && y->why == NULL)
        y->why = "upstream prematurely closed connection";
    over(y, !whole);
}

/* The piece stays at the front of its buffer until it is sent; what framing stands behind it goes
 * with it. */
static void decode(struct relay *y)
{
    struct io_buf *b = y->in_first;
    const char *at = (const char *)b->bytes + b->used;
    size_t taken = 0;
    enum h1_verdict v = y->protocol->read_body(y, at, b->filled - b->used, &taken, &y->piece);

    y->attempt->length += y->piece.size;
    if (y->piece.size == 0) {
        consume(y, taken);
    } else {
        y->tail = taken - (size_t)(y->piece.at - at) - y->piece.size;
        consume(y, (size_t)(y->piece.at - at));
    }
    if (v != H1_MORE)
        over(y, v == H1_BAD);
}

static enum body_status pull(struct body *body, size_t max, struct chunk *ret)
{
    struct relay *y = relay_of_body(body);

    while (y->piece.size == 0) {
        if (y->over)
            return y->broken ? BODY_FAILED : BODY_END;
        if (y->in_first != NULL) {
            decode(y);
        } else if (y->in_ended) {
            stream_end(y);
        } else {
            y->pulled = true;
            relay_listen(y);
            return BODY_LATER;
        }
    }
    *ret = (struct chunk){ y->piece.at, y->piece.size < max ? y->piece.size : max, -1, 0 };
    y->lent = true;
    return BODY_CHUNK;
}

static void sent(struct body *body, size_t size)
{
    struct relay *y = relay_of_body(body);
    bool last = size == y->piece.size;

    y->lent = false;
    y->piece = slice_skip(y->piece, size);
    consume(y, size + (last ? y->tail : 0));
    relay_listen(y);
}

/* Nobody wants the rest. */
static void drop(struct body *body)
{
    struct relay *y = relay_of_body(body);

    y->lent = y->pulled = false;
    if (!y->over) {
        y->over = y->broken = true;
        relay_count(y);
        balance_done(&y->pick, false); /* not the peer's fault */
        relay_finish(y);
    }
    relay_drop_input(y);
}

void relay_end(struct relay *y)
{
    over(y, false);
    relay_drop_input(y);
}

static const struct body_ops ops = { .name = "relay", .pull = pull, .sent = sent, .drop = drop };

struct body *relay_body(struct relay *y)
{
    y->body = (struct body){ &ops, NULL, y->request };
    return &y->body;
}
