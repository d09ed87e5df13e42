/* http2_blocks.c - header blocks: HEADERS and what continues them, decoded as they come, into a
 * new request, into nothing (trailers), or for the decoder's table alone.
 */
#include "proto/http2_private.h"

#include "http/log_target.h"

#include <sys/random.h>

/* 16 random bytes in base64, as a WebSocket client of HTTP/1 would have chosen them. */
static struct slice make_key(struct h2_stream *s)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t random[18];

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        memset(random, 0, sizeof random);
    memset(random + 16, 0, 2);
    for (unsigned i = 0; i < 6; i++) {
        unsigned three =
            (unsigned)random[3 * i] << 16 | (unsigned)random[3 * i + 1] << 8 | random[3 * i + 2];

        for (unsigned k = 0; k < 4; k++)
            s->key[4 * i + k] = DIGITS[three >> (18 - 6 * k) & 63];
    }
    s->key[22] = s->key[23] = '=';
    return slice_of(s->key, sizeof s->key);
}

/* ---- what the block was ---------------------------------------------------------------------- */

/* A request that is reset before anybody saw it. */
static bool malformed(struct h2_stream *s, const char *why)
{
    struct request *r = s->request;

    r->log = log_of_scope(r->scope);
    request_log(r, LOG_INFO, 0, "client sent a bad request on HTTP/2: %s", why);
    return h2_reset(s->h2, s->id, H2_PROTOCOL_ERROR);
}

static void prioritise(struct h2 *h2, struct h2_stream *s)
{
    if (h2->block.priority.at != NULL)
        h2_prioritise(s, h2->block.priority);
    for (unsigned i = 0; i < EARLY_MAX; i++) {
        if (h2->early[i].id != s->id)
            continue;
        s->priority = h2->early[i].priority; /* what a frame says counts for more */
        s->ordered = true;
        h2->early[i].id = 0;
    }
}

static bool run(struct h2 *h2)
{
    struct h2_stream *s = h2->block_stream;
    struct request *r = s->request;
    struct slice key = h2->block.protocol.at != NULL ? make_key(s) : (struct slice){ 0 };
    enum h2_block_verdict v = h2_headers_end(&h2->block, h2->block_ended, key);

    h2->block_stream = NULL;
    if (h2->block_error != H2_NO_ERROR)
        return h2_reset(h2, s->id, h2->block_error);
    if (v == H2_BLOCK_MALFORMED)
        return malformed(s, h2->block.why);
    stat_add(&h2->conn->loop->stats.requests, 1);
    s->remote_ended = h2->block_ended;
    prioritise(h2, s);
    if (v == H2_BLOCK_REFUSED) {
        s->end_told = true;
        request_start_refused(r, r->vhosts, r->head.status);
    } else {
        request_start(r, r->vhosts);
    }
    return true;
}

static bool trailers(struct h2 *h2)
{
    struct h2_stream *s = h2_find(h2, h2->block_id);

    if (h2_headers_end(&h2->block, true, (struct slice){ 0 }) != H2_BLOCK_DONE)
        return s == NULL || malformed(s, h2->block.why);
    if (s == NULL)
        return true;
    if (!h2->block_ended)
        return malformed(s, "a second header block that ends no body");
    return h2_body_end(s);
}

static bool block_end(struct h2 *h2)
{
    h2->block_open = false;
    switch ((enum h2_fate)h2->fate) {
    case FATE_RUN:
        return run(h2);
    case FATE_TRAILERS:
        return trailers(h2);
    case FATE_REFUSE:
        return h2_reset(h2, h2->block_id, H2_REFUSED_STREAM);
    case FATE_IGNORE:
        return h2_glitch(h2);
    }
    return true;
}

/* ---- its bytes ------------------------------------------------------------------------------- */

static bool add(void *block, struct slice name, struct slice value)
{
    return h2_headers_add(block, name, value);
}

static bool decode(struct h2 *h2, struct slice in, bool final)
{
    switch (hpack_read(h2->fields, in, final, add, &h2->block)) {
    case HPACK_FINE:
        break;
    case HPACK_BROKEN:
        return h2_fail(h2, H2_COMPRESSION_ERROR, "a header block that cannot be decoded");
    case HPACK_SHORT:
        return h2_fail(h2, H2_COMPRESSION_ERROR, "a header block ends too early");
    case HPACK_STOPPED:
        return h2_fail(h2, H2_ENHANCE_YOUR_CALM, "a header block of far too many fields");
    }
    return true;
}

