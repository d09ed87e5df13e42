/* h1_judge.c - framing and routing of a request: the one authority on both (RFC 9112 §3.2, §6;
 * RFC 9110 §7.2, §7.6.1, §8.6, §10.1.1). Where the RFCs leave a choice between repairing and
 * refusing, it refuses: two readers that repair differently are how requests are smuggled. */
#include "wire/h1_judge.h"

#include "wire/uri.h"

enum { LENGTH_DIGITS_MAX = 19 };

bool h1_refuse(struct h1_head *h, uint16_t status, const char *why)
{
    if (h->status == 0) {
        h->status = status;
        h->why = why;
    }
    return false;
}

static bool has_prefix_nocase(struct slice s, struct slice prefix)
{
    return s.size >= prefix.size && slice_eq_nocase(slice_head(s, prefix.size), prefix);
}

/* Cuts "http://" or "https://" off. */
static bool cut_scheme(struct slice *target, struct slice *ret_scheme)
{
    static const struct slice SCHEMES[] = { { "http", 4 }, { "https", 5 } };
    for (size_t i = 0; i < COUNT_OF(SCHEMES); i++) {
        if (!has_prefix_nocase(*target, SCHEMES[i]))
            continue;
        struct slice rest = slice_skip(*target, SCHEMES[i].size);
        if (slice_starts(rest, SLICE("://"))) {
            *ret_scheme = SCHEMES[i];
            *target = slice_skip(rest, 3);
            return true;
        }
    }
    return false;
}

static bool absolute_form(struct h1_head *h)
{
    struct slice rest = h->path; /* the target without its args */
    if (!cut_scheme(&rest, &h->scheme))
        return h1_refuse(h, 400, "the target is no path, no http URI and not *");
    size_t slash = slice_find(rest, '/');
    h->authority = slice_head(rest, slash);
    h->path = slice_skip(rest, slash);
    if (uri_authority_split(h->authority, &h->host, &h->host_port) != URI_OK)
        return h1_refuse(h, 400, "bad authority in the target");
    if (h->path.size == 0) /* RFC 9112 §3.2.4: OPTIONS of no path asks the server */
        h->path = h->method == METHOD_OPTIONS && h->args.at == NULL ? SLICE("*") : SLICE("/");
    return true;
}

static bool authority_form(struct h1_head *h)
{
    if (h->args.at != NULL || uri_authority_split(h->target, &h->host, &h->host_port) != URI_OK)
        return h1_refuse(h, 400, "CONNECT needs host:port");
    if (h->host.size + 1 >= h->target.size)
        return h1_refuse(h, 400, "CONNECT without a port");
    h->authority = h->target;
    h->path = (struct slice){ 0 };
    return true;
}

bool h1_judge_target(struct h1_head *h)
{
    h->path = h->args.at != NULL ? slice_head(h->target, (size_t)(h->args.at - h->target.at) - 1)
                                 : h->target;
    if (h->method == METHOD_CONNECT)
        return authority_form(h);
    if (h->target.at[0] == '/')
        return true;
    if (!slice_eq(h->target, SLICE("*")))
        return absolute_form(h);
    return h->method == METHOD_OPTIONS || h1_refuse(h, 400, "* is only for OPTIONS");
}

/* 63 bits, because file offsets have no more. */
bool h1_length_from(struct slice value, uint64_t *ret)
{
    size_t zeros = 0;
    while (zeros < value.size && value.at[zeros] == '0')
        zeros++;
    struct slice digits = slice_skip(value, zeros);
    *ret = 0;
    if (digits.size == 0 && zeros > 0)
        return true;
    return digits.size <= LENGTH_DIGITS_MAX && slice_to_u64(digits, INT64_MAX, ret);
}

/* Any of several Connection fields may say close, and close wins (RFC 9112 §9.3). */
void h1_connection_from(struct slice rest, struct h1_connection *seen)
{
    struct slice option;
    while (field_list_next(&rest, &option)) {
        if (slice_eq_nocase(option, SLICE("close")))
            seen->close = true;
        else if (slice_eq_nocase(option, SLICE("keep-alive")))
            seen->keep_alive = true;
        else if (slice_eq_nocase(option, SLICE("upgrade")))
            seen->upgrade = true;
    }
}

