/* parse.c - from tokens to a tree of directives, with every mistake told where it was made.
 *
 * What is missing is missed long after its place. So the reader looks at how people write:
 * a directive's name that begins a line, no deeper than the line before, says that a `;` is
 * missing there; and in a file whose braces do not add up (only then), the indentation says
 * which block was not closed, or which brace is one too many. */
#include "conf/known.h"
#include "conf/lex.h"
#include "conf/load_private.h"

struct open_block {
    struct conf_node *node; /* NULL: what the file was included into          */
    struct conf_node **end; /* where its next directive goes                  */
    uint32_t context;       /* as far as the names tell; 0: unknown           */
    uint32_t indent;        /* of the line that opened it                     */
    bool own_line;          /* its name began that line                       */
    bool indented;          /* what is in it stands deeper than it            */
};

/* The statement being read: a directive's name and arguments. */
struct statement {
    struct token name, last; /* last: the latest word                          */
    struct conf_arg *args;
    uint32_t arg_count, arg_room;
    bool begun;
    bool spoiled; /* complained about: nothing more is said of it   */
};

struct parser {
    struct conf_load *load;
    const struct conf_file *file;
    struct lexer lexer;
    struct token token;
    struct statement st;
    struct open_block stack[CONF_DEPTH_MAX];
    uint32_t depth;         /* blocks open, with the outermost                */
    uint32_t depth_outside; /* of the blocks around the include               */
    int64_t excess;         /* braces opened and not closed in this file      */
    bool given_up;          /* the rest was not read: its end means nothing   */
};

static void parse_file(struct conf_load *, const struct conf_file *, uint32_t context,
                       uint32_t depth_outside, struct conf_node ***end);

static void complain_token(struct parser *p, struct lex_place at, const char *text)
{
    struct place place = { p->file, at.line, at.column, false };
    complain_at(p->load, CONF_EMERG, place, "%s", text);
}

static void give_up(struct parser *p)
{
    lex_stop(&p->lexer);
    p->given_up = true;
}

/* ---- what names tell ----------------------------------------------------------------- */

static const struct {
    uint32_t outside;
    const char *name;
    uint32_t inside;
} block_contexts[] = {
    { CTX_MAIN, "http", CTX_HTTP },
    { CTX_MAIN, "events", CTX_EVENTS },
    { CTX_MAIN, "stream", CTX_STREAM },
    { CTX_MAIN, "mail", CTX_MAIL },
    { CTX_HTTP, "server", CTX_SERVER },
    { CTX_HTTP, "upstream", CTX_UPSTREAM },
    { CTX_SERVER | CTX_LOCATION, "location", CTX_LOCATION },
    { CTX_SERVER, "if", CTX_IF_SERVER },
    { CTX_LOCATION, "if", CTX_IF_LOCATION },
    { CTX_LOCATION, "limit_except", CTX_LIMIT_EXCEPT },
    { CTX_STREAM, "server", CTX_STREAM_SERVER },
    { CTX_STREAM, "upstream", CTX_STREAM_UPSTREAM },
    { CTX_MAIL, "server", CTX_MAIL_SERVER },
};

/* The context inside a block, or 0 if the name opens none that is known. */
static uint32_t context_inside(uint32_t outside, struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(block_contexts); i++)
        if ((block_contexts[i].outside & outside) != 0 &&
            slice_eq(name, slice_str(block_contexts[i].name)))
            return block_contexts[i].inside;
    return 0;
}

static bool is_directive(const struct parser *p, struct slice name, uint32_t context)
{
    const struct feature *feature;
    const struct directive *row = registry_find(p->load->registry, name, context, &feature, NULL);
    if (row != NULL && row->name[0] != '*')
        return true;
    const struct known_directive *known = known_directive_find(name, context);
    return known != NULL && (known->contexts & context) != 0;
}

/* ---- statements ---------------------------------------------------------------------- */

static struct open_block *top(struct parser *p)
{
    return &p->stack[p->depth - 1];
}

