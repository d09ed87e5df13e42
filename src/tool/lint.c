/* lint.c - `weir lint`: the walk over the directives, what the file wants unsaid, the command. */
#include "tool/lint_private.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOCK_SIZE = 64 * 1024, TEXT_SIZE = 2048, RULES_MAX = 64 };
enum { STATUS_GOOD = 0, STATUS_FINDINGS = 1, STATUS_BROKEN = 2 };

const char *const lint_level_words[] = { "note", "warning", "error" };

/* ---- what the file wants unsaid ---------------------------------------------------------- */

/* "# weir-lint: off NAME, NAME": does the line say it of that rule? */
static bool line_excuses(struct slice line, const char *rule)
{
    struct slice mark = SLICE("# weir-lint: off ");
    size_t at = slice_search(line, mark);

    if (at == line.size)
        return false;
    line = slice_skip(line, at + mark.size);
    while (line.size > 0) {
        size_t size = 0;

        while (size < line.size && line.at[size] != ' ' && line.at[size] != ',')
            size++;
        if (slice_eq(slice_head(line, size), slice_str(rule)))
            return true;
        line = slice_skip(line, size < line.size ? size + 1 : size);
    }
    return false;
}

static bool is_excused(const struct lint *l, const struct lint_finding *f)
{
    const struct conf_file *file = f->node->file;
    const uint32_t lines[] = { f->node->line, f->line };

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (line_excuses(conf_line(file, lines[i]), l->rule->name))
            return true;
        struct slice above = lines[i] > 1 ? conf_line(file, lines[i] - 1) : (struct slice){ 0 };

        if (slice_starts(slice_trim(above), SLICE("#")) && line_excuses(above, l->rule->name))
            return true;
    }
    return false;
}

/* ---- findings ---------------------------------------------------------------------------- */

const char *lint_printf(struct lint *l, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct slice copy = arena_copy(l->arena, slice_str(text));

    CHECK(copy.at != NULL);
    return copy.at;
}

static bool was_told(struct lint *l, const struct lint_finding *f)
{
    struct slice key = slice_str(
        lint_printf(l, "%s:%u:%u:%s", f->node->file->path, f->line, f->column, f->rule->name));

    if (map_get(&l->seen, key) != NULL)
        return true;
    CHECK(map_put(&l->seen, key, l));
    return false;
}

