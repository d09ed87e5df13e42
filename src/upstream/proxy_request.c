/* proxy_request.c - the head of a request as a peer gets it (RFC 9110 §7.6, RFC 9112 §3).
 *
 * It is written anew, from what was understood of the client's: framing and what concerns one
 * connection alone (Connection, Keep-Alive, TE, Trailer, Upgrade …) is this side's own.
 */
#include "upstream/cache.h"
#include "upstream/proxy.h"

#include "conf/expr.h"
#include "wire/h1_write.h"
#include "wire/uri.h"

/* ---- the request line ---------------------------------------------------------------------- */

/* Is uri what the client sent? Then it goes on byte by byte as it came. */
static bool uri_came_so(const struct request *r)
{
    return !r->uri_changed && (r->parent == NULL || r->clone) && r->head.path.size > 0;
}

/* As it is, but for what would end the request line or a word of it. */
static void write_words(struct slice text, struct gather *g)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if (c > ' ' && c != 0x7f)
            gather_byte(g, (char)c);
        else
            gather_printf(g, "%%%02X", c);
    }
}

/* `set $args` may have made them of anything. */
static void write_args(const struct request *r, struct gather *g)
{
    if (r->args.at == NULL)
        return;
    gather_byte(g, '?');
    write_words(r->args, g);
}

void proxy_write_own_uri(const struct request *r, struct gather *g)
{
    if (uri_came_so(r))
        gather_slice(g, r->head.path);
    else
        uri_encode_path(g, r->uri);
    write_args(r, g);
}

/* proxy_pass with a path: it stands for the location's. */
static void write_mapped_uri(const struct request *r, const struct target *t, struct gather *g)
{
    struct slice rest =
        slice_starts(r->uri, t->prefix) ? slice_skip(r->uri, t->prefix.size) : (struct slice){ 0 };

    gather_slice(g, t->uri);
    uri_encode_path(g, rest);
    write_args(r, g);
}

/* A URL with variables is sent as they made it. */
static void write_made_uri(struct slice uri, struct gather *g)
{
    if (uri.at[0] != '/')
        gather_byte(g, '/');
    write_words(uri, g);
}

void proxy_write_uri(const struct request *r, const struct proxied *px, struct gather *g)
{
    if (!px->has_uri)
        proxy_write_own_uri(r, g);
    else if (px->target->url != NULL)
        write_made_uri(px->uri, g);
    else if (r->uri_rewritten) /* by this location: what it made of the path counts */
        proxy_write_own_uri(r, g);
    else
        write_mapped_uri(r, px->target, g);
}

bool proxy_method(struct request *r, const struct proxied *px, bool as_get, struct slice *ret)
{
    *ret = r->head.method_text;
    if (as_get || (r->parent != NULL && r->head.method == METHOD_GET))
        *ret = SLICE("GET"); /* method_text is the client's */
    return px->conf->method == NULL ||
           (expr_eval(px->conf->method, r, &r->arena, 64, ret) && field_name_ok(*ret));
}

static bool write_line(struct request *r, const struct proxied *px, bool as_get, struct gather *g)
{
    struct slice method;

    if (!proxy_method(r, px, as_get, &method))
        return false;
    gather_slice(g, method);
    gather_byte(g, ' ');
    proxy_write_uri(r, px, g);
    gather_str(g, px->conf->version == HTTP_11 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
    return true;
}

bool proxy_write_line(struct request *r, const struct proxied *px, struct gather *g)
{
    return write_line(r, px, false, g);
}

/* ---- fields that are set ----------------------------------------------------------------- */

static bool line_ok(struct slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.at[i];

        if (c == '\r' || c == '\n' || c == '\0')
            return false;
    }
    return true;
}

