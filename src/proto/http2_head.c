/* http2_head.c - writes the heads of answers, interim answers and trailers as header blocks
 * (RFC 9113 §8.3.2): the only place where a response's fields become bytes of HTTP/2.
 */
#include "http/pipeline.h"
#include "proto/http2_private.h"
#include "wire/date.h"
#include "wire/hpack_write.h"

enum { ROOM_LEAST = 1024, BLOCK_MAX = 64 * 1024, TABLE_SIZE_ZERO = 0x20 };

typedef bool write_fn(struct h2_stream *, struct gather *);

/* ---- fields --------------------------------------------------------------------------------- */

static bool bodiless(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}

/* Fields of HTTP/1 connections do not exist here (RFC 9113 §8.2.2). */
static bool of_connection(struct slice name)
{
    static const struct slice NAMES[] = { { "upgrade", 7 },
                                          { "connection", 10 },
                                          { "keep-alive", 10 },
                                          { "proxy-connection", 16 },
                                          { "transfer-encoding", 17 } };

    for (size_t i = 0; i < COUNT_OF(NAMES); i++)
        if (name.size == NAMES[i].size && slice_eq_nocase(name, NAMES[i]))
            return true;
    return false;
}

static bool write_headers(struct request *r, const struct header *h, struct gather *g)
{
    for (; h != NULL; h = h->next) {
        if (h->value.at == NULL || of_connection(h->name))
            continue;
        if (r->response.tunnel && slice_eq_nocase(h->name, SLICE("sec-websocket-accept")))
            continue; /* an answer to a key that the client did not send */
        if (hpack_field(g, h->name, h->value))
            continue;
        request_log(r, LOG_ERROR, 0, "the response field \"%.*s\" has a control byte",
                    SLICE_FMT(h->name));
        return false;
    }
    return true;
}

static void write_number(struct gather *g, enum hpack_name name, uint64_t n)
{
    char digits[24];
    struct gather text;

    gather_init(&text, digits, sizeof digits, NULL, 0);
    gather_u64(&text, n);
    hpack_own(g, name, gather_get(&text));
}

static bool write_modified(struct gather *g, const struct response *a)
{
    char date[DATE_HTTP_SIZE];

    if (a->last_modified < 0)
        return true;
    if (a->last_modified_text.size > 0) /* it may be another server's */
        return hpack_known(g, HPACK_LAST_MODIFIED, a->last_modified_text);
    date_http(a->last_modified, date);
    hpack_own(g, HPACK_LAST_MODIFIED, slice_of(date, sizeof date));
    return true;
}

static bool write_own(struct h2_stream *s, struct gather *g)
{
    struct request *r = s->request;
    const struct response *a = &r->response;
    bool ok = true;

    if (!a->has_server)
        hpack_own(g, HPACK_SERVER,
                  h2_core(s)->server_tokens == TOKENS_OFF ? SLICE("weir")
                                                          : SLICE("weir/" WEIR_VERSION));
    if (!a->has_date)
        hpack_own(g, HPACK_DATE, loop_date(s->h2->conn->loop));
    if (a->content_type.size > 0 && !bodiless(a->status))
        ok = hpack_known(g, HPACK_CONTENT_TYPE, a->content_type);
    if (a->length >= 0 && !bodiless(a->status))
        write_number(g, HPACK_CONTENT_LENGTH, (uint64_t)a->length);
    ok = ok && write_modified(g, a);
    if (a->etag.size > 0)
        ok = ok && hpack_known(g, HPACK_ETAG, a->etag);
    if (a->accept_ranges)
        hpack_own(g, HPACK_ACCEPT_RANGES, SLICE("bytes"));
    if (a->location.size > 0)
        ok = ok && hpack_known(g, HPACK_LOCATION, a->location);
    return ok;
}

static bool write_trailer_names(struct h2_stream *s, struct gather *g)
{
    char room[1024];
    struct gather names;

    if (!s->trailing || response_find(s->request, SLICE("Trailer")) != NULL)
        return true;
    gather_init(&names, room, sizeof room, NULL, 0);
    trailers_name(s->request, &names);
    return names.full || names.used == 0 || hpack_field(g, SLICE("trailer"), gather_get(&names));
}

