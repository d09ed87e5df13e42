/* http2_body.c - requests' bodies: DATA goes to who reads it as it comes, waits while he has
 * enough, and is thrown away when nobody will read it. The windows open as bytes are done with, so
 * what waits is bounded by them.
 */
#include "http/client_body.h"
#include "proto/http2_private.h"

#include <stdlib.h>

enum { PIECE_LEAST = 4096 };
enum { RATE_GRACE_SEC = 10, RATE_MIN = 500 /* bytes a second a body must bring, as on HTTP/1 */ };

/* ---- windows --------------------------------------------------------------------------------- */

void h2_credit(struct h2 *h2, struct h2_stream *s, uint32_t size)
{
    if (h2->conn->closing)
        return;
    h2->recv_credit += size;
    if (h2->recv_credit >= CONN_WINDOW / 2) {
        h2->recv_window += h2->recv_credit;
        h2_put_update(h2, 0, h2->recv_credit);
        h2->recv_credit = 0;
    }
    if (s == NULL || s->remote_ended || s->end_told)
        return;
    s->recv_credit += size;
    uint32_t window = s->widened ? BODY_WINDOW : h2->preread;

    if (s->recv_credit == 0 || s->recv_credit < window / 2)
        return;
    s->recv_window += s->recv_credit;
    h2_put_update(h2, s->id, s->recv_credit);
    s->recv_credit = 0;
}

/* Somebody reads: more may be under way. */
static void widen(struct h2_stream *s)
{
    if (s->widened || s->remote_ended)
        return;
    s->widened = true;
    if (s->h2->preread < BODY_WINDOW)
        s->recv_credit += BODY_WINDOW - s->h2->preread;
    h2_credit(s->h2, s, 0);
}

/* ---- to who reads ---------------------------------------------------------------------------- */

static bool reads(const struct h2_stream *s)
{
    return !s->end_told && (s->tunnel || s->duplex || !s->decided);
}

/* As soon as there is an answer, it is the server that says how long a body may pause. */
static bool timed(const struct h2_stream *s)
{
    return !s->tunnel && !s->decided;
}

static void wait_begins(struct h2_stream *s)
{
    s->body_since_ns = io_now_ns(s->h2->conn->io);
    if (timed(s))
        h2_stream_wait(s, h2_core(s)->client_body_timeout);
}

static void wait_ends(struct h2_stream *s)
{
    if (s->body_since_ns != 0)
        s->body_waited_ns += io_now_ns(s->h2->conn->io) - s->body_since_ns;
    s->body_since_ns = 0;
    if (timed(s))
        io_timer_stop(s->h2->conn->io, &s->timer);
}

static void tell_end(struct h2_stream *s, unsigned status)
{
    s->body_wanted = false;
    s->end_told = true;
    wait_ends(s);
    s->request->sink->end(s->request, status);
}

static void give(struct h2_stream *s, struct slice piece)
{
    s->body_wanted = false;
    if (s->request->sink->bytes(s->request, piece))
        s->body_wanted = true;
    h2_credit(s->h2, s, (uint32_t)piece.size);
}

static struct h2_piece *add_piece(struct h2_stream *s, size_t size)
{
    size_t room = size > PIECE_LEAST ? size : PIECE_LEAST;
    struct h2_piece *p = calloc(1, sizeof *p + room);

    if (p == NULL) {
        s->h2->no_memory = true;
        return NULL;
    }
    p->room = (uint32_t)room;
    if (s->in_last != NULL)
        s->in_last->next = p;
    else
        s->in_first = p;
    s->in_last = p;
    return p;
}

/* Frames of a byte each are gathered: they must not cost more than their windows allow. */
static bool keep(struct h2_stream *s, struct slice bytes)
{
    while (bytes.size > 0) {
        struct h2_piece *p = s->in_last;

        if (p == NULL || p->size == p->room)
            p = add_piece(s, bytes.size);
        if (p == NULL)
            return false;
        struct slice part = slice_head(bytes, p->room - p->size);

        memcpy(p->bytes + p->size, part.at, part.size);
        p->size += (uint32_t)part.size;
        bytes = slice_skip(bytes, part.size);
    }
    return true;
}

void h2_body_drop(struct h2_stream *s)
{
    for (struct h2_piece *p = s->in_first, *next; p != NULL; p = next) {
        next = p->next;
        h2_credit(s->h2, NULL, p->size - p->used);
        free(p);
    }
    s->in_first = s->in_last = NULL;
}

static bool too_large(struct h2_stream *s)
{
    uint64_t most = (uint64_t)h2_core(s)->client_max_body_size;

    return most != 0 && s->body_bytes > most && !s->tunnel;
}

