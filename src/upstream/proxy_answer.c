/* proxy_answer.c - what an HTTP peer says: read by wire/h1_response.c, judged here. */
#include "http/pipeline.h"
#include "upstream/proxy.h"
#include "upstream/relay_answer.h"

enum { INTERIMS_MAX = 16, TRAILERS_ROOM = 64 * 1024 };

static struct proxied *proxied_of(const struct relay *y)
{
    return y->own;
}

static bool begin(struct relay *y)
{
    struct proxied *px = proxied_of(y);
    struct request *r = y->request;
    enum http_method method = y->as_get || (r->parent != NULL && r->head.method != METHOD_HEAD)
                                  ? METHOD_GET
                                  : r->head.method;

    h1_response_init(&px->answer, &px->conf->limits, &r->arena, method);
    px->interims = 0;
    return true;
}

static enum h1_verdict bad(struct relay *y, const char *why)
{
    y->why = why;
    return H1_BAD;
}

static enum h1_verdict judge(struct relay *y)
{
    struct proxied *px = proxied_of(y);
    const struct h1_response *a = &px->answer;

    if (a->status > 599)
        return bad(y, "upstream sent a status that is none");
    if (a->status == 101 && !px->upgrade)
        return bad(y, "upstream switched protocols without having been asked");
    if (a->status == 101 && !y->all_sent)
        return bad(y, "upstream switched protocols before it had the request");
    y->attempt->status = a->status;
    y->fields = a->fields;
    y->field_count = a->field_count;
    px->passed = NULL;
    if (px->conf->pass_trailers && a->body == H1_BODY_CHUNKED) {
        gather_init(&px->trailers, NULL, 0, &y->request->arena, TRAILERS_ROOM);
        px->answer.chunked.trailers = &px->trailers;
    }
    return H1_DONE;
}

static enum h1_verdict read_head(struct relay *y, const char *at, size_t size, size_t *taken)
{
    struct proxied *px = proxied_of(y);

    for (*taken = 0;;) {
        size_t some = 0;
        enum h1_verdict v = h1_response_feed(&px->answer, at + *taken, size - *taken, &some);

        *taken += some;
        if (v == H1_BAD)
            return bad(y, px->answer.why);
        if (v == H1_MORE)
            return H1_MORE;
        if (!px->answer.interim)
            return judge(y);
        if (++px->interims > INTERIMS_MAX)
            return bad(y, "upstream sent too many interim answers");
        if (px->answer.status == 103)
            relay_hints(y, px->answer.fields, px->answer.field_count);
        h1_response_init(&px->answer, &px->conf->limits, &y->request->arena, px->answer.method);
    }
}

/* Behind the body: fields for the client, which may be told of its head only later. False: no
 * memory. */
static bool pass_trailers(struct relay *y)
{
    struct slice rest = gather_get(&proxied_of(y)->trailers);
    struct request *r = y->request;
    struct header **end = &proxied_of(y)->passed;

    while (rest.size > 0) {
        struct slice line = slice_cut(&rest, '\n'), value = slice_cut(&line, '\r');
        struct slice name = slice_cut(&value, ':');
        struct header *h;

        if (name.size == 0 || !trailer_is_allowed(name))
            continue;
        h = arena_alloc(&r->arena, sizeof *h);
        if (h == NULL)
            return false;
        *h = (struct header){ name, slice_trim(value), NULL };
        *end = h;
        end = &h->next;
    }
    if (r->response.passes_trailers)
        r->response.passed_trailers = proxied_of(y)->passed;
    return true;
}

static enum h1_verdict read_body(struct relay *y, const char *at, size_t size, size_t *taken,
                                 struct slice *piece)
{
    struct h1_response *a = &proxied_of(y)->answer;
    enum h1_verdict v;

    if (a->body == H1_BODY_TUNNEL) {
        *taken = size;
        *piece = slice_of(at, size);
        return H1_MORE;
    }
    v = h1_response_body(a, at, size, taken, piece);
    if (v == H1_BAD)
        y->why = "upstream sent an invalid chunked body";
    if (v == H1_DONE && a->chunked.trailers != NULL && !pass_trailers(y))
        return bad(y, "there is no memory left");
    return v;
}

static enum h1_verdict read_end(struct relay *y)
{
    struct h1_response *a = &proxied_of(y)->answer;

    return a->body == H1_BODY_TUNNEL ? H1_DONE : h1_response_end(a);
}

static bool may_keep(const struct relay *y)
{
    const struct proxied *px = proxied_of(y);

    return px->answer.keep_alive && px->conf->version == HTTP_11 &&
           (px->answer.body == H1_BODY_NONE || px->answer.body == H1_BODY_LENGTH ||
            px->answer.body == H1_BODY_CHUNKED);
}

/* ---- the answer -------------------------------------------------------------------------- */

static struct slice change_location(struct relay *y, struct slice value, bool *changed)
{
    return proxy_change_redirect(y->request, proxied_of(y), value, changed);
}

static struct slice change_cookie(struct relay *y, struct slice value)
{
    return proxy_change_cookie(y->request, proxied_of(y), value);
}

static const struct relay_rewrites rewrites = { change_location, change_cookie };

static bool ends_surely(const struct relay *y)
{
    return proxied_of(y)->answer.body != H1_BODY_CLOSE;
}

static enum verdict switch_protocols(struct relay *y)
{
    const struct h1_response *a = &proxied_of(y)->answer;
    struct request *r = y->request;
    struct field *to = a->known[FIELD_UPGRADE];

    if (to != NULL && !response_add(r, SLICE("Upgrade"), to->value)) {
        relay_end(y);
        return request_fail(r, 500);
    }
    r->response.body = relay_body(y);
    relay_tunnel(y);
    return DONE;
}

static enum verdict answer(struct relay *y)
{
    const struct h1_response *a = &proxied_of(y)->answer;
    struct request *r = y->request;
    enum verdict v = relay_fill(y, a->status, &rewrites);

    if (v != NEXT)
        return v;
    if (a->body == H1_BODY_TUNNEL)
        return switch_protocols(y);
    r->response.accept_ranges = relay_does_ranges(y) && a->status == 200 && a->has_length;
    if (a->has_length && a->status != 304)
        r->response.length = (int64_t)a->length;
    if (a->body == H1_BODY_NONE || r->response.length == 0) {
        relay_end(y);
        r->header_only |= a->body == H1_BODY_NONE;
        return DONE;
    }
    r->response.body = relay_body(y);
    r->response.passes_trailers = a->chunked.trailers != NULL;
    r->response.passed_trailers = proxied_of(y)->passed;
    return DONE;
}

const struct relay_protocol proxy_http = {
    .name = "proxy",
    .scheme = "http://",
    .secure = "https://",
    .write_head = proxy_write_head,
    .begin = begin,
    .read_head = read_head,
    .read_body = read_body,
    .read_end = read_end,
    .answer = answer,
    .may_keep = may_keep,
    .ends_surely = ends_surely,
    .rewrites = &rewrites,
};
