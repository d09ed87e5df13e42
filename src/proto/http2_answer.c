/* http2_answer.c - answers: heads, and bodies pulled frame by frame as the client's windows, the
 * order of urgency and limit_rate let them (RFC 9113 §5.2, RFC 9218 §10).
 */
#include "http/pipeline.h"
#include "proto/http2_private.h"

#include <errno.h>
#include <stdlib.h>

enum served {
    SERVED_TURN, /* one frame went out: others of the same urgency are next    */
    SERVED_WAIT, /* it waits: for its body, a window, time, or is no more       */
    SERVED_FULL, /* the connection can take no more for now                     */
};

/* ---- the head -------------------------------------------------------------------------------- */

static bool wants_trailers(struct h2_stream *s)
{
    struct request *r = s->request;

    if (r->header_only || r->response.tunnel || !trailers_wanted(r))
        return false;
    if (r->response.body == NULL)
        r->response.body = body_memory(r, SLICE(""));
    return r->response.body != NULL;
}

static void choose_framing(struct h2_stream *s)
{
    struct request *r = s->request;

    s->trailing = wants_trailers(s);
    s->tunnel = r->response.tunnel;
    s->body_ended = r->header_only || r->response.body == NULL;
    s->answer_left = r->response.length >= 0 ? (uint64_t)r->response.length : UINT64_MAX;
    if (s->answer_left == 0 && !s->trailing)
        s->body_ended = true;
    const struct http2_conf *conf = request_conf(r, &feature_http2);

    s->chunk_size = (uint32_t)conf->chunk_size;
    s->paced_since_ns = io_now_ns(s->h2->conn->io);
    s->rate = request_rate(r, &s->rate_after);
}

static void finish(struct h2_stream *s)
{
    struct h2 *h2 = s->h2;
    uint32_t id = s->id;
    bool cut = !s->remote_ended;

    h2_earn(h2, 1);
    h2_stream_end(s, true, cut);
    if (cut) /* the rest of its body is of no use (RFC 9113 §8.1) */
        h2_put_rst(h2, id, H2_NO_ERROR);
}

/* False: it is over. */
static bool begin(struct h2_stream *s)
{
    struct h2 *h2 = s->h2;
    struct request *r = s->request;

    if (r->response.no_answer) {
        (void)h2_reset(h2, s->id, H2_CANCEL);
        return false;
    }
    choose_framing(s);
    if (!s->tunnel && !s->duplex)
        h2_body_drop(s);
    if (!h2_write_head(s, s->body_ended)) {
        if (h2->no_memory)
            return false;
        request_replace(r, 500);
        choose_framing(s);
        if (!h2_write_head(s, s->body_ended)) {
            (void)h2_reset(h2, s->id, H2_INTERNAL_ERROR);
            return false;
        }
    }
    s->head_written = r->head_sent = true;
    if (!s->body_ended)
        return true;
    finish(s);
    return false;
}

/* ---- chunks that are a file's ---------------------------------------------------------------- */

static void piece_read(struct io *io, struct io_op *op, struct io_result result)
{
    struct h2_stream *s = container_of(op, struct h2_stream, read);
    struct request *r = s->request;

    (void)io;
    s->reading = false;
    if (s->ended)
        free(s->room);
    if (request_unpin(r))
        return;
    s->room_size = result.res > 0 ? (size_t)result.res : 0;
    s->read_failed = result.res <= 0;
    if (result.res == 0)
        request_log(r, LOG_ALERT, 0, "the file became shorter while it was sent");
    else if (result.res < 0)
        request_log(r, LOG_CRIT, -result.res, "read() of a file failed");
    s->chunk.at = s->room;
    h2_make_ready(s);
    h2_wake(s->h2);
}

static bool read_piece(struct h2_stream *s)
{
    size_t size = s->chunk.size < FILE_PIECE ? s->chunk.size : FILE_PIECE;

    if (s->room == NULL)
        s->room = calloc(1, FILE_PIECE);
    if (s->room == NULL) {
        s->h2->no_memory = true;
        return false;
    }
    s->reading = true;
    request_pin(s->request);
    io_read(s->request->io, &s->read, s->chunk.file, s->room, (uint32_t)size, s->chunk.offset,
            piece_read);
    return true;
}

