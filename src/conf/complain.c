/* complain.c - collects what is wrong with a configuration, and prints it with the line, a
 * caret, what was expected, and how the file came to be read. */
#include "conf/lex.h"
#include "conf/load_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 4096, SNIPPET_MAX = 120, SNIPPET_BEFORE = 80 };

struct note {
    struct slice text;
    struct note *next;
};

struct complaint {
    enum conf_severity severity;
    struct place place;
    struct slice text;
    struct note *notes, **notes_end;
    unsigned order; /* of equals at one place, the first comes first */
};

/* ---- places -------------------------------------------------------------------------- */

struct slice file_from(const struct conf_file *file, uint32_t line, uint32_t column)
{
    struct slice rest = file->text;
    for (uint32_t i = 1; i < line && rest.size > 0; i++)
        (void)slice_cut(&rest, '\n');
    size_t skip = column > 0 ? column - 1 : 0;
    return slice_skip(rest, skip < rest.size ? skip : rest.size);
}

struct place node_place(const struct conf_node *node, int arg)
{
    if (node == NULL)
        return (struct place){ 0 };
    if (arg < 0 || (uint32_t)arg >= node->arg_count)
        return (struct place){ node->file, node->line, node->column, false };
    return (struct place){ node->file, node->args[arg].line, node->args[arg].column, false };
}

static struct place place_inside(const struct conf_node *node, unsigned arg, size_t offset)
{
    struct place place = node_place(node, (int)arg);
    if (place.file == NULL || arg >= node->arg_count)
        return place;
    struct slice source = file_from(place.file, place.line, place.column);
    size_t skip = lex_source_offset(source, offset);
    place.inside = true;
    for (size_t i = 0; i < skip; i++) {
        place.column++;
        if (source.at[i] != '\n')
            continue;
        place.line++;
        place.column = 1;
    }
    return place;
}

/* ---- collecting ---------------------------------------------------------------------- */

static bool same_path(const struct conf_file *a, const struct conf_file *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a->path, b->path) == 0);
}

static bool known(const struct conf_load *load, struct place p, struct slice text)
{
    for (unsigned i = 0; i < load->complaint_count; i++) {
        const struct complaint *c = load->complaints[i];
        if (c->place.line == p.line && c->place.column == p.column &&
            same_path(c->place.file, p.file) && slice_eq(c->text, text))
            return true;
    }
    return false;
}

/* A free slot; when there is none, an error takes that of something milder. */
static struct complaint **find_slot(struct conf_load *load, enum conf_severity severity)
{
    if (load->complaint_count < CONF_COMPLAINTS_MAX)
        return &load->complaints[load->complaint_count++];
    load->dropped++;
    for (unsigned i = CONF_COMPLAINTS_MAX; severity == CONF_EMERG && i > 0; i--)
        if (load->complaints[i - 1]->severity != CONF_EMERG)
            return &load->complaints[i - 1];
    return NULL;
}

bool complaints_full(const struct conf_load *load)
{
    return load->error_count >= CONF_COMPLAINTS_MAX;
}

static void add(struct conf_load *load, enum conf_severity severity, struct place place,
                const char *format, va_list args)
{
    char text[TEXT_MAX];
    int size = vsnprintf(text, sizeof text, format, args);
    struct slice said = slice_str(size > 0 ? text : "");
    load->said++;
    if (known(load, place, said)) {
        load->latest = NULL;
        return;
    }
    load->error_count += severity == CONF_EMERG;
    struct complaint **slot = find_slot(load, severity);
    load->latest = NULL;
    if (slot == NULL)
        return;
    struct complaint *c = arena_must(load->arena, sizeof *c);
    *c = (struct complaint){ .severity = severity,
                             .place = place,
                             .text = arena_copy(load->arena, said),
                             .order = load->complaint_count + load->dropped };
    c->notes_end = &c->notes;
    load->latest = *slot = c;
}

void complain_at(struct conf_load *load, enum conf_severity severity, struct place place,
                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(load, severity, place, format, args);
    va_end(args);
}

void conf_complain(struct conf_load *load, enum conf_severity severity,
                   const struct conf_node *node, int arg, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(load, severity, node_place(node, arg), format, args);
    va_end(args);
}

void conf_complain_inside(struct conf_load *load, enum conf_severity severity,
                          const struct conf_node *node, unsigned arg, size_t offset,
                          const char *format, ...)
{
    va_list args;
    /* Finding the place costs a look at the whole file: not for what is only counted. */
    struct place place =
        complaints_full(load) ? node_place(node, (int)arg) : place_inside(node, arg, offset);
    va_start(args, format);
    add(load, severity, place, format, args);
    va_end(args);
}

static bool has_label(const char *text)
{
    return strncmp(text, "help: ", 6) == 0 || strncmp(text, "note: ", 6) == 0 ||
           strncmp(text, "expected: ", 10) == 0;
}

