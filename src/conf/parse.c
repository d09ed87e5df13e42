/* parse.c - from tokens to a tree of directives, with every mistake told where it was made.
 *
 * What is missing is missed long after its place. So the reader looks at how people write:
 * a directive's name that begins a line, no deeper than the line before, says that a `;` is
 * missing there; and in a file whose braces do not add up (only then), the indentation says
 * which block was not closed, or which brace is one too many. */
#include "conf/known.h"
#include "conf/lex.h"
#include "conf/load_private.h"

#include <errno.h>

struct open_block {
    struct conf_node *node;             /* NULL: what the file was included into          */
    struct conf_node **end;             /* where its next directive goes                  */
    uint32_t ctx;                       /* as far as the names tell; 0: unknown           */
    uint32_t indent;                    /* of the line that opened it                     */
    bool own_line;                      /* its name began that line                       */
    bool indented;                      /* what is in it stands deeper than it            */
};

/* The statement being read: a directive's name and arguments. */
struct statement {
    struct token name, last;            /* last: the latest word                          */
    struct conf_arg *args;
    uint32_t arg_count, arg_room;
    bool begun;
};

struct parser {
    struct conf_load *load;
    const struct conf_file *file;
    struct lexer lexer;
    struct token token;
    struct statement st;
    struct open_block stack[CONF_DEPTH_MAX];
    uint32_t depth;                     /* blocks open, with the outermost                */
    uint32_t depth_outside;             /* of the blocks around the include               */
    int64_t excess;                     /* braces opened and not closed in this file      */
    bool given_up;                      /* the rest was not read: its end means nothing   */
};

static void parse_file(struct conf_load *, const struct conf_file *, uint32_t ctx,
                       uint32_t depth_outside, struct conf_node ***end);

static void complain_token(struct parser *p, struct lex_place at, const char *text)
{
    complain_at(p->load, CONF_EMERG, (struct place){ p->file, at.line, at.column, false }, "%s", text);
}

static void give_up(struct parser *p)
{
    lex_stop(&p->lexer);
    p->given_up = true;
}

/* ---- what names tell --------------------------------------------------------------------- */

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

static bool is_directive(const struct parser *p, struct slice name, uint32_t ctx)
{
    const struct feature *feature;
    const struct directive *row =
        registry_find(p->load->registry, name, ctx, &feature, NULL);
    if (row != NULL && row->name[0] != '*')
        return true;
    const struct known_directive *known = known_directive_find(name, ctx);
    return known != NULL && (known->contexts & ctx) != 0;
}

/* ---- statements --------------------------------------------------------------------------- */

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
    node->name = st->name.text;
    node->line = st->name.from.line;
    node->column = st->name.from.column;
    node->file = p->file;
    node->arg_count = st->arg_count;
    if (st->arg_count > 0) {
        struct conf_arg *args = arena_must(p->load->arena, st->arg_count * sizeof *args);
        memcpy(args, st->args, st->arg_count * sizeof *args);
        node->args = args;
    }
    st->begun = false;
    return node;
}

static void append(struct parser *p, struct conf_node *node)
{
    *top(p)->end = node;
    top(p)->end = &node->next;
}

/* ---- include ------------------------------------------------------------------------------ */

struct including {
    struct parser *parser;
    const struct conf_node *node;
};

static struct conf_file *file_first(struct conf_load *load, const char *path, int *ret_error)
{
    struct slice text, key = slice_str(path);
    struct conf_file *first = map_get(&load->files_by_path, key);
    if (first != NULL)
        return first;
    *ret_error = load->source->read(load->source, path, &text);
    if (*ret_error != 0)
        return NULL;
    first = arena_must(load->arena, sizeof *first);
    *first = (struct conf_file){ .path = arena_copy(load->arena, key).at, .text = text,
                                 .order = ++load->file_count };
    if (!map_put(&load->files_by_path, slice_str(first->path), first)) {
        *ret_error = -ENOMEM;
        return NULL;
    }
    *load->files_end = first;
    load->files_end = &first->next;
    return first;
}