static bool block_on(struct h2 *h2, const struct h2_frame *f, struct slice payload)
{
    bool final = f->flags & H2_END_HEADERS;

    h2->block_bytes += (uint32_t)payload.size;
    if (h2->block_bytes > h2->block.limits->head_max + H2_FRAME_MAX_LEAST)
        return h2_fail(h2, H2_ENHANCE_YOUR_CALM, "a header block is far too large");
    if (h2->block_stream != NULL)
        h2->block_stream->request->head_bytes += payload.size + H2_FRAME_HEAD;
    if (!decode(h2, payload, final))
        return false;
    return !final || block_end(h2);
}

bool h2_block_more(struct h2 *h2, const struct h2_frame *f, struct slice payload)
{
    if (!h2->block_open)
        return h2_fail(h2, H2_PROTOCOL_ERROR, "CONTINUATION of nothing");
    if (++h2->continuations > CONTINUATIONS_MAX)
        return h2_fail(h2, H2_ENHANCE_YOUR_CALM, "a header block of too many frames");
    if (payload.size == 0 && !h2_glitch(h2))
        return false;
    return block_on(h2, f, payload);
}

/* ---- where it begins ------------------------------------------------------------------------- */

/* A block on a stream that has been: its fields go nowhere, but they are decoded. */
static bool begin_closed(struct h2 *h2, uint32_t id)
{
    uint32_t recent = h2_recent(h2, id);

    if (recent == 0)
        return h2_fail(h2, H2_PROTOCOL_ERROR, "a stream's number is not larger than the last");
    if (!(recent & RESET_BY_US))
        return h2_fail(h2, H2_STREAM_CLOSED, "HEADERS on a stream that has ended");
    h2->fate = FATE_IGNORE;
    return true;
}

/* Everything that one was allowed for counts until it is gone, also behind a reset. */
static bool room_for_stream(const struct h2 *h2, const struct vhosts *v)
{
    const struct http2_conf *conf = scope_conf(v->default_server->scope, &feature_http2);

    return h2->conn->live_requests < conf->streams_max;
}

static bool begin_new(struct h2 *h2, uint32_t id, const struct vhosts *v)
{
    struct conn *c = h2->conn;

    h2->last_id = id;
    h2->fate = FATE_IGNORE;
    if (v == NULL)
        h2_warn(h2, CLOSE_listener_gone);
    if (v == NULL || h2->goaway_id < id)
        return true; /* sent before it knew that we leave */
    if (!room_for_stream(h2, v)) {
        h2->fate = FATE_REFUSE;
        return true;
    }
    h2->block_stream = h2_stream_create(h2, id, v);
    if (h2->block_stream == NULL) {
        h2->no_memory = true;
        return false;
    }
    h2->fate = FATE_RUN;
    conn_busy(c);
    return true;
}

bool h2_block_begin(struct h2 *h2, const struct h2_frame *f, struct slice payload)
{
    const struct vhosts *v = conn_vhosts(h2->conn);
    struct h2_stream *s = h2_find(h2, f->stream);
    uint32_t depends;

    if (!h2_payload_cut(f, &payload, &depends))
        return h2_fail(h2, H2_PROTOCOL_ERROR, "the padding is longer than its frame");
    if (f->stream % 2 == 0)
        return h2_fail(h2, H2_PROTOCOL_ERROR, "a client's streams have odd numbers");
    h2->block_error = depends == f->stream ? H2_PROTOCOL_ERROR : H2_NO_ERROR;
    h2->block_id = f->stream;
    h2->block_ended = f->flags & H2_END_STREAM;
    h2->block_bytes = 0;
    h2->continuations = 0;
    h2->block_stream = NULL;
    if (s != NULL)
        h2->fate = s->remote_ended ? FATE_IGNORE : FATE_TRAILERS;
    else if (f->stream <= h2->last_id ? !begin_closed(h2, f->stream) : !begin_new(h2, f->stream, v))
        return false;
    if (s != NULL && s->remote_ended && !h2_reset(h2, f->stream, H2_STREAM_CLOSED))
        return false;
    h2->block_open = true;
    h2->block_since_ns = io_now_ns(h2->conn->io);
    struct request *r = h2->block_stream != NULL ? h2->block_stream->request : NULL;

    h2_headers_begin(&h2->block, r != NULL ? H2_REQUEST : H2_TRAILERS, r != NULL ? &r->head : NULL,
                     r != NULL ? r->vhosts->head_limits : &h2->limits,
                     r != NULL ? &r->arena : NULL);
    return block_on(h2, f, payload);
}
