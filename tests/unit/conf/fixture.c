/* fixture.c - files in memory, and running a load over them. */
#include "fixture.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>

static int read_file(struct conf_source *source, const char *path, struct slice *ret)
{
    struct fixture *f = (struct fixture *)source;
    f->reads++;
    for (size_t i = 0; i < f->file_count; i++) {
        if (strcmp(f->files[i].path, path) != 0)
            continue;
        *ret = f->files[i].text;
        return 0;
    }
    return -ENOENT;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int glob_files(struct conf_source *source, const char *pattern,
                      void (*each)(void *arg, const char *path), void *arg)
{
    struct fixture *f = (struct fixture *)source;
    const char *found[FIXTURE_FILES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < f->file_count; i++)
        if (fnmatch(pattern, f->files[i].path, FNM_PATHNAME) == 0)
            found[count++] = f->files[i].path;
    qsort(found, count, sizeof *found, by_name);
    for (size_t i = 0; i < count; i++)
        each(arg, found[i]);
    return 0;
}

/* One for all: making it costs more than most loads. */
static struct registry *language(void)
{
    static struct registry *made;
    if (made == NULL)
        made = registry_create(fixture_features);
    return made;
}

void fixture_open(struct fixture *f)
{
    *f = (struct fixture){ .source = { .read = read_file, .glob = glob_files } };
    arena_init(&f->arena, NULL, 0, 64 * 1024, SIZE_MAX);
    f->registry = language();
    f->load = conf_load_create(f->registry, &f->source, &f->arena, "/srv/weir");
}

void fixture_close(struct fixture *f)
{
    regex_free_all(conf_regexes(f->load));
    conf_load_destroy(f->load);
    arena_done(&f->arena);
}

void fixture_bytes(struct fixture *f, const char *path, struct slice text)
{
    CHECK(f->file_count < FIXTURE_FILES_MAX);
    struct slice whole = arena_printf(&f->arena, "%s%s", path[0] == '/' ? "" : FIXTURE_DIR, path);
    f->files[f->file_count].path = whole.at;
    f->files[f->file_count++].text = text;
}

void fixture_file(struct fixture *f, const char *path, const char *text)
{
    fixture_bytes(f, path, slice_str(text));
}

struct scope *fixture_load(struct fixture *f)
{
    return f->root = conf_load_run(f->load, FIXTURE_DIR "weir.conf");
}

static void add(void *arg, struct slice text, enum conf_severity severity)
{
    struct gather *g = arg;
    (void)severity;
    for (size_t at; text.size > 0; text = slice_skip(text, at)) {
        at = slice_search(text, SLICE(FIXTURE_DIR));
        gather_slice(g, slice_head(text, at));
        at += at < text.size ? sizeof FIXTURE_DIR - 1 : 0;
    }
}

const char *fixture_report(struct fixture *f)
{
    struct gather g;
    gather_init(&g, NULL, 0, &f->arena, SIZE_MAX);
    conf_load_report(f->load, false, add, &g);
    gather_byte(&g, '\0');
    return g.at;
}

static struct scope *find(const struct scope *s, uint32_t context, unsigned *n)
{
    for (struct scope *k = s->children; k != NULL; k = k->next) {
        if (k->context == context && (*n)-- == 0)
            return k;
        struct scope *found = find(k, context, n);
        if (found != NULL)
            return found;
    }
    return NULL;
}

struct scope *fixture_scope(const struct scope *s, uint32_t context, unsigned n)
{
    return find(s, context, &n);
}
