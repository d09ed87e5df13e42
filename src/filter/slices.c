/* slices.c - one large answer, asked for in pieces: each piece is a request for a range, which a
 * cache can keep by itself.
 *
 *   slice 1m; proxy_set_header Range $slice_range; proxy_pass …;
 *
 * The client's request asks for the first piece that it needs. A 206 that fits becomes a 200 of the
 * whole, with a body that asks for the other pieces when they are pulled, by sub-requests that end
 * in the same location; the range filter cuts out of it what the client asked for. Pieces must be
 * of one and the same thing: same size, same entity tag. */
#include "filter/slices.h"

#include "http/error_page.h"
#include "http/log_target.h"
#include "http/site.h"
#include "http/subrequest.h"
#include "wire/range.h"

static uint32_t slice_index;

struct slice_conf {
    int64_t size; /* 0: off */
};

/* What the pieces of one answer have in common; in the arena of the request that has it. */
struct whole {
    struct request *request;
    uint64_t size;     /* of a piece                                                      */
    uint64_t complete; /* of all; 0: not known yet                                        */
    struct slice etag;
    struct body *first; /* of the request itself; NULL: taken                             */
    uint64_t first_at;
};

/* r->slots[SLOT_SLICE]: which piece this request asks for. */
struct piece {
    struct whole *whole;
    uint64_t at;
    bool fits; /* it was answered as it should be */
};

static int64_t size_of(const struct request *r)
{
    return ((const struct slice_conf *)request_conf(r, &feature_slice))->size;
}

/* ---- $slice_range -------------------------------------------------------------------------- */

/* Where the client wants to begin, if it says so with one range that does not count from the end:
 * the size is not known yet. */
static uint64_t wanted_from(const struct request *r)
{
    struct slice text = request_field(r, FIELD_RANGE);
    struct range ranges[RANGES_MAX];
    unsigned count = 0;
    bool suffix = slice_search(text, SLICE("=-")) < text.size;

    if (text.at == NULL || suffix || r->head.known[FIELD_IF_RANGE] != NULL ||
        range_parse(text, INT64_MAX, ranges, &count) != RANGE_OK || count != 1)
        return 0;
    return ranges[0].first;
}

static struct piece *piece_of(struct request *r)
{
    struct piece *p = r->slots[SLOT_SLICE];
    int64_t size = size_of(r);

    if (p != NULL || size == 0)
        return p;
    p = arena_zalloc(&r->arena, sizeof *p);
    if (p == NULL || (p->whole = arena_zalloc(&r->arena, sizeof *p->whole)) == NULL)
        return NULL;
    p->whole->request = r;
    p->whole->size = (uint64_t)size;
    p->at = r->parent == NULL ? wanted_from(r) / p->whole->size * p->whole->size : 0;
    r->slots[SLOT_SLICE] = p;
    return p;
}

static bool slice_range(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct piece *p = piece_of(subject);

    (void)use;
    if (p == NULL)
        return false;
    gather_printf(g, "bytes=%llu-%llu", (unsigned long long)p->at,
                  (unsigned long long)(p->at + p->whole->size - 1));
    return true;
}

/* ---- is it what was asked for? ------------------------------------------------------------- */

static bool cut_number(struct slice *text, char end, uint64_t *ret)
{
    size_t at = slice_find(*text, end);

    if (!slice_to_u64(slice_head(*text, at), INT64_MAX, ret))
        return false;
    *text = slice_skip(*text, at + (at < text->size));
    return true;
}

/* "bytes 0-99/1000": NULL, or what is wrong with it. */
static const char *read_content_range(struct slice text, struct range *range, uint64_t *complete)
{
    if (!slice_starts(text, SLICE("bytes ")))
        return "its Content-Range is missing or not understood";
    text = slice_skip(text, 6);
    if (!cut_number(&text, '-', &range->first) || !cut_number(&text, '/', &range->last))
        return "its Content-Range is not understood";
    if (slice_eq(text, SLICE("*")))
        return "its Content-Range does not say how large all of it is";
    if (!slice_to_u64(text, INT64_MAX, complete) || range->last < range->first ||
        range->last >= *complete)
        return "its Content-Range is not understood";
    return NULL;
}

static uint64_t end_of(const struct whole *w, uint64_t at)
{
    return at + w->size < w->complete ? at + w->size : w->complete;
}