static bool is_singleton(enum field_id id)
{
    static const bool SINGLETON[FIELD_COUNT] = {
        [FIELD_HOST] = true,
        [FIELD_CONTENT_LENGTH] = true,
        [FIELD_TRANSFER_ENCODING] = true,
        [FIELD_AUTHORIZATION] = true,
        [FIELD_IF_MODIFIED_SINCE] = true,
        [FIELD_IF_UNMODIFIED_SINCE] = true,
        [FIELD_IF_RANGE] = true,
    };
    return SINGLETON[id];
}

bool h1_judge_field(struct h1_head *h, const struct field *f)
{
    if (h->known[f->id] != NULL && is_singleton(f->id))
        return h1_refuse(h, 400, "a field that may come only once came twice");
    if (f->id != FIELD_CONTENT_LENGTH)
        return true;
    h->has_length = true;
    return h1_length_from(f->value, &h->length) || h1_refuse(h, 400, "bad Content-Length");
}

/* RFC 9112 §6.1: only "chunked", once and alone, is implemented. Anything else is refused; this
 * finds out whether it is nonsense (400) or another coding (501). */
static bool coding_refuse(struct h1_head *h, struct slice rest)
{
    bool other = false;
    do {
        size_t comma = slice_find(rest, ',');
        bool last = comma == rest.size;
        struct slice member = slice_trim(slice_cut(&rest, ','));
        struct slice name = slice_trim(slice_head(member, slice_find(member, ';')));
        bool chunked = slice_eq_nocase(name, SLICE("chunked"));
        if (!field_name_ok(name)) /* a token, like a field's name */
            return h1_refuse(h, 400, "bad Transfer-Encoding");
        if (chunked && (!last || member.size != name.size))
            return h1_refuse(h, 400, "Transfer-Encoding: chunked is not last or not alone");
        other |= !chunked;
        if (last)
            break;
    } while (true);
    return h1_refuse(h, other ? 501 : 400, "unknown transfer coding");
}

static bool judge_framing(struct h1_head *h)
{
    const struct field *coding = h->known[FIELD_TRANSFER_ENCODING];
    if (h->method == METHOD_CONNECT && (coding != NULL || h->has_length))
        return h1_refuse(h, 400, "CONNECT with a body");
    if (coding == NULL)
        return true;
    if (h->has_length)
        return h1_refuse(h, 400, "both Transfer-Encoding and Content-Length");
    if (h->version_minor == 0)
        return h1_refuse(h, 400, "Transfer-Encoding in HTTP/1.0");
    h->chunked = slice_eq_nocase(coding->value, SLICE("chunked"));
    return h->chunked || coding_refuse(h, coding->value);
}

static bool judge_host(struct h1_head *h)
{
    const struct field *host = h->known[FIELD_HOST];
    if (host == NULL)
        return h->version_minor == 0 || h1_refuse(h, 400, "HTTP/1.1 without Host");
    struct slice name;
    uint16_t port;
    if (uri_authority_split(host->value, &name, &port) != URI_OK)
        return h1_refuse(h, 400, "bad Host");
    if (h->authority.at != NULL) /* the target's wins (RFC 9112 §3.2.2) */
        return true;
    h->authority = host->value;
    h->host = name;
    h->host_port = port;
    return true;
}

static void judge_connection(struct h1_head *h)
{
    struct h1_connection seen = { 0 };
    h->keep_alive = h->version_minor > 0;
    if (h->known[FIELD_CONNECTION] == NULL)
        return;
    for (const struct field *f = h->known[FIELD_CONNECTION]; f < h->fields + h->field_count; f++)
        if (f->id == FIELD_CONNECTION)
            h1_connection_from(f->value, &seen);
    h->upgrade = seen.upgrade;
    h->keep_alive = (h->keep_alive || seen.keep_alive) && !seen.close;
}

/* A second Expect field makes a list, which is another expectation. */
static bool judge_expect(struct h1_head *h)
{
    const struct field *first = h->known[FIELD_EXPECT];
    if (first == NULL || h->version_minor == 0)
        return true;
    h->expect_continue = slice_eq_nocase(first->value, SLICE("100-continue"));
    for (const struct field *f = first + 1; f < h->fields + h->field_count; f++)
        if (f->id == FIELD_EXPECT)
            h->expect_continue = false;
    return h->expect_continue || h1_refuse(h, 417, "unknown expectation");
}

bool h1_judge_head(struct h1_head *h)
{
    judge_connection(h);
    return judge_host(h) && judge_framing(h) && judge_expect(h);
}