static void add_word(struct parser *p)
{
    struct statement *st = &p->st;
    const struct token *t = &p->token;
    st->last = *t;
    if (!st->begun) {
        st->begun = true;
        st->spoiled = false;
        st->name = *t;
        st->arg_count = 0;
        return;
    }
    if (st->arg_count == st->arg_room) {
        uint32_t room = st->arg_room > 0 ? 2 * st->arg_room : 16;
        struct conf_arg *more = arena_must(p->load->arena, room * sizeof *more);
        if (st->arg_count > 0)
            memcpy(more, st->args, st->arg_count * sizeof *more);
        st->args = more;
        st->arg_room = room;
    }
    st->args[st->arg_count++] =
        (struct conf_arg){ t->text, t->from.line, t->from.column, t->quoted };
}

/* Ends the statement: a node that is not yet in the tree. */
static struct conf_node *take_statement(struct parser *p)
{
    struct statement *st = &p->st;
    struct conf_node *node = arena_must(p->load->arena, sizeof *node);
    node->name = st->spoiled ? (struct slice){ 0 } : st->name.text;
    node->line = st->name.from.line;
    node->column = st->name.from.column;
    node->file = p->file;
    node->arg_count = st->arg_count;
    if (st->arg_count > 0) {
        struct conf_arg *args = arena_must(p->load->arena, st->arg_count * sizeof *args);
        memcpy(args, st->args, st->arg_count * sizeof *args);
        node->args = args;
        if (!p->load->alone)
            env_expand(p->load, node, args);
    }
    st->begun = false;
    return node;
}

static void append(struct parser *p, struct conf_node *node)
{
    *top(p)->end = node;
    top(p)->end = &node->next;
}

/* ---- include ---------------------------------------------------------------------------- */

static void parse_included(void *arg, const struct conf_file *file)
{
    struct parser *p = arg;
    parse_file(p->load, file, top(p)->context, p->depth_outside + p->depth, &top(p)->end);
}

/* ---- blocks -------------------------------------------------------------------------- */

static void open_block(struct parser *p)
{
    struct statement *st = &p->st;
    if (p->depth + p->depth_outside >= CONF_DEPTH_MAX || p->depth >= CONF_DEPTH_MAX) {
        complain_token(p, p->token.from, "blocks are nested too deeply");
        conf_hint(p->load, "expected: at most %d levels", CONF_DEPTH_MAX - 1);
        give_up(p);
        return;
    }
    struct open_block block = { .indent = st->name.indent,
                                .own_line = st->name.first,
                                .context = context_inside(top(p)->context, st->name.text) };
    block.node = take_statement(p);
    block.node->block = true;
    block.end = &block.node->children;
    append(p, block.node);
    p->stack[p->depth++] = block;
}

static void complain_unclosed(struct parser *p, const struct open_block *b, uint32_t line)
{
    conf_complain(p->load, CONF_EMERG, b->node, CONF_AT_NAME, "the block of `%.*s` is not closed",
                  SLICE_FMT(b->node->name));
    if (line > 0)
        conf_hint(p->load, "expected: `}` before line %u", line);
    else
        conf_hint(p->load, "expected: `}` before the end of the file");
}

/* The top block's brace is missing before this token. */
static void close_unclosed(struct parser *p)
{
    complain_unclosed(p, top(p), p->token.from.line);
    p->depth--;
    p->excess--;
}

static bool some_block_has(const struct parser *p, uint32_t indent)
{
    for (uint32_t i = 1; i < p->depth; i++)
        if (p->stack[i].own_line && p->stack[i].indent == indent)
            return true;
    return false;
}

/* A brace that begins its line and stands less deep than the block it would close: blocks
 * between it and its own were left open. */
static void find_unclosed_by_brace(struct parser *p)
{
    const struct token *t = &p->token;
    if (!t->first || !some_block_has(p, t->indent))
        return;
    while (p->excess > 0 && p->depth > 1 && top(p)->own_line && top(p)->indent > t->indent)
        close_unclosed(p);
}

/* A directive that stands no deeper than the block it would be in, whose other directives do
 * stand deeper, is not in it. */
