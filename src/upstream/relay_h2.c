/* relay_h2.c - one request on a stream of HTTP/2; relay_h2_session.c has the connection. */
#include "upstream/relay_answer.h"
#include "upstream/relay_h2_private.h"

enum { COPY_MAX = 4096, COPIES_MAX = 8 };

/* ---- the head of a request ------------------------------------------------------------------ */

bool relay_h2_open(struct relay *y, const struct h1_limits *limits, struct h1_response *answer,
                   enum http_method method)
{
    if (y->h2 == NULL)
        y->h2 = arena_zalloc(&y->request->arena, sizeof *y->h2);
    if (y->h2 == NULL)
        return false;
    *y->h2 = (struct relay_h2){ .relay = y, .limits = limits, .answer = answer, .method = method };
    return true;
}

bool relay_h2_begin(struct relay *y)
{
    struct relay_h2 *x = y->h2;
    struct h2_session *n = channel_session(y->channel);

    if (y->tls.domain != NULL && n == NULL &&
        !slice_eq(channel_protocol(y->channel), SLICE("h2"))) {
        y->why = "upstream did not agree on HTTP/2 (ALPN \"h2\")";
        return false;
    }
    if (n == NULL)
        n = h2_session_begin(y->channel);
    if (n == NULL)
        return false;
    *x = (struct relay_h2){
        .relay = y, .session = n, .limits = x->limits, .answer = x->answer, .method = x->method
    };
    x->head = H1_MORE;
    h1_response_init(x->answer, x->limits, &y->request->arena, x->method);
    h1_response_init(&x->trailers, x->limits, &y->request->arena, x->method);
    h2_stream_expect(&x->stream, false, x->answer);
    return true;
}

/* ---- what is sent --------------------------------------------------------------------------- */

static void send_head(struct relay *y)
{
    struct relay_h2 *x = y->h2;

    y->end_sent = y->up == NULL;
    h2_link_head(x->session->link, &x->stream, y->head, y->end_sent);
    y->head_sent = y->any_sent = true;
}

static void end_body(struct relay *y)
{
    h2_link_data(y->h2->session->link, &y->h2->stream, 0, true);
    y->end_sent = true;
}

/* Small ones are copied: true, there may be more. */
static bool send_chunk(struct relay *y)
{
    struct h2_link *l = y->h2->session->link;
    struct slice bytes = slice_of(y->chunk.at, y->chunk.size);
    bool last = y->up_left >= 0 && (uint64_t)y->up_left == y->chunk.size;

    h2_link_data(l, &y->h2->stream, y->chunk.size, last);
    y->end_sent = last;
    if (y->chunk.file < 0 && bytes.size <= COPY_MAX) {
        h2_link_copy(l, bytes);
        relay_piece_sent(y);
        return true;
    }
    if (y->chunk.file >= 0) {
        relay_send_file(y);
        return false;
    }
    y->iov[0] = (struct iovec){ (void *)(uintptr_t)bytes.at, bytes.size };
    relay_send_iov(y, 1, 0);
    return false;
}

