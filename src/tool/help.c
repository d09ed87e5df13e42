/* help.c - prints rows of the registry as text or as the manual's pages. */
#include "tool/help.h"

#include "conf/expr.h"
#include "conf/load.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { PATH_SIZE = 4096, NAMES_MAX = 2048 };

static const char *or_none(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : "none";
}

static const char *inheritance(const struct directive *d)
{
    return d->inherit == INHERIT ? "taken from the enclosing block unless said here"
                                 : "not taken from the enclosing block";
}

static void print_text(const struct feature *f, const struct directive *d)
{
    char words[256];

    ctx_words(d->contexts, words, sizeof words);
    printf("%s %s\n\n  %s\n\n", d->name, d->syntax != NULL ? d->syntax : "",
           d->help != NULL ? d->help : "");
    printf("  default:   %s\n  allowed:   %s\n  inherited: %s\n  feature:   %s\n",
           or_none(d->fallback), words, inheritance(d), f->name);
    if (d->example != NULL)
        printf("  example:   %s\n", d->example);
}

/* ---- the manual ---------------------------------------------------------------------- */

static void page_directive(FILE *out, const struct directive *d)
{
    char words[256];

    ctx_words(d->contexts, words, sizeof words);
    fprintf(out, "## %s\n\n%s\n\n", d->name, d->help != NULL ? d->help : "");
    fprintf(out, "| | |\n|---|---|\n| Syntax | `%s%s%s%s` |\n", d->name,
            d->syntax != NULL && d->syntax[0] != '\0' ? " " : "",
            d->syntax != NULL ? d->syntax : "", d->type == CONF_BLOCK ? "" : ";");
    if (d->fallback != NULL)
        fprintf(out, "| Default | `%s %s;` |\n", d->name, d->fallback);
    fprintf(out, "| Allowed in | %s |\n| Inherited | %s |\n", words, inheritance(d));
    if (d->min != 0 || d->max != 0)
        fprintf(out, "| Range | %lld to %lld |\n", (long long)d->min, (long long)d->max);
    fputc('\n', out);
    if (d->example != NULL)
        fprintf(out, "```nginx\n%s\n```\n\n", d->example);
}

static bool page(const struct feature *f, const char *dir)
{
    char path[PATH_SIZE];
    FILE *out;

    snprintf(path, sizeof path, "%s/%s.md", dir, f->name);
    out = fopen(path, "w");
    if (out == NULL)
        return false;
    fprintf(out, "# %s\n\n%s\n\n", f->name, f->about != NULL ? f->about : "");
    for (size_t i = 0; i < f->row_count; i++)
        page_directive(out, &f->rows[i]);
    if (f->var_count > 0)
        fprintf(out, "## Variables\n\n| Variable | Value |\n|---|---|\n");
    for (size_t i = 0; i < f->var_count; i++)
        fprintf(out, "| `$%s%s` | %s |\n", f->vars[i].name, f->vars[i].prefix ? "*name*" : "",
                f->vars[i].help != NULL ? f->vars[i].help : "");
    return fclose(out) == 0;
}

static int manual(const struct registry *g, const char *dir)
{
    char path[PATH_SIZE];
    FILE *out;

    if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
        fprintf(stderr, "weir: cannot make %s: %s\n", dir, strerror(errno));
        return 1;
    }
    snprintf(path, sizeof path, "%s/README.md", dir);
    out = fopen(path, "w");
    if (out == NULL) {
        fprintf(stderr, "weir: cannot write %s: %s\n", path, strerror(errno));
        return 1;
    }
    fprintf(out,
            "# The directives\n\nMade from the program's own registry by "
            "`weir help --manual`. A page a feature.\n\n| Feature | Directives |\n|---|---|\n");
    for (size_t i = 0; i < g->feature_count; i++) {
        const struct feature *f = g->features[i];

        if (f->row_count == 0 && f->var_count == 0)
            continue;
        fprintf(out, "| [%s](%s.md) |", f->name, f->name);
        for (size_t k = 0; k < f->row_count; k++)
            fprintf(out, " `%s`", f->rows[k].name);
        fprintf(out, " |\n");
        if (!page(f, dir)) {
            fprintf(stderr, "weir: cannot write a page in %s: %s\n", dir, strerror(errno));
            fclose(out);
            return 1;
        }
    }
    return fclose(out) == 0 ? 0 : 1;
}

/* ---- the command ---------------------------------------------------------------------- */

static void overview(const struct registry *g)
{
    printf("weir help DIRECTIVE says what a directive does. The directives:\n");
    for (size_t i = 0; i < g->feature_count; i++) {
        const struct feature *f = g->features[i];

        if (f->row_count > 0)
            printf("\n%s:", f->name);
        for (size_t k = 0; k < f->row_count; k++)
            printf(" %s", f->rows[k].name);
    }
    printf("\n");
}

static int one(const struct registry *g, const char *name)
{
    static const char *names[NAMES_MAX];
    size_t count = 0;
    bool found = false;

    for (size_t i = 0; i < g->feature_count; i++) {
        const struct feature *f = g->features[i];

        for (size_t k = 0; k < f->row_count; k++) {
            if (count < NAMES_MAX)
                names[count++] = f->rows[k].name;
            if (strcmp(f->rows[k].name, name) != 0)
                continue;
            if (found)
                printf("\n");
            print_text(f, &f->rows[k]);
            found = true;
        }
    }
    if (found)
        return 0;
    const char *near = conf_nearest(slice_str(name), names, count);

    fprintf(stderr, "weir: there is no directive \"%s\"", name);
    fprintf(stderr, near != NULL ? "; did you mean \"%s\"?\n" : "%s\n", near != NULL ? near : "");
    return 1;
}

int tool_help(const struct registry *g, int argc, char **argv)
{
    if (argc < 2) {
        overview(g);
        return 0;
    }
    if (strcmp(argv[1], "--manual") == 0)
        return manual(g, argc > 2 ? argv[2] : "docs/manual");
    return one(g, argv[1]);
}
