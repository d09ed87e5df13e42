/* vars_answer.c - variables about the answer: status, sizes, and the fields that were sent. */
#include "http/vars_rows.h"

#include "http/site.h"
#include "wire/date.h"

bool get_status(void *subject, const struct variable_use *use, struct gather *g)
{
    unsigned status = ((const struct request *)subject)->response.status;
    char digits[3] = {
        (char)('0' + status / 100 % 10),
        (char)('0' + status / 10 % 10),
        (char)('0' + status % 10),
    };

    (void)use;
    gather_bytes(g, digits, sizeof digits);
    return true;
}

bool get_bytes_sent(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    gather_u64(g, r->head_sent_bytes + r->body_sent);
    return true;
}

bool get_completion(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    if (((const struct request *)subject)->complete)
        gather_lit(g, "OK");
    return true;
}

/* ---- $sent_http_… ---------------------------------------------------------------------------- */

static bool join_named(const struct header *h, struct slice rest, struct gather *g)
{
    struct joiner j = { g, SLICE(", "), false };

    for (; h != NULL; h = h->next)
        if (h->value.at != NULL && field_named(h->name, rest))
            join_value(&j, h->value);
    return j.any;
}

/* Fields beyond those that struct response names. */
bool get_sent_field(void *subject, const struct variable_use *use, struct gather *g)
{
    return join_named(((const struct request *)subject)->response.headers, use->rest, g);
}

bool get_sent_trailer(void *subject, const struct variable_use *use, struct gather *g)
{
    return join_named(((const struct request *)subject)->response.trailers, use->rest, g);
}

static bool gather_if_any(struct gather *g, struct slice value)
{
    gather_slice(g, value);
    return value.size > 0;
}

bool get_sent_type(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    return gather_if_any(g, ((const struct request *)subject)->response.content_type);
}

bool get_sent_etag(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    return gather_if_any(g, ((const struct request *)subject)->response.etag);
}

bool get_sent_location(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    return gather_if_any(g, ((const struct request *)subject)->response.location);
}

bool get_sent_length(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct response *a = &((const struct request *)subject)->response;

    (void)use;
    if (a->length < 0 || a->status == 204 || a->status == 304)
        return false;
    gather_u64(g, (uint64_t)a->length);
    return true;
}

bool get_sent_modified(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct response *a = &((const struct request *)subject)->response;
    char text[DATE_HTTP_SIZE];

    (void)use;
    if (a->last_modified < 0)
        return false;
    if (a->last_modified_text.size > 0) {
        gather_slice(g, a->last_modified_text);
        return true;
    }
    date_http(a->last_modified, text);
    gather_bytes(g, text, sizeof text);
    return true;
}

bool get_sent_connection(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    if (((const struct request *)subject)->keep_alive)
        gather_lit(g, "keep-alive");
    else
        gather_lit(g, "close");
    return true;
}

bool get_sent_keep_alive(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;
    int64_t ms = core_conf(r)->keepalive_header;

    (void)use;
    if (!r->keep_alive || ms <= 0)
        return false;
    gather_lit(g, "timeout=");
    gather_u64(g, (uint64_t)ms / 1000u);
    return true;
}

/* Chunks carry a body whose length nobody knew, to a client that knows them. */
bool get_sent_coding(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    if (r->response.body == NULL || r->response.length >= 0 || r->head.version_minor == 0)
        return false;
    gather_lit(g, "chunked");
    return true;
}

bool get_sent_ranges(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    if (!((const struct request *)subject)->response.accept_ranges)
        return false;
    gather_lit(g, "bytes");
    return true;
}
