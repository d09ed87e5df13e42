/* autoindex.c - a directory as a listing: HTML, JSON, JSONP or XML. The directory is read by a
 * helper thread into the request's arena. */
#include "conf/load.h"
#include "handler/static.h"
#include "http/map_path.h"
#include "http/site.h"
#include "io/io.h"
#include "wire/date.h"
#include "wire/uri.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FORMAT_HTML, FORMAT_XML, FORMAT_JSON, FORMAT_JSONP };
enum { ENTRIES_MAX = 10000, PAGE_MAX = 4 * 1024 * 1024, NAME_COLUMN = 50, SLOT_LISTING = 3,
       LISTING_MEMORY_MAX = 8 * 1024 * 1024 };

struct autoindex_conf {
    bool on, exact_size, local_time;
    int format;
};

struct entry {
    struct slice name;
    bool directory;
    int64_t mtime, size;
};

/* One listing being made: its own memory, because a helper thread fills it. */
struct listing {
    struct io_op op;
    struct request *request;
    const char *path;
    struct arena arena;
    struct entry *entries;
    unsigned count;
    bool done;
    int error;
};

static uint32_t autoindex_index;

/* ---- reading (on a helper thread) ------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->directory != y->directory)
        return x->directory ? -1 : 1;
    return slice_cmp(x->name, y->name);
}

/* False: no memory for more. Names that vanish meanwhile are left out. */
static bool take_entry(struct listing *l, int dir, const char *name)
{
    struct entry *e = &l->entries[l->count];
    struct stat s;

    if (name[0] == '.' || fstatat(dir, name, &s, 0) != 0)
        return true;
    e->name = arena_copy(&l->arena, slice_str(name));
    if (e->name.at == NULL)
        return false;
    e->directory = S_ISDIR(s.st_mode);
    e->mtime = s.st_mtim.tv_sec;
    e->size = s.st_size;
    l->count++;
    return true;
}

static int32_t read_directory(struct io_op *op)
{
    struct listing *l = container_of(op, struct listing, op);
    DIR *dir = opendir(l->path);
    const struct dirent *d;

    if (dir == NULL)
        return -errno;
    l->entries = arena_alloc(&l->arena, ENTRIES_MAX * sizeof *l->entries);
    while (l->entries != NULL && l->count < ENTRIES_MAX && (d = readdir(dir)) != NULL)
        if (!take_entry(l, dirfd(dir), d->d_name))
            break;
    closedir(dir);
    if (l->entries == NULL)
        return -ENOMEM;
    qsort(l->entries, l->count, sizeof *l->entries, by_name);
    return 0;
}

static void directory_read(struct io *io, struct io_op *op, struct io_result result)
{
    struct listing *l = container_of(op, struct listing, op);
    struct request *r = l->request;

    (void)io;
    l->error = result.res < 0 ? -result.res : 0;
    l->done = true;
    if (r->ended)
        arena_done(&l->arena);
    if (!request_unpin(r))
        request_resume(r);
}

/* ---- writing ---------------------------------------------------------------------------------- */

static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static void broken_down(int64_t sec, bool local, struct tm *ret)
{
    time_t t = (time_t)sec;

    if (local)
        localtime_r(&t, ret);
    else
        gmtime_r(&t, ret);
}

static void html_size(struct gather *g, const struct entry *e, bool exact)
{
    static const char units[] = " KMGT";
    int64_t size = e->size;
    int unit = 0;

    if (e->directory) {
        gather_lit(g, "                  -");
        return;
    }
    while (!exact && size >= 1000 && unit < 4) {
        size = (size + 512) / 1024;
        unit++;
    }
    if (unit > 0)
        gather_printf(g, "%18lld%c", (long long)size, units[unit]);
    else
        gather_printf(g, "%19lld", (long long)size);
}