/* ---- the body -------------------------------------------------------------------------------- */

static uint64_t paced_ms(const struct h2_stream *s)
{
    return (io_now_ns(s->h2->conn->io) - s->paced_since_ns) / 1000000u;
}

/* How many bytes limit_rate allows now; 0: wait. The first second is given at once. */
static size_t allowance(const struct h2_stream *s, size_t most)
{
    if (s->rate == 0)
        return most;
    uint64_t budget = s->rate_after + s->rate * (paced_ms(s) + 1000) / 1000;
    uint64_t left = budget > s->paced_bytes ? budget - s->paced_bytes : 0;

    return left < most ? (size_t)left : most;
}

/* Until an eighth of a second's worth may go. */
static enum served pace(struct h2_stream *s)
{
    uint64_t wanted = s->paced_bytes + s->rate / 8 + 1;
    uint64_t over = wanted > s->rate_after ? wanted - s->rate_after : 0;
    int64_t wait = (int64_t)(over * 1000 / s->rate) - 1000 - (int64_t)paced_ms(s);

    io_timer_set(s->h2->conn->io, &s->pace, (uint64_t)(wait > 1 ? wait : 1) * 1000000u,
                 h2_stream_paced);
    return SERVED_WAIT;
}

static void frame_sent(struct h2_stream *s, size_t size)
{
    struct h2 *h2 = s->h2;
    struct body *b = s->request->response.body;

    h2_earn(h2, 2);
    s->request->body_sent += size;
    s->paced_bytes += size;
    s->send_window -= (int64_t)size;
    h2->send_window -= (int64_t)size;
    h2->sent_bytes += size;
    if (s->answer_left != UINT64_MAX)
        s->answer_left -= size;
    s->chunk.size -= size;
    if (s->chunk.size == 0 && b->ops->sent != NULL)
        b->ops->sent(b, s->chunk_whole);
}

/* The body's end, of which the last frame did not tell. */
static enum served body_end(struct h2_stream *s)
{
    struct h2 *h2 = s->h2;

    if (s->answer_left != UINT64_MAX && s->answer_left > 0) {
        (void)h2_reset(h2, s->id, H2_INTERNAL_ERROR);
        return SERVED_WAIT;
    }
    if (!s->trailing || !h2_write_trailers(s))
        h2_put_frame(h2, H2_DATA, H2_END_STREAM, s->id, NULL, 0);
    if (!h2->no_memory)
        finish(s);
    return SERVED_WAIT;
}

/* Is there something in s->chunk? Else what becomes of the stream is in *ret. */
static bool pull(struct h2_stream *s, size_t most, enum served *ret)
{
    struct body *b = s->request->response.body;

    *ret = SERVED_WAIT;
    if (s->chunk.size == 0) {
        size_t want = b->ops->files ? FILE_PIECE : most;

        if (s->answer_left < want)
            want = (size_t)s->answer_left;
        if (s->rate != 0 && want > most)
            want = most;
        switch (want > 0 ? b->ops->pull(b, want, &s->chunk) : BODY_END) {
        case BODY_CHUNK:
            s->chunk_whole = s->chunk.size;
            s->room_size = 0;
            break;
        case BODY_LATER:
            s->chunk.size = 0;
            return false;
        case BODY_END:
            s->chunk.size = 0;
            *ret = body_end(s);
            return false;
        case BODY_FAILED:
            (void)h2_reset(s->h2, s->id, H2_INTERNAL_ERROR);
            return false;
        }
    }
    if (s->chunk.file < 0 || s->room_size > 0)
        return true;
    if (s->read_failed)
        (void)h2_reset(s->h2, s->id, H2_INTERNAL_ERROR);
    else if (!s->reading)
        (void)read_piece(s);
    return false;
}

/* The bytes at hand of the chunk. */
static size_t at_hand(const struct h2_stream *s)
{
    return s->chunk.file >= 0 && s->room_size < s->chunk.size ? s->room_size : s->chunk.size;
}

