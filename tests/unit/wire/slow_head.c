/* slow_head.c - recursive descent over the bytes; leaves by longjmp when they run out or when
 * one is wrong. Function names are the ABNF's. */
#include "unit/wire/slow_head.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { LEAVE_MORE = 1, LEAVE_BAD };

struct reader {
    const char *at;
    size_t size, pos;
    size_t line_used, line_room, before;
    bool request_line;
    const struct h1_limits *limits;
    struct h1_head *h;
    jmp_buf leave;
};

static _Noreturn void bad(struct reader *r, uint16_t status)
{
    r->h->status = status;
    longjmp(r->leave, LEAVE_BAD);
}

static char peek(struct reader *r)
{
    if (r->line_used >= r->line_room)
        bad(r, r->request_line ? 414 : 431);
    if (r->pos == r->size)
        longjmp(r->leave, LEAVE_MORE);
    return r->at[r->pos];
}

static char next(struct reader *r)
{
    char c = peek(r);
    r->pos++;
    r->line_used++;
    return c;
}

static void line_begin(struct reader *r)
{
    r->before += r->line_used;
    r->line_used = 0;
    r->line_room = r->limits->head_max - r->before;
    if (r->line_room > r->limits->line_max)
        r->line_room = r->limits->line_max;
}

static bool is_alpha_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* tchar of RFC 9110 §5.6.2 */
static bool is_tchar(char c)
{
    return is_alpha_digit(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_vchar_or_obs(char c)
{
    unsigned char u = (unsigned char)c;
    return (u > 0x20 && u < 0x7f) || u >= 0x80;
}

/* CRLF, or LF where the limits allow it */
static void crlf(struct reader *r)
{
    char c = next(r);
    if (c == '\n' && r->limits->allow_bare_lf)
        return;
    if (c != '\r' || next(r) != '\n')
        bad(r, 400);
}

static bool at_line_end(struct reader *r)
{
    return peek(r) == '\r' || peek(r) == '\n';
}

static struct slice token(struct reader *r, char end)
{
    size_t begin = r->pos;
    while (peek(r) != end)
        if (!is_tchar(next(r)))
            bad(r, 400);
    if (r->pos == begin)
        bad(r, 400);
    return slice_of(r->at + begin, r->pos - begin);
}

static struct slice request_target(struct reader *r)
{
    size_t begin = r->pos;
    while (peek(r) != ' ') {
        char c = next(r);
        if (!is_vchar_or_obs(c) || c == '#')
            bad(r, 400);
    }
    if (r->pos == begin)
        bad(r, 400);
    return slice_of(r->at + begin, r->pos - begin);
}

static char digit(struct reader *r)
{
    char c = next(r);
    if (c < '0' || c > '9')
        bad(r, 400);
    return c;
}

/* host [ ":" port ], host = IPv6 literal or dot-separated labels */
static bool authority_ok(struct slice s, bool port_needed)
{
    char host[300];
    size_t i = 0, port = 0, digits = 0;
    if (s.size == 0)
        return false;
    if (s.at[0] == '[') {
        struct in6_addr address;
        while (i < s.size && s.at[i] != ']')
            i++;
        if (i == s.size || i >= sizeof host || memchr(s.at, 0, i) != NULL)
            return false;
        snprintf(host, sizeof host, "%.*s", (int)i - 1, s.at + 1);
        if (inet_pton(AF_INET6, host, &address) != 1)
            return false;
        i++;
    } else {
        for (; i < s.size && s.at[i] != ':'; i++) {
            if (!is_alpha_digit(s.at[i]) &&
                (s.at[i] == '\0' || strchr("-._~!$&'()*+,;=", s.at[i]) == NULL))
                return false;
            if (s.at[i] == '.' && (i == 0 || s.at[i - 1] == '.'))
                return false;
        }
        if (i == 0)
            return false;
    }
    if (i < s.size && s.at[i++] != ':')
        return false;
    for (; i < s.size; i++, digits++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        port = port * 10 + (size_t)(s.at[i] - '0');
        if (port > 65535)
            return false;
    }
    return digits > 0 || !port_needed;
}

static void split_path(struct h1_head *h, struct slice path)
{
    const char *mark = path.size > 0 ? memchr(path.at, '?', path.size) : NULL;
    h->path = path;
    if (mark != NULL) {
        h->path.size = (size_t)(mark - path.at);
        h->args = slice_of(mark + 1, path.size - h->path.size - 1);
    }
}

static void absolute_form(struct reader *r, size_t scheme_size, const char *scheme)
{
    struct h1_head *h = r->h;
    size_t begin = scheme_size + 3, end = begin;
    while (end < h->target.size && h->target.at[end] != '/' && h->target.at[end] != '?')
        end++;
    h->scheme = slice_str(scheme);
    h->authority = slice_of(h->target.at + begin, end - begin);
    if (!authority_ok(h->authority, false))
        bad(r, 400);
    split_path(h, slice_of(h->target.at + end, h->target.size - end));
    if (h->path.size == 0)
        h->path = h->method == METHOD_OPTIONS && h->args.at == NULL ? SLICE("*") : SLICE("/");
}

static void target_forms(struct reader *r)
{
    struct h1_head *h = r->h;
    struct slice t = h->target;
    if (h->method == METHOD_CONNECT) {
        if (!authority_ok(t, true))
            bad(r, 400);
        h->authority = t;
    } else if (t.at[0] == '/')
        split_path(h, t);
    else if (t.size == 1 && t.at[0] == '*' && h->method == METHOD_OPTIONS)
        h->path = t;
    else if (t.size > 7 && strncasecmp(t.at, "http://", 7) == 0)
        absolute_form(r, 4, "http");
    else if (t.size > 8 && strncasecmp(t.at, "https://", 8) == 0)
        absolute_form(r, 5, "https");
    else
        bad(r, 400);
}

static enum http_method method_named(struct slice text)
{
    static const char *const names[] = {
#define X(name) [METHOD_##name] = #name,
        METHODS(X)
#undef X
    };
    for (int i = METHOD_OTHER + 1; i < METHOD_COUNT; i++)
        if (strlen(names[i]) == text.size && memcmp(names[i], text.at, text.size) == 0)
            return (enum http_method)i;
    return METHOD_OTHER;
}

/* method SP request-target SP "HTTP/" DIGIT "." DIGIT CRLF */
static void request_line(struct reader *r)
{
    struct h1_head *h = r->h;
    h->method_text = token(r, ' ');
    h->method = method_named(h->method_text);
    next(r);
    h->target = request_target(r);
    next(r);
    for (const char *p = "HTTP/"; *p != '\0'; p++)
        if (next(r) != *p)
            bad(r, 400);
    char major = digit(r);
    if (next(r) != '.')
        bad(r, 400);
    h->version_minor = digit(r) != '0';
    h->line = slice_of(h->method_text.at, (size_t)(r->at + r->pos - h->method_text.at));
    crlf(r);
    if (major != '1')
        bad(r, 505);
    target_forms(r);
}

static enum field_id field_named(struct slice text)
{
    static const char *const names[] = {
#define X(id, name) [FIELD_##id] = name,
        FIELDS(X)
#undef X
    };
    for (int i = FIELD_OTHER + 1; i < FIELD_COUNT; i++)
        if (strlen(names[i]) == text.size && strncasecmp(names[i], text.at, text.size) == 0)
            return (enum field_id)i;
    return FIELD_OTHER;
}

static bool is_kept(const struct reader *r, const struct field *f)
{
    bool odd = false;
    for (size_t i = 0; i < f->name.size; i++) {
        char c = f->name.at[i];
        if (!is_alpha_digit(c) && c != '-' && (c != '_' || !r->limits->underscores))
            odd = true;
    }
    return !odd || !r->limits->ignore_invalid;
}

static void content_length(struct reader *r, struct slice value)
{
    char text[32];
    size_t zeros = 0;
    for (size_t i = 0; i < value.size; i++)
        if (value.at[i] < '0' || value.at[i] > '9')
            bad(r, 400);
    while (zeros < value.size && value.at[zeros] == '0')
        zeros++;
    if (value.size == 0 || value.size - zeros > 19)
        bad(r, 400);
    snprintf(text, sizeof text, "0%.*s", (int)(value.size - zeros), value.at + zeros);
    r->h->length = strtoull(text, NULL, 10);
    if (r->h->length > INT64_MAX)
        bad(r, 400);
    r->h->has_length = true;
}

/* field-name ":" OWS field-value OWS CRLF */
static void field_line(struct reader *r, unsigned lines)
{
    struct h1_head *h = r->h;
    struct field f = { 0 };
    f.name = token(r, ':');
    next(r);
    size_t begin = r->pos;
    while (!at_line_end(r)) {
        char c = next(r);
        if (!is_vchar_or_obs(c) && c != ' ' && c != '\t')
            bad(r, 400);
    }
    size_t end = r->pos;
    crlf(r);
    while (begin < end && strchr(" \t", r->at[begin]) != NULL)
        begin++;
    while (begin < end && strchr(" \t", r->at[end - 1]) != NULL)
        end--;
    f.value = slice_of(r->at + begin, end - begin);
    f.id = field_named(f.name);
    if (lines > r->limits->fields_max)
        bad(r, 431);
    if (!is_kept(r, &f))
        return;
    static const enum field_id once[] = {
        FIELD_HOST,          FIELD_CONTENT_LENGTH,    FIELD_TRANSFER_ENCODING,
        FIELD_AUTHORIZATION, FIELD_IF_MODIFIED_SINCE, FIELD_IF_UNMODIFIED_SINCE,
        FIELD_IF_RANGE
    };
    for (size_t i = 0; i < COUNT_OF(once); i++)
        if (f.id == once[i] && h->known[f.id] != NULL)
            bad(r, 400);
    if (f.id == FIELD_CONTENT_LENGTH)
        content_length(r, f.value);
    h->fields[h->field_count] = f;
    if (f.id != FIELD_OTHER && h->known[f.id] == NULL)
        h->known[f.id] = &h->fields[h->field_count];
    h->field_count++;
}

static bool is_word(struct slice s, const char *word)
{
    return s.size == strlen(word) && strncasecmp(s.at, word, s.size) == 0;
}

/* The options of all Connection fields; a quoted comma separates nothing. */
static bool connection_has(const struct h1_head *h, const char *option)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        struct slice v = h->fields[i].value;
        bool quoted = false;
        size_t begin = 0;
        for (size_t at = 0; h->fields[i].id == FIELD_CONNECTION && at <= v.size; at++) {
            if (at < v.size && quoted && v.at[at] == '\\' && at + 1 < v.size)
                at++;
            else if (at < v.size && v.at[at] == '"')
                quoted = !quoted;
            else if (at == v.size || (v.at[at] == ',' && !quoted)) {
                size_t from = begin, to = at;
                while (from < to && strchr(" \t", v.at[from]) != NULL)
                    from++;
                while (from < to && strchr(" \t", v.at[to - 1]) != NULL)
                    to--;
                if (is_word(slice_of(v.at + from, to - from), option))
                    return true;
                begin = at + 1;
            }
        }
    }
    return false;
}

