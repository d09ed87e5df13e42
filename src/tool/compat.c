/* compat.c - `weir compat`: reads configurations as they are written, needs nothing of them to be
 * right, and says of each directive whether weir has it.
 */
#include "tool/compat.h"

#include "base/map.h"
#include "conf/known.h"
#include "wire/uri.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { BLOCK_SIZE = 64 * 1024, DEPTH_MAX = 16, PLACES_SHOWN = 5, JSON_MAX = 64 * 1024 * 1024 };
enum { STATUS_ALL = 0, STATUS_MISSING = 1, STATUS_WRONG = 2 };

enum compat { SAME, NOTICE, MISSING, UNKNOWN, COMPAT_COUNT };
static const char *const words[] = { "same", "notice", "missing", "unknown" };

struct place {
    const char *path;
    uint32_t line;
    struct place *next;
};

struct use {
    struct slice name;
    enum compat compat;
    const char *module; /* of nginx, when weir lacks it; NULL: not known */
    unsigned count;
    struct place *places, **end;
};

struct compat_run {
    const struct registry *registry;
    struct conf_source *source;
    struct arena arena;
    struct map uses;
    unsigned files, total, counts[COMPAT_COUNT];
    bool wrong;
};

/* ---- what weir makes of a name ------------------------------------------------------------- */

/* Lines inside of these are no directives. */
static bool holds_no_directives(struct slice name)
{
    static const char *const all[] = { "map",         "geo",     "types", "split_clients",
                                       "charset_map", "num_map", "match" };

    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (slice_eq(name, slice_str(all[i])))
            return true;
    return slice_search(name, SLICE("_by_lua")) < name.size;
}

static enum compat judge(const struct compat_run *c, struct slice name, bool outside,
                         const char **module)
{
    const struct known_directive *known = known_directive_find(name, UINT32_MAX);
    const struct feature *feature;
    const struct directive *row =
        outside ? NULL : registry_find(c->registry, name, UINT32_MAX, &feature, NULL);

    if (slice_eq(name, SLICE("include"))) { /* the loader's own */
        *module = NULL;
        return SAME;
    }
    *module = known != NULL ? known_modules[known->module] : NULL;
    if (row != NULL && strcmp(row->name, "*") != 0) /* "*" is any word in a types or map block */
        return row->set == conf_set_ignored ? NOTICE : SAME;
    return known != NULL ? MISSING : UNKNOWN;
}

static struct use *use_of(struct compat_run *c, struct slice name, bool outside)
{
    const char *module;
    enum compat compat = judge(c, name, outside, &module);
    /* the same word may be had in http and lacked in stream */
    struct slice key = arena_printf(&c->arena, "%u %.*s", (unsigned)compat, SLICE_FMT(name));
    struct use *u;

    CHECK(key.at != NULL);
    u = map_get(&c->uses, key);
    if (u != NULL)
        return u;
    u = arena_must(&c->arena, sizeof *u);
    u->name = arena_copy(&c->arena, name);
    u->compat = compat;
    u->module = module;
    u->end = &u->places;
    CHECK(u->name.at != NULL && map_put(&c->uses, key, u));
    return u;
}

static void count(struct compat_run *c, const struct conf_node *n, const char *path, bool outside)
{
    struct use *u = use_of(c, n->name, outside);
    struct place *p = arena_must(&c->arena, sizeof *p);

    *p = (struct place){ path, n->line, NULL };
    *u->end = p;
    u->end = &p->next;
    u->count++;
    c->total++;
    c->counts[u->compat]++;
}

/* outside: in a block that weir does not have at all, such as stream. */
static void walk(struct compat_run *c, const struct conf_node *nodes, const char *path,
                 bool outside)
{
    for (const struct conf_node *n = nodes; n != NULL; n = n->next) {
        if (n->name.at == NULL)
            continue; /* what the parser could not read */
        count(c, n, path, outside);
        if (!holds_no_directives(n->name))
            walk(c, n->children, path,
                 outside || slice_eq(n->name, SLICE("stream")) || slice_eq(n->name, SLICE("mail")));
    }
}

/* ---- paths -------------------------------------------------------------------------------- */

static void take_file(struct compat_run *c, const char *path)
{
    struct slice copy = arena_copy(&c->arena, slice_str(path)), text;
    struct conf_load *load;

    if (copy.at == NULL || c->source->read(c->source, path, &text) != 0) {
        fprintf(stderr, "weir: \"%s\" cannot be read\n", path);
        c->wrong = true;
        return;
    }
    load = conf_load_create(c->registry, c->source, &c->arena, ".");
    walk(c, conf_load_parse(load, copy.at, false), copy.at, false);
    conf_load_destroy(load);
    c->files++;
}

/* nginx.conf, whatever.conf, and whatever lies in the folders that Debian has for sites. */
static bool is_configuration(const char *folder, const char *name)
{
    static const char *const folders[] = { "conf.d", "sites-enabled", "sites-available",
                                           "snippets" };
    const char *last = strrchr(folder, '/');

    if (name[0] == '.')
        return false;
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        if (strcmp(last != NULL ? last + 1 : folder, folders[i]) == 0)
            return true;
    return slice_ends(slice_str(name), SLICE(".conf"));
}

static void take_folder(struct compat_run *c, const char *path, unsigned depth);

static void take_entry(struct compat_run *c, const char *folder, const char *name, unsigned depth)
{
    struct slice path = arena_printf(&c->arena, "%s/%s", folder, name);
    struct stat s;

    if (path.at == NULL || name[0] == '.' || stat(path.at, &s) != 0)
        return;
    if (S_ISDIR(s.st_mode))
        take_folder(c, path.at, depth + 1);
    else if (S_ISREG(s.st_mode) && is_configuration(folder, name))
        take_file(c, path.at);
}

