/* relay_h2.c - one request on a connection of HTTP/2: h2_link.c knows the connection. */
#include "upstream/relay_h2.h"

#include "upstream/h2_link.h"
#include "upstream/relay_answer.h"

enum { INTERIMS_MAX = 16, COPY_MAX = 4096, COPIES_MAX = 8 };

struct relay_h2 {
    struct h2_link *link; /* the channel's */
    const struct h1_limits *limits;
    struct h1_response *answer, trailers;
    enum http_method method;
    unsigned interims;
    uint64_t left; /* of a body whose length is known */
    bool over;     /* all of the answer came           */
    bool lends;    /* of what is being sent, some is not the connection's own memory */
};

static uint64_t now_ns(const struct relay *y)
{
    return io_now_ns(y->request->io);
}

/* ---- the connection's ---------------------------------------------------------------------- */

static bool idle_bytes(void *session, uint64_t now, struct slice bytes)
{
    size_t taken;
    struct slice piece;

    return h2_link_feed(session, now, bytes.at, bytes.size, &taken, &piece) == LINK_MORE &&
           h2_link_lives(session);
}

static struct slice fly(void *session)
{
    return h2_link_fly(session);
}

static void flown(void *session)
{
    h2_link_flown(session);
}

static void destroy(void *session)
{
    h2_link_destroy(session);
}

static const struct channel_session_ops session_ops = { idle_bytes, fly, flown, destroy };

/* ---- the head of a request ------------------------------------------------------------------ */

bool relay_h2_open(struct relay *y, const struct h1_limits *limits, struct h1_response *answer,
                   enum http_method method)
{
    if (y->h2 == NULL)
        y->h2 = arena_zalloc(&y->request->arena, sizeof *y->h2);
    if (y->h2 == NULL)
        return false;
    *y->h2 = (struct relay_h2){ .limits = limits, .answer = answer, .method = method };
    return true;
}

bool relay_h2_begin(struct relay *y)
{
    struct relay_h2 *x = y->h2;

    if (y->tls.domain != NULL && !channel_reused(y->channel) &&
        !slice_eq(channel_protocol(y->channel), SLICE("h2"))) {
        y->why = "upstream did not agree on HTTP/2 (ALPN \"h2\")";
        return false;
    }
    x->link = channel_session(y->channel);
    if (x->link == NULL) {
        x->link = h2_link_create();
        if (x->link == NULL)
            return false;
        channel_begin_session(y->channel, &session_ops, x->link);
    }
    h1_response_init(x->answer, x->limits, &y->request->arena, x->method);
    h1_response_init(&x->trailers, x->limits, &y->request->arena, x->method);
    x->interims = 0;
    x->over = x->lends = false;
    h2_link_begin(x->link, x->answer);
    return true;
}

/* ---- what is sent --------------------------------------------------------------------------- */

static int begin_iov(struct relay *y, struct slice more)
{
    struct slice out = h2_link_fly(y->h2->link);
    int count = 0;

    if (y->greeting.size > 0 && !y->any_sent && !channel_reused(y->channel) &&
        y->tls.domain == NULL)
        y->iov[count++] = (struct iovec){ (void *)(uintptr_t)y->greeting.at, y->greeting.size };
    if (out.size > 0)
        y->iov[count++] = (struct iovec){ (void *)(uintptr_t)out.at, out.size };
    if (more.size > 0)
        y->iov[count++] = (struct iovec){ (void *)(uintptr_t)more.at, more.size };
    y->h2->lends = count > (out.size > 0);
    return count;
}

/* Small ones are copied: true, there may be more. */
static bool send_chunk(struct relay *y)
{
    struct h2_link *l = y->h2->link;
    struct slice bytes = slice_of(y->chunk.at, y->chunk.size);
    bool last = y->up_left >= 0 && (uint64_t)y->up_left == y->chunk.size;

    h2_link_data(l, y->chunk.size, last);
    y->end_sent = last;
    if (y->chunk.file < 0 && bytes.size <= COPY_MAX) {
        h2_link_copy(l, bytes);
        relay_piece_sent(y);
        return true;
    }
    y->file_next = y->chunk.file >= 0;
    if (y->file_next)
        relay_send_iov(y, begin_iov(y, (struct slice){ 0 }), IO_HOLD);
    else
        relay_send_iov(y, begin_iov(y, bytes), 0);
    y->h2->lends = true;
    return false;
}

/* Control frames, and the head, if it was written. */
static void send_rest(struct relay *y)
{
    int count = begin_iov(y, (struct slice){ 0 });

    if (count > 0)
        relay_send_iov(y, count, 0);
    else if (y->state == RELAY_HEAD && !y->all_sent && y->up != NULL && !y->end_sent)
        channel_deadline(y->channel, h2_link_room(y->h2->link) == 0 ? y->conf->send_timeout : 0);
}