static bool file_fits(struct conf_load *load, const struct conf_file *file,
                      const struct conf_node *node)
{
    if (file->text.size <= CONF_FILE_MAX)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "\"%s\" is larger than %d bytes", file->path,
                  CONF_FILE_MAX);
    return false;
}

/* One more include of a file; NULL after a complaint. */
static struct conf_file *file_again(struct parser *p, const struct conf_node *node,
                                    const char *path)
{
    int error = 0;
    struct conf_load *load = p->load;
    if (load->include_count++ >= CONF_INCLUDES_MAX) {
        conf_complain(load, CONF_EMERG, node, 0, "more than %d files are included",
                      CONF_INCLUDES_MAX);
        return NULL;
    }
    struct conf_file *first = file_first(load, path, &error);
    if (first == NULL) {
        conf_complain(load, CONF_EMERG, node, 0, "cannot read \"%s\": %s", path,
                      strerror(-error));
        return NULL;
    }
    if (!file_fits(load, first, node))
        return NULL;
    struct conf_file *file = arena_must(load->arena, sizeof *file);
    *file = *first;
    file->next = NULL;
    file->included_by = p->file;
    file->included_at = node->line;
    return file;
}

static bool include_allowed(struct parser *p, const struct conf_node *node, const char *path)
{
    unsigned depth = 1;
    for (const struct conf_file *f = p->file; f != NULL; f = f->included_by, depth++) {
        if (strcmp(f->path, path) == 0) {
            conf_complain(p->load, CONF_EMERG, node, 0, "\"%s\" includes itself", path);
            return false;
        }
    }
    if (depth <= CONF_INCLUDE_DEPTH_MAX)
        return true;
    conf_complain(p->load, CONF_EMERG, node, 0, "more than %d files include one another",
                  CONF_INCLUDE_DEPTH_MAX);
    return false;
}

static void include_one(void *arg, const char *path)
{
    struct including *in = arg;
    struct parser *p = in->parser;
    if (!include_allowed(p, in->node, path) || complaints_full(p->load))
        return;
    struct conf_file *file = file_again(p, in->node, path);
    if (file != NULL)
        parse_file(p->load, file, top(p)->ctx, p->depth_outside + p->depth, &top(p)->end);
}

static bool has_wildcard(struct slice s)
{
    return slice_find(s, '*') < s.size || slice_find(s, '?') < s.size ||
           slice_find(s, '[') < s.size;
}

/* The files take the place of the directive. */
static void include(struct parser *p, const struct conf_node *node)
{
    struct conf_load *load = p->load;
    struct including in = { p, node };
    struct slice name = conf_arg(node, 0);
    if (node->arg_count != 1 || name.size == 0) {
        conf_complain(load, CONF_EMERG, node, node->arg_count > 1 ? 1 : CONF_AT_NAME,
                      "`include` takes 1 argument, %u were given", node->arg_count);
        conf_hint(load, "expected: include file;");
        return;
    }
    struct slice path = arena_printf(load->arena, "%s%.*s", name.at[0] == '/' ? "" : load->dir,
                                     SLICE_FMT(name));
    if (path.at == NULL)
        return;
    if (!has_wildcard(name)) {
        include_one(&in, path.at);
        return;
    }
    int error = load->source->glob(load->source, path.at, include_one, &in);
    if (error != 0)
        conf_complain(load, CONF_EMERG, node, 0, "cannot look for \"%s\": %s", path.at,
                      strerror(-error));
}

/* ---- blocks -------------------------------------------------------------------------------- */

