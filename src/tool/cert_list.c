/* cert_list.c - the certificates that a configuration names: whose, by whom, how long still. */
#include "net/cert_facts.h"
#include "tool/cert.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_SIZE = 64 * 1024, LISTED_MAX = 10000 };

/* One use of a file. */
struct listed {
    const struct conf_node *node;
    const char *path;
    const char *problem; /* NULL: the facts are there */
    struct cert_facts facts;
    int64_t days;
};

struct list {
    struct conf_load *load;
    struct arena *arena;
    struct listed *all[LISTED_MAX];
    unsigned count;
    int64_t now;
};

/* ---- looking -------------------------------------------------------------------------------- */

static bool names_certificate(const struct conf_node *n)
{
    static const struct slice end = { "ssl_certificate", 15 };

    return n->arg_count == 1 && n->name.size >= end.size &&
           slice_eq(slice_skip(n->name, n->name.size - end.size), end);
}

static void read_one(struct list *l, struct listed *c, struct slice text)
{
    struct cert_reader r;

    cert_reader_init(&r, text);
    if (cert_reader_next(&r, &c->facts))
        c->days = cert_days_left(c->facts.until_s, l->now);
    else
        c->problem = arena_printf(l->arena, "%s", r.why).at;
    cert_reader_done(&r);
}

static void look(struct list *l, const struct conf_node *n)
{
    struct slice path = conf_arg(n, 0), text;
    struct listed *c;
    int error;

    if (l->count == LISTED_MAX || path.size == 0)
        return;
    c = arena_must(l->arena, sizeof *c);
    l->all[l->count++] = c;
    *c = (struct listed){ .node = n };
    if (slice_starts(path, SLICE("data:"))) {
        c->path = "data:";
        read_one(l, c, slice_skip(path, 5));
        return;
    }
    c->path = arena_printf(l->arena, "%s%.*s", path.at[0] == '/' ? "" : conf_dir(l->load),
                           SLICE_FMT(path))
                  .at;
    if (slice_find(path, '$') < path.size) {
        c->problem = "chosen while it runs";
        return;
    }
    error = conf_read(l->load, c->path, &text);
    if (error == 0)
        read_one(l, c, text);
    else
        c->problem = arena_printf(l->arena, "cannot be read: %s", strerror(-error)).at;
}

static void walk(struct list *l, const struct conf_node *nodes)
{
    for (const struct conf_node *n = nodes; n != NULL; n = n->next) {
        if (n->name.at != NULL && names_certificate(n))
            look(l, n);
        walk(l, n->children);
    }
}

/* ---- telling --------------------------------------------------------------------------- */

/* The soonest first; what could not be read before all. */
static bool is_before(const struct listed *a, const struct listed *b)
{
    if ((a->problem != NULL) != (b->problem != NULL))
        return a->problem != NULL;
    return a->problem == NULL && a->facts.until_s < b->facts.until_s;
}

static void sort(struct list *l)
{
    for (unsigned i = 1; i < l->count; i++) {
        struct listed *c = l->all[i];
        unsigned at = i;

        for (; at > 0 && is_before(c, l->all[at - 1]); at--)
            l->all[at] = l->all[at - 1];
        l->all[at] = c;
    }
}

static const char *issuer_of(const struct cert_facts *f)
{
    const char *common = strstr(f->issuer, "CN=");

    if (strcmp(f->subject, f->issuer) == 0)
        return "itself";
    return common != NULL ? common + 3 : f->issuer;
}

