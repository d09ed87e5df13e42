/* relay_h2_session.c - what a server says on a connection of HTTP/2, to all of its streams.
 *
 * What comes is sorted by streams before anybody is told. A block is judged at once, as the next
 * one of the same stream may follow in the same bytes; content is moved together, and goes on in
 * the buffer that it came in, unless another stream's is in it, too.
 */
#include "upstream/relay_answer.h"
#include "upstream/relay_h2_private.h"

#include <stdlib.h>

enum { INTERIMS_MAX = 16, ASIDE_MAX = 64 * 1024 };

_Static_assert((int)CHANNEL_STREAMS_MAX <= (int)LINK_STREAMS_MAX, "every stream has its place");

static struct relay_h2 *of_stream(struct h2_stream *s)
{
    return container_of(s, struct relay_h2, stream);
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* A block came whole before the final answer. H1_MORE: it was an interim one. */
static enum h1_verdict judge_head(struct relay_h2 *x)
{
    struct relay *y = x->relay;
    struct h1_response *a = x->answer;

    if (!h2_response_end(&x->stream.block, x->stream.ended))
        return relay_h2_bad(y, x->stream.block.why);
    if (a->status > 599)
        return relay_h2_bad(y, "upstream sent a status that is none");
    if (a->interim) {
        if (++x->interims > INTERIMS_MAX)
            return relay_h2_bad(y, "upstream sent too many interim answers");
        if (a->status == 103)
            relay_hints(y, a->fields, a->field_count);
        h1_response_init(a, x->limits, &y->request->arena, x->method);
        return H1_MORE;
    }
    x->left = a->body == H1_BODY_LENGTH ? a->length : 0;
    h2_stream_expect(&x->stream, true, &x->trailers);
    return H1_DONE;
}

/* Behind a bad one more may have come already: that is nobody's. */
static void block_came(struct relay_h2 *x)
{
    if (x->head == H1_MORE) {
        x->head = judge_head(x);
        x->stream.why = x->head == H1_BAD ? x->relay->why : NULL;
    } else if (h2_response_end(&x->stream.block, x->stream.ended)) {
        x->has_trailers = true;
    } else {
        x->stream.why = x->stream.block.why;
    }
}

/* ---- content -------------------------------------------------------------------------------- */

/* Content of one stream in a buffer that is being read, moved together. */
struct intake {
    struct h2_stream *of; /* NULL: of none yet */
    char *at, *end;
};

static void add_buf(struct relay_h2 *x, struct io_buf *b)
{
    b->next = NULL;
    if (x->last != NULL)
        x->last->next = b;
    else
        x->first = b;
    x->last = b;
}

/* Room for so many bytes of the stream's, in the buffer that was made last or a new one. Later ones
 * are as large as all that waits, so that what comes in many pieces goes on in few. */
static struct io_buf *room_for(struct relay_h2 *x, uint32_t size)
{
    struct io_buf *b = x->spare;
    uint32_t room = x->aside < ASIDE_MAX ? (uint32_t)x->aside : ASIDE_MAX;

