/* h2_headers.c - pseudo-fields and fields of a block, judged as a request's head.
 *
 * A block is read to its end whatever it says, so that both sides' tables stay the same; what is
 * wrong is remembered. An extended CONNECT for WebSocket becomes what HTTP/1 would have sent, so
 * that whatever serves or passes on an Upgrade serves it, too.
 */
#include "wire/h2_headers.h"

#include "base/scan.h"
#include "wire/h1_judge.h"
#include "wire/token.h"
#include "wire/uri.h"

enum { PSEUDO_MAX = 5 };

struct h2_crumb {
    struct slice text;
    struct h2_crumb *next;
};

void h2_headers_begin(struct h2_headers *b, enum h2_block_kind kind, struct h1_head *h,
                      const struct h1_limits *limits, struct arena *arena)
{
    memset(b, 0, sizeof *b);
    b->kind = kind;
    b->head = h;
    b->limits = limits;
    b->crumbs_end = &b->crumbs;
    if (kind == H2_TRAILERS)
        return;
    h1_head_init(h, limits, arena);
    h->version_minor = 1;
    h->line_seen = true;
}

static bool malformed(struct h2_headers *b, const char *why)
{
    if (b->why == NULL)
        b->why = why;
    return false;
}

static bool no_memory(struct h2_headers *b)
{
    return h1_refuse(b->head, 500, "no memory for the fields");
}

static bool keep(struct h2_headers *b, struct slice text, struct slice *ret)
{
    char *into = arena_bytes(b->head->arena, text.size + 1);

    if (into == NULL)
        return no_memory(b);
    if (text.size > 0)
        memcpy(into, text.at, text.size);
    *ret = slice_of(into, text.size);
    return true;
}

/* ---- pseudo-fields --------------------------------------------------------------------- */

/* Where a pseudo-field goes; NULL: there is none of that name. Names that differ in size or in the
 * third byte are not compared. */
static struct slice *place_of(struct h2_headers *b, struct slice name)
{
    static const struct slice NAMES[] = {
        { ":path", 5 }, { ":method", 7 }, { ":scheme", 7 }, { ":protocol", 9 }, { ":authority", 10 }
    };
    struct slice *const places[] = { &b->path, &b->method, &b->scheme, &b->protocol,
                                     &b->authority };

    for (size_t i = 0; i < COUNT_OF(NAMES); i++)
        if (name.size == NAMES[i].size && name.at[2] == NAMES[i].at[2])
            return slice_eq(name, NAMES[i]) ? places[i] : NULL;
    return NULL;
}

static void add_pseudo(struct h2_headers *b, struct slice name, struct slice value)
{
    struct slice *into = place_of(b, name);

    if (b->kind == H2_TRAILERS)
        malformed(b, "a pseudo-field in trailers");
    else if (b->regular)
        malformed(b, "a pseudo-field behind a field");
    else if (into == NULL)
        malformed(b, "an unknown pseudo-field");
    else if (into->at != NULL)
        malformed(b, "a pseudo-field came twice");
    else
        keep(b, value, into);
}

/* ---- fields ---------------------------------------------------------------------------- */

/* Their classes, or 0: no token, or a capital letter. */
static unsigned name_classes(struct slice name)
{
    unsigned seen = 0;

    for (size_t i = 0; i < name.size; i++) {
        unsigned class = token_class(name.at[i]);

        if (class == 0 || (unsigned char)(name.at[i] - 'A') < 26)
            return 0;
        seen |= class;
    }
    return seen;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool value_ok(struct slice value)
{
    return value.size == 0 ||
           (!blank(value.at[0]) && !blank(value.at[value.size - 1]) && field_value_ok(value));
}

/* What concerns one connection alone has no meaning here (RFC 9113 §8.2.2). */
static bool allowed(enum field_id id, struct slice value)
{
    switch (id) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
        return false;
    case FIELD_TE:
        return slice_eq_nocase(value, SLICE("trailers"));
    default:
        return true;
    }
}

const char *h2_field_wrong(enum field_id id, struct slice name, struct slice value,
                           unsigned *ret_classes)
{
    *ret_classes = name_classes(name);
    if (*ret_classes == 0)
        return "a field name is no token of small letters";
    if (!value_ok(value))
        return "a control byte in a field, or blanks around it";
    if (!allowed(id, value))
        return "a field that belongs to HTTP/1 connections";
    return NULL;
}

static bool append(struct h2_headers *b, enum field_id id, struct slice name, struct slice value)
{
    struct h1_head *h = b->head;

    if (h->field_count == h->field_room && !h1_fields_grow(h))
        return no_memory(b);
    struct field *f = &h->fields[h->field_count];

    *f = (struct field){ name, value, id };
    if (!h1_judge_field(h, f))
        return false;
    if (id != FIELD_OTHER && h->known[id] == NULL)
        h->known[id] = f;
    h->field_count++;
    return true;
}