static bool too_slow(const struct h2_stream *s)
{
    uint64_t spent = s->body_waited_ns;

    if (s->body_since_ns != 0)
        spent += io_now_ns(s->h2->conn->io) - s->body_since_ns;
    return timed(s) && !s->request->unhurried && spent > RATE_GRACE_SEC * 1000000000ull &&
           s->body_bytes < RATE_MIN * (spent / 1000000000ull);
}

static void refuse(struct h2_stream *s, unsigned status)
{
    if (status == 413)
        request_log(s->request, LOG_ERROR, 0, "client intended to send too large body");
    h2_body_drop(s);
    tell_end(s, status);
}

/* What waits, as long as it is wanted; then its end. */
static void feed(struct h2_stream *s)
{
    while (reads(s) && s->body_wanted && s->in_first != NULL) {
        struct h2_piece *p = s->in_first;
        struct slice piece =
            slice_head(slice_of(p->bytes + p->used, p->size - p->used), CLIENT_BODY_PIECE_MAX);

        p->used += (uint32_t)piece.size;
        give(s, piece);
        if (p->used < p->size)
            continue;
        s->in_first = p->next;
        if (s->in_first == NULL)
            s->in_last = NULL;
        free(p);
    }
    if (!reads(s) || !s->body_wanted || s->in_first != NULL) {
        wait_ends(s);
        return;
    }
    if (too_large(s))
        refuse(s, 413);
    else if (s->remote_ended)
        tell_end(s, 0);
    else if (too_slow(s))
        refuse(s, 408);
    else if (s->body_since_ns == 0)
        wait_begins(s);
}

void h2_feed_all(struct h2 *h2)
{
    for (struct link *l = list_first(&h2->feeding); l != NULL; l = list_first(&h2->feeding)) {
        struct h2_stream *s = container_of(l, struct h2_stream, feed);

        list_remove(l);
        widen(s);
        feed(s);
    }
}

/* ---- what comes ------------------------------------------------------------------------------ */

/* The one place where a body's length is held against what was announced (RFC 9113 §8.1.1). */
static bool length_wrong(const struct h2_stream *s, bool ended)
{
    const struct h1_head *h = &s->request->head;

    return h->has_length && (s->body_bytes > h->length || (ended && s->body_bytes < h->length));
}

bool h2_body_take(struct h2_stream *s, struct slice bytes)
{
    struct h2 *h2 = s->h2;

    s->body_bytes += bytes.size;
    s->request->head_bytes += bytes.size;
    if (length_wrong(s, false))
        return h2_reset(h2, s->id, H2_PROTOCOL_ERROR);
    if (!reads(s)) {
        h2_credit(h2, s, (uint32_t)bytes.size);
        return true;
    }
    if (s->body_wanted && s->in_first == NULL && too_large(s)) {
        h2_credit(h2, s, (uint32_t)bytes.size);
        refuse(s, 413);
        return true;
    }
    wait_ends(s);
    while (bytes.size > 0 && s->body_wanted && s->in_first == NULL && reads(s)) {
        struct slice piece = slice_head(bytes, CLIENT_BODY_PIECE_MAX);

        bytes = slice_skip(bytes, piece.size);
        give(s, piece);
    }
    if (bytes.size > 0 && !reads(s))
        h2_credit(h2, s, (uint32_t)bytes.size);
    else if (bytes.size > 0)
        return keep(s, bytes);
    if (reads(s) && s->body_wanted)
        feed(s);
    return true;
}

bool h2_body_end(struct h2_stream *s)
{
    if (s->remote_ended)
        return true;
    if (length_wrong(s, true))
        return h2_reset(s->h2, s->id, H2_PROTOCOL_ERROR);
    s->remote_ended = true;
    if (reads(s) && s->body_wanted)
        feed(s);
    return true;
}

/* The client's time to bring some more of the body is over. */
void h2_body_late(struct h2_stream *s)
{
    if (reads(s) && s->body_wanted && s->in_first == NULL)
        refuse(s, 408);
}

/* ---- the wish -------------------------------------------------------------------------------- */

void h2_read_body(struct request *r)
{
    struct h2_stream *s = stream_of(r);

    CHECK(r->sink != NULL && (r->response.tunnel || (reads(s) && !s->end_told)));
    if (s->ended || s->h2->conn->closing)
        return;
    if (r->head.expect_continue && !s->continued && !s->remote_ended && s->body_bytes == 0) {
        s->continued = true;
        (void)h2_write_interim(s, 100);
    }
    s->body_wanted = true;
    if (!list_linked(&s->feed))
        list_append(&s->h2->feeding, &s->feed);
    h2_wake(s->h2);
}
