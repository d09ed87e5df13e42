/* h1_head.c - finds the parts of a request head in one pass over its bytes.
 *
 * Bytes are copied into the arena, a piece at a time, and looked at there. A state says what is
 * being read; each step reads on from `at` until its part ends, is found bad, or the bytes run
 * out, and then the next feed goes on at the same place. Parts are remembered relative to their
 * line, because a line that outgrows the room moves to a larger one; finished lines never move.
 */
#include "wire/h1_head.h"

#include "base/bulk.h"
#include "base/scan.h"
#include "wire/h1_judge.h"
#include "wire/token.h"

enum {
    PIECE_MAX = 1024, /* copied at once: what is behind the head was copied in vain */
    SIZE_MIN = 64,    /* smallest first room                                         */
    FIELD_ROOM_FIRST = 16,
    EMPTY_LINES_MAX = 1, /* before the request line (RFC 9112 §2.2)                     */
    VERSION_SIZE = 8,    /* "HTTP/1.1"                                                  */
};

enum state {
    ST_START,
    ST_METHOD,
    ST_TARGET,
    ST_VERSION, /* the request line */
    ST_FIELD,
    ST_NAME,
    ST_VALUE, /* a field line     */
    ST_DONE,
    ST_BAD,
    ST_COUNT,
};

/* What a step says: the bytes ran out, or all was said; a line was read, go on. */
enum step { STEP_STOP, STEP_ON };

/* Each reads on from its state, and into the next one of the same line. */
static enum step read_start(struct h1_head *);
static enum step read_method(struct h1_head *);
static enum step read_target(struct h1_head *);
static enum step read_version(struct h1_head *);
static enum step read_field(struct h1_head *);
static enum step read_name(struct h1_head *);
static enum step read_value(struct h1_head *);
static enum step read_nothing(struct h1_head *);

static enum step (*const READ[ST_COUNT])(struct h1_head *) = {
    [ST_START] = read_start,     [ST_METHOD] = read_method, [ST_TARGET] = read_target,
    [ST_VERSION] = read_version, [ST_FIELD] = read_field,   [ST_NAME] = read_name,
    [ST_VALUE] = read_value,     [ST_DONE] = read_nothing,  [ST_BAD] = read_nothing,
};

static enum step refuse(struct h1_head *h, uint16_t status, const char *why)
{
    h1_refuse(h, status, why);
    if (h->state <= ST_VERSION && h->line.at == NULL) {
        uint32_t bad_byte = status == 400 && h->at < h->used;
        h->line = slice_of(h->bytes + h->line_at, h->at - h->line_at + bad_byte);
    }
    h->state = ST_BAD;
    return STEP_STOP;
}

/* Up to where this line may be read now: what came, or what it may have at most. */
static uint32_t line_stop(const struct h1_head *h)
{
    uint32_t here = h->used - h->line_at;
    return h->line_at + (here < h->line_room ? here : h->line_room);
}

/* All up to line_stop() was read and the line goes on. */
static enum step starved(struct h1_head *h)
{
    h->at = line_stop(h);
    if (h->at - h->line_at < h->line_room)
        return STEP_STOP;
    return h->state <= ST_VERSION ? refuse(h, 414, "the request line is too long")
                                  : refuse(h, 431, "a field or the head is too large");
}

static void line_begin(struct h1_head *h, enum state state)
{
    h->before += h->at - h->line_at;
    h->line_at = h->at;
    uint32_t left = h->limits->head_max - h->before;
    h->line_room = left < h->limits->line_max ? left : h->limits->line_max;
    h->state = (uint8_t)state;
}

/* How long the line end at `at` is: 1 or 2; 0 when the CR's LF has not come; -1 if it is
 * none. */
static inline int line_end(const struct h1_head *h, uint32_t at, uint32_t stop)
{
    if (at + 1 < stop && h->bytes[at] == '\r')
        return h->bytes[at + 1] == '\n' ? 2 : -1;
    if (h->bytes[at] == '\n')
        return h->limits->allow_bare_lf ? 1 : -1;
    return h->bytes[at] == '\r' ? 0 : -1;
}

