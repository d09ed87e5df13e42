/* relay_body.c - the body of an answer: from the peer's buffers to whoever pulls it.
 *
 * What comes is freed from its framing at once, in the buffer that it came in, and goes to the
 * client as it is, without a copy, while the loop has buffers enough; else what must wait is copied
 * (io_buf_keep). No more than …_buffers of it waits in memory; the rest goes to a file
 * (relay_file.c), or the peer waits.
 */
#include "upstream/keeping.h"

static struct relay *relay_of_body(struct body *b)
{
    return container_of(b, struct relay, body);
}

/* ---- queues of buffers --------------------------------------------------------------------- */

static void append(struct io_buf **first, struct io_buf **last, struct io_buf *b)
{
    b->next = NULL;
    if (*last != NULL)
        (*last)->next = b;
    else
        *first = b;
    *last = b;
}

static struct io_buf *take_first(struct io_buf **first, struct io_buf **last)
{
    struct io_buf *b = *first;

    *first = b->next;
    if (*first == NULL)
        *last = NULL;
    return b;
}

static void drop_all(struct relay *y, struct io_buf **first, struct io_buf **last)
{
    while (*first != NULL)
        io_buf_release(y->request->io, take_first(first, last));
}

void relay_drop_input(struct relay *y)
{
    drop_all(y, &y->in_first, &y->in_last);
}

void relay_drop_body(struct relay *y)
{
    relay_drop_input(y);
    drop_all(y, &y->ready_first, &y->ready_last);
    y->ready_size = 0;
}

static void no_memory(struct relay *y)
{
    y->broken = y->over = true;
    y->why = "there is no memory left";
}

/* A loop has few buffers: what lies in them longer than this turn is copied. */
static struct io_buf *kept(struct relay *y, struct io_buf *b)
{
    struct io_buf *copy = io_buf_keep(y->request->io, b);

    if (copy != NULL)
        return copy;
    no_memory(y);
    return b;
}

void relay_take(struct relay *y, struct io_buf *b)
{
    append(&y->in_first, &y->in_last, b);
}

/* What nobody took at once. The first may be on its way to the client: then it stays where it
 * is. */
static void keep_rest(struct relay *y)
{
    struct io_buf **at = &y->ready_first;

    if (io_bufs_plenty(y->request->io))
        return;
    if (*at != NULL && y->lent)
        at = &(*at)->next;
    for (; *at != NULL; at = &(*at)->next) {
        struct io_buf *b = *at;

        *at = kept(y, b);
        if (y->ready_last == b)
            y->ready_last = *at;
    }
}

/* ---- more of it ---------------------------------------------------------------------------- */

static bool is_full(const struct relay *y)
{
    const struct relay_conf *c = y->conf;
    int64_t most = y->buffering ? c->buffers.count * c->buffers.size : c->buffer_size;

    return y->ready_size > 0 && y->ready_size >= (size_t)most;
}

static bool has_room(const struct relay *y)
{
    if (y->alone || y->keeping != NULL) {
        if (!keeping_room(y))
            return false;
        if (y->alone)
            return true;
    }
    if (y->h2 != NULL) /* its windows are the bound, and frames for other things must be heard */
        return true;
    return (!is_full(y) && relay_filed(y) == 0) || relay_may_file(y);
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
    if (y->protocol->listen != NULL)
        y->protocol->listen(y);
    else
        channel_receive(y->channel);
    if (y->h2 != NULL && y->ready_size > 0) /* it is the client that takes its time */
        channel_deadline(y->channel, 0);
    else
        channel_deadline(y->channel, y->conf->read_timeout);
}

/* ---- out of the framing -------------------------------------------------------------------- */

static void over(struct relay *y, bool broken)
{
    y->over = true;
    y->broken |= broken;
    if (broken && y->why != NULL && y->why[0] != '\0')
        request_log(y->request, LOG_ERROR, 0, "%s while reading upstream", y->why);
    if (y->in_first != NULL)
        y->in_ended = true; /* bytes that nobody asked for: never used again */
    relay_drop_input(y);
    relay_finish(y);
    keeping_end(y);
    if (y->holds_request) {
        y->holds_request = false;
        (void)request_unpin(y->request); /* whoever called holds it, too */
    }
}

/* Everything that came was read, and more will not come. */
static void stream_end(struct relay *y)
{
    bool whole = y->why == NULL && y->protocol->read_end(y) == H1_DONE;

    if (!whole && y->why == NULL)
        y->why = "upstream prematurely closed connection";
    over(y, !whole);
}

/* Moves the content of a buffer together, from `used` to `filled`. What is behind the end of the
 * answer is left in *behind. */
static enum h1_verdict unwrap(struct relay *y, struct io_buf *b, size_t *behind)
{
    char *at = (char *)b->bytes + b->used, *end = (char *)b->bytes + b->filled, *put = NULL;
    enum h1_verdict v = H1_MORE;

    while (v == H1_MORE && at < end) {
        struct slice piece = { 0 };
        size_t taken = 0;

        v = y->protocol->read_body(y, at, (size_t)(end - at), &taken, &piece);
        if (put == NULL && piece.size > 0) {
            b->used = (uint32_t)(piece.at - (char *)b->bytes);
            put = (char *)b->bytes + b->used;
        }
        if (piece.size > 0 && put != piece.at)
            memmove(put, piece.at, piece.size);
        if (piece.size > 0)
            put += piece.size;
        at += taken;
    }
    b->filled = put != NULL ? (uint32_t)(put - (char *)b->bytes) : b->used;
    *behind = (size_t)(end - at);
    return v;
}

