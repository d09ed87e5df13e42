/* body_stream.c - a request body passed on as it comes: one buffer, filled, then emptied. */
#include "handler/client_body_private.h"

struct stream {
    struct body body;
    struct reading *reading;
    size_t first; /* of the buffer's bytes that were not passed on yet */
    bool asked;   /* the protocol brings more                          */
    bool gone;    /* the buffer was filled again: its first bytes are no more */
    void (*ready)(struct request *, void *arg);
    void *arg;
};

static bool stream_bytes(struct request *r, struct slice piece)
{
    struct reading *b = reading_of(r);
    struct stream *s = b->stream;
    bool was_empty = s->first == b->used;

    memcpy(b->buffer + b->used, piece.at, piece.size);
    b->used += piece.size;
    b->body.size += piece.size;
    s->asked = b->used < b->most;
    if (was_empty)
        s->ready(r, s->arg);
    return s->asked;
}

static void stream_end(struct request *r, unsigned status)
{
    struct reading *b = reading_of(r);
    struct stream *s = b->stream;

    b->ended = true;
    b->status = status;
    b->body.complete = status == 0;
    s->ready(r, s->arg);
}

static const struct body_sink as_it_comes = { stream_bytes, stream_end, NULL };

static enum body_status stream_pull(struct body *body, size_t max, struct chunk *ret)
{
    struct stream *s = container_of(body, struct stream, body);
    struct reading *b = s->reading;
    size_t size = b->used - s->first;

    if (size > 0) {
        *ret = (struct chunk){ .at = b->buffer + s->first,
                               .size = size < max ? size : max,
                               .file = -1 };
        return BODY_CHUNK;
    }
    if (b->ended)
        return b->status == 0 ? BODY_END : BODY_FAILED;
    if (!s->asked) {
        s->asked = true;
        body->request->ops->read_body(body->request);
    }
    return BODY_LATER;
}

/* The buffer is filled again from its beginning when there is no room behind what it has, and
 * only when nothing of it is lent. Before that, it can be read once more. */
static void stream_sent(struct body *body, size_t size)
{
    struct stream *s = container_of(body, struct stream, body);
    struct reading *b = s->reading;

    s->first += size;
    if (s->first < b->used || b->used < b->most)
        return;
    s->first = b->used = 0;
    s->gone = true;
}

bool client_body_rewind(struct request *r)
{
    struct stream *s = reading_of(r)->stream;

    if (s == NULL || s->gone)
        return false;
    s->first = 0;
    return true;
}

static const struct body_ops stream_ops = { .name = "client",
                                            .pull = stream_pull,
                                            .sent = stream_sent };

struct body *client_body_stream(struct request *r, void (*ready)(struct request *, void *arg),
                                void *arg)
{
    const struct client_body_conf *conf = request_conf(r, &feature_client_body);
    struct stream *s = arena_zalloc(&r->arena, sizeof *s);
    int64_t length = client_body_length(r);

    CHECK(r->client_body == NULL);
    if (s == NULL)
        return NULL;
    s->reading =
        client_body_begin(r, length == 0 ? 0 : (size_t)conf->buffer_size + CLIENT_BODY_PIECE_MAX);
    if (s->reading == NULL)
        return NULL;
    s->reading->stream = s;
    s->reading->ended = s->reading->body.complete = length == 0;
    s->body = (struct body){ .ops = &stream_ops, .request = r };
    s->ready = ready;
    s->arg = arg;
    r->sink = &as_it_comes;
    return &s->body;
}