/* RFC 9113 §8.2.3: the crumbs are one field for everybody else. */
static void add_crumb(struct h2_headers *b, struct slice value)
{
    struct h2_crumb *crumb = arena_alloc(b->head->arena, sizeof *crumb);

    if (crumb == NULL) {
        no_memory(b);
        return;
    }
    if (b->crumbs == NULL) {
        b->cookie_at = b->head->field_count;
        if (!append(b, FIELD_COOKIE, SLICE("cookie"), value))
            return;
    }
    *crumb = (struct h2_crumb){ value, NULL };
    *b->crumbs_end = crumb;
    b->crumbs_end = &crumb->next;
    b->cookie_size += value.size + 2;
}

static void add_field(struct h2_headers *b, struct slice name, struct slice value)
{
    struct h1_head *h = b->head;
    enum field_id id = field_from(name);
    unsigned seen = 0;
    const char *why = h2_field_wrong(id, name, value, &seen);

    b->regular = true;
    if (why != NULL) {
        malformed(b, why);
        return;
    }
    if (b->kind == H2_TRAILERS || h->status != 0 || b->why != NULL)
        return;
    h->name_seen = (uint8_t)seen;
    h->field_id = id;
    if (!h1_name_wanted(h) || !keep(b, value, &value))
        return;
    if (id == FIELD_COOKIE) {
        add_crumb(b, value);
        return;
    }
    if (id != FIELD_OTHER)
        name = field_text(id);
    else if (!keep(b, name, &name))
        return;
    if (slice_eq(name, SLICE("priority")))
        b->priority = value;
    if (!append(b, id, name, value) && id == FIELD_CONTENT_LENGTH)
        malformed(b, "bad Content-Length, or two of them");
}

bool h2_headers_add(struct h2_headers *b, struct slice name, struct slice value)
{
    struct h1_head *h = b->head;
    size_t size = name.size + value.size + H2_FIELD_COST;

    b->list_size += (uint32_t)size;
    b->lines++;
    if (b->lines > 2 * (uint64_t)b->limits->fields_max + PSEUDO_MAX ||
        b->list_size > 2 * (uint64_t)b->limits->head_max)
        return false;
    if (b->kind == H2_TRAILERS) { /* nothing is kept */
        if (name.size > 0 && name.at[0] == ':')
            add_pseudo(b, name, value);
        else
            add_field(b, name, value);
        return true;
    }
    if (name.size > 0 && name.at[0] == ':') {
        if (size > h->limits->line_max + (size_t)H2_FIELD_COST)
            h1_refuse(h, slice_eq(name, SLICE(":path")) ? 414 : 431, "a pseudo-field is too long");
        else
            add_pseudo(b, name, value);
        b->lines--; /* they were a line of HTTP/1 */
        return true;
    }
    if (b->lines > h->limits->fields_max)
        h1_refuse(h, 431, "too many fields");
    else if (b->list_size > h->limits->head_max ||
             size > h->limits->line_max + (size_t)H2_FIELD_COST)
        h1_refuse(h, 431, "a field or the head is too large");
    add_field(b, name, value);
    return true;
}

/* ---- all of it is there ------------------------------------------------------------------ */

static bool join_crumbs(struct h2_headers *b)
{
    if (b->crumbs == NULL || b->crumbs->next == NULL)
        return true;
    char *into = arena_bytes(b->head->arena, b->cookie_size), *at = into;

    if (into == NULL)
        return no_memory(b);
    for (const struct h2_crumb *c = b->crumbs; c != NULL; c = c->next) {
        if (c != b->crumbs) {
            memcpy(at, "; ", 2);
            at += 2;
        }
        if (c->text.size > 0)
            memcpy(at, c->text.at, c->text.size);
        at += c->text.size;
    }
    b->head->fields[b->cookie_at].value = slice_of(into, (size_t)(at - into));
    return true;
}

/* As a request line would have had it: for logs, and as what method and target point to. */
static bool write_line(struct h2_headers *b, struct slice target)
{
    static const char VERSION[] = " HTTP/2.0";
    struct h1_head *h = b->head;
    size_t size = b->method.size + 1 + target.size + sizeof VERSION - 1;
    char *at = arena_bytes(h->arena, size + SCAN_PAD);

    if (at == NULL)
        return no_memory(b);
    memcpy(at, b->method.at, b->method.size);
    at[b->method.size] = ' ';
    memcpy(at + b->method.size + 1, target.at, target.size);
    memcpy(at + b->method.size + 1 + target.size, VERSION, sizeof VERSION - 1);
    memset(at + size, 0, SCAN_PAD);
    h->line = slice_of(at, size);
    h->method_text = slice_head(h->line, b->method.size);
    h->target = slice_of(at + b->method.size + 1, target.size);
    return true;
}