static bool write_answer(struct h2_stream *s, struct gather *g)
{
    struct request *r = s->request;

    hpack_status(g, r->response.tunnel ? 200 : r->response.status);
    return write_own(s, g) && write_trailer_names(s, g) && write_headers(r, r->response.headers, g);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* A block that is too large for a slot, or for one frame. */
static bool send_large(struct h2_stream *s, struct slice block, unsigned flags)
{
    struct h2 *h2 = s->h2;
    enum h2_type type = H2_HEADERS;

    while (block.size > 0) {
        struct slice piece = slice_head(block, H2_FRAME_MAX_LEAST);
        uint8_t head[H2_FRAME_HEAD];

        block = slice_skip(block, piece.size);
        if (block.size == 0)
            flags |= H2_END_HEADERS;
        h2_put_head(head, (uint32_t)piece.size, type, flags, s->id);
        h2_out_bytes(h2, head, sizeof head);
        h2_out_bytes(h2, piece.at, piece.size);
        type = H2_CONTINUATION;
        flags = 0;
    }
    return !h2->no_memory;
}

enum written { WRITTEN, REFUSED, NOT_FIT };

/* A block behind what is there: nearly always. */
static enum written write_here(struct h2_stream *s, write_fn *write, unsigned flags)
{
    struct h2 *h2 = s->h2;
    uint8_t *room = h2_out_room(h2, ROOM_LEAST);
    struct gather g;

    if (room == NULL)
        return NOT_FIT;
    gather_init(&g, (char *)room + H2_FRAME_HEAD, h2_out_left(h2) - H2_FRAME_HEAD, NULL, 0);
    if (!h2->table_told) /* our encoder has no table, whatever the client offers */
        gather_byte(&g, TABLE_SIZE_ZERO);
    if (!write(s, &g))
        return REFUSED;
    if (g.full)
        return NOT_FIT;
    h2->table_told = true;
    h2_put_head(room, (uint32_t)g.used, H2_HEADERS, flags | H2_END_HEADERS, s->id);
    h2_out_used(h2, H2_FRAME_HEAD + g.used);
    s->request->head_sent_bytes += H2_FRAME_HEAD + g.used;
    return WRITTEN;
}

static enum written write_block(struct h2_stream *s, write_fn *write, unsigned flags)
{
    enum written w = write_here(s, write, flags);
    struct gather g;

    if (w != NOT_FIT || s->h2->no_memory)
        return w;
    gather_init(&g, NULL, 0, &s->request->arena, BLOCK_MAX);
    if (!s->h2->table_told)
        gather_byte(&g, TABLE_SIZE_ZERO);
    if (!write(s, &g))
        return REFUSED;
    if (g.full)
        return NOT_FIT;
    s->h2->table_told = true;
    s->request->head_sent_bytes += g.used;
    return send_large(s, gather_get(&g), flags) ? WRITTEN : NOT_FIT;
}

bool h2_write_head(struct h2_stream *s, bool ended)
{
    return write_block(s, write_answer, ended ? H2_END_STREAM : 0) == WRITTEN;
}

/* ---- interim answers ------------------------------------------------------------------------- */

static bool write_continue(struct h2_stream *s, struct gather *g)
{
    (void)s;
    hpack_status(g, 100);
    return true;
}

static bool write_hints(struct h2_stream *s, struct gather *g)
{
    hpack_status(g, 103);
    return write_headers(s->request, s->request->response.headers, g);
}

bool h2_write_interim(struct h2_stream *s, unsigned status)
{
    uint64_t before = s->request->head_sent_bytes;
    bool ok = write_here(s, status == 103 ? write_hints : write_continue, 0) == WRITTEN;

    s->request->head_sent_bytes = before;
    return ok;
}

/* ---- trailers -------------------------------------------------------------------------------- */

static bool write_trailer_fields(struct h2_stream *s, struct gather *g)
{
    struct request *r = s->request;

    for (const struct header *h = r->response.trailers; h != NULL; h = h->next)
        if (!hpack_field(g, h->name, h->value))
            request_log(r, LOG_ERROR, 0, "the trailer \"%.*s\" has a control byte",
                        SLICE_FMT(h->name));
    return true;
}

bool h2_write_trailers(struct h2_stream *s)
{
    struct request *r = s->request;

    if (!trailers_make(r)) {
        request_log(r, LOG_ERROR, 0,
                    "the trailers are left out: a value is too long, or memory is out");
        r->response.trailers = NULL;
    }
    return r->response.trailers != NULL &&
           write_block(s, write_trailer_fields, H2_END_STREAM) == WRITTEN;
}