    if (b != NULL && b->size - b->filled >= size)
        return b;
    b = io_buf_make(size < room ? room : size);
    if (b == NULL)
        return NULL;
    b->used = b->filled = 0;
    add_buf(x, b);
    x->spare = b;
    return b;
}

/* Another stream's content follows: this one's is copied. False: no memory. */
static bool put_aside(struct intake *in)
{
    uint32_t size = (uint32_t)(in->end - in->at);
    struct relay_h2 *x;
    struct io_buf *b;

    if (in->of == NULL || in->of->id == 0) /* it was left */
        return true;
    x = of_stream(in->of);
    b = room_for(x, size);
    if (b == NULL)
        return false;
    memcpy(b->bytes + b->filled, in->at, size);
    b->filled += size;
    x->aside += size;
    return true;
}

static bool take_in(struct intake *in, struct h2_stream *s, struct slice piece)
{
    if (in->of != s) {
        if (!put_aside(in))
            return false;
        in->of = s;
        in->at = in->end = (char *)(uintptr_t)piece.at;
    }
    if (in->end != piece.at)
        memmove(in->end, piece.at, piece.size);
    in->end += piece.size;
    return true;
}

/* The buffer itself goes to whose content came last. */
static void end_intake(struct intake *in, struct io *io, struct io_buf *b)
{
    if (in->of == NULL || in->of->id == 0) {
        io_buf_release(io, b);
        return;
    }
    b->used = (uint32_t)(in->at - (char *)b->bytes);
    b->filled = (uint32_t)(in->end - (char *)b->bytes);
    add_buf(of_stream(in->of), b);
    of_stream(in->of)->spare = NULL;
}

/* ---- what a connection says ------------------------------------------------------------------ */

static void note(struct h2_session *n, struct h2_stream *s)
{
    struct relay_h2 *x = of_stream(s);

    if (!list_linked(&x->news))
        list_append(&n->news, &x->news);
}

static void note_lost(struct h2_session *n)
{
    for (unsigned i = 0; i < n->link->count; i++)
        if (n->link->streams[i]->why != NULL)
            note(n, n->link->streams[i]);
}

static void lose_all(struct h2_session *n)
{
    for (unsigned i = 0; i < n->link->count; i++) {
        struct h2_stream *s = n->link->streams[i];

        if (!s->ended)
            s->why = n->link->why;
    }
    note_lost(n);
}

/* Reads all frames. False: the connection is of no use any more. */
static bool read_frames(struct h2_session *n, uint64_t now, struct slice in, struct intake *into)
{
    struct h2_link *l = n->link;
    enum h2_link_event e;

    do {
        struct slice piece;
        size_t taken;

        e = h2_link_feed(l, now, in.at, in.size, &taken, &piece);
        in = slice_skip(in, taken);
        switch (e) {
        case LINK_MORE:
            break;
        case LINK_BLOCK:
            block_came(of_stream(l->at));
            note(n, l->at);
            break;
        case LINK_DATA:
            if (!take_in(into, l->at, piece))
                return false;
            note(n, l->at);
            break;
        case LINK_END:
        case LINK_RESET:
            note(n, l->at);
            break;
        case LINK_GOAWAY:
            note_lost(n);
            break;
        case LINK_BAD:
            lose_all(n);
            return false;
        }
    } while (e != LINK_MORE);
    return true;
}

/* The relay may leave the stream at any time; its memory stays. */
static void tell(struct relay_h2 *x)
{
    struct relay *y = x->relay;
    struct request *r = y->request;
    bool given = false;

    request_pin(r);
    y->attempt->received += x->stream.received;
    x->stream.received = 0;
    x->spare = NULL;
    x->aside = 0;
    while (x->session != NULL && x->first != NULL) {
        struct io_buf *b = x->first;

        x->first = b->next;
        if (x->first == NULL)
            x->last = NULL;
        x->unread += b->filled - b->used;
        given = true;
        channel_give(y->channel, b);
    }
    if (x->session != NULL && !given)
        channel_tell(y->channel, CHANNEL_HEARD);
    if (x->session != NULL && (x->stream.ended || x->stream.why != NULL) && !x->over)
        channel_tell(y->channel, CHANNEL_ENDED);
    (void)request_unpin(r);
}

static void session_tell(void *session)
{
    struct h2_session *n = session;
    struct link *l;

    while ((l = list_first(&n->news)) != NULL) {
        list_remove(l);
        tell(container_of(l, struct relay_h2, news));
    }
    if (!n->link->opened)
        return;
    n->link->opened = false;
    for (unsigned i = 0; i < n->link->count; i++) {
        struct relay_h2 *x = of_stream(n->link->streams[i]);

        if (x->shut && h2_link_room(n->link, &x->stream) > 0)
            channel_await_turn(x->relay->channel);
    }
}

static bool session_bytes(void *session, struct io *io, struct io_buf *b)
{
    struct h2_session *n = session;
    struct intake in = { 0 };
    struct slice bytes = slice_of((const char *)b->bytes + b->used, b->filled - b->used);
    bool fine = read_frames(n, io_now_ns(io), bytes, &in);

    end_intake(&in, io, b);
    return fine;
}

static unsigned session_most(const void *session)
{
    const struct h2_session *n = session;

    return h2_link_most(n->link);
}

static void session_leave(void *session, void *owner)
{
    struct h2_session *n = session;
    struct relay *y = owner;
    struct relay_h2 *x = y->h2;

    while (x->first != NULL) {
        struct io_buf *b = x->first;

        x->first = b->next;
        io_buf_release(y->request->io, b);
    }
    x->last = NULL;
    x->session = NULL;
    list_remove(&x->news);
    h2_stream_leave(n->link, &x->stream);
}

static struct slice session_fly(void *session)
{
    struct h2_session *n = session;

    return h2_link_fly(n->link);
}

static void session_flown(void *session)
{
    struct h2_session *n = session;

    h2_link_flown(n->link);
}

static void session_destroy(void *session)
{
    struct h2_session *n = session;

    h2_link_destroy(n->link);
    free(n);
}

static const struct channel_session_ops session_ops = {
    session_most, session_bytes, session_tell,    session_leave,
    session_fly,  session_flown, session_destroy,
};

struct h2_session *h2_session_begin(struct channel *c)
{
    struct h2_session *n = calloc(1, sizeof *n);

    if (n == NULL)
        return NULL;
    list_init(&n->news);
    n->link = h2_link_create();
    if (n->link == NULL) {
        free(n);
        return NULL;
    }
    channel_begin_session(c, &session_ops, n);
    return n;
}