static void add_content(struct relay *y, struct io_buf *b)
{
    struct slice content = slice_of((const char *)b->bytes + b->used, b->filled - b->used);

    y->attempt->length += content.size;
    keeping_put(y, content);
    if (y->alone) {
        y->came += content.size;
        y->gone = y->came;
        io_buf_release(y->request->io, b);
        return;
    }
    if (content.size == 0) {
        io_buf_release(y->request->io, b);
        return;
    }
    if (relay_filed(y) > 0 || (is_full(y) && relay_may_file(y))) {
        if (!relay_file(y, content))
            no_memory(y);
        y->came += content.size;
        io_buf_release(y->request->io, b);
        return;
    }
    y->came += content.size;
    if (!io_bufs_plenty(y->request->io))
        b = kept(y, b);
    append(&y->ready_first, &y->ready_last, b);
    y->ready_size += content.size;
}

/* All that has come. */
static void digest(struct relay *y)
{
    while (y->in_first != NULL && !y->over) {
        struct io_buf *b = take_first(&y->in_first, &y->in_last);
        size_t behind;
        enum h1_verdict v = unwrap(y, b, &behind);

        add_content(y, b);
        if (v == H1_MORE)
            continue;
        y->in_ended |= behind > 0;
        over(y, v == H1_BAD);
    }
    if (y->over)
        return;
    if (y->in_ended)
        stream_end(y);
    else if (y->alone && y->keeping == NULL)
        over(y, true); /* it has what it waited for */
}

void relay_break(struct relay *y)
{
    y->in_ended = true;
    y->why = "";
    relay_settle(y);
}

void relay_settle(struct relay *y)
{
    if (y->state != RELAY_ANSWER && y->state != RELAY_TUNNEL)
        return;
    if (y->body.ops != NULL)
        digest(y);
    if (y->alone) {
        relay_listen(y);
        return;
    }
    if (y->pulled && (y->ready_first != NULL || relay_filed(y) > 0 || y->over)) {
        y->pulled = false;
        request_body_ready(y->request);
    }
    if (y->request->ended)
        return;
    keep_rest(y);
    relay_listen(y);
}

/* ---- pulling ----------------------------------------------------------------------------- */

static enum body_status later(struct relay *y)
{
    y->pulled = true;
    relay_listen(y);
    return BODY_LATER;
}

static enum body_status pull(struct body *body, size_t max, struct chunk *ret)
{
    struct relay *y = relay_of_body(body);
    struct io_buf *b;
    size_t size;

    digest(y);
    b = y->ready_first;
    if (b != NULL) {
        size = b->filled - b->used;
        *ret = (struct chunk){ (const char *)b->bytes + b->used, size < max ? size : max, -1, 0 };
    } else if (relay_filed(y) > 0) {
        enum body_status s = relay_file_pull(y, max, ret);

        if (s != BODY_CHUNK)
            return s == BODY_LATER ? later(y) : s;
    } else if (y->over) {
        return y->broken ? BODY_FAILED : BODY_END;
    } else {
        return later(y);
    }
    y->lent = true;
    return BODY_CHUNK;
}

static void sent(struct body *body, size_t size)
{
    struct relay *y = relay_of_body(body);
    struct io_buf *b = y->ready_first;

    y->lent = false;
    y->gone += size;
    if (b != NULL) {
        b->used += (uint32_t)size;
        y->ready_size -= size;
        if (b->used == b->filled)
            io_buf_release(y->request->io, take_first(&y->ready_first, &y->ready_last));
    }
    relay_listen(y);
}

/* ---- nobody wants the rest ----------------------------------------------------------------- */

/* But who keeps it: it goes on until it has all. */
static bool go_alone(struct relay *y)
{
    y->lent = y->pulled = false;
    if (y->keeping == NULL || y->alone || y->body.ops == NULL)
        return y->alone && !y->over;
    digest(y);
    if (y->over || y->keeping == NULL)
        return false;
    y->alone = true;
    relay_drop_body(y);
    relay_file_close(y);
    y->gone = y->came;
    relay_listen(y);
    return true;
}

bool relay_go_on(struct relay *y)
{
    if (!go_alone(y))
        return false;
    y->holds_request = true;
    request_pin(y->request);
    return true;
}

void relay_kept(struct relay *y)
{
    if (!y->alone || y->over) {
        relay_settle(y);
        return;
    }
    y->why = "";
    over(y, true);
}

static void drop(struct body *body)
{
    struct relay *y = relay_of_body(body);

    y->lent = y->pulled = false;
    if (go_alone(y))
        return;
    if (!y->over) {
        y->over = y->broken = true;
        relay_count(y);
        balance_done(&y->pick, false); /* not the peer's fault */
        relay_finish(y);
        keeping_end(y);
    }
    relay_drop_body(y);
}

void relay_end(struct relay *y)
{
    over(y, false);
}

static const struct body_ops ops = { .name = "relay", .pull = pull, .sent = sent, .drop = drop };

struct body *relay_body(struct relay *y)
{
    y->body = (struct body){ &ops, NULL, y->request };
    return &y->body;
}
