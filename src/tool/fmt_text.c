/* fmt_text.c - writes the tokens of a configuration again, with white space of our choice. */
#include "conf/lex.h"
#include "tool/fmt.h"

enum { INDENT = 4 };

struct writer {
    struct gather *out;
    struct token last;   /* TOKEN_END: nothing was written yet                    */
    uint32_t gap;        /* ends of lines between the last token and this one     */
    uint32_t depth;      /* of blocks                                             */
    bool begun;          /* inside a directive: its name was written              */
    bool adjacent;       /* no white space stood between the last token and this  */
    struct slice source; /* of this token; of a comment without blanks behind     */
};

/* ---- white space ----------------------------------------------------------------------- */

static void indent(struct writer *w, uint32_t levels)
{
    for (uint32_t i = 0; i < levels * INDENT; i++)
        gather_byte(w->out, ' ');
}

/* Begins a line; one of the empty lines that stood before it stays, if `keep`. */
static void begin_line(struct writer *w, uint32_t levels, bool keep)
{
    if (w->last.kind != TOKEN_END) {
        gather_byte(w->out, '\n');
        if (keep && w->gap > 1)
            gather_byte(w->out, '\n');
    }
    indent(w, levels);
}

/* ---- tokens ---------------------------------------------------------------------------- */

static void write_word(struct writer *w)
{
    if (!w->begun)
        begin_line(w, w->depth, true);
    else if (w->gap > 0)
        begin_line(w, w->depth + 1, false);
    else if (!w->adjacent)
        gather_byte(w->out, ' ');
    gather_slice(w->out, w->source);
    w->begun = true;
}

static void write_semicolon(struct writer *w)
{
    if (w->last.kind == TOKEN_COMMENT)
        begin_line(w, w->depth + 1, false);
    gather_byte(w->out, ';');
    w->begun = false;
}

/* The source of a Lua block's brace is all of the block before the closing one. */
static void write_open(struct writer *w)
{
    if (w->last.kind == TOKEN_COMMENT)
        begin_line(w, w->depth, false);
    else
        gather_byte(w->out, ' ');
    gather_slice(w->out, w->source);
    w->begun = false;
    w->depth++;
}

static void write_close(struct writer *w)
{
    w->depth -= w->depth > 0;
    if (w->last.kind != TOKEN_OPEN)
        begin_line(w, w->depth, true);
    else if (w->last.source.size == 1)
        gather_byte(w->out, ' ');
    gather_byte(w->out, '}');
}

static void write_comment(struct writer *w)
{
    if (w->gap > 0 || w->last.kind == TOKEN_END)
        begin_line(w, w->depth + w->begun, !w->begun);
    else
        gather_byte(w->out, ' ');
    gather_slice(w->out, w->source);
}

static void write_end(struct writer *w)
{
    if (w->last.kind != TOKEN_END)
        gather_byte(w->out, '\n');
}

static void (*const write_token[])(struct writer *) = {
    [TOKEN_WORD] = write_word, [TOKEN_SEMICOLON] = write_semicolon,
    [TOKEN_OPEN] = write_open, [TOKEN_CLOSE] = write_close,
    [TOKEN_END] = write_end,   [TOKEN_COMMENT] = write_comment,
};

static struct slice without_blanks_behind(struct slice s)
{
    while (s.size > 0 && strchr(" \t\r", s.at[s.size - 1]) != NULL && s.at[s.size - 1] != '\0')
        s.size--;
    return s;
}

void fmt_text(struct slice text, struct gather *g)
{
    struct writer w = { .out = g, .last = { .kind = TOKEN_END } };
    struct lexer l;
    struct token t;

    lex_init(&l, text, NULL, NULL, NULL);
    l.comments = true;
    do {
        lex_next(&l, &t);
        w.gap = t.from.line - w.last.to.line;
        w.adjacent = t.source.at == w.last.source.at + w.last.source.size;
        w.source = t.kind == TOKEN_COMMENT ? without_blanks_behind(t.source) : t.source;
        write_token[t.kind](&w);
        w.last = t;
    } while (t.kind != TOKEN_END);
}
