/* h1_response.c - finds the lines of a response head, judges each, then the whole.
 *
 * Bytes are copied into the arena and looked at there, up to the next control byte: that is a
 * line's end or bad. A line that outgrows the room moves to a larger one; finished lines never
 * move.
 */
#include "wire/h1_response.h"

#include "base/bulk.h"
#include "base/scan.h"
#include "wire/h1_judge.h"
#include "wire/token.h"

enum {
    PIECE_MAX = 1024,
    SIZE_MIN = 64,
    FIELD_ROOM_FIRST = 16,
    STATUS_AT = 9,                   /* behind "HTTP/1.1 "   */
    STATUS_LINE_MIN = STATUS_AT + 3, /* without reason       */
    TRAILER_MAX = 16 * 1024,
};

enum state { ST_STATUS, ST_FIELDS, ST_BODY, ST_END, ST_BAD };

static bool refuse(struct h1_response *r, const char *why)
{
    r->state = ST_BAD;
    if (r->why == NULL)
        r->why = why;
    return false;
}

/* ---- lines -------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* status-line = HTTP-version SP 3DIGIT SP [ reason-phrase ] */
static bool read_status(struct h1_response *r, struct slice line)
{
    if (line.size < STATUS_LINE_MIN || memcmp(line.at, "HTTP/", 5) != 0 || !is_digit(line.at[5]) ||
        line.at[6] != '.' || !is_digit(line.at[7]) || line.at[8] != ' ')
        return refuse(r, "no HTTP status line");
    if (line.at[5] != '1')
        return refuse(r, "not HTTP/1");
    r->version_minor = line.at[7] != '0';
    for (size_t i = STATUS_AT; i < STATUS_LINE_MIN; i++) {
        if (!is_digit(line.at[i]))
            return refuse(r, "the status is no number of three digits");
        r->status = (uint16_t)(r->status * 10 + (line.at[i] - '0'));
    }
    if (r->status < 100)
        return refuse(r, "the status is below 100");
    if (line.size > STATUS_LINE_MIN && line.at[STATUS_LINE_MIN] != ' ')
        return refuse(r, "no blank behind the status");
    size_t reason = line.size > STATUS_LINE_MIN ? STATUS_LINE_MIN + 1 : STATUS_LINE_MIN;
    r->reason = slice_skip(line, reason);
    r->state = ST_FIELDS;
    return true;
}

static bool fields_grow(struct h1_response *r)
{
    uint32_t room = r->field_room == 0 ? FIELD_ROOM_FIRST : 2 * r->field_room;
    struct field *fields = arena_alloc(r->arena, room * sizeof *fields);

    if (fields == NULL)
        return refuse(r, "no memory for the fields");
    for (uint32_t i = 0; i < r->field_count; i++) {
        fields[i] = r->fields[i];
        if (r->known[fields[i].id] == &r->fields[i])
            r->known[fields[i].id] = &fields[i];
    }
    r->fields = fields;
    r->field_room = room;
    return true;
}

static bool judge_field(struct h1_response *r, const struct field *f)
{
    bool framing = f->id == FIELD_CONTENT_LENGTH || f->id == FIELD_TRANSFER_ENCODING;

    if (framing && r->known[f->id] != NULL)
        return refuse(r, "a field of the framing came twice");
    if (f->id != FIELD_CONTENT_LENGTH)
        return true;
    r->has_length = true;
    return h1_length_from(f->value, &r->length) || refuse(r, "bad Content-Length");
}

bool h1_response_add(struct h1_response *r, enum field_id id, struct slice name, struct slice value)
{
    if (r->field_count == r->limits->fields_max)
        return refuse(r, "too many fields");
    if (r->field_count == r->field_room && !fields_grow(r))
        return false;
    struct field *f = &r->fields[r->field_count];
    *f = (struct field){ name, value, id };
    if (!judge_field(r, f))
        return false;
    r->field_count++;
    if (id != FIELD_OTHER && r->known[id] == NULL)
        r->known[id] = f;
    return true;
}