/* "name: value"; nothing for an empty value. False: the value would be more than one line. */
static bool write_set(struct request *r, const struct set_field *f, struct gather *g, bool *any)
{
    size_t before = g->used, value;

    gather_slice(g, f->name);
    gather_lit(g, ": ");
    value = g->used;
    expr_append(f->value, r, g, (struct slice){ 0 }, NULL);
    *any = g->used > value;
    if (!*any || g->full) {
        g->used = before;
        return !g->full;
    }
    if (!line_ok(slice_of(g->at + value, g->used - value))) {
        request_log(r, LOG_ERROR, 0, "the value of proxy_set_header %.*s has a line end or a NUL",
                    SLICE_FMT(f->name));
        return false;
    }
    gather_lit(g, "\r\n");
    return true;
}

static bool write_sets(struct request *r, struct proxied *px, struct gather *g)
{
    for (const struct set_field *f = px->conf->fields; f != NULL; f = f->next) {
        bool any;

        if (f->id == FIELD_CONTENT_LENGTH || f->id == FIELD_TRANSFER_ENCODING)
            continue; /* what is sent says how long it is */
        if (!write_set(r, f, g, &any))
            return false;
        px->upgrade |= any && f->id == FIELD_UPGRADE;
    }
    return true;
}

static bool write_standard(const struct proxied *px, struct gather *g)
{
    bool keeps = px->conf->version == HTTP_11 && px->finding.group->keeping.most > 0;

    if (!px->conf->sets_host && !h1_field_lit(g, "Host", px->host))
        return false;
    if (!px->conf->sets_connection && !keeps)
        gather_lit(g, "Connection: close\r\n");
    return true;
}

/* ---- the client's fields ----------------------------------------------------------------- */

static bool write_conditions(const struct cached *k, struct gather *g)
{
    struct slice tag = cache_if_none_match(k), since = cache_if_modified_since(k);

    return (tag.size == 0 || h1_field_lit(g, "If-None-Match", tag)) &&
           (since.size == 0 || h1_field_lit(g, "If-Modified-Since", since));
}

static void write_clients(const struct relay *y, const struct proxied *px, struct gather *g)
{
    struct passing p;
    const struct field *f;

    passing_begin(&p, y, px->conf->fields);
    while ((f = passing_next(&p)) != NULL) {
        gather_slice(g, f->name);
        gather_lit(g, ": ");
        gather_slice(g, f->value);
        gather_lit(g, "\r\n");
    }
}

/* ---- framing ----------------------------------------------------------------------------- */

static void write_framing(struct relay *y, const struct proxied *px, struct gather *g)
{
    const struct request *r = y->request;
    int64_t length = y->source == SOURCE_FIXED ? (int64_t)y->fixed.size : client_body_length(r);

    if (y->source == SOURCE_NONE) {
        if (y->conf->pass_body && r->head.has_length && r->parent == NULL)
            gather_lit(g, "Content-Length: 0\r\n");
        return;
    }
    if (length >= 0) {
        gather_lit(g, "Content-Length: ");
        gather_u64(g, (uint64_t)length);
        gather_lit(g, "\r\n");
        return;
    }
    CHECK(px->conf->version == HTTP_11);
    y->framing = &framing_chunked;
    gather_lit(g, "Transfer-Encoding: chunked\r\n");
}

bool proxy_choose_body(struct relay *y)
{
    const struct proxied *px = y->own;
    struct request *r = y->request;
    struct slice body;

    y->as_get = r->head.method == METHOD_HEAD && px->conf->relay.cache.convert_head &&
                cache_asks_whole(y->cached);
    if (px->conf->body == NULL)
        return true;
    if (!expr_eval(px->conf->body, r, &r->arena, EXPR_MAX, &body))
        return false;
    relay_use_bytes(y, body);
    return true;
}

bool proxy_write_head(struct relay *y, struct gather *g)
{
    struct proxied *px = y->own;
    struct request *r = y->request;

    if (!proxy_choose_body(y) || !proxy_write_greeting(y, px->conf) ||
        !write_line(r, px, y->as_get, g) || !write_standard(px, g) || !write_sets(r, px, g) ||
        !write_conditions(y->cached, g))
        return false;
    write_framing(y, px, g);
    if (px->conf->relay.pass_fields)
        write_clients(y, px, g);
    gather_lit(g, "\r\n");
    return true;
}