/* NULL, or why it is not. */
static const char *judge(struct request *r, struct piece *p)
{
    const struct header *field = response_find(r, SLICE("Content-Range"));
    struct whole *w = p->whole;
    struct range range;
    uint64_t complete;
    const char *why;

    if (r->response.status != 206)
        return "its status is not 206";
    why = read_content_range(field != NULL ? field->value : SLICE(""), &range, &complete);
    if (why != NULL)
        return why;
    if (w->complete == 0) {
        w->complete = complete;
        w->etag = r->response.etag;
    }
    if (complete != w->complete)
        return "all of it has another size now";
    if (!slice_eq(r->response.etag, w->etag))
        return "it has another ETag now";
    if (range.first != p->at || range.last + 1 != end_of(w, p->at))
        return "it is another range";
    if (r->response.length >= 0 && (uint64_t)r->response.length != range.last + 1 - range.first)
        return "its length is not that of its range";
    return NULL;
}

/* ---- the body ------------------------------------------------------------------------------ */

struct slices_body {
    struct body body;
    struct whole *whole;
    uint64_t at, end;      /* what is to be given yet                                         */
    struct body *from;     /* the piece that is being read; NULL: none                        */
    struct request *child; /* whose it is; NULL: the request's own                            */
    uint64_t skip, left;   /* of it: to be thrown away, to be read in all                     */
    bool waiting;
};

static const struct body_ops slices_ops;

static void child_goes_on(struct request *child, void *arg)
{
    struct slices_body *s = arg;
    bool waiting = s->waiting;

    (void)child;
    s->waiting = false;
    if (waiting)
        request_body_ready(s->body.request);
}

static bool ask(struct slices_body *s, uint64_t at)
{
    static const struct subrequest_ops ops = { child_goes_on, child_goes_on };
    struct request *child = subrequest_clone(s->whole->request, &ops, s);
    struct piece *p = child != NULL ? arena_zalloc(&child->arena, sizeof *p) : NULL;

    s->child = child;
    if (p == NULL)
        return false;
    *p = (struct piece){ s->whole, at, false };
    child->slots[SLOT_SLICE] = p;
    subrequest_run(child);
    return true;
}

/* Begins with the piece that has s->at. */
static bool next_piece(struct slices_body *s)
{
    struct whole *w = s->whole;
    uint64_t at = s->at / w->size * w->size;

    s->skip = s->at - at;
    s->left = end_of(w, at) - at;
    if (at != w->first_at || w->first == NULL)
        return ask(s, at);
    s->from = w->first;
    w->first = NULL;
    return true;
}

/* It was read to its end, or no more of it is wanted. */
static void leave_piece(struct slices_body *s)
{
    if (s->child != NULL)
        request_end(s->child);
    else
        body_drop(s->from);
    s->child = NULL;
    s->from = NULL;
}

/* NEXT-like: BODY_CHUNK: s->from can be pulled. */
static enum body_status have_piece(struct slices_body *s)
{
    const struct piece *p;

    if (s->from != NULL)
        return BODY_CHUNK;
    if (s->child == NULL && !next_piece(s))
        return BODY_FAILED;
    if (s->from != NULL)
        return BODY_CHUNK;
    if (!subrequest_answered(s->child))
        return BODY_LATER;
    p = s->child->slots[SLOT_SLICE];
    if (p == NULL || !p->fits || s->child->response.body == NULL)
        return BODY_FAILED;
    s->from = s->child->response.body;
    return BODY_CHUNK;
}

static void throw_away(struct slices_body *s, const struct chunk *k)
{
    s->skip -= k->size;
    s->left -= k->size;
    if (s->from->ops->sent != NULL)
        s->from->ops->sent(s->from, k->size);
}