/* The control byte at h->at, which is no line end, ends everything. */
static enum step refuse_byte(struct h1_head *h, const char *other)
{
    char c = h->bytes[h->at];
    return refuse(h, 400, c == '\n' ? "LF without CR" : c == '\r' ? "CR without LF" : other);
}

/* The bytes ran out between CR and LF: `at` stays on the CR. */
static enum step starved_at_cr(struct h1_head *h)
{
    uint32_t at = h->at;
    enum step step = starved(h);
    if (h->state != ST_BAD)
        h->at = at;
    return step;
}

static enum step read_start(struct h1_head *h)
{
    uint32_t stop = line_stop(h);
    if (h->at == stop)
        return starved(h);
    char c = h->bytes[h->at];
    if (c != '\r' && c != '\n') {
        h->line_seen = true;
        h->state = ST_METHOD;
        return read_method(h);
    }
    int end = line_end(h, h->at, stop);
    if (end == 0)
        return starved_at_cr(h);
    if (end < 0)
        return refuse_byte(h, "");
    if (h->empty_lines++ == EMPTY_LINES_MAX)
        return refuse(h, 400, "more than one empty line before the request line");
    h->at += (uint32_t)end;
    line_begin(h, ST_START);
    return STEP_ON;
}

static enum step read_method(struct h1_head *h)
{
    uint32_t stop = line_stop(h);
    const char *bytes = h->bytes;
    uint32_t at = h->at;
    while (at < stop && token_class(bytes[at]) != 0)
        at++;
    h->at = at;
    if (at == stop)
        return starved(h);
    if (bytes[at] != ' ' || h->at == h->line_at)
        return refuse(h, 400, "the method is no token");
    h->mark = h->at - h->line_at;
    h->at++;
    h->state = ST_TARGET;
    return read_target(h);
}

/* The first '?' is remembered; later ones are part of the query. */
static enum step read_target(struct h1_head *h)
{
    uint32_t stop = line_stop(h);
    for (;;) {
        char seek = h->args_mark == 0 ? '?' : '#';
        h->at += (uint32_t)scan_gap_padded(h->bytes + h->at, stop - h->at, seek);
        if (h->at == stop)
            return starved(h);
        if (h->bytes[h->at] != '?')
            break;
        h->at++;
        h->args_mark = h->at - h->line_at;
    }
    if (h->bytes[h->at] == '#')
        return refuse(h, 400, "a fragment in the target");
    if (h->bytes[h->at] != ' ')
        return refuse(h, 400, "a control byte in the target, or no version");
    h->target_end = h->at - h->line_at;
    if (h->target_end == h->mark + 1)
        return refuse(h, 400, "no target");
    h->at++;
    h->state = ST_VERSION;
    return read_version(h);
}

static struct slice line_part(const struct h1_head *h, uint32_t from, uint32_t to)
{
    return slice_of(h->bytes + h->line_at + from, to - from);
}

static enum step line_done(struct h1_head *h)
{
    h->method_text = line_part(h, 0, h->mark);
    h->method = method_from(h->method_text);
    h->target = line_part(h, h->mark + 1, h->target_end);
    if (h->args_mark != 0)
        h->args = line_part(h, h->args_mark, h->target_end);
    h->line = line_part(h, 0, h->target_end + 1 + VERSION_SIZE);
    const char *version = h->target.at + h->target.size + 1;
    if (version[5] != '1')
        return refuse(h, 505, "not HTTP/1");
    h->version_minor = version[7] != '0';
    if (!h1_judge_target(h))
        return refuse(h, 0, "");
    line_begin(h, ST_FIELD);
    return STEP_ON;
}

/* `at` stays at the end of the line while bytes are missing, so the version's eight bytes are
 * compared once more for each that comes: a bounded number of times. */
