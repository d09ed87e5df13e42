/* lex.c - from bytes to tokens. One pass; every byte is looked at a bounded number of times. */
#include "conf/lex.h"

enum { TAB_WIDTH = 8 };

void lex_init(struct lexer *l, struct slice text, struct arena *arena, lex_fault_fn *fault,
              void *arg)
{
    struct slice mark = SLICE("\xef\xbb\xbf"); /* some editors begin files with it */
    *l = (struct lexer){ .at = text.at,
                         .line_begin = text.at,
                         .line = 1,
                         .arena = arena,
                         .fault = fault,
                         .arg = arg,
                         .fresh_line = true,
                         .fresh_statement = true };
    if (text.size == 0)
        l->at = l->line_begin = "";
    l->end = l->at + text.size;
    if (slice_starts(text, mark))
        l->at = l->line_begin = text.at + mark.size;
}

void lex_stop(struct lexer *l)
{
    l->stopped = true;
}

static struct lex_place here(const struct lexer *l)
{
    return (struct lex_place){ l->line, (uint32_t)(l->at - l->line_begin) + 1 };
}

static void complain(const struct lexer *l, enum lex_fault_kind kind, struct lex_place place,
                     char byte)
{
    struct lex_fault fault = { kind, place, (unsigned char)byte };
    if (l->fault != NULL)
        l->fault(l->arg, &fault);
}

/* Over one byte, which may be a line's end. */
static void step(struct lexer *l)
{
    if (*l->at++ == '\n') {
        l->line++;
        l->line_begin = l->at;
    }
}

static void step_escape(struct lexer *l)
{
    step(l);
    if (l->at < l->end)
        step(l);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && !is_space(c)) || c == 0x7f;
}

/* ---- what stands between tokens ------------------------------------------------------ */

static void skip_comment(struct lexer *l)
{
    const char *lf = memchr(l->at, '\n', (size_t)(l->end - l->at));
    l->at = lf != NULL ? lf : l->end;
}

static void measure_indent(struct lexer *l)
{
    l->indent = 0;
    for (const char *c = l->line_begin; c < l->at; c++)
        l->indent = *c == '\t' ? (l->indent / TAB_WIDTH + 1) * TAB_WIDTH : l->indent + 1;
}

static void skip_space(struct lexer *l)
{
    while (l->at < l->end) {
        if (*l->at == '\n')
            l->fresh_line = true;
        if (is_space(*l->at))
            step(l);
        else if (*l->at == '#' && !l->comments)
            skip_comment(l);
        else
            break;
    }
    if (l->fresh_line)
        measure_indent(l);
}

/* ---- words --------------------------------------------------------------------------- */

/* The byte that a backslash and c stand for, or 0 if both stay. */
static char unescaped(char c)
{
    switch (c) {
    case '"':
    case '\'':
    case '\\':
        return c;
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    default:
        return 0;
    }
}

static struct slice undo_escapes(const struct lexer *l, struct slice raw)
{
    if (l->arena == NULL || slice_find(raw, '\\') == raw.size)
        return raw;
    char *copy = arena_bytes(l->arena, raw.size + 1);
    size_t used = 0;
    if (copy == NULL)
        return raw;
    for (size_t i = 0; i < raw.size; i++) {
        char c = raw.at[i] == '\\' && i + 1 < raw.size ? unescaped(raw.at[i + 1]) : 0;
        i += c != 0;
        copy[used++] = c != 0 ? c : raw.at[i];
    }
    copy[used] = '\0';
    return slice_of(copy, used);
}

/* True when the word ends at c; *variable remembers that a `$` stands right before. */
static bool ends_word(char c, bool *variable)
{
    if (c == '{' && *variable)
        return false;
    *variable = c == '$';
    return is_space(c) || c == ';' || c == '{';
}

static void plain_word(struct lexer *l, struct token *t)
{
    const char *from = l->at;
    bool variable = false, told = false;
    while (l->at < l->end && !ends_word(*l->at, &variable)) {
        if (is_control(*l->at) && !told) {
            complain(l, FAULT_BYTE, here(l), *l->at);
            told = true;
        }
        if (*l->at == '\\')
            step_escape(l);
        else
            step(l);
    }
    t->text = undo_escapes(l, slice_of(from, (size_t)(l->at - from)));
}

/* Behind the closing quote; false if there is none. */
static bool find_quote(struct lexer *l, char quote)
{
    while (l->at < l->end && *l->at != quote) {
        if (*l->at == '\\')
            step_escape(l);
        else
            step(l);
    }
    if (l->at >= l->end)
        return false;
    l->at++;
    return true;
}

static bool may_follow_quote(const struct lexer *l)
{
    return l->at >= l->end || is_space(*l->at) || strchr(";{})", *l->at) != NULL;
}

/* An open quote is taken to end with its line, before a `;` or `{` that ends the line. */
static void end_with_line(struct lexer *l, const struct lexer *opened, struct token *t)
{
    const char *from = opened->at + 1, *to = from;
    while (to < l->end && *to != '\n')
        to++;
    while (to > from && is_space(to[-1]))
        to--;
    if (to > from && (to[-1] == ';' || to[-1] == '{'))
        to--;
    l->at = to;
    l->line = opened->line;
    l->line_begin = opened->line_begin;
    while (to > from && is_space(to[-1]))
        to--;
    t->text = undo_escapes(l, slice_of(from, (size_t)(to - from)));
}