static void html_entry(struct gather *g, const struct entry *e, const struct autoindex_conf *c)
{
    size_t shown = e->name.size + (e->directory ? 1 : 0);
    struct tm t;

    gather_lit(g, "<a href=\"");
    if (slice_find(e->name, ':') < e->name.size)
        gather_lit(g, "./");        /* or "x:y" would be a URI with a scheme */
    uri_encode_path(g, e->name);
    if (e->directory)
        gather_byte(g, '/');
    gather_lit(g, "\">");
    html_escape(g, slice_head(e->name, NAME_COLUMN - 3));
    if (e->name.size > NAME_COLUMN - 3)
        gather_lit(g, "..&gt;");
    if (e->directory)
        gather_byte(g, '/');
    gather_lit(g, "</a>");
    broken_down(e->mtime, c->local_time, &t);
    gather_printf(g, "%*s %02d-%s-%04d %02d:%02d ",
                  shown < NAME_COLUMN ? (int)(NAME_COLUMN - shown) : 0, "", t.tm_mday,
                  months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min);
    html_size(g, e, c->exact_size);
    gather_lit(g, "\n");
}

static void write_html(struct gather *g, struct request *r, const struct listing *l,
                       const struct autoindex_conf *c)
{
    gather_lit(g, "<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"><title>Index of ");
    html_escape(g, r->uri);
    gather_lit(g, "</title></head>\n<body>\n<h1>Index of ");
    html_escape(g, r->uri);
    gather_lit(g, "</h1><hr><pre><a href=\"../\">../</a>\n");
    for (unsigned i = 0; i < l->count; i++)
        html_entry(g, &l->entries[i], c);
    gather_lit(g, "</pre><hr></body>\n</html>\n");
}

static void write_json(struct gather *g, struct request *r, const struct listing *l,
                       const struct autoindex_conf *c)
{
    (void)r;
    (void)c;
    gather_lit(g, "[\n");
    for (unsigned i = 0; i < l->count; i++) {
        const struct entry *e = &l->entries[i];
        char date[DATE_HTTP_SIZE];

        gather_str(g, i > 0 ? ",\n{ \"name\":\"" : "{ \"name\":\"");
        json_escape(g, e->name);
        gather_printf(g, "\", \"type\":\"%s\", \"mtime\":\"", e->directory ? "directory" : "file");
        date_http(e->mtime, date);
        gather_bytes(g, date, sizeof date);
        gather_byte(g, '"');
        if (!e->directory)
            gather_printf(g, ", \"size\":%lld", (long long)e->size);
        gather_lit(g, " }");
    }
    gather_lit(g, "\n]");
}

/* ?callback=name, if it is a plain name. */
static struct slice callback_of(const struct request *r)
{
    struct slice args = r->args;

    while (args.size > 0) {
        struct slice pair = slice_cut(&args, '&'), name = slice_cut(&pair, '=');

        if (!slice_eq(name, SLICE("callback")))
            continue;
        for (size_t i = 0; i < pair.size; i++) {
            char ch = pair.at[i];

            if (!((ch >= '0' && ch <= '9') || (unsigned)(byte_lower((unsigned char)ch) - 97) < 26 ||
                  ch == '_' || ch == '.' || ch == '$'))
                return (struct slice){ 0 };
        }
        return pair;
    }
    return (struct slice){ 0 };
}

static void write_jsonp(struct gather *g, struct request *r, const struct listing *l,
                        const struct autoindex_conf *c)
{
    struct slice name = callback_of(r);

    if (name.size > 0) {
        gather_lit(g, "/* callback */\n");
        gather_slice(g, name);
        gather_byte(g, '(');
    }
    write_json(g, r, l, c);
    if (name.size > 0)
        gather_lit(g, ");\n");
}

static void write_xml(struct gather *g, struct request *r, const struct listing *l,
                      const struct autoindex_conf *c)
{
    (void)r;
    (void)c;
    gather_lit(g, "<?xml version=\"1.0\"?>\n<list>\n");
    for (unsigned i = 0; i < l->count; i++) {
        const struct entry *e = &l->entries[i];
        const char *tag = e->directory ? "directory" : "file";
        struct tm t;

        broken_down(e->mtime, false, &t);
        gather_printf(g, "<%s mtime=\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", tag, t.tm_year + 1900,
                      t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
        if (!e->directory)
            gather_printf(g, " size=\"%lld\"", (long long)e->size);
        gather_byte(g, '>');
        html_escape(g, e->name);
        gather_printf(g, "</%s>\n", tag);
    }
    gather_lit(g, "</list>\n");
}

static const struct {
    const char *type;
    void (*write)(struct gather *, struct request *, const struct listing *,
                  const struct autoindex_conf *);
} formats[] = {
    [FORMAT_HTML] = { "text/html", write_html },
    [FORMAT_XML] = { "text/xml", write_xml },
    [FORMAT_JSON] = { "application/json", write_json },
    [FORMAT_JSONP] = { "application/javascript", write_jsonp },
};

static void free_memory(void *listing)
{
    arena_done(&((struct listing *)listing)->arena);
}

static enum verdict answer(struct request *r, struct listing *l, const struct autoindex_conf *c)
{
    struct gather g;

    if (!request_at_end(r, free_memory, l))
        return request_fail(r, 500);
    if (l->error != 0) {
        request_log(r, LOG_CRIT, l->error, "reading the directory \"%s\" failed", l->path);
        return request_fail(r, l->error == EACCES ? 403 : l->error == ENOENT ? 404 : 500);
    }
    gather_init(&g, NULL, 0, &l->arena, PAGE_MAX);
    formats[c->format].write(&g, r, l, c);
    if (g.full)
        return request_fail(r, 500);
    return request_reply(r, 200, slice_str(formats[c->format].type), gather_get(&g));
}

static enum verdict start(struct request *r)
{
    struct listing *l = arena_zalloc(&r->arena, sizeof *l);
    struct slice path, below;

    if (l == NULL)
        return request_fail(r, 500);
    if (!map_path(r, r->uri, &path, &below))
        return request_fail(r, 404);
    arena_init(&l->arena, NULL, 0, 65536, LISTING_MEMORY_MAX);
    l->request = r;
    l->path = path.at;
    r->slots[SLOT_LISTING] = l;
    request_pin(r);
    io_work(r->io, &l->op, read_directory, directory_read);
    return WAIT;
}

enum verdict step_autoindex(struct request *r)
{
    const struct autoindex_conf *c = request_conf(r, &feature_autoindex);
    struct listing *l = r->slots[SLOT_LISTING];

    if (!c->on || r->uri.size == 0 || r->uri.at[r->uri.size - 1] != '/' ||
        (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD))
        return NEXT;
    if (l == NULL)
        return start(r);
    r->slots[SLOT_LISTING] = NULL;
    return answer(r, l, c);
}

/* ---- directives ---------------------------------------------------------------------------------- */

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)
#define AT(member) offsetof(struct autoindex_conf, member)

static const struct conf_word format_words[] = {
    { "html", FORMAT_HTML }, { "xml", FORMAT_XML }, { "json", FORMAT_JSON },
    { "jsonp", FORMAT_JSONP }, { NULL, 0 }
};

static const struct directive rows[] = {
    { "autoindex", HSL, 1, 1, CONF_FLAG, AT(on), "off", .syntax = "on | off",
      .help = "Lists directories that have no index file." },
    { "autoindex_exact_size", HSL, 1, 1, CONF_FLAG, AT(exact_size), "on", .syntax = "on | off",
      .help = "Shows sizes in bytes instead of rounded ones, in HTML." },
    { "autoindex_localtime", HSL, 1, 1, CONF_FLAG, AT(local_time), "off", .syntax = "on | off",
      .help = "Shows times in the local zone, in HTML." },
    { "autoindex_format", HSL, 1, 1, CONF_ENUM, AT(format), "html", .words = format_words,
      .syntax = "html | xml | json | jsonp", .help = "The form of listings." },
};

const struct feature feature_autoindex = {
    .name = "autoindex",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct autoindex_conf),
    .about = "Listings of directories.",
    .index = &autoindex_index,
};