static enum step read_version(struct h1_head *h)
{
    static const char FORM[VERSION_SIZE] = "HTTP/0.0"; /* 0: a digit */
    uint32_t begin = h->line_at + h->target_end + 1, stop = line_stop(h);
    if (stop - begin > VERSION_SIZE && memcmp(h->bytes + begin, "HTTP/1.1", VERSION_SIZE) == 0)
        h->at = begin + VERSION_SIZE; /* nearly always */
    for (; h->at < stop && h->at - begin < VERSION_SIZE; h->at++) {
        char c = h->bytes[h->at], form = FORM[h->at - begin];
        if (form == '0' ? c < '0' || c > '9' : c != form)
            return refuse(h, 400, "bad version");
    }
    if (h->at == stop)
        return starved(h);
    int end = line_end(h, h->at, stop);
    if (end == 0)
        return starved_at_cr(h);
    if (end < 0)
        return refuse_byte(h, "bad version");
    h->at += (uint32_t)end;
    return line_done(h);
}

static enum step read_field(struct h1_head *h)
{
    uint32_t stop = line_stop(h);
    if (h->at == stop)
        return starved(h);
    char c = h->bytes[h->at];
    if (c == ' ' || c == '\t')
        return refuse(h, 400, "a folded field, or blanks before the first");
    if (c != '\r' && c != '\n') {
        h->name_seen = 0;
        h->state = ST_NAME;
        return read_name(h);
    }
    int end = line_end(h, h->at, stop);
    if (end == 0)
        return starved_at_cr(h);
    if (end < 0)
        return refuse_byte(h, "");
    h->at += (uint32_t)end;
    if (!h1_judge_head(h))
        return refuse(h, 0, "");
    h->state = ST_DONE;
    return STEP_STOP;
}

/* Looks at the bytes from `at` up to `end` and moves `at` there, or to the bad one. */
static bool name_part_ok(struct h1_head *h, uint32_t end)
{
    const char *bytes = h->bytes;
    unsigned seen = h->name_seen, class = TOKEN_PLAIN;
    uint32_t at = h->at;
    while (at < end && (class = token_class(bytes[at])) != 0) {
        seen |= class;
        at++;
    }
    h->at = at;
    h->name_seen = (uint8_t)seen;
    return class != 0;
}

/* A name that means something to weir is known to be a token: its bytes are not looked at one
 * by one. */
static enum step read_name(struct h1_head *h)
{
    uint32_t stop = line_stop(h);
    uint32_t colon = h->at + (uint32_t)scan_byte_padded(h->bytes + h->at, stop - h->at, ':');
    h->field_id = colon < stop ? field_from(line_part(h, 0, colon - h->line_at)) : FIELD_OTHER;
    if (h->field_id == FIELD_OTHER && !name_part_ok(h, colon))
        return refuse(h, 400, "a field name is no token, or has a space before the colon");
    if (colon == stop)
        return starved(h);
    if (colon == h->line_at)
        return refuse(h, 400, "a field without a name");
    h->mark = colon - h->line_at;
    h->at = colon + 1;
    h->state = ST_VALUE;
    return read_value(h);
}

bool h1_name_wanted(const struct h1_head *h)
{
    bool odd = (h->name_seen & TOKEN_ODD) != 0 ||
               ((h->name_seen & TOKEN_UNDERSCORE) != 0 && !h->limits->underscores);
    return h->field_id != FIELD_OTHER || !odd || !h->limits->ignore_invalid;
}

bool h1_fields_grow(struct h1_head *h)
{
    uint32_t room = h->field_room == 0 ? FIELD_ROOM_FIRST : 2 * h->field_room;
    struct field *fields = arena_alloc(h->arena, room * sizeof *fields);
    if (fields == NULL)
        return false;
    for (uint32_t i = 0; i < h->field_count; i++) {
        enum field_id id = h->fields[i].id;
        fields[i] = h->fields[i];
        if (h->known[id] == &h->fields[i])
            h->known[id] = &fields[i];
    }
    h->fields = fields;
    h->field_room = room;
    return true;
}