static size_t least(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

/* A piece's own end is read, too, so that the connection it came by can be kept. */
static enum body_status pull_one(struct slices_body *s, size_t max, struct chunk *ret)
{
    enum body_status status = have_piece(s);

    if (status != BODY_CHUNK)
        return status;
    status = s->from->ops->pull(s->from, s->skip > 0 ? (size_t)s->skip : least(max, s->end - s->at),
                                ret);
    if (status == BODY_CHUNK && ret->size > s->left)
        return BODY_FAILED;
    if (status == BODY_END && s->left > 0)
        return BODY_FAILED; /* it broke off */
    return status;
}

static enum body_status slices_pull(struct body *b, size_t max, struct chunk *ret)
{
    struct slices_body *s = container_of(b, struct slices_body, body);

    while (s->at < s->end) {
        enum body_status status = pull_one(s, max, ret);

        if (status == BODY_LATER)
            s->waiting = true;
        if (status == BODY_END) {
            leave_piece(s);
            continue;
        }
        if (status != BODY_CHUNK || s->skip == 0)
            return status;
        throw_away(s, ret);
    }
    return BODY_END;
}

static void slices_sent(struct body *b, size_t size)
{
    struct slices_body *s = container_of(b, struct slices_body, body);

    s->at += size;
    s->left -= size;
    if (s->from->ops->sent != NULL)
        s->from->ops->sent(s->from, size);
}

/* What is left of it goes with the request. */
static void slices_gone(void *arg)
{
    struct slices_body *s = arg;

    if (s->child == NULL && s->from != NULL)
        body_drop(s->from);
    s->from = NULL;
}

static struct body *make_body(struct whole *w, uint64_t first, uint64_t size)
{
    struct request *r = w->request;
    struct slices_body *s = arena_zalloc(&r->arena, sizeof *s);

    if (s == NULL)
        return NULL;
    s->body = (struct body){ .ops = &slices_ops, .request = r };
    s->whole = w;
    s->at = first;
    s->end = first + size;
    return request_at_end(r, slices_gone, s) ? &s->body : NULL;
}

static struct body *slices_slice(struct body *b, uint64_t first, uint64_t size)
{
    return make_body(container_of(b, struct slices_body, body)->whole, first, size);
}

static const struct body_ops slices_ops = {
    .name = "slices", .pull = slices_pull, .sent = slices_sent, .slice = slices_slice
};

static void whole_gone(void *arg)
{
    struct whole *w = arg;

    body_drop(w->first);
    w->first = NULL;
}

/* ---- the filter ---------------------------------------------------------------------------- */

bool slice_idle(const struct scope *scope)
{
    return ((const struct slice_conf *)scope_conf(scope, &feature_slice))->size == 0;
}

static void take_out(struct request *r, struct slice name)
{
    struct header *h = response_find(r, name);

    if (h != NULL)
        h->value.at = NULL;
}

/* The first piece stands for all of them. */
static bool become_whole(struct request *r, struct piece *p)
{
    struct whole *w = p->whole;

    take_out(r, SLICE("Content-Range"));
    take_out(r, SLICE("Accept-Ranges"));
    r->response.status = 200;
    r->response.length = (int64_t)w->complete;
    r->response.accept_ranges = true;
    if (r->response.body == NULL)
        return true; /* HEAD */
    w->first = r->response.body;
    w->first_at = p->at;
    r->response.body = NULL;
    if (!request_at_end(r, whole_gone, w))
        return false;
    r->response.body = make_body(w, 0, w->complete);
    return r->response.body != NULL;
}

void filter_slice(struct request *r)
{
    struct piece *p = r->slots[SLOT_SLICE];
    const char *why;

    if (p == NULL || r->response.tunnel)
        return;
    if (p->whole->request == r && r->response.status != 206) {
        r->slots[SLOT_SLICE] = NULL; /* who was asked does not do ranges, or has an error */
        return;
    }
    why = judge(r, p);
    p->fits = why == NULL;
    if (p->fits && (p->whole->request != r || become_whole(r, p)))
        return;
    if (why != NULL)
        request_log(r, LOG_ERROR, 0, "the slice from %llu on does not fit: %s",
                    (unsigned long long)p->at, why);
    request_fail(r, why != NULL ? 502 : 500);
    error_text_fill(r);
}

/* ---- directives ---------------------------------------------------------------------------- */

static const struct directive rows[] = {
    { "slice", CTX_ANY_HTTP, 1, 1, CONF_SIZE, offsetof(struct slice_conf, size), "0",
      .syntax = "size",
      .help = "Asks servers for pieces of this size, one after another, where $slice_range is "
              "passed on as Range; 0: for all at once. The pieces must have one size in all and "
              "one ETag; an answer that is not 206 is passed on as it is.",
      .example = "slice 1m;" },
};

static const struct variable vars[] = {
    { .name = "slice_range",
      .get = slice_range,
      .help = "The range of the piece that is asked for, as Range has it: bytes=0-1048575." },
};

const struct feature feature_slice = {
    .name = "slice",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .size = sizeof(struct slice_conf),
    .about = "Large answers asked for in pieces.",
    .index = &slice_index,
};