/* One chunk. True: there may be more for the same send. */
static bool send_some(struct relay *y)
{
    struct relay_h2 *x = y->h2;
    size_t most = h2_link_room(x->session->link, &x->stream);

    if (y->up == NULL || y->up_left == 0) {
        end_body(y);
        return false;
    }
    x->shut = most == 0;
    if (x->shut)
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

/* Head and body, as far as they may go now. True: it is the server that lets them wait. */
static bool send_more(struct relay *y)
{
    struct relay_h2 *x = y->h2;
    const struct h2_link *l = x->session->link;
    unsigned copies = 0;

    if (!y->head_sent && l->count >= h2_link_most(l)) {
        y->refused = true; /* it does not know of this request */
        relay_fail(y, FAULT_ERROR,
                   l->leaving ? "upstream goes away" : "upstream allows fewer requests by now", 0);
        return false;
    }
    if (!y->head_sent && !h2_link_is_full(l))
        send_head(y);
    while (y->head_sent && !y->end_sent && copies++ < COPIES_MAX && channel_has_turn(y->channel) &&
           !h2_link_is_full(l))
        if (!send_some(y))
            return x->shut;
    if (y->end_sent)
        return false;
    channel_await_turn(y->channel);
    return true;
}

/* Content that waits in memory keeps the window shut; so does a file that is full. */
static size_t waiting(const struct relay *y)
{
    return relay_filed(y) > 0 && !relay_may_file(y) ? LINK_WINDOW : y->ready_size;
}

void relay_h2_listen(struct relay *y)
{
    struct relay_h2 *x = y->h2;

    if (x->session == NULL)
        return;
    h2_stream_waiting(x->session->link, &x->stream, waiting(y));
    channel_flush(y->channel);
}

void relay_h2_send(struct relay *y)
{
    struct relay_h2 *x = y->h2;
    bool sends = !y->end_sent && !y->all_sent && !y->deaf && !x->over && !x->stream.sent_end, waits;

    if (x->session == NULL || y->state == RELAY_CONNECT)
        return;
    waits = sends && send_more(y);
    if (x->session == NULL || channel_sending(y->channel))
        return;
    if (y->end_sent && !y->all_sent)
        relay_all_sent(y);
    else if (sends && y->state == RELAY_HEAD) /* else the client's own time limit holds */
        channel_deadline(y->channel, waits ? y->conf->send_timeout : 0);
    channel_flush(y->channel);
}

/* ---- what is said --------------------------------------------------------------------------- */

static enum h1_verdict lost(struct relay *y)
{
    y->refused = y->h2->stream.refused;
    return relay_h2_bad(y, y->h2->stream.why);
}

/* Content stays where it is: it is read_body()'s. */
enum h1_verdict relay_h2_read_head(struct relay *y, const char *at, size_t size, size_t *taken)
{
    struct relay_h2 *x = y->h2;

    (void)at;
    *taken = 0;
    if (x->head == H1_MORE && x->stream.why != NULL)
        return lost(y);
    if (x->head != H1_DONE)
        return x->head == H1_BAD || size == 0
                   ? x->head
                   : relay_h2_bad(y, "upstream sent a body without a head");
    x->over = x->stream.ended && !x->has_trailers && x->unread == 0 && x->first == NULL &&
              x->left == 0 && x->stream.why == NULL;
    y->attempt->status = x->answer->status;
    y->fields = x->answer->fields;
    y->field_count = x->answer->field_count;
    return H1_DONE;
}

/* Behind the body: fields for the client, if its protocol can say them. */
static enum h1_verdict take_trailers(struct relay *y)
{
    struct relay_h2 *x = y->h2;
    struct request *r = y->request;
    struct header **end = &r->response.passed_trailers;

    y->trailers = x->trailers.fields;
    y->trailer_count = x->trailers.field_count;
    for (uint32_t i = 0; r->response.passes_trailers && i < y->trailer_count; i++) {
        struct header *h = arena_alloc(&r->arena, sizeof *h);

        if (h == NULL)
            return relay_h2_bad(y, "there is no memory left");
        *h = (struct header){ y->trailers[i].name, y->trailers[i].value, NULL };
        *end = h;
        end = &h->next;
    }
    return H1_DONE;
}

/* Everything came, and was read. Is the body as long as was said? */
static enum h1_verdict end_of_body(struct relay *y)
{
    struct relay_h2 *x = y->h2;

    if (x->has_trailers && take_trailers(y) == H1_BAD)
        return H1_BAD;
    x->over = true;
    if (x->answer->body == H1_BODY_LENGTH && x->left > 0)
        return relay_h2_bad(y, "upstream sent less than its Content-Length says");
    return H1_DONE;
}

/* The client must not take it for the rest of what was said. */
static enum h1_verdict bad_content(struct relay *y, struct slice *piece, const char *why)
{
    piece->size = 0;
    return relay_h2_bad(y, why);
}

enum h1_verdict relay_h2_read_body(struct relay *y, const char *at, size_t size, size_t *taken,
                                   struct slice *piece)
{
    struct relay_h2 *x = y->h2;

    *taken = size;
    *piece = slice_of(at, size);
    x->unread -= size;
    if (size > 0 && x->answer->body == H1_BODY_NONE)
        return bad_content(y, piece, "upstream sent a body with an answer that has none");
    if (x->answer->body == H1_BODY_LENGTH && size > x->left)
        return bad_content(y, piece, "upstream sent more than its Content-Length says");
    x->left -= x->answer->body == H1_BODY_LENGTH ? size : 0;
    if (x->stream.why != NULL || !x->stream.ended || x->unread > 0 || x->first != NULL)
        return H1_MORE;
    return end_of_body(y);
}

enum h1_verdict relay_h2_read_end(struct relay *y)
{
    struct relay_h2 *x = y->h2;

    if (x->over)
        return H1_DONE;
    if (x->stream.why != NULL)
        return lost(y);
    return x->stream.ended ? end_of_body(y) : H1_BAD;
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