static void take_folder(struct compat_run *c, const char *path, unsigned depth)
{
    struct dirent **entries;
    int n = depth < DEPTH_MAX ? scandir(path, &entries, NULL, alphasort) : 0;

    for (int i = 0; i < n; i++) {
        take_entry(c, path, entries[i]->d_name, depth);
        free(entries[i]);
    }
    if (n > 0)
        free(entries);
}

static void take_path(struct compat_run *c, const char *path)
{
    struct stat s;

    if (stat(path, &s) != 0) {
        fprintf(stderr, "weir: \"%s\": %s\n", path, strerror(errno));
        c->wrong = true;
    } else if (S_ISDIR(s.st_mode)) {
        take_folder(c, path, 0);
    } else {
        take_file(c, path);
    }
}

/* ---- reports -------------------------------------------------------------------------- */

static int by_weight(const void *a, const void *b)
{
    const struct use *x = *(struct use *const *)a, *y = *(struct use *const *)b;

    if (x->compat != y->compat)
        return x->compat > y->compat ? -1 : 1;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return slice_cmp(x->name, y->name);
}

static struct use **sorted(struct compat_run *c, unsigned *n)
{
    struct use **all = arena_must(&c->arena, (c->uses.live + 1) * sizeof *all);

    *n = 0;
    for (struct map_slot *s = NULL; (s = map_next(&c->uses, s));)
        all[(*n)++] = s->value;
    qsort(all, *n, sizeof *all, by_weight);
    return all;
}

static void report_text(struct compat_run *c)
{
    unsigned n;
    struct use **all = sorted(c, &n);

    for (unsigned i = 0; i < n && all[i]->compat != SAME; i++) {
        const struct use *u = all[i];
        unsigned shown = 0;

        printf("%-8s %5u  %.*s%s%s\n", words[u->compat], u->count, SLICE_FMT(u->name),
               u->compat == MISSING ? "  " : "", u->compat == MISSING ? u->module : "");
        for (const struct place *p = u->places; p != NULL && u->compat > NOTICE; p = p->next) {
            if (shown++ == PLACES_SHOWN) {
                printf("                … and %u more\n", u->count - PLACES_SHOWN);
                break;
            }
            printf("                %s:%u\n", p->path, p->line);
        }
    }
    printf("%u files, %u directives: %.1f %% the same, %u ignored with a notice, %u missing, "
           "%u unknown\n",
           c->files, c->total, c->total > 0 ? 100.0 * c->counts[SAME] / c->total : 100.0,
           c->counts[NOTICE], c->counts[MISSING], c->counts[UNKNOWN]);
}

static void json_string(struct gather *g, struct slice text)
{
    gather_byte(g, '"');
    json_escape(g, text);
    gather_byte(g, '"');
}

static void json_use(struct gather *g, const struct use *u)
{
    gather_lit(g, "{\"name\":");
    json_string(g, u->name);
    gather_printf(g, ",\"count\":%u,\"weir\":\"%s\",\"module\":", u->count, words[u->compat]);
    if (u->module != NULL)
        json_string(g, slice_str(u->module));
    else
        gather_lit(g, "null");
    gather_lit(g, ",\"places\":[");
    for (const struct place *p = u->places; p != NULL; p = p->next) {
        gather_str(g, p == u->places ? "{\"file\":" : ",{\"file\":");
        json_string(g, slice_str(p->path));
        gather_printf(g, ",\"line\":%u}", p->line);
    }
    gather_lit(g, "]}");
}

static void report_json(struct compat_run *c)
{
    unsigned n;
    struct use **all = sorted(c, &n);
    struct gather g;

    gather_init(&g, NULL, 0, &c->arena, JSON_MAX);
    gather_printf(&g, "{\"files\":%u,\"directives\":%u", c->files, c->total);
    for (size_t i = 0; i < COMPAT_COUNT; i++)
        gather_printf(&g, ",\"%s\":%u", words[i], c->counts[i]);
    gather_lit(&g, ",\"list\":[");
    for (unsigned i = 0; i < n; i++) {
        gather_str(&g, i > 0 ? ",\n" : "\n");
        json_use(&g, all[i]);
    }
    gather_lit(&g, "]}\n");
    fwrite(g.at, 1, g.used, stdout);
}

/* ---- the command ---------------------------------------------------------------------- */

static const char usage[] =
    "usage: weir compat [--json] PATH...\n"
    "Counts, by directive, what of nginx configurations weir has. Of a folder all *.conf are "
    "read,\n"
    "and all files of conf.d, sites-enabled, sites-available and snippets.\n"
    "Exit status: 0 weir has all of it, 1 something is missing, 2 a path or option is wrong.\n";

static int status_of(const struct compat_run *c)
{
    if (c->wrong || c->files == 0)
        return STATUS_WRONG;
    return c->counts[MISSING] + c->counts[UNKNOWN] > 0 ? STATUS_MISSING : STATUS_ALL;
}

int tool_compat(const struct registry *registry, struct conf_source *source, int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    int first = json ? 2 : 1;
    struct compat_run c = { .registry = registry, .source = source };

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return STATUS_ALL;
    }
    if (first >= argc || argv[first][0] == '-') {
        fputs(usage, stderr);
        return STATUS_WRONG;
    }
    arena_init(&c.arena, NULL, 0, BLOCK_SIZE, SIZE_MAX);
    map_init(&c.uses, MAP_CASE);
    for (int i = first; i < argc; i++)
        take_path(&c, argv[i]);
    if (c.files == 0 && !c.wrong)
        fputs("weir: there is no configuration file\n", stderr);
    (json ? report_json : report_text)(&c);
    map_done(&c.uses);
    arena_done(&c.arena);
    return status_of(&c);
}