static bool read_field(struct h1_response *r, struct slice line)
{
    if (line.at[0] == ' ' || line.at[0] == '\t')
        return refuse(r, "a folded field, or blanks before the first");
    size_t colon = slice_find(line, ':');
    if (colon == line.size)
        return refuse(r, "a field without a colon");
    struct slice name = slice_head(line, colon);
    enum field_id id = field_from(name);
    if (id == FIELD_OTHER && !field_name_ok(name))
        return refuse(r, "a field name is no token, or has a space before the colon");
    return h1_response_add(r, id, name, slice_trim(slice_skip(line, colon + 1)));
}

/* ---- what the whole head means ------------------------------------------------------------ */

static void judge_connection(struct h1_response *r)
{
    struct h1_connection seen = { 0 };

    for (uint32_t i = 0; i < r->field_count; i++)
        if (r->fields[i].id == FIELD_CONNECTION)
            h1_connection_from(r->fields[i].value, &seen);
    r->keep_alive = !seen.close && (r->version_minor > 0 || seen.keep_alive);
}

static bool judge_framing(struct h1_response *r)
{
    const struct field *coding = r->known[FIELD_TRANSFER_ENCODING];
    bool bare = r->status < 200 || r->status == 204;
    bool tunnel = r->status == 101 || (r->method == METHOD_CONNECT && r->status / 100 == 2);

    if (coding != NULL && r->has_length)
        return refuse(r, "both Transfer-Encoding and Content-Length");
    if (coding != NULL && r->version_minor == 0)
        return refuse(r, "Transfer-Encoding in HTTP/1.0");
    if (coding != NULL && !slice_eq_nocase(coding->value, SLICE("chunked")))
        return refuse(r, "unknown transfer coding");
    if (bare && (coding != NULL || (r->has_length && r->length > 0)))
        return refuse(r, "a body announced with a status that has none");
    if (tunnel)
        r->body = H1_BODY_TUNNEL;
    else if (bare || r->status == 304 || r->method == METHOD_HEAD)
        r->body = H1_BODY_NONE;
    else if (coding != NULL)
        r->body = H1_BODY_CHUNKED;
    else
        r->body = r->has_length ? H1_BODY_LENGTH : H1_BODY_CLOSE;
    return true;
}

bool h1_response_judge(struct h1_response *r)
{
    judge_connection(r);
    if (!judge_framing(r))
        return false;
    r->interim = r->status < 200 && r->status != 101;
    if (r->body >= H1_BODY_CLOSE)
        r->keep_alive = false;
    r->left = r->body == H1_BODY_LENGTH ? r->length : 0;
    if (r->body == H1_BODY_CHUNKED)
        chunked_init(&r->chunked, false, TRAILER_MAX);
    r->state = ST_BODY;
    return true;
}

/* ---- bytes -------------------------------------------------------------------------------- */

/* The line is bytes[line_at..at); its end follows. */
static bool line_done(struct h1_response *r)
{
    struct slice line = slice_of(r->bytes + r->line_at, r->at - r->line_at);
    bool fine;

    r->at += 2;
    r->before += r->at - r->line_at;
    r->line_at = r->at;
    if (r->state == ST_STATUS)
        fine = read_status(r, line);
    else
        fine = line.size > 0 ? read_field(r, line) : h1_response_judge(r);
    return fine && r->state < ST_BODY;
}

/* Reads one line if it is there. False: wait, or all was said. */
static bool read_line(struct h1_response *r)
{
    r->at += (uint32_t)scan_ctl_padded(r->bytes + r->at, r->used - r->at);
    if (r->at - r->line_at >= r->limits->line_max)
        return refuse(r, "a line of the head is too long");
    if (r->before + (r->at - r->line_at) >= r->limits->head_max)
        return refuse(r, "the head is too large");
    if (r->at == r->used)
        return false;
    if (r->bytes[r->at] != '\r')
        return refuse(r, r->bytes[r->at] == '\n' ? "LF without CR" : "a control byte in the head");
    if (r->at + 1 == r->used)
        return false;
    if (r->bytes[r->at + 1] != '\n')
        return refuse(r, "CR without LF");
    return line_done(r);
}