static void print_text(const struct list *l)
{
    if (l->count == 0)
        printf("no certificates\n");
    else
        printf("%6s  %-10s  %-10s  %-32s  %-24s  %s\n", "DAYS", "END", "KEY", "NAMES", "ISSUER",
               "PLACE");
    for (unsigned i = 0; i < l->count; i++) {
        const struct listed *c = l->all[i];
        const struct cert_facts *f = &c->facts;
        char day[11];

        if (c->problem != NULL) {
            printf("%6s  %s: %s", "?", c->path, c->problem);
        } else {
            const char *issuer = issuer_of(f);
            cert_day(f->until_s, day);
            printf("%6lld  %-10s  %-10s  %-32s  %-24.*s", (long long)c->days, day, f->key,
                   f->names[0] != '\0' ? f->names : f->subject, (int)strcspn(issuer, ","), issuer);
        }
        printf("  %s:%u\n", c->node->file->path, c->node->line);
    }
}

static void json_text(const char *name, const char *text, const char *behind)
{
    printf("\"%s\": \"", name);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            putchar('\\');
        if (*c < 0x20 || *c == 0x7f)
            printf("\\u%04x", *c);
        else
            putchar(*c);
    }
    printf("\"%s", behind);
}

static void json_names(const char *names)
{
    printf("\"names\": [");
    for (const char *at = names; *at != '\0';) {
        size_t size = strcspn(at, ",");

        printf("%s\"%.*s\"", at == names ? "" : ", ", (int)size, at);
        at += size;
        at += strspn(at, ", ");
    }
    printf("], ");
}

static void json_facts(const struct listed *c)
{
    const struct cert_facts *f = &c->facts;

    json_names(f->names);
    json_text("subject", f->subject, ", ");
    json_text("issuer", f->issuer, ", ");
    json_text("key", f->key, ", ");
    json_text("serial", f->serial, ", ");
    json_text("sha256", f->fingerprint, ", ");
    json_text("pin", f->pin, ", ");
    json_text("ocsp", f->ocsp, ", ");
    printf("\"not_before\": %lld, \"not_after\": %lld, \"days\": %lld, \"expired\": %s, ",
           (long long)f->from_s, (long long)f->until_s, (long long)c->days,
           c->days < 0 ? "true" : "false");
}

static void print_json(const struct list *l)
{
    printf("[");
    for (unsigned i = 0; i < l->count; i++) {
        const struct listed *c = l->all[i];

        printf("%s\n  {", i > 0 ? "," : "");
        if (c->problem != NULL)
            json_text("problem", c->problem, ", ");
        else
            json_facts(c);
        json_text("path", c->path, ", ");
        printf("\"directive\": \"%.*s\", ", SLICE_FMT(c->node->name));
        json_text("file", c->node->file->path, ", ");
        printf("\"line\": %u}", c->node->line);
    }
    printf("%s]\n", l->count > 0 ? "\n" : "");
}

static void print_complaint(void *arg, struct slice text, enum conf_severity severity)
{
    (void)severity;
    fwrite(text.at, 1, text.size, arg);
}

static int status_of(const struct list *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        const struct listed *c = l->all[i];

        if (c->problem != NULL ? strcmp(c->problem, "chosen while it runs") != 0 : c->days < 0)
            return CERT_FINDINGS;
    }
    return CERT_GOOD;
}

int cert_list(const struct registry *registry, struct conf_source *source, const char *path,
              bool json)
{
    struct arena arena;
    int status = CERT_WORDS;

    arena_init(&arena, NULL, 0, BLOCK_SIZE, SIZE_MAX);
    struct list *l = arena_must(&arena, sizeof *l);

    l->arena = &arena;
    l->now = (int64_t)time(NULL);
    l->load = conf_load_create(registry, source, &arena, path != NULL ? "." : WEIR_PREFIX);
    walk(l, conf_load_parse(l->load, path != NULL ? path : WEIR_CONF_PATH, true));
    conf_load_report(l->load, isatty(STDERR_FILENO) == 1, print_complaint, stderr);
    if (conf_load_errors(l->load) == 0) {
        sort(l);
        (json ? print_json : print_text)(l);
        status = status_of(l);
    }
    conf_load_destroy(l->load);
    arena_done(&arena);
    return status;
}
