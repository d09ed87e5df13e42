/* chunked.c - one small function per state, one byte per call, but for data, which is passed on
 * as it lies. Grammar of RFC 9112 §7.1:
 *
 *   chunk       = 1*HEXDIG *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted ) ] ) CRLF data CRLF
 *   last        = 1*"0" [ extensions ] CRLF *( field CRLF ) CRLF
 */
#include "wire/chunked.h"

#include "base/scan.h"
#include "wire/token.h"

enum {
    EXT_MAX = 256,             /* bytes of extensions, a chunk               */
    OVERHEAD_MAX = 100 * 1024, /* beyond the amount of data                  */
    DIGITS_MAX = 20,           /* of a size, with leading zeros              */
    TRAILERS_MAX = 100,
};

enum state {
    ST_SIZE_FIRST, /* a size begins: a digit must come               */
    ST_SIZE,       /* more digits, or what may follow                */
    ST_SEMICOLON,  /* blanks came: only an extension may follow      */
    ST_NAME_FIRST, /* behind ";"                                     */
    ST_NAME,
    ST_NAME_BLANK,  /* blanks behind a name: "=" or ";"               */
    ST_VALUE_FIRST, /* behind "="                                     */
    ST_VALUE,       /* a token                                        */
    ST_QUOTED,
    ST_ESCAPED,   /* behind "\" in a quoted value                   */
    ST_VALUE_END, /* behind a closing quote                         */
    ST_SIZE_LF,   /* CR came                                        */
    ST_CONTENT,
    ST_CONTENT_END, /* CR LF must come                                */
    ST_CONTENT_LF,
    ST_TRAILER_FIRST, /* a field line begins, or the end                */
    ST_TRAILER_NAME,
    ST_TRAILER_VALUE,
    ST_TRAILER_LF,
    ST_END_LF, /* the last LF of all                             */
    ST_DONE,
    ST_BAD,
    ST_COUNT,
};

static bool bad(struct chunked *c, const char *why)
{
    c->state = ST_BAD;
    c->why = why;
    return false;
}

static bool go(struct chunked *c, enum state state)
{
    c->state = (uint8_t)state;
    return true;
}

typedef bool byte_fn(struct chunked *, char);

/* CR leads to `lf`; a bare LF, where allowed, does what that state would do with it. */
static bool line_end(struct chunked *c, char b, enum state lf, byte_fn *at_lf, const char *why)
{
    if (b == '\r')
        return go(c, lf);
    if (b == '\n')
        return c->allow_bare_lf ? at_lf(c, b) : bad(c, "LF without CR");
    return bad(c, why);
}

static bool is_blank(char b)
{
    return b == ' ' || b == '\t';
}

/* The chunk's line is over. */
static bool on_size_lf(struct chunked *c, char b)
{
    if (b != '\n')
        return bad(c, "CR without LF");
    return go(c, c->left > 0 ? ST_CONTENT : ST_TRAILER_FIRST);
}

static bool on_size_first(struct chunked *c, char b)
{
    int digit = hex_value(b);
    if (digit < 0)
        return bad(c, "a chunk size does not begin with a digit");
    c->left = (uint64_t)digit;
    c->digits = 1;
    c->ext = 0;
    return go(c, ST_SIZE);
}

/* The largest size is that of a file offset, so the check comes before the shift. */
static bool on_size(struct chunked *c, char b)
{
    int digit = hex_value(b);
    if (digit < 0) {
        if (is_blank(b))
            return go(c, ST_SEMICOLON);
        return b == ';' ? go(c, ST_NAME_FIRST)
                        : line_end(c, b, ST_SIZE_LF, on_size_lf, "a chunk size is no number");
    }
    if (c->digits++ == DIGITS_MAX)
        return bad(c, "too many digits in a chunk size");
    if (c->left > INT64_MAX >> 4)
        return bad(c, "a chunk size is too large");
    c->left = c->left << 4 | (unsigned)digit;
    return true;
}

static bool on_semicolon(struct chunked *c, char b)
{
    if (is_blank(b))
        return true;
    return b == ';' ? go(c, ST_NAME_FIRST) : bad(c, "blanks behind a chunk size");
}

/* Who allows LF alone deals with old senders: those also leave the name out. */
static bool on_name_first(struct chunked *c, char b)
{
    if (is_blank(b))
        return true;
    if (c->allow_bare_lf && (b == '\r' || b == '\n'))
        return line_end(c, b, ST_SIZE_LF, on_size_lf, "");
    return token_class(b) != 0 ? go(c, ST_NAME) : bad(c, "a chunk extension without a name");
}

static bool on_name(struct chunked *c, char b)
{
    if (token_class(b) != 0)
        return true;
    if (is_blank(b))
        return go(c, ST_NAME_BLANK);
    if (b == '=' || b == ';')
        return go(c, b == '=' ? ST_VALUE_FIRST : ST_NAME_FIRST);
    return line_end(c, b, ST_SIZE_LF, on_size_lf, "a bad byte in a chunk extension");
}

static bool on_name_blank(struct chunked *c, char b)
{
    if (is_blank(b))
        return true;
    if (b == '=' || b == ';')
        return go(c, b == '=' ? ST_VALUE_FIRST : ST_NAME_FIRST);
    return bad(c, "blanks behind a chunk extension");
}

static bool on_value_first(struct chunked *c, char b)
{
    if (is_blank(b))
        return true;
    if (b == '"')
        return go(c, ST_QUOTED);
    return token_class(b) != 0 ? go(c, ST_VALUE) : bad(c, "a chunk extension without a value");
}