void lint_tell(struct lint *l, const struct conf_node *node, int arg, const char *help,
               const char *format, ...)
{
    struct lint_finding *f = arena_must(l->arena, sizeof *f);
    char text[TEXT_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    *f = (struct lint_finding){ .rule = l->rule, .node = node, .arg = arg };
    f->line = arg < 0 ? node->line : node->args[arg].line;
    f->column = arg < 0 ? node->column : node->args[arg].column;
    f->text = slice_str(lint_printf(l, "%s", text));
    f->help = slice_str(lint_printf(l, "%s", help));
    if (l->count < LINT_FINDINGS_MAX && !is_excused(l, f) && !was_told(l, f))
        l->findings[l->count++] = f;
}

static int by_place(const void *a, const void *b)
{
    const struct lint_finding *x = *(struct lint_finding *const *)a;
    const struct lint_finding *y = *(struct lint_finding *const *)b;
    const uint32_t left[] = { x->node->file->order, x->line, x->column };
    const uint32_t right[] = { y->node->file->order, y->line, y->column };

    for (size_t i = 0; i < COUNT_OF(left); i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return strcmp(x->rule->name, y->rule->name);
}

/* ---- the walk ---------------------------------------------------------------------------- */

static void walk(struct lint *l, const struct conf_node *nodes, const struct spot *outer,
                 const bool *wanted)
{
    for (const struct conf_node *n = nodes; n != NULL; n = n->next) {
        struct spot spot = { n, outer };

        if (n->name.at == NULL)
            continue; /* the parser has complained */
        for (size_t i = 0; i < lint_rule_count; i++) {
            l->rule = &lint_rules[i];
            if (wanted[i] && (l->rule->on == NULL || node_among(n, l->rule->on)))
                l->rule->look(l, &spot);
        }
        walk(l, n->children, &spot, wanted);
    }
}

/* ---- the command ------------------------------------------------------------------------- */

static const char usage[] =
    "usage: weir lint [-c FILE] [--format text|json|sarif] [--rule NAME]... [--no-rule NAME]...\n"
    "       weir lint --rules    the rules: names, severities, what they are about\n"
    "Exit status: 0 nothing above a note, 1 findings, 2 the configuration is broken.\n";

static const struct {
    const char *word;
    lint_report_fn *report;
} formats[] = {
    { "text", lint_report_text },
    { "json", lint_report_json },
    { "sarif", lint_report_sarif },
};

struct wish {
    const char *path;
    lint_report_fn *report;
    bool wanted[RULES_MAX];
    bool chosen; /* --rule was said: only those */
};

static int refuse(const char *what, const char *word)
{
    fprintf(stderr, "weir: %s \"%s\"\n%s", what, word, usage);
    return STATUS_BROKEN;
}

static bool set_rule(struct wish *wish, const char *name, bool on)
{
    if (on && !wish->chosen)
        memset(wish->wanted, 0, sizeof wish->wanted);
    wish->chosen |= on;
    for (size_t i = 0; i < lint_rule_count; i++) {
        if (strcmp(lint_rules[i].name, name) != 0)
            continue;
        wish->wanted[i] = on;
        return true;
    }
    return false;
}

static bool set_format(struct wish *wish, const char *word)
{
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        if (strcmp(formats[i].word, word) != 0)
            continue;
        wish->report = formats[i].report;
        return true;
    }
    return false;
}

/* 0, or the exit status after a message. */
static int read_wish(struct wish *wish, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *word = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool rule = strcmp(word, "--rule") == 0, no_rule = strcmp(word, "--no-rule") == 0;
        bool format = strcmp(word, "--format") == 0, file = strcmp(word, "-c") == 0;

        if (!rule && !no_rule && !format && !file)
            return refuse("lint has no option", word);
        if (value == NULL)
            return refuse("a word is missing behind", word);
        if (file)
            wish->path = value;
        else if (format && !set_format(wish, value))
            return refuse("the formats are text, json and sarif, not", value);
        else if (!format && !set_rule(wish, value, rule))
            return refuse("there is no rule (see weir lint --rules)", value);
    }
    return 0;
}

static void print_complaint(void *arg, struct slice text, enum conf_severity severity)
{
    (void)severity;
    fwrite(text.at, 1, text.size, arg);
}

static int run(const struct registry *registry, struct conf_source *source, struct arena *arena,
               const struct wish *wish)
{
    struct lint *l = arena_must(arena, sizeof *l);
    int status = STATUS_GOOD;

    l->arena = arena;
    l->load = conf_load_create(registry, source, arena, wish->path != NULL ? "." : WEIR_PREFIX);
    l->root = conf_load_parse(l->load, wish->path != NULL ? wish->path : WEIR_CONF_PATH, true);
    map_init(&l->seen, MAP_CASE);
    conf_load_report(l->load, isatty(STDERR_FILENO) == 1, print_complaint, stderr);
    walk(l, l->root, NULL, wish->wanted);
    qsort(l->findings, l->count, sizeof l->findings[0], by_place);
    wish->report(l, stdout);
    for (unsigned i = 0; i < l->count; i++)
        if (l->findings[i]->rule->level > LINT_NOTE)
            status = STATUS_FINDINGS;
    if (conf_load_errors(l->load) > 0)
        status = STATUS_BROKEN;
    map_done(&l->seen);
    conf_load_destroy(l->load);
    return status;
}

static int print_rules(void)
{
    for (size_t i = 0; i < lint_rule_count; i++)
        printf("%-18s %-8s %s\n", lint_rules[i].name, lint_level_words[lint_rules[i].level],
               lint_rules[i].about);
    return STATUS_GOOD;
}

int tool_lint(const struct registry *registry, struct conf_source *source, int argc, char **argv)
{
    struct wish wish = { .report = lint_report_text };
    struct arena arena;

    if (argc == 2 && strcmp(argv[1], "--rules") == 0)
        return print_rules();
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return STATUS_GOOD;
    }
    CHECK(lint_rule_count <= RULES_MAX);
    memset(wish.wanted, 1, sizeof wish.wanted);
    int status = read_wish(&wish, argc, argv);

    if (status != 0)
        return status;
    arena_init(&arena, NULL, 0, BLOCK_SIZE, SIZE_MAX);
    status = run(registry, source, &arena, &wish);
    arena_done(&arena);
    return status;
}
