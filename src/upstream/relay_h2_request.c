/* relay_h2_request.c - the head of a request as a server of HTTP/2 gets it (RFC 9113 §8.3.1):
 * written anew from what was understood of the client's, as proxy_request.c does for HTTP/1.
 */
#include "upstream/relay_h2.h"

#include "conf/expr.h"
#include "wire/hpack_write.h"

enum { VALUE_MAX = 64 * 1024, TABLE_SIZE_ZERO = 0x20 };

static bool set_by(const struct set_field *f, enum field_id id)
{
    while (f != NULL && f->id != id)
        f = f->next;
    return f != NULL;
}

/* Framing is this side's, and what concerns a connection of HTTP/1 does not exist here. */
static bool has_no_place(enum field_id id)
{
    switch (id) {
    case FIELD_HOST: /* :authority */
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_UPGRADE:
        return true;
    default:
        return false;
    }
}

static bool value_of(struct relay *y, const struct relay_h2_request *q, const struct set_field *f,
                     struct slice *ret)
{
    struct request *r = y->request;

    if (expr_eval(f->value, r, &r->arena, VALUE_MAX, ret))
        return true;
    request_log(r, LOG_ERROR, 0, "the value of %s %.*s is too long", q->setter, SLICE_FMT(f->name));
    return false;
}

static bool refuse(struct relay *y, const struct relay_h2_request *q, struct slice name)
{
    request_log(y->request, LOG_ERROR, 0, "the value of %s %.*s has a line end or a NUL", q->setter,
                SLICE_FMT(name));
    return false;
}

static bool write_pseudo(struct relay *y, const struct relay_h2_request *q, struct gather *g)
{
    struct slice scheme = y->tls_wanted ? SLICE("https") : SLICE("http"), authority = q->authority;

    for (const struct set_field *f = q->sets; f != NULL; f = f->next)
        if (f->id == FIELD_HOST && !value_of(y, q, f, &authority))
            return false;
    gather_byte(g, TABLE_SIZE_ZERO); /* our encoder has no table, whatever the server offers */
    if (!hpack_known(g, HPACK_METHOD, q->method) || !hpack_known(g, HPACK_SCHEME, scheme) ||
        !hpack_known(g, HPACK_PATH, q->path))
        return false;
    return authority.size == 0 || hpack_known(g, HPACK_AUTHORITY, authority) ||
           refuse(y, q, SLICE("Host"));
}

static bool write_sets(struct relay *y, const struct relay_h2_request *q, struct gather *g)
{
    for (const struct set_field *f = q->sets; f != NULL; f = f->next) {
        struct slice value;

        if (has_no_place(f->id))
            continue;
        if (!value_of(y, q, f, &value))
            return false;
        if (value.size == 0 || (f->id == FIELD_TE && !slice_eq_nocase(value, SLICE("trailers"))))
            continue;
        if (!hpack_field(g, f->name, value))
            return refuse(y, q, f->name);
    }
    return true;
}

static bool write_clients(struct relay *y, const struct relay_h2_request *q, struct gather *g)
{
    struct passing p;
    const struct field *f;

    passing_begin(&p, y, q->sets);
    while ((f = passing_next(&p)) != NULL)
        if (!hpack_field(g, f->name, f->value))
            return false;
    return true;
}

static void write_length(struct relay *y, struct gather *g)
{
    const struct request *r = y->request;
    int64_t length = y->source == SOURCE_FIXED  ? (int64_t)y->fixed.size
                     : y->source == SOURCE_NONE ? 0
                                                : client_body_length(r);
    char digits[24];
    struct gather text;

    if (length < 0 || (length == 0 && !(r->head.has_length && r->parent == NULL)))
        return;
    gather_init(&text, digits, sizeof digits, NULL, 0);
    gather_u64(&text, (uint64_t)length);
    hpack_own(g, HPACK_CONTENT_LENGTH, gather_get(&text));
}

bool relay_h2_write(struct relay *y, const struct relay_h2_request *q, struct gather *g)
{
    if (!write_pseudo(y, q, g) || !write_sets(y, q, g))
        return false;
    if (!set_by(q->sets, FIELD_TE) && passing_trailers(y->request) &&
        !hpack_field(g, SLICE("te"), SLICE("trailers")))
        return false;
    if ((q->no_match.size > 0 && !hpack_field(g, SLICE("if-none-match"), q->no_match)) ||
        (q->no_since.size > 0 && !hpack_field(g, SLICE("if-modified-since"), q->no_since)))
        return false;
    write_length(y, g);
    return !y->conf->pass_fields || write_clients(y, q, g);
}