/* 400: not a list of codings, or chunked not last, twice or with parameters; else 501 */
static void other_coding(struct reader *r, struct slice v)
{
    size_t begin = 0;
    bool other = false;
    for (size_t at = 0; at <= v.size; at++) {
        if (at < v.size && v.at[at] != ',')
            continue;
        size_t from = begin, to = at;
        while (from < to && strchr(" \t", v.at[from]) != NULL)
            from++;
        while (from < to && strchr(" \t", v.at[to - 1]) != NULL)
            to--;
        const char *semicolon = to > from ? memchr(v.at + from, ';', to - from) : NULL;
        size_t name_end = semicolon != NULL ? (size_t)(semicolon - v.at) : to;
        while (from < name_end && strchr(" \t", v.at[name_end - 1]) != NULL)
            name_end--;
        for (size_t i = from; i < name_end; i++)
            if (!is_tchar(v.at[i]))
                bad(r, 400);
        if (from == name_end)
            bad(r, 400);
        bool chunked = is_word(slice_of(v.at + from, name_end - from), "chunked");
        if (chunked && (at < v.size || name_end < to))
            bad(r, 400);
        other |= !chunked;
        begin = at + 1;
    }
    bad(r, other ? 501 : 400);
}

static void framing(struct reader *r)
{
    struct h1_head *h = r->h;
    const struct field *host = h->known[FIELD_HOST], *te = h->known[FIELD_TRANSFER_ENCODING];
    const struct field *expect = h->known[FIELD_EXPECT];
    h->keep_alive = h->version_minor > 0 || connection_has(h, "keep-alive");
    if (connection_has(h, "close"))
        h->keep_alive = false;
    h->upgrade = connection_has(h, "upgrade");
    if (host == NULL ? h->version_minor > 0 : !authority_ok(host->value, false))
        bad(r, 400);
    if (host != NULL && h->authority.size == 0)
        h->authority = host->value;
    if (h->method == METHOD_CONNECT && (te != NULL || h->has_length))
        bad(r, 400);
    if (te != NULL && (h->has_length || h->version_minor == 0))
        bad(r, 400);
    if (te != NULL && !is_word(te->value, "chunked"))
        other_coding(r, te->value);
    h->chunked = te != NULL;
    if (expect == NULL || h->version_minor == 0)
        return;
    unsigned expects = 0;
    for (uint32_t i = 0; i < h->field_count; i++)
        expects += h->fields[i].id == FIELD_EXPECT;
    if (expects > 1 || !is_word(expect->value, "100-continue"))
        bad(r, 417);
    h->expect_continue = true;
}

/* [ CRLF ] request-line *( field-line ) CRLF */
static void head(struct reader *r)
{
    unsigned lines = 0;
    line_begin(r);
    r->request_line = true;
    for (int empty = 0; at_line_end(r); empty++) {
        crlf(r);
        if (empty == 1)
            bad(r, 400);
        line_begin(r);
    }
    request_line(r);
    r->request_line = false;
    line_begin(r);
    while (!at_line_end(r)) {
        field_line(r, ++lines);
        line_begin(r);
    }
    crlf(r);
    framing(r);
}

enum h1_verdict slow_head(const char *bytes, size_t size, const struct h1_limits *limits,
                          struct arena *arena, struct h1_head *ret, size_t *taken)
{
    struct reader r = { .at = bytes, .size = size, .limits = limits, .h = ret };
    *ret = (struct h1_head){ 0 };
    ret->fields = arena_must(arena, (limits->fields_max + 1) * sizeof *ret->fields);
    int left = setjmp(r.leave);
    if (left == 0)
        head(&r);
    *taken = r.pos;
    return left == 0 ? H1_DONE : left == LEAVE_MORE ? H1_MORE : H1_BAD;
}