static void send_head(struct relay *y)
{
    y->end_sent = y->up == NULL;
    h2_link_head(y->h2->link, y->head, y->end_sent);
    y->head_sent = true;
}

static void end_body(struct relay *y)
{
    h2_link_data(y->h2->link, 0, true);
    y->end_sent = true;
}

/* One chunk. True: there may be more for the same send. */
static bool send_some(struct relay *y)
{
    size_t most = h2_link_room(y->h2->link);

    if (y->up == NULL || y->up_left == 0) {
        end_body(y);
        return false;
    }
    if (most == 0)
        return false;
    if (y->up_left > 0 && (uint64_t)y->up_left < most)
        most = (size_t)y->up_left;
    switch (y->up->ops->pull(y->up, most, &y->chunk)) {
    case BODY_CHUNK:
        return send_chunk(y);
    case BODY_END:
        end_body(y);
        break;
    case BODY_FAILED:
        relay_body_failed(y);
        break;
    case BODY_LATER:
        break;
    }
    y->chunk.size = 0;
    return false;
}

static void send_body(struct relay *y)
{
    for (unsigned i = 0; i < COPIES_MAX && !y->end_sent && send_some(y); i++)
        ;
    if (y->channel != NULL && !channel_sending(y->channel) &&
        (y->state == RELAY_HEAD || y->state == RELAY_ANSWER))
        send_rest(y);
}

/* Content that waits in memory keeps the window shut; so does a file that is full. */
static size_t waiting(const struct relay *y)
{
    return relay_filed(y) > 0 && !relay_may_file(y) ? LINK_WINDOW : y->ready_size;
}

void relay_h2_send(struct relay *y)
{
    struct relay_h2 *x = y->h2;

    if (x->link == NULL || y->state == RELAY_CONNECT)
        return;
    h2_link_waiting(x->link, waiting(y));
    if (!y->head_sent)
        send_head(y);
    if (y->end_sent || y->all_sent || y->deaf || x->over)
        send_rest(y);
    else
        send_body(y);
}

void relay_h2_flown(struct relay *y)
{
    if (y->h2->link != NULL && !y->file_next)
        h2_link_flown(y->h2->link);
}

/* ---- what is said --------------------------------------------------------------------------- */

static enum h1_verdict bad(struct relay *y, const char *why)
{
    y->why = why;
    return H1_BAD;
}

static enum h1_verdict lost(struct relay *y)
{
    y->refused = y->h2->link->refused;
    return bad(y, y->h2->link->why);
}

/* A block came whole before the final answer. H1_MORE: it was an interim one. */
static enum h1_verdict judge(struct relay *y)
{
    struct relay_h2 *x = y->h2;
    struct h1_response *a = x->answer;

    if (!h2_response_end(&x->link->block, x->link->ended))
        return bad(y, x->link->block.why);
    if (a->status > 599)
        return bad(y, "upstream sent a status that is none");
    if (a->interim) {
        if (++x->interims > INTERIMS_MAX)
            return bad(y, "upstream sent too many interim answers");
        if (a->status == 103)
            relay_hints(y, a->fields, a->field_count);
        h1_response_init(a, x->limits, &y->request->arena, x->method);
        return H1_MORE;
    }
    x->left = a->body == H1_BODY_LENGTH ? a->length : 0;
    x->over = x->link->ended;
    y->attempt->status = a->status;
    y->fields = a->fields;
    y->field_count = a->field_count;
    h2_link_expect(x->link, true, &x->trailers);
    return H1_DONE;
}

enum h1_verdict relay_h2_read_head(struct relay *y, const char *at, size_t size, size_t *taken)
{
    struct relay_h2 *x = y->h2;
    enum h1_verdict v = H1_MORE;

    for (*taken = 0; v == H1_MORE;) {
        struct slice piece;
        size_t some;
        enum h2_link_event e =
            h2_link_feed(x->link, now_ns(y), at + *taken, size - *taken, &some, &piece);

        *taken += some;
        switch (e) {
        case LINK_MORE:
            return H1_MORE;
        case LINK_HEAD:
            v = judge(y);
            break;
        case LINK_DATA:
        case LINK_END:
            return bad(y, "upstream sent a body without a head");
        case LINK_RESET:
        case LINK_BAD:
            return lost(y);
        }
    }
    return v;
}

/* Behind the body: fields for the client, if its protocol can say them. */
static enum h1_verdict take_trailers(struct relay *y)
{
    struct relay_h2 *x = y->h2;
    struct request *r = y->request;
    struct header **end = &r->response.passed_trailers;