void conf_hint(struct conf_load *load, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    struct complaint *c = load->latest;
    if (c == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct note *n = arena_must(load->arena, sizeof *n);
    n->text = arena_printf(load->arena, "%s%s", has_label(text) ? "" : "help: ", text);
    *c->notes_end = n;
    c->notes_end = &n->next;
}

unsigned conf_load_errors(const struct conf_load *load)
{
    return load->error_count;
}

/* ---- printing ------------------------------------------------------------------------ */

struct colours {
    const char *severity[CONF_EMERG + 1], *bold, *caret, *dim, *off;
};

static const struct colours plain = { { "", "", "" }, "", "", "", "" };
static const struct colours bright = {
    { "\x1b[1;36m", "\x1b[1;35m", "\x1b[1;31m" }, "\x1b[1m", "\x1b[1;32m", "\x1b[2m", "\x1b[0m"
};
static const char *const severity_words[] = { "notice", "warning", "error" };

/* A file may hold anything; a terminal shall not obey it. */
static void print_text(struct gather *g, struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        bool control = (unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f;
        gather_byte(g, control && s.at[i] != '\t' ? '?' : s.at[i]);
    }
}

/* The marks under a line: white space as wide as what stands above, then ^~~~. */
static void print_caret(struct gather *g, struct slice before, struct slice word)
{
    for (size_t i = 0; i < before.size; i++)
        if (((unsigned char)before.at[i] & 0xc0) != 0x80)
            gather_byte(g, before.at[i] == '\t' ? '\t' : ' ');
    gather_byte(g, '^');
    for (size_t i = 1; i < word.size; i++)
        if (((unsigned char)word.at[i] & 0xc0) != 0x80)
            gather_byte(g, '~');
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* What is underlined: a word; in the middle of one, a variable or a single byte. */
static size_t marked_size(const struct place *p, struct slice rest)
{
    size_t size = 1;
    if (!p->inside)
        return lex_word_size(rest);
    if (rest.size > 1 && rest.at[0] == '$')
        size += rest.at[1] == '{';
    bool braces = size > 1;
    while (rest.size > 0 && rest.at[0] == '$' && size < rest.size && is_name_byte(rest.at[size]))
        size++;
    size += braces && size < rest.size && rest.at[size] == '}';
    return size < rest.size ? size : rest.size;
}

struct slice conf_line(const struct conf_file *file, uint32_t line)
{
    struct slice text = file_from(file, line, 1);
    text = slice_head(text, slice_find(text, '\n'));
    while (text.size > 0 && text.at[text.size - 1] == '\r')
        text.size--;
    return text;
}

/* The line of the place, cut to what is near it if it is very long. */
static void print_snippet(struct gather *g, const struct place *p, const struct colours *paint)
{
    struct slice line = conf_line(p->file, p->line);
    size_t at = p->column - 1 < line.size ? p->column - 1 : line.size;
    struct slice rest = slice_skip(line, at);
    struct slice word = slice_head(rest, marked_size(p, rest));
    size_t from = at > SNIPPET_BEFORE && line.size > SNIPPET_MAX ? at - SNIPPET_BEFORE : 0;
    struct slice shown = slice_head(slice_skip(line, from), SNIPPET_MAX);
    if (word.size > shown.size - (at - from))
        word.size = shown.size - (at - from);
    gather_printf(g, "%s%5u |%s ", paint->dim, p->line, paint->off);
    print_text(g, shown);
    gather_printf(g, "\n%s      |%s ", paint->dim, paint->off);
    gather_str(g, paint->caret);
    print_caret(g, slice_head(shown, at - from), word);
    gather_str(g, paint->off);
    gather_byte(g, '\n');
}

struct slice conf_snippet(struct conf_load *load, const struct conf_node *node, int arg,
                          bool colour)
{
    struct place place = node_place(node, arg);
    struct gather g;
    gather_init(&g, NULL, 0, load->arena, SIZE_MAX);
    print_snippet(&g, &place, colour ? &bright : &plain);
    return gather_get(&g);
}

static void print_complaint(struct gather *g, const struct conf_load *load,
                            const struct complaint *c, const struct colours *paint)
{
    const struct conf_file *file = c->place.file;
    gather_str(g, paint->bold);
    if (file != NULL && c->place.line > 0)
        gather_printf(g, "%s:%u:%u: ", file->path, c->place.line, c->place.column);
    else if (file != NULL || load->main_path != NULL)
        gather_printf(g, "%s: ", file != NULL ? file->path : load->main_path);
    gather_printf(g, "%s%s:%s ", paint->severity[c->severity], severity_words[c->severity],
                  paint->off);
    print_text(g, c->text);
    gather_byte(g, '\n');
    if (file != NULL && c->place.line > 0)
        print_snippet(g, &c->place, paint);
    for (const struct note *n = c->notes; n != NULL; n = n->next) {
        gather_lit(g, "      = ");
        print_text(g, n->text);
        gather_byte(g, '\n');
    }
    for (; file != NULL && file->included_by != NULL; file = file->included_by)
        gather_printf(g, "      = note: included from %s:%u\n", file->included_by->path,
                      file->included_at);
}

static int by_place(const void *a, const void *b)
{
    const struct complaint *x = *(struct complaint *const *)a, *y = *(struct complaint *const *)b;
    const uint32_t left[] = { x->place.file != NULL ? x->place.file->order : 0, x->place.line,
                              x->place.column, x->order };
    const uint32_t right[] = { y->place.file != NULL ? y->place.file->order : 0, y->place.line,
                               y->place.column, y->order };
    for (size_t i = 0; i < COUNT_OF(left); i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return 0;
}

static struct slice printed(struct conf_load *load, const struct complaint *c,
                            const struct colours *paint)
{
    struct gather g;
    gather_init(&g, NULL, 0, load->arena, SIZE_MAX);
    print_complaint(&g, load, c, paint);
    return gather_get(&g);
}

void conf_load_report(struct conf_load *load, bool colour,
                      void (*write)(void *arg, struct slice text, enum conf_severity), void *arg)
{
    qsort(load->complaints, load->complaint_count, sizeof *load->complaints, by_place);
    for (unsigned i = 0; i < load->complaint_count; i++) {
        const struct complaint *c = load->complaints[i];
        write(arg, printed(load, c, colour ? &bright : &plain), c->severity);
    }
    if (load->dropped > 0) {
        struct slice more = arena_printf(load->arena, "and %u more\n", load->dropped);
        write(arg, more, load->error_count > 0 ? CONF_EMERG : CONF_WARN);
    }
}