static void consume(struct h2_stream *s, size_t size)
{
    s->chunk.at += size;
    if (s->chunk.file >= 0) {
        s->chunk.offset += size;
        s->room_size -= size;
    }
    frame_sent(s, size);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The most that the next frame may have; 0: a window is shut. */
static size_t frame_most(const struct h2_stream *s)
{
    int64_t window = s->send_window < s->h2->send_window ? s->send_window : s->h2->send_window;

    if (window <= 0)
        return 0;
    return smaller(smaller(s->chunk_size, s->h2->peer_frame), (size_t)window);
}

static enum served shut(struct h2_stream *s)
{
    if (s->timer.at_ns == 0)
        h2_stream_wait(s, h2_core(s)->send_timeout);
    return SERVED_WAIT;
}

/* Writes one frame of the body. */
static enum served body_frame(struct h2_stream *s)
{
    struct h2 *h2 = s->h2;
    size_t most = frame_most(s);
    enum served outcome;

    if (s->answer_left == 0 && s->chunk.size == 0)
        return body_end(s);
    if (most == 0)
        return s->send_window <= 0 ? shut(s) : SERVED_FULL;
    most = allowance(s, most);
    if (most == 0)
        return pace(s);
    if (h2_out_left(h2) <= 2 * H2_FRAME_HEAD && h2_out_room(h2, 4 * H2_FRAME_HEAD) == NULL)
        return SERVED_WAIT;
    most = smaller(most, h2_out_left(h2) - H2_FRAME_HEAD);
    if (!pull(s, most, &outcome))
        return outcome;
    size_t size = smaller(at_hand(s), most);
    bool last = s->answer_left == size && !s->trailing;
    uint8_t *room = h2_out_room(h2, H2_FRAME_HEAD + size);

    if (room == NULL)
        return SERVED_WAIT;
    room = h2_put_head(room, (uint32_t)size, H2_DATA, last ? H2_END_STREAM : 0, s->id);
    memcpy(room, s->chunk.at, size);
    h2_out_used(h2, H2_FRAME_HEAD + size);
    consume(s, size);
    if (!last)
        return SERVED_TURN;
    finish(s);
    return SERVED_WAIT;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static enum served serve(struct h2_stream *s)
{
    enum served outcome = SERVED_TURN;
    bool turns = !s->ordered || s->priority.incremental;

    if (!s->head_written && !begin(s))
        return SERVED_WAIT;
    while (outcome == SERVED_TURN) {
        if (h2_out_full(s->h2))
            return SERVED_FULL;
        outcome = body_frame(s);
        if (turns)
            break;
    }
    return outcome;
}

/* Off the list while it is served: it may end there. */
static void serve_first(struct h2 *h2, struct list *l)
{
    struct h2_stream *s = container_of(list_first(l), struct h2_stream, ready);
    uint32_t id = s->id;

    list_remove(&s->ready);
    enum served outcome = serve(s);

    if (outcome == SERVED_WAIT)
        return;
    CHECK(h2_find(h2, id) == s);
    if (outcome == SERVED_FULL)
        list_prepend(l, &s->ready);
    else
        h2_make_ready(s);
}

/* With the connection's window shut, those whose bodies wait for it are passed over. */
static void serve_heads(struct h2 *h2)
{
    for (unsigned u = 0; u < URGENCY_COUNT; u++)
        for (struct link *k = h2->ready[u].head.next, *next; k != &h2->ready[u].head; k = next) {
            struct h2_stream *s = container_of(k, struct h2_stream, ready);

            next = k->next;
            if (s->head_written)
                continue;
            if (h2_out_full(h2) || h2->no_memory)
                return;
            (void)begin(s);
        }
}

static struct list *most_urgent(struct h2 *h2)
{
    for (unsigned u = 0; u < URGENCY_COUNT; u++)
        if (!list_empty(&h2->ready[u]))
            return &h2->ready[u];
    return NULL;
}

void h2_answer_all(struct h2 *h2)
{
    struct list *l;

    while (h2->error == H2_NO_ERROR && !h2->no_memory && !h2_out_full(h2) &&
           (l = most_urgent(h2)) != NULL) {
        if (h2->send_window <= 0) {
            serve_heads(h2);
            return;
        }
        serve_first(h2, l);
    }
}