static void find_unclosed_by_name(struct parser *p)
{
    const struct token *t = &p->token;
    while (p->excess > 0 && p->depth > 1 && t->first && top(p)->own_line && top(p)->indented &&
           top(p)->indent >= t->indent)
        close_unclosed(p);
}

static bool is_stray(const struct parser *p)
{
    const struct open_block *b = &p->stack[p->depth - 1];
    if (p->depth == 1)
        return true;
    return p->excess < 0 && p->token.first && b->own_line && p->token.indent > b->indent;
}

static void close_block(struct parser *p)
{
    find_unclosed_by_brace(p);
    if (!is_stray(p)) {
        p->depth--;
        return;
    }
    complain_token(p, p->token.from, "this `}` closes nothing");
    p->excess++;
}

/* ---- missing `;` and `{` ------------------------------------------------------------- */

static void end_statement(struct parser *p)
{
    struct conf_node *node = take_statement(p);
    if (slice_eq(node->name, SLICE("include")) && !p->st.name.quoted && !p->load->alone)
        include_files(p->load, node, parse_included, p);
    else
        append(p, node);
}

static void complain_missing(struct parser *p, const char *what)
{
    const struct statement *st = &p->st;
    complain_at(p->load, CONF_EMERG,
                (struct place){ p->file, st->last.to.line, st->last.to.column, false },
                "`%s` is missing after `%.*s`", what, SLICE_FMT(slice_head(st->last.text, 60)));
}

/* Does the word that begins a line begin a directive of its own? */
static bool begins_another(const struct parser *p)
{
    const struct statement *st = &p->st;
    const struct token *t = &p->token;
    const struct feature *feature;
    uint32_t context = p->stack[p->depth - 1].context;
    if (!st->begun || !t->first || t->quoted || !is_directive(p, t->text, context))
        return false;
    if (!st->name.first || t->indent <= st->name.indent)
        return true;
    const struct directive *row =
        registry_find(p->load->registry, st->name.text, context, &feature, NULL);
    return row != NULL && row->args_max != ARGS_MANY && st->arg_count >= row->args_max;
}

static bool begins_inside(const struct parser *p)
{
    const struct statement *st = &p->st;
    const struct token *t = &p->token;
    uint32_t context = p->stack[p->depth - 1].context;
    uint32_t inside = st->begun ? context_inside(context, st->name.text) : 0;
    return inside != 0 && t->first && !t->quoted && is_directive(p, t->text, inside);
}

/* A name that was written without its `{`: the block's first directive comes, or its end. */
static void insert_open(struct parser *p)
{
    complain_missing(p, "{");
    p->excess++;
    open_block(p);
}

static void word(struct parser *p)
{
    if (begins_inside(p)) {
        insert_open(p);
    } else if (begins_another(p)) {
        complain_missing(p, ";");
        end_statement(p);
    }
    if (!p->st.begun)
        find_unclosed_by_name(p);
    if (!p->st.begun && p->token.first && p->token.indent > top(p)->indent)
        top(p)->indented = true;
    add_word(p);
}

/* ---- files --------------------------------------------------------------------------- */

static void semicolon(struct parser *p)
{
    if (p->st.begun) {
        end_statement(p);
        return;
    }
    complain_token(p, p->token.from, "this `;` ends nothing");
    conf_hint(p->load, "help: a block needs no `;` behind it");
}

/* "{{" is no nginx: someone forgot to have the template filled in. */
static bool is_template(const struct parser *p)
{
    return p->lexer.at < p->lexer.end && *p->lexer.at == '{';
}

/* As in ^/[0-9]{4}/ without quotes: the brace that should count is taken for a block's. */
static bool is_quantifier(const struct parser *p)
{
    const struct lex_place *word = &p->st.last.to, *brace = &p->token.from;
    const char *c = p->lexer.at, *end = p->lexer.end;
    if (!p->st.begun || word->line != brace->line || word->column != brace->column)
        return false;
    while (c < end && ((*c >= '0' && *c <= '9') || *c == ','))
        c++;
    return c > p->lexer.at && c < end && *c == '}';
}

static void skip_quantifier(struct parser *p)
{
    complain_token(p, p->token.from, "this `{` begins a block");
    conf_hint(p->load, "an argument with `{` needs quotes around it");
    p->st.spoiled = true;
    p->excess--; /* the closing one was taken for part of a word */
    lex_skip_past(&p->lexer, '}');
}

