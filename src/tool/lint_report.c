/* lint_report.c - findings as text for people, and as JSON and SARIF 2.1.0 for programs. */
#include "tool/lint_private.h"

#include <unistd.h>

/* ---- text -------------------------------------------------------------------------------- */

void lint_report_text(struct lint *l, FILE *to)
{
    bool colour = isatty(fileno(to)) == 1;
    unsigned counts[LINT_ERROR + 1] = { 0 };

    for (unsigned i = 0; i < l->count; i++) {
        const struct lint_finding *f = l->findings[i];
        const struct conf_file *file = f->node->file;
        struct slice snippet = conf_snippet(l->load, f->node, f->arg, colour);

        counts[f->rule->level]++;
        fprintf(to, "%s:%u:%u: %s: %.*s [%s]\n", file->path, f->line, f->column,
                lint_level_words[f->rule->level], SLICE_FMT(f->text), f->rule->name);
        fprintf(to, "%.*s      = help: %.*s\n", SLICE_FMT(snippet), SLICE_FMT(f->help));
        for (; file->included_by != NULL; file = file->included_by)
            fprintf(to, "      = note: included from %s:%u\n", file->included_by->path,
                    file->included_at);
    }
    fprintf(to, "%u errors, %u warnings, %u notes\n", counts[LINT_ERROR], counts[LINT_WARNING],
            counts[LINT_NOTE]);
}

/* ---- JSON -------------------------------------------------------------------------------- */

/* The length of the UTF-8 sequence s begins with, or 0 if it is none. */
static size_t utf8_size(struct slice s)
{
    static const struct {
        unsigned char mask, value, first_min, second_min, second_max;
    } forms[] = {
        { 0xe0, 0xc0, 0xc2, 0x80, 0xbf },
        { 0xf0, 0xe0, 0xe0, 0x80, 0xbf },
        { 0xf8, 0xf0, 0xf0, 0x80, 0xbf },
    };
    const unsigned char *c = (const unsigned char *)s.at;

    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        if ((c[0] & forms[i].mask) != forms[i].value || c[0] < forms[i].first_min || c[0] > 0xf4)
            continue;
        if (s.size < i + 2 || (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) ||
            (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f))
            return 0;
        for (size_t k = 1; k < i + 2; k++)
            if ((c[k] & 0xc0) != 0x80)
                return 0;
        return i + 2;
    }
    return 0;
}

/* Bytes that are no UTF-8 become U+FFFD. */
static void json_text(FILE *to, struct slice s)
{
    fputc('"', to);
    while (s.size > 0) {
        unsigned char c = (unsigned char)s.at[0];
        size_t size = c < 0x80 ? 1 : utf8_size(s);

        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(to, "\\u%04x", c);
        else if (size == 0)
            fputs("\\ufffd", to);
        else
            fwrite(s.at, 1, size, to);
        s = slice_skip(s, size > 0 ? size : 1);
    }
    fputc('"', to);
}

static void json_member(FILE *to, const char *name, struct slice value, const char *behind)
{
    fprintf(to, "\"%s\": ", name);
    json_text(to, value);
    fputs(behind, to);
}

void lint_report_json(struct lint *l, FILE *to)
{
    fputs("[", to);
    for (unsigned i = 0; i < l->count; i++) {
        const struct lint_finding *f = l->findings[i];

        fputs(i > 0 ? ",\n  { " : "\n  { ", to);
        json_member(to, "rule", slice_str(f->rule->name), ", ");
        json_member(to, "severity", slice_str(lint_level_words[f->rule->level]), ",\n    ");
        json_member(to, "file", slice_str(f->node->file->path), ", ");
        fprintf(to, "\"line\": %u, \"column\": %u,\n    ", f->line, f->column);
        json_member(to, "source", conf_line(f->node->file, f->line), ",\n    ");
        json_member(to, "message", f->text, ",\n    ");
        json_member(to, "help", f->help, " }");
    }
    fputs(l->count > 0 ? "\n]\n" : "]\n", to);
}

/* ---- SARIF ------------------------------------------------------------------------------- */

static void sarif_rules(FILE *to)
{
    for (size_t i = 0; i < lint_rule_count; i++) {
        const struct lint_rule *r = &lint_rules[i];

        fprintf(to, "%s\n        { \"id\": \"%s\", \"shortDescription\": { ", i > 0 ? "," : "",
                r->name);
        json_member(to, "text", slice_str(r->about), " },\n          ");
        fprintf(to, "\"defaultConfiguration\": { \"level\": \"%s\" } }",
                lint_level_words[r->level]);
    }
}

/* A path as a URI reference (RFC 3986). */
static void sarif_uri(FILE *to, const char *path)
{
    fputs(path[0] == '/' ? "\"file://" : "\"", to);
    if (path[0] == '.' && path[1] == '/')
        path += 2;
    for (; *path != '\0'; path++) {
        unsigned char c = (unsigned char)*path;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~/", c) != NULL;

        fprintf(to, plain ? "%c" : "%%%02X", c);
    }
    fputs("\"", to);
}

/* Columns count characters there. */
static uint32_t sarif_column(const struct lint_finding *f)
{
    struct slice before = slice_head(conf_line(f->node->file, f->line), f->column - 1);
    uint32_t column = 1;

    for (size_t i = 0; i < before.size; i++)
        column += ((unsigned char)before.at[i] & 0xc0) != 0x80;
    return column;
}

static void sarif_result(struct lint *l, FILE *to, const struct lint_finding *f)
{
    fprintf(to, "\n      { \"ruleId\": \"%s\", \"ruleIndex\": %zu, \"level\": \"%s\",\n        ",
            f->rule->name, (size_t)(f->rule - lint_rules), lint_level_words[f->rule->level]);
    fputs("\"message\": { \"text\": ", to);
    json_text(to, slice_str(lint_printf(l, "%.*s. Instead: %.*s", SLICE_FMT(f->text),
                                        SLICE_FMT(f->help))));
    fputs(
        " },\n        \"locations\": [{ \"physicalLocation\": { \"artifactLocation\": { \"uri\": ",
        to);
    sarif_uri(to, f->node->file->path);
    fprintf(to, " },\n          \"region\": { \"startLine\": %u, \"startColumn\": %u } } }] }",
            f->line, sarif_column(f));
}

void lint_report_sarif(struct lint *l, FILE *to)
{
    fputs("{\n  \"$schema\": \"https://json.schemastore.org/sarif-2.1.0.json\",\n"
          "  \"version\": \"2.1.0\",\n"
          "  \"runs\": [{\n    \"tool\": { \"driver\": { \"name\": \"weir lint\", "
          "\"version\": \"" WEIR_VERSION "\",\n      \"rules\": [",
          to);
    sarif_rules(to);
    fputs("\n      ] } },\n    \"columnKind\": \"unicodeCodePoints\",\n    \"results\": [", to);
    for (unsigned i = 0; i < l->count; i++) {
        fputs(i > 0 ? "," : "", to);
        sarif_result(l, to, l->findings[i]);
    }
    fputs("\n    ]\n  }]\n}\n", to);
}