/* Room for more of the current line, which moves there. */
static bool make_room(struct h1_response *r)
{
    uint32_t kept = r->used - r->line_at;
    size_t size = r->size == 0 ? r->limits->first_size : 2 * (size_t)r->size;

    if (size < SIZE_MIN)
        size = SIZE_MIN;
    if (size > r->limits->line_max)
        size = r->limits->line_max;
    if (size <= kept)
        size = (size_t)kept + 2;
    char *bytes = arena_bytes(r->arena, size + SCAN_PAD);
    if (bytes == NULL)
        return refuse(r, "no memory for the head");
    if (kept > 0)
        memcpy(bytes, r->bytes + r->line_at, kept);
    memset(bytes + size, 0, SCAN_PAD);
    r->bytes = bytes;
    r->size = (uint32_t)size;
    r->used = kept;
    r->at -= r->line_at;
    r->line_at = 0;
    return true;
}

void h1_response_init(struct h1_response *r, const struct h1_limits *limits, struct arena *arena,
                      enum http_method method)
{
    bulk_zero(r, sizeof *r);
    r->limits = limits;
    r->arena = arena;
    r->method = method;
}

enum h1_verdict h1_response_feed(struct h1_response *r, const char *bytes, size_t size,
                                 size_t *taken)
{
    size_t fed = 0;

    while (fed < size && r->state < ST_BODY) {
        if (r->used == r->size && !make_room(r))
            break;
        size_t piece = r->size - r->used;
        if (piece > PIECE_MAX)
            piece = PIECE_MAX;
        if (piece > size - fed)
            piece = size - fed;
        bulk_copy(r->bytes + r->used, bytes + fed, piece);
        r->used += (uint32_t)piece;
        fed += piece;
        while (read_line(r))
            ;
    }
    if (r->state == ST_BODY) {
        fed -= r->used - r->at;
        r->used = r->at;
    }
    *taken = fed;
    return r->state == ST_BAD ? H1_BAD : r->state >= ST_BODY ? H1_DONE : H1_MORE;
}

/* ---- the body ----------------------------------------------------------------------------- */

static enum h1_verdict finish(struct h1_response *r)
{
    r->state = ST_END;
    return H1_DONE;
}

static enum h1_verdict body_chunked(struct h1_response *r, const char *bytes, size_t size,
                                    size_t *taken, struct slice *piece)
{
    switch (chunked_feed(&r->chunked, bytes, size, taken, piece)) {
    case CHUNKED_DONE:
        return finish(r);
    case CHUNKED_BAD:
        refuse(r, r->chunked.why);
        return H1_BAD;
    default:
        return H1_MORE;
    }
}

enum h1_verdict h1_response_body(struct h1_response *r, const char *bytes, size_t size,
                                 size_t *taken, struct slice *piece)
{
    *taken = 0;
    *piece = slice_of(bytes, 0);
    if (r->state != ST_BODY)
        return r->state == ST_END ? H1_DONE : H1_BAD;
    switch (r->body) {
    case H1_BODY_NONE:
        return finish(r);
    case H1_BODY_CHUNKED:
        return body_chunked(r, bytes, size, taken, piece);
    case H1_BODY_LENGTH:
        *taken = size < r->left ? size : (size_t)r->left;
        *piece = slice_of(bytes, *taken);
        r->left -= *taken;
        return r->left == 0 ? finish(r) : H1_MORE;
    default:
        *taken = size;
        *piece = slice_of(bytes, size);
        return H1_MORE;
    }
}

enum h1_verdict h1_response_end(struct h1_response *r)
{
    if (r->state == ST_END)
        return H1_DONE;
    if (r->state == ST_BODY && (r->body == H1_BODY_CLOSE || r->body == H1_BODY_TUNNEL))
        return finish(r);
    refuse(r, "the response ended early");
    return H1_BAD;
}