static void brace_open(struct parser *p)
{
    if (is_quantifier(p)) {
        skip_quantifier(p);
        return;
    }
    if (is_template(p)) {
        complain_token(p, p->token.from, "`{{` belongs to a template that was not filled in");
        give_up(p);
        return;
    }
    if (!p->st.begun) {
        complain_token(p, p->token.from, "this `{` has no directive before it");
        p->st.begun = p->st.spoiled = true;
        p->st.name = p->token;
        p->st.arg_count = 0;
    }
    open_block(p);
}

static void brace_close(struct parser *p)
{
    if (p->st.begun) {
        complain_missing(p, ";");
        end_statement(p);
    }
    close_block(p);
}

static void end_of_file(struct parser *p)
{
    if (p->given_up)
        return;
    if (p->st.begun) {
        complain_missing(p, ";");
        end_statement(p);
    }
    for (; p->depth > 1; p->depth--)
        complain_unclosed(p, top(p), 0);
}

static void fault(void *arg, const struct lex_fault *f)
{
    struct parser *p = arg;
    switch (f->kind) {
    case FAULT_QUOTE:
        complain_token(p, f->place, "this quote is not closed");
        conf_hint(p->load, "expected: %c before the `;`", f->byte);
        break;
    case FAULT_BEHIND_QUOTE:
        complain_token(p, f->place, "white space or `;` is missing behind the closing quote");
        conf_hint(p->load, "to have a quote inside quotes, write \\\" or \\'");
        break;
    case FAULT_BYTE:
        complain_at(p->load, CONF_EMERG,
                    (struct place){ p->file, f->place.line, f->place.column, true },
                    "the byte 0x%02x does not belong into a text file", f->byte);
        give_up(p);
        break;
    }
    if (complaints_full(p->load))
        give_up(p);
}

static int64_t count_excess(struct slice text)
{
    struct lexer l;
    struct token t;
    int64_t excess = 0;
    lex_init(&l, text, NULL, NULL, NULL);
    do {
        lex_next(&l, &t);
        excess += t.kind == TOKEN_OPEN;
        excess -= t.kind == TOKEN_CLOSE;
    } while (t.kind != TOKEN_END);
    return excess;
}

static void (*const on_token[])(struct parser *) = {
    [TOKEN_WORD] = word,         [TOKEN_SEMICOLON] = semicolon, [TOKEN_OPEN] = brace_open,
    [TOKEN_CLOSE] = brace_close, [TOKEN_END] = end_of_file,
};

static void parse_file(struct conf_load *load, const struct conf_file *file, uint32_t context,
                       uint32_t depth_outside, struct conf_node ***end)
{
    struct parser p = { .load = load,
                        .file = file,
                        .depth = 1,
                        .depth_outside = depth_outside,
                        .excess = count_excess(file->text) };
    p.stack[0] = (struct open_block){ .end = *end, .context = context };
    lex_init(&p.lexer, file->text, load->arena, fault, &p);
    do {
        lex_next(&p.lexer, &p.token);
        on_token[p.token.kind](&p);
    } while (p.token.kind != TOKEN_END);
    *end = p.stack[0].end;
}

struct conf_node *parse_text(struct conf_load *load, const char *name, struct slice text,
                             uint32_t context, const struct conf_node *node)
{
    struct conf_file *file = arena_must(load->arena, sizeof *file);
    struct conf_node *nodes = NULL, **end = &nodes;
    *file = (struct conf_file){ .path = name, .text = text };
    if (node != NULL) {
        file->included_by = node->file;
        file->included_at = node->line;
        file->order = ++load->file_count;
    }
    parse_file(load, file, context, 0, &end);
    return nodes;
}

struct conf_node *parse_main(struct conf_load *load)
{
    struct conf_node *nodes = NULL, **end = &nodes;
    const struct conf_file *file = include_main(load);
    if (file != NULL)
        parse_file(load, file, CTX_MAIN, 0, &end);
    return nodes;
}