static bool on_value_end(struct chunked *c, char b)
{
    if (is_blank(b))
        return go(c, ST_SEMICOLON);
    if (b == ';')
        return go(c, ST_NAME_FIRST);
    return line_end(c, b, ST_SIZE_LF, on_size_lf, "a bad byte in a chunk extension");
}

static bool on_value(struct chunked *c, char b)
{
    return token_class(b) != 0 || on_value_end(c, b);
}

static bool on_quoted(struct chunked *c, char b)
{
    if (b == '"')
        return go(c, ST_VALUE_END);
    if (b == '\\')
        return go(c, ST_ESCAPED);
    return !scan_is_ctl(b) || bad(c, "a control byte in a chunk extension");
}

static bool on_escaped(struct chunked *c, char b)
{
    return scan_is_ctl(b) ? bad(c, "a control byte in a chunk extension") : go(c, ST_QUOTED);
}

static bool on_content_lf(struct chunked *c, char b)
{
    return b == '\n' ? go(c, ST_SIZE_FIRST) : bad(c, "CR without LF");
}

static bool on_content_end(struct chunked *c, char b)
{
    return line_end(c, b, ST_CONTENT_LF, on_content_lf, "a chunk is longer than its size");
}

static bool on_end_lf(struct chunked *c, char b)
{
    return b == '\n' ? go(c, ST_DONE) : bad(c, "CR without LF");
}

static bool on_trailer_first(struct chunked *c, char b)
{
    if (token_class(b) == 0)
        return line_end(c, b, ST_END_LF, on_end_lf, "a trailer field does not begin with a name");
    if (c->trailer_count++ == TRAILERS_MAX)
        return bad(c, "too many trailer fields");
    return go(c, ST_TRAILER_NAME);
}

static bool on_trailer_name(struct chunked *c, char b)
{
    if (b == ':')
        return go(c, ST_TRAILER_VALUE);
    return token_class(b) != 0 || bad(c, "a bad byte in a trailer field's name");
}

static bool on_trailer_lf(struct chunked *c, char b)
{
    return b == '\n' ? go(c, ST_TRAILER_FIRST) : bad(c, "CR without LF");
}

static bool on_trailer_value(struct chunked *c, char b)
{
    return !scan_is_ctl(b) ||
           line_end(c, b, ST_TRAILER_LF, on_trailer_lf, "a control byte in a trailer field");
}

static byte_fn *const ON_BYTE[ST_COUNT] = {
    [ST_SIZE_FIRST] = on_size_first,
    [ST_SIZE] = on_size,
    [ST_SEMICOLON] = on_semicolon,
    [ST_NAME_FIRST] = on_name_first,
    [ST_NAME] = on_name,
    [ST_NAME_BLANK] = on_name_blank,
    [ST_VALUE_FIRST] = on_value_first,
    [ST_VALUE] = on_value,
    [ST_QUOTED] = on_quoted,
    [ST_ESCAPED] = on_escaped,
    [ST_VALUE_END] = on_value_end,
    [ST_SIZE_LF] = on_size_lf,
    [ST_CONTENT_END] = on_content_end,
    [ST_CONTENT_LF] = on_content_lf,
    [ST_TRAILER_FIRST] = on_trailer_first,
    [ST_TRAILER_NAME] = on_trailer_name,
    [ST_TRAILER_VALUE] = on_trailer_value,
    [ST_TRAILER_LF] = on_trailer_lf,
    [ST_END_LF] = on_end_lf,
};

void chunked_init(struct chunked *c, bool allow_bare_lf, uint32_t trailer_max)
{
    *c = (struct chunked){ .allow_bare_lf = allow_bare_lf, .trailer_max = trailer_max };
}

/* The limits are on what is not data. The CRLF that ends the trailer section is not counted. */
static bool count(struct chunked *c)
{
    if (c->state >= ST_TRAILER_NAME && c->state <= ST_TRAILER_LF)
        return c->trailer++ < c->trailer_max || bad(c, "the trailer section is too large");
    if (c->state >= ST_SEMICOLON && c->state <= ST_VALUE_END && c->ext++ == EXT_MAX)
        return bad(c, "a chunk extension is too long");
    return c->overhead++ < OVERHEAD_MAX + c->content || bad(c, "too little data in the chunks");
}

static struct slice take_content(struct chunked *c, const char *bytes, size_t size)
{
    if (size > c->left)
        size = (size_t)c->left;
    c->left -= size;
    c->content += size;
    if (c->left == 0)
        go(c, ST_CONTENT_END);
    return slice_of(bytes, size);
}

enum chunked_verdict chunked_feed(struct chunked *c, const char *bytes, size_t size, size_t *taken,
                                  struct slice *piece)
{
    size_t i = 0;
    *piece = (struct slice){ 0 };
    while (i < size && c->state < ST_DONE) {
        if (c->state == ST_CONTENT) {
            *piece = take_content(c, bytes + i, size - i);
            *taken = i + piece->size;
            return CHUNKED_DATA;
        }
        char b = bytes[i++];
        if (c->trailers != NULL && c->state >= ST_TRAILER_FIRST && c->state <= ST_TRAILER_LF)
            gather_byte(c->trailers, b);
        if (ON_BYTE[c->state](c, b))
            count(c);
    }
    *taken = i;
    return c->state == ST_DONE ? CHUNKED_DONE : c->state == ST_BAD ? CHUNKED_BAD : CHUNKED_MORE;
}