/* One Host for all: the field, which :authority stands for (RFC 9113 §8.3.1). */
static bool join_host(struct h2_headers *b)
{
    const struct field *host = b->head->known[FIELD_HOST];

    if (b->authority.at == NULL)
        return host != NULL ||
               h1_refuse(b->head, 400, "a request without :authority and without Host");
    if (host == NULL)
        return append(b, FIELD_HOST, SLICE("host"), b->authority);
    return slice_eq_nocase(host->value, b->authority) ||
           malformed(b, ":authority and Host are not the same");
}

/* The bytes of a target, as read_target() of h1_head.c has them. */
static bool target_ok(struct h1_head *h)
{
    size_t mark = slice_find(h->target, '?');

    if (mark < h->target.size)
        h->args = slice_skip(h->target, mark + 1);
    return scan_gap_padded(h->target.at, h->target.size, '#') == h->target.size;
}

static bool judge_path(struct h2_headers *b)
{
    struct h1_head *h = b->head;

    if (!write_line(b, b->path))
        return false;
    if (b->path.size == 0 || (b->path.at[0] != '/' && !slice_eq(b->path, SLICE("*"))) ||
        !target_ok(h))
        return malformed(b, ":path is no path");
    return h1_judge_target(h) || (b->path.at[0] == '*' && malformed(b, h->why));
}

static bool scheme_ok(struct slice scheme)
{
    return slice_eq(scheme, SLICE("https")) || slice_eq(scheme, SLICE("http"));
}

/* CONNECT as it always was has neither :scheme nor :path (RFC 9113 §8.5). */
static bool judge_connect(struct h2_headers *b)
{
    if (b->scheme.at != NULL || b->path.at != NULL || b->authority.at == NULL)
        return malformed(b, "CONNECT with :scheme or :path, or without :authority");
    if (!write_line(b, b->authority))
        return false;
    return h1_judge_target(b->head) || malformed(b, b->head->why);
}

/* RFC 8441 §5, told the way HTTP/1 tells it. */
static bool become_upgrade(struct h2_headers *b, struct slice key)
{
    struct h1_head *h = b->head;

    if (!slice_eq(b->protocol, SLICE("websocket")))
        return h1_refuse(h, 501, "CONNECT for a :protocol that is unknown");
    h->method = METHOD_GET;
    h->method_text = SLICE("GET");
    return append(b, FIELD_UPGRADE, SLICE("upgrade"), SLICE("websocket")) &&
           append(b, FIELD_CONNECTION, SLICE("connection"), SLICE("upgrade")) &&
           append(b, FIELD_OTHER, SLICE("sec-websocket-key"), key);
}

static bool judge_pseudo(struct h2_headers *b)
{
    struct h1_head *h = b->head;

    if (b->method.at == NULL)
        return h->status == 0 ? malformed(b, "no :method") : false;
    if (!field_name_ok(b->method))
        return malformed(b, ":method is no token");
    h->method = method_from(b->method);
    if (b->protocol.at != NULL && h->method != METHOD_CONNECT)
        return malformed(b, ":protocol without CONNECT");
    if (h->method == METHOD_CONNECT && b->protocol.at == NULL)
        return judge_connect(b);
    if (h->status != 0)
        return false;
    if (b->scheme.at == NULL || b->path.at == NULL)
        return malformed(b, "no :scheme, or no :path");
    if (!scheme_ok(b->scheme))
        return malformed(b, ":scheme is neither http nor https");
    if (b->protocol.at != NULL)
        h->method = METHOD_GET; /* its target is a path */
    return judge_path(b);
}

static bool judge(struct h2_headers *b, bool ended, struct slice key)
{
    struct h1_head *h = b->head;
    bool tunnel = b->protocol.at != NULL;

    if (!judge_pseudo(b) || b->why != NULL || h->status != 0)
        return false;
    if (h->has_length && ended && h->length > 0)
        return malformed(b, "Content-Length without a body");
    if (!join_host(b) || !join_crumbs(b) || (tunnel && !become_upgrade(b, key)))
        return false;
    if (!h1_judge_head(h))
        return false;
    h->keep_alive = true;
    h->chunked = !ended && !h->has_length && !tunnel; /* a body without a length */
    return true;
}

enum h2_block_verdict h2_headers_end(struct h2_headers *b, bool ended, struct slice key)
{
    if (b->kind == H2_TRAILERS)
        return b->why == NULL ? H2_BLOCK_DONE : H2_BLOCK_MALFORMED;
    if (b->why == NULL && judge(b, ended, key))
        return H2_BLOCK_DONE;
    if (b->why != NULL)
        return H2_BLOCK_MALFORMED;
    CHECK(b->head->status != 0);
    return H2_BLOCK_REFUSED;
}