static void quoted_word(struct lexer *l, struct token *t)
{
    struct lexer opened = *l;
    char quote = *l->at++;
    bool closed = find_quote(l, quote);
    t->quoted = true;
    if (closed && (may_follow_quote(l) || l->line == opened.line)) {
        t->text = undo_escapes(l, slice_of(opened.at + 1, (size_t)(l->at - opened.at) - 2));
        if (slice_find(t->text, '\0') < t->text.size)
            complain(l, FAULT_BYTE, here(&opened), '\0');
        if (!may_follow_quote(l))
            complain(l, FAULT_BEHIND_QUOTE, here(l), *l->at);
        return;
    }
    complain(&opened, FAULT_QUOTE, here(&opened), quote);
    end_with_line(l, &opened, t);
}

/* ---- blocks of Lua ------------------------------------------------------------------- */

/* Over "[[ … ]]", "[=[ … ]=]" if there is one; else false and nothing happened. */
static bool skip_long_bracket(struct lexer *l)
{
    const char *c = l->at + 1;
    while (c < l->end && *c == '=')
        c++;
    size_t level = (size_t)(c - l->at) - 1;
    if (c >= l->end || *c != '[')
        return false;
    while (l->at < l->end) {
        const char *close = l->at;
        step(l);
        if (*close != ']' || (size_t)(l->end - close) < level + 2 || close[level + 1] != ']')
            continue;
        size_t signs = 0;
        while (signs < level && close[1 + signs] == '=')
            signs++;
        if (signs == level) {
            l->at = close + level + 2;
            break;
        }
    }
    return true;
}

/* To the brace that closes the block. Braces in strings and comments of Lua do not count. */
static void skip_lua(struct lexer *l)
{
    size_t depth = 1;
    while (l->at < l->end) {
        char c = *l->at;
        bool comment = c == '-' && l->end - l->at > 1 && l->at[1] == '-';
        if (c == '}' && --depth == 0)
            return;
        depth += c == '{';
        if (comment)
            l->at += 2;
        if ((comment || c == '[') && l->at < l->end && *l->at == '[' && skip_long_bracket(l))
            continue;
        if (comment) {
            skip_comment(l);
            continue;
        }
        step(l);
        if (c == '"' || c == '\'')
            find_quote(l, c);
    }
}

/* ---- tokens -------------------------------------------------------------------------- */

static enum token_kind kind_of(char c)
{
    switch (c) {
    case '#':
        return TOKEN_COMMENT;
    case ';':
        return TOKEN_SEMICOLON;
    case '{':
        return TOKEN_OPEN;
    case '}':
        return TOKEN_CLOSE;
    default:
        return TOKEN_WORD;
    }
}

static void read_word(struct lexer *l, struct token *t)
{
    if (*l->at == '"' || *l->at == '\'')
        quoted_word(l, t);
    else
        plain_word(l, t);
    if (l->fresh_statement)
        l->lua = !t->quoted && slice_ends(t->text, SLICE("_by_lua_block"));
    l->fresh_statement = false;
}

/* Anything but white space and the end. */
static void read_token(struct lexer *l, struct token *t)
{
    t->kind = kind_of(*l->at);
    if (t->kind == TOKEN_WORD) {
        read_word(l, t);
        t->to = here(l);
        return;
    }
    if (t->kind == TOKEN_COMMENT) {
        skip_comment(l);
        t->to = here(l);
        return;
    }
    l->at++;
    t->to = here(l);
    if (t->kind == TOKEN_OPEN && l->lua)
        skip_lua(l);
    l->lua = false;
    l->fresh_statement = true;
}

void lex_next(struct lexer *l, struct token *t)
{
    skip_space(l);
    *t = (struct token){ .kind = TOKEN_END,
                         .from = here(l),
                         .to = here(l),
                         .indent = l->indent,
                         .first = l->fresh_line };
    l->fresh_line = false;
    if (l->at >= l->end || l->stopped)
        return;
    const char *from = l->at;
    read_token(l, t);
    t->source = slice_of(from, (size_t)(l->at - from));
}

void lex_skip_past(struct lexer *l, char byte)
{
    for (const char *c = l->at; c < l->end && *c != '\n'; c++) {
        if (*c != byte)
            continue;
        l->at = c + 1;
        return;
    }
}

/* ---- back to the source -------------------------------------------------------------- */

size_t lex_source_offset(struct slice source, size_t offset)
{
    size_t i = source.size > 0 && (source.at[0] == '"' || source.at[0] == '\'') ? 1 : 0;
    while (offset-- > 0 && i < source.size) {
        bool escape =
            source.at[i] == '\\' && i + 1 < source.size && unescaped(source.at[i + 1]) != 0;
        i += escape ? 2 : 1;
    }
    return i < source.size ? i : source.size;
}

size_t lex_word_size(struct slice source)
{
    struct lexer l;
    struct token t = { .kind = TOKEN_WORD };
    if (source.size == 0 || kind_of(source.at[0]) != TOKEN_WORD || is_space(source.at[0]))
        return source.size > 0;
    lex_init(&l, source, NULL, NULL, NULL);
    l.at = source.at; /* a mark that does not begin the file is part of the word */
    read_word(&l, &t);
    return (size_t)(l.at - source.at);
}