static void open_block(struct parser *p)
{
    struct statement *st = &p->st;
    if (p->depth + p->depth_outside >= CONF_DEPTH_MAX || p->depth >= CONF_DEPTH_MAX) {
        complain_token(p, p->token.from, "blocks are nested too deeply");
        conf_hint(p->load, "expected: at most %d levels", CONF_DEPTH_MAX - 1);
        give_up(p);
        return;
    }
    struct open_block block = { .indent = st->name.indent, .own_line = st->name.first,
                                .ctx = context_inside(top(p)->ctx, st->name.text) };
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

/* ---- missing `;` and `{` -------------------------------------------------------------------- */

static void end_statement(struct parser *p)
{
    struct conf_node *node = take_statement(p);
    if (slice_eq(node->name, SLICE("include")) && !p->st.name.quoted)
        include(p, node);
    else
        append(p, node);
}

static void complain_missing(struct parser *p, const char *what)
{
    const struct statement *st = &p->st;
    complain_at(p->load, CONF_EMERG,
                (struct place){ p->file, st->last.to.line, st->last.to.column, false },
                "`%s` is missing after `%.*s`", what,
                SLICE_FMT(slice_head(st->last.text, 60)));
}

/* Does the word that begins a line begin a directive of its own? */
static bool begins_another(const struct parser *p)
{
    const struct statement *st = &p->st;
    const struct token *t = &p->token;
    const struct feature *feature;
    uint32_t ctx = p->stack[p->depth - 1].ctx;
    if (!st->begun || !t->first || t->quoted || !is_directive(p, t->text, ctx))
        return false;
    if (!st->name.first || t->indent <= st->name.indent)
        return true;
    const struct directive *row =
        registry_find(p->load->registry, st->name.text, ctx, &feature, NULL);
    return row != NULL && row->args_max != ARGS_MANY && st->arg_count >= row->args_max;
}

static bool begins_inside(const struct parser *p)
{
    const struct statement *st = &p->st;
    const struct token *t = &p->token;
    uint32_t ctx = p->stack[p->depth - 1].ctx;
    uint32_t inside = st->begun ? context_inside(ctx, st->name.text) : 0;
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

/* ---- files ----------------------------------------------------------------------------------- */

static void semicolon(struct parser *p)
{
    if (p->st.begun) {
        end_statement(p);
        return;
    }
    complain_token(p, p->token.from, "this `;` ends nothing");
    conf_hint(p->load, "help: a block needs no `;` behind it");
}

static void brace_open(struct parser *p)
{
    if (!p->st.begun) {
        complain_token(p, p->token.from, "this `{` has no directive before it");
        p->st.begun = true;
        p->st.name = p->token;
        p->st.name.text = (struct slice){ 0 };
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
    [TOKEN_WORD] = word,
    [TOKEN_SEMICOLON] = semicolon,
    [TOKEN_OPEN] = brace_open,
    [TOKEN_CLOSE] = brace_close,
    [TOKEN_END] = end_of_file,
};

static void parse_file(struct conf_load *load, const struct conf_file *file, uint32_t ctx,
                       uint32_t depth_outside, struct conf_node ***end)
{
    struct parser p = { .load = load, .file = file, .depth = 1, .depth_outside = depth_outside,
                        .excess = count_excess(file->text) };
    p.stack[0] = (struct open_block){ .end = *end, .ctx = ctx };
    lex_init(&p.lexer, file->text, load->arena, fault, &p);
    do {
        lex_next(&p.lexer, &p.token);
        on_token[p.token.kind](&p);
    } while (p.token.kind != TOKEN_END);
    *end = p.stack[0].end;
}

struct conf_node *parse_text(struct conf_load *load, const char *name, struct slice text)
{
    struct conf_file *file = arena_must(load->arena, sizeof *file);
    struct conf_node *nodes = NULL, **end = &nodes;
    *file = (struct conf_file){ .path = name, .text = text };
    parse_file(load, file, CTX_MAIN, 0, &end);
    return nodes;
}

struct conf_node *parse_main(struct conf_load *load)
{
    int error = 0;
    struct conf_node *nodes = NULL, **end = &nodes;
    struct conf_file *file = file_first(load, load->main_path, &error);
    if (file == NULL)
        complain_at(load, CONF_EMERG, (struct place){ 0 }, "cannot be read: %s",
                    strerror(-error));
    else if (file_fits(load, file, NULL))
        parse_file(load, file, CTX_MAIN, 0, &end);
    return nodes;
}
