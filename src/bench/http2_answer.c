/* http2_answer.c - header blocks become a status, DATA frames become a count (RFC 9113 §8.1). */
#include "bench/http2.h"

enum { BLOCK_MAX = 160 * 1024, CONTINUATIONS_MAX = 16 };

static const struct h1_limits limits = {
    .line_max = 32 * 1024,
    .head_max = 128 * 1024,
    .fields_max = 1000,
    .first_size = 1024,
};

/* The server has ended the stream. If it did not want the rest of a body, the rest is given up. */
static enum bench_read finish(struct http2 *h, struct stream *s)
{
    if (!s->sent_end)
        outbox_reset(&h->out, s->id, H2_CANCEL);
    if (s->has_length && s->got != s->length)
        return http2_lose(h, s, BENCH_MALFORMED,
                          "the server sent less content than its Content-Length says");
    h->answer->slot = (unsigned)(s - h->streams.all);
    h->answer->status = s->status;
    http2_forget(h, s);
    return BENCH_ANSWER;
}

/* ---- header blocks -------------------------------------------------------------------------- */

static bool add(void *block, struct slice name, struct slice value)
{
    return h2_response_add(block, name, value);
}

static enum bench_read decode(struct http2 *h, struct slice in, bool final)
{
    switch (hpack_read(h->fields, in, final, add, &h->block.fields)) {
    case HPACK_FINE:
        break;
    case HPACK_BROKEN:
        return http2_bad(h, "the server sent a header block that cannot be decoded");
    case HPACK_SHORT:
        return http2_bad(h, "the server sent a header block that ends too early");
    case HPACK_STOPPED:
        return http2_bad(h, "the server sent a header block that is too large");
    }
    return BENCH_MORE;
}

static enum bench_read block_whole(struct http2 *h)
{
    struct http2_block *b = &h->block;
    const struct h1_response *r = &h->response;
    bool fine = h2_response_end(&b->fields, b->ended);
    struct stream *s = streams_find(&h->streams, b->stream);

    b->open = false;
    if (s == NULL)
        return BENCH_MORE; /* it was given up meanwhile */
    if (!fine)
        return http2_reset(h, s, H2_PROTOCOL_ERROR, BENCH_MALFORMED, b->fields.why);
    if (!b->trailers && r->interim)
        return BENCH_MORE;
    s->progress_ns = h->now_ns;
    if (!b->trailers) {
        s->state = STREAM_ANSWERED;
        s->status = r->status;
        s->has_length = r->body == H1_BODY_LENGTH || r->body == H1_BODY_NONE;
        s->length = r->body == H1_BODY_LENGTH ? r->length : 0;
    }
    return b->ended ? finish(h, s) : BENCH_MORE;
}

static enum bench_read block_on(struct http2 *h, struct slice payload)
{
    bool final = h->in.frame.flags & H2_END_HEADERS;
    enum bench_read verdict;

    h->block.bytes += (uint32_t)payload.size;
    if (h->block.bytes > BLOCK_MAX)
        return http2_bad(h, "the server sent a header block that is too large");
    verdict = decode(h, payload, final);
    return verdict == BENCH_MORE && final ? block_whole(h) : verdict;
}

enum bench_read http2_headers(struct http2 *h, struct slice payload)
{
    const struct h2_frame *f = &h->in.frame;
    const struct stream *s = streams_find(&h->streams, f->stream);
    uint32_t depends;

    if (s == NULL && !http2_is_late(h, f->stream))
        return http2_bad(h, "the server sent HEADERS for a request that there is none of");
    if (!h2_payload_cut(f, &payload, &depends))
        return http2_bad(h, "the server sent padding that is longer than its frame");
    h->block = (struct http2_block){
        .open = true,
        .ended = f->flags & H2_END_STREAM,
        .trailers = s != NULL && s->state == STREAM_ANSWERED,
        .stream = f->stream,
    };
    arena_reset(&h->arena);
    h1_response_init(&h->response, &limits, &h->arena, h->plan->method);
    h2_response_begin(&h->block.fields, h->block.trailers, &h->response);
    return block_on(h, payload);
}

enum bench_read http2_continuation(struct http2 *h, struct slice payload)
{
    if (!h->block.open || h->in.frame.stream != h->block.stream)
        return http2_bad(h, "the server sent CONTINUATION of nothing");
    if (++h->block.continuations > CONTINUATIONS_MAX)
        return http2_bad(h, "the server sent a header block of too many frames");
    return block_on(h, payload);
}

/* ---- content -------------------------------------------------------------------------------- */

enum bench_read http2_content_head(struct http2 *h)
{
    const struct h2_frame *f = &h->in.frame;
    struct stream *s = streams_find(&h->streams, f->stream);

    if (s == NULL && !http2_is_late(h, f->stream))
        return http2_bad(h, "the server sent DATA for a request that there is none of");
    h->recv_window -= f->size;
    if (s != NULL)
        s->recv_window -= f->size;
    if (h->recv_window < 0 || (s != NULL && s->recv_window < 0))
        return http2_bad(h, "the server sent more than its window allows");
    if (h->recv_window < H2_LINK_WINDOW / 2) {
        outbox_update(&h->out, 0, (uint32_t)(H2_LINK_WINDOW - h->recv_window));
        h->recv_window = H2_LINK_WINDOW;
    }
    if (s == NULL || s->recv_window >= H2_STREAM_WINDOW / 2 || (f->flags & H2_END_STREAM))
        return BENCH_MORE;
    outbox_update(&h->out, s->id, (uint32_t)(H2_STREAM_WINDOW - s->recv_window));
    s->recv_window = H2_STREAM_WINDOW;
    return BENCH_MORE;
}

enum bench_read http2_content(struct http2 *h, struct slice piece)
{
    bool ended = !h->in.inside && (h->in.frame.flags & H2_END_STREAM);
    struct stream *s = streams_find(&h->streams, h->in.frame.stream);

    if (s == NULL)
        return BENCH_MORE;
    if (s->state != STREAM_ANSWERED)
        return http2_reset(h, s, H2_PROTOCOL_ERROR, BENCH_MALFORMED,
                           "the server sent content before the head of an answer");
    s->got += piece.size;
    if (s->has_length && s->got > s->length)
        return http2_reset(h, s, H2_PROTOCOL_ERROR, BENCH_MALFORMED,
                           "the server sent more content than its Content-Length says");
    if (piece.size > 0)
        s->progress_ns = h->now_ns;
    return ended ? finish(h, s) : BENCH_MORE;
}