    if (!h2_response_end(&x->link->block, x->link->ended))
        return bad(y, x->link->block.why);
    y->trailers = x->trailers.fields;
    y->trailer_count = x->trailers.field_count;
    for (uint32_t i = 0; r->response.passes_trailers && i < y->trailer_count; i++) {
        struct header *h = arena_alloc(&r->arena, sizeof *h);

        if (h == NULL)
            return bad(y, "there is no memory left");
        *h = (struct header){ y->trailers[i].name, y->trailers[i].value, NULL };
        *end = h;
        end = &h->next;
    }
    return H1_DONE;
}

/* Is the body as long as was said? */
static enum h1_verdict end_of_body(struct relay *y)
{
    struct relay_h2 *x = y->h2;

    x->over = true;
    if (x->answer->body == H1_BODY_LENGTH && x->left > 0)
        return bad(y, "upstream sent less than its Content-Length says");
    return H1_DONE;
}

/* The client must not take it for the rest of what was said. */
static enum h1_verdict bad_content(struct relay *y, struct slice *piece, const char *why)
{
    piece->size = 0;
    return bad(y, why);
}

static enum h1_verdict take_content(struct relay *y, struct slice *piece)
{
    struct relay_h2 *x = y->h2;

    if (x->answer->body == H1_BODY_NONE)
        return bad_content(y, piece, "upstream sent a body with an answer that has none");
    if (x->answer->body == H1_BODY_LENGTH && piece->size > x->left)
        return bad_content(y, piece, "upstream sent more than its Content-Length says");
    x->left -= x->answer->body == H1_BODY_LENGTH ? piece->size : 0;
    return x->link->ended ? end_of_body(y) : H1_MORE;
}

/* What stands behind the end in the same bytes is the connection's. */
static void take_rest(struct relay *y, const char *at, size_t size, size_t *taken)
{
    if (*taken < size && !relay_h2_behind(y, at + *taken, size - *taken))
        y->in_ended = true;
    *taken = size;
}

enum h1_verdict relay_h2_read_body(struct relay *y, const char *at, size_t size, size_t *taken,
                                   struct slice *piece)
{
    struct relay_h2 *x = y->h2;
    enum h1_verdict v = x->over ? H1_DONE : H1_MORE;

    *taken = 0;
    if (!x->over) {
        switch (h2_link_feed(x->link, now_ns(y), at, size, taken, piece)) {
        case LINK_MORE:
            return H1_MORE;
        case LINK_DATA:
            v = take_content(y, piece);
            break;
        case LINK_HEAD:
            v = take_trailers(y);
            if (v == H1_DONE)
                v = end_of_body(y);
            break;
        case LINK_END:
            v = end_of_body(y);
            break;
        case LINK_RESET:
        case LINK_BAD:
            return lost(y);
        }
    }
    if (v == H1_DONE)
        take_rest(y, at, size, taken);
    return v;
}

enum h1_verdict relay_h2_read_end(struct relay *y)
{
    return y->h2->over ? H1_DONE : H1_BAD;
}

bool relay_h2_behind(struct relay *y, const char *at, size_t size)
{
    size_t taken;
    struct slice piece;

    return y->h2->link->ended &&
           h2_link_feed(y->h2->link, now_ns(y), at, size, &taken, &piece) == LINK_MORE;
}

bool relay_h2_may_keep(const struct relay *y)
{
    bool sent = y->all_sent || (y->end_sent && !y->h2->lends && !y->file_next);

    return sent && h2_link_lives(y->h2->link);
}

/* ---- the client's answer -------------------------------------------------------------------- */

enum verdict relay_h2_fill(struct relay *y, const struct relay_rewrites *rewrites, bool trailers)
{
    const struct relay_h2 *x = y->h2;
    const struct h1_response *a = x->answer;
    struct request *r = y->request;
    enum verdict v = relay_fill(y, a->status, rewrites);
    bool none = a->body == H1_BODY_NONE || x->over;

    if (v != NEXT)
        return v;
    r->response.accept_ranges = relay_does_ranges(y) && a->status == 200 && a->has_length;
    if (a->has_length && a->status != 304)
        r->response.length = (int64_t)a->length;
    if (none) {
        if (a->body != H1_BODY_NONE && (!trailers || !r->ops->duplex))
            r->response.length = 0; /* else it stays a head alone, which HTTP/1 has none of */
        relay_end(y);
        r->header_only |= a->body == H1_BODY_NONE;
        return DONE;
    }
    r->response.body = relay_body(y);
    r->response.passes_trailers = trailers;
    r->response.duplex = y->duplex && y->source == SOURCE_STREAM;
    return DONE;
}