static inline struct slice trim(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (at < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return slice_of(at, (size_t)(end - at));
}

static enum step field_done(struct h1_head *h, uint32_t value_end)
{
    if (h->field_lines++ >= h->limits->fields_max)
        return refuse(h, 431, "too many fields");
    if (!h1_name_wanted(h)) {
        line_begin(h, ST_FIELD);
        return STEP_ON;
    }
    if (h->field_count == h->field_room && !h1_fields_grow(h))
        return refuse(h, 500, "no memory for the fields");
    struct field *f = &h->fields[h->field_count]; /* in place: a copy would wait for itself */
    f->name = line_part(h, 0, h->mark);
    f->value = trim(h->bytes + h->line_at + h->mark + 1, h->bytes + h->line_at + value_end);
    f->id = h->field_id;
    if (!h1_judge_field(h, f))
        return refuse(h, 0, "");
    if (f->id != FIELD_OTHER && h->known[f->id] == NULL)
        h->known[f->id] = f;
    h->field_count++;
    line_begin(h, ST_FIELD);
    return STEP_ON;
}

static enum step read_value(struct h1_head *h)
{
    uint32_t stop = line_stop(h);
    h->at += (uint32_t)scan_ctl_padded(h->bytes + h->at, stop - h->at);
    if (h->at == stop)
        return starved(h);
    int end = line_end(h, h->at, stop);
    if (end == 0)
        return starved_at_cr(h);
    if (end < 0)
        return refuse_byte(h, "a control byte in a field");
    uint32_t value_end = h->at - h->line_at;
    h->at += (uint32_t)end;
    return field_done(h, value_end);
}

static enum step read_nothing(struct h1_head *h)
{
    (void)h;
    return STEP_STOP;
}

void h1_head_init(struct h1_head *h, const struct h1_limits *limits, struct arena *arena)
{
    bulk_zero(h, sizeof *h);
    h->limits = limits;
    h->arena = arena;
    line_begin(h, ST_START);
}

/* Room for more of the current line, which moves there. No line is longer than line_max. */
static bool make_room(struct h1_head *h)
{
    uint32_t kept = h->used - h->line_at;
    size_t size = h->size == 0 ? h->limits->first_size : 2 * (size_t)h->size;
    if (size < SIZE_MIN)
        size = SIZE_MIN;
    if (size > h->limits->line_max)
        size = h->limits->line_max;
    if (size <= kept)
        size = (size_t)kept + 1;
    char *bytes = size <= UINT32_MAX / 2 ? arena_bytes(h->arena, size + SCAN_PAD) : NULL;
    if (bytes == NULL)
        return false;
    if (kept > 0)
        memcpy(bytes, h->bytes + h->line_at, kept);
    memset(bytes + size, 0, SCAN_PAD);
    h->bytes = bytes;
    h->size = (uint32_t)size;
    h->used = kept;
    h->at -= h->line_at;
    h->line_at = 0;
    return true;
}

enum h1_verdict h1_head_feed(struct h1_head *h, const char *bytes, size_t size, size_t *taken)
{
    size_t fed = 0;
    while (fed < size && h->state < ST_DONE) {
        if (h->used == h->size && !make_room(h)) {
            refuse(h, 500, "no memory for the head");
            break;
        }
        size_t piece = h->size - h->used;
        if (piece > PIECE_MAX)
            piece = PIECE_MAX;
        if (piece > size - fed)
            piece = size - fed;
        bulk_copy(h->bytes + h->used, bytes + fed, piece);
        h->used += (uint32_t)piece;
        fed += piece;
        while (READ[h->state](h) == STEP_ON)
            ;
    }
    if (h->state == ST_DONE) {
        fed -= h->used - h->at;
        h->used = h->at;
    }
    *taken = fed;
    return h->state == ST_DONE ? H1_DONE : h->state == ST_BAD ? H1_BAD : H1_MORE;
}
