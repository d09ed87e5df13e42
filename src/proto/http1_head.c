/* http1_head.c - writes the head of an HTTP/1 answer into the out buffer: the only place where
 * a response's fields become bytes (RFC 9112 §4, RFC 9110 §8). */
#include "http/pipeline.h"
#include "proto/http1_private.h"
#include "wire/date.h"
#include "wire/h1_write.h"

static void write_server(struct gather *g, const struct http_core *core)
{
    if (core->server_tokens == TOKENS_OFF)
        gather_lit(g, "Server: weir\r\n");
    else
        gather_lit(g, "Server: weir/" WEIR_VERSION "\r\n");
}

/* A status that never has a body: no Content-Length, no Transfer-Encoding (RFC 9110 §8.6). */
static bool bodiless(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}

static void write_framing(struct gather *g, struct request *r)
{
    const struct exchange *x = r->exchange;

    if (r->response.length >= 0 && !bodiless(r->response.status)) {
        gather_lit(g, "Content-Length: ");
        gather_u64(g, (uint64_t)r->response.length);
        gather_lit(g, "\r\n");
    }
    if (r->response.last_modified >= 0) {
        char date[DATE_HTTP_SIZE];

        gather_lit(g, "Last-Modified: ");
        if (r->response.last_modified_text.size > 0) {
            gather_slice(g, r->response.last_modified_text);
        } else {
            date_http(r->response.last_modified, date);
            gather_bytes(g, date, sizeof date);
        }
        gather_lit(g, "\r\n");
    }
    if (x->chunking)
        gather_lit(g, "Transfer-Encoding: chunked\r\n");
    if (x->chunking && x->trailing && response_find(r, SLICE("Trailer")) == NULL) {
        size_t before = g->used, names;

        gather_lit(g, "Trailer: ");
        names = g->used;
        trailers_name(r, g);
        if (g->used == names) /* another server's, whose names are not known yet */
            g->used = before;
        else
            gather_lit(g, "\r\n");
    }
}

static void write_connection(struct gather *g, const struct request *r,
                             const struct http_core *core)
{
    if (r->response.tunnel) {
        gather_lit(g, "Connection: upgrade\r\n");
        return;
    }
    if (!r->keep_alive) {
        gather_lit(g, "Connection: close\r\n");
        return;
    }
    if (r->head.version_minor == 0)
        gather_lit(g, "Connection: keep-alive\r\n");
    if (core->keepalive_header > 0) {
        gather_lit(g, "Keep-Alive: timeout=");
        gather_u64(g, (uint64_t)core->keepalive_header / 1000u);
        gather_lit(g, "\r\n");
    }
}

/* False: a field was refused (CR, LF or NUL in something built from input). */
static bool write_fields(struct gather *g, struct request *r)
{
    const struct response *a = &r->response;

    if (a->etag.size > 0 && !h1_field_lit(g, "ETag", a->etag))
        return false;
    if (a->accept_ranges)
        gather_lit(g, "Accept-Ranges: bytes\r\n");
    if (a->location.size > 0 && !h1_field_lit(g, "Location", a->location))
        return false;
    for (const struct header *h = a->headers; h != NULL; h = h->next) {
        if (h->value.at == NULL)
            continue;
        if (!h1_field(g, h->name, h->value)) {
            request_log(r, LOG_ERROR, 0, "the response field \"%.*s\" has a control byte",
                        SLICE_FMT(h->name));
            return false;
        }
    }
    return true;
}

static bool write_all(struct conn *c, struct gather *g)
{
    struct request *r = c->request;
    const struct http_core *core = h1_core(c);

    h1_status_line(g, r->response.status);
    if (!r->response.has_server)
        write_server(g, core);
    if (!r->response.has_date) {
        gather_lit(g, "Date: ");
        gather_slice(g, loop_date(c->loop));
        gather_lit(g, "\r\n");
    }
    if (r->response.content_type.size > 0 && !bodiless(r->response.status) &&
        !h1_field_lit(g, "Content-Type", r->response.content_type))
        return false;
    write_framing(g, r);
    write_connection(g, r, core);
    if (!write_fields(g, r))
        return false;
    gather_lit(g, "\r\n");
    return true;
}

bool h1_write_head(struct conn *c, struct out *out)
{
    struct request *r = c->request;
    struct gather g;

    gather_init(&g, out->bytes + out->used, OUT_ROOM - out->used, NULL, 0);
    if (!write_all(c, &g)) {
        struct exchange *x = r->exchange;

        g.used = 0;
        request_replace(r, 500);
        x->body_ended = r->header_only || r->response.body == NULL;
        x->answer_left = (uint64_t)r->response.length;
        x->chunking = false;
        if (!write_all(c, &g)) { /* `add_header … always` gave it to this answer, too */
            g.used = 0;
            r->response.headers = NULL;
            if (!write_all(c, &g))
                return false;
        }
    }
    if (g.full)
        return false;
    r->head_sent_bytes = g.used;
    out->used += (uint32_t)g.used;
    return true;
}
