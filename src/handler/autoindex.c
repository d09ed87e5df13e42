/* autoindex.c - a directory as a listing: HTML, JSON, JSONP or XML. */
#include "conf/load.h"
#include "handler/listing.h"
#include "handler/static.h"
#include "http/site.h"
#include "wire/date.h"
#include "wire/uri.h"

#include <stdlib.h>
#include <time.h>

enum { FORMAT_HTML, FORMAT_XML, FORMAT_JSON, FORMAT_JSONP };
enum {
    PAGE_MAX = 4 * 1024 * 1024,
    ENTRY_ROOM = 8 * 1024, /* more than one entry and the end of the page ever take */
    NAME_COLUMN = 50,      /* characters of a name, in HTML                            */
};

struct autoindex_conf {
    bool on, exact_size, local_time;
    int format;
};

static uint32_t autoindex_index;

/* ---- writing ------------------------------------------------------------------------- */

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

/* Is there room for one more, and for the end? If not, the page says less than it could. */
static bool room_for_entry(const struct gather *g, struct listing *l)
{
    if (g->used + ENTRY_ROOM > PAGE_MAX)
        l->cut = true;
    return g->used + ENTRY_ROOM <= PAGE_MAX && !g->full;
}

static void html_size(struct gather *g, const struct entry *e, bool exact)
{
    static const char units[] = " KMGT";
    int64_t size = e->size;
    int unit = 0;

    if (e->kind == ENTRY_DIRECTORY) {
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

/* Continuation bytes of UTF-8 take no column. */
static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* The first `max` characters. */
static struct slice head_characters(struct slice text, size_t max, size_t *ret_count)
{
    size_t i = 0, count = 0;

    for (; i < text.size; i++) {
        if (!begins_character(text.at[i]))
            continue;
        if (count == max)
            break;
        count++;
    }
    *ret_count = count;
    return slice_head(text, i);
}

static void html_name(struct gather *g, const struct entry *e)
{
    bool directory = e->kind == ENTRY_DIRECTORY;
    size_t shown;
    struct slice whole = head_characters(e->name, NAME_COLUMN, &shown);

    if (whole.size < e->name.size) {
        html_escape(g, head_characters(e->name, NAME_COLUMN - 3, &shown));
        gather_lit(g, "..&gt;");
        shown += 3;
    } else {
        html_escape(g, whole);
        if (directory)
            gather_byte(g, '/');
        shown += directory;
    }
    gather_lit(g, "</a>");
    gather_printf(g, "%*s", shown < NAME_COLUMN ? (int)(NAME_COLUMN - shown) : 0, "");
}

static void html_entry(struct gather *g, const struct entry *e, const struct autoindex_conf *c)
{
    struct tm t;

    gather_lit(g, "<a href=\"");
    if (slice_find(e->name, ':') < e->name.size)
        gather_lit(g, "./"); /* or "x:y" would be a URI with a scheme */
    uri_encode_path(g, e->name);
    if (e->kind == ENTRY_DIRECTORY)
        gather_byte(g, '/');
    gather_lit(g, "\">");
    html_name(g, e);
    broken_down(e->mtime, c->local_time, &t);
    gather_printf(g, " %02d-%s-%04d %02d:%02d ", t.tm_mday, months[t.tm_mon], t.tm_year + 1900,
                  t.tm_hour, t.tm_min);
    html_size(g, e, c->exact_size);
    gather_lit(g, "\n");
}

static void write_html(struct gather *g, struct request *r, struct listing *l,
                       const struct autoindex_conf *c)
{
    gather_lit(g, "<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"><title>Index of ");
    html_escape(g, r->uri);
    gather_lit(g, "</title></head>\n<body>\n<h1>Index of ");
    html_escape(g, r->uri);
    gather_lit(g, "</h1><hr><pre><a href=\"../\">../</a>\n");
    for (unsigned i = 0; i < l->count && room_for_entry(g, l); i++)
        html_entry(g, &l->entries[i], c);
    gather_lit(g, "</pre><hr></body>\n</html>\n");
}

static const char *const kind_words[] = {
    [ENTRY_DIRECTORY] = "directory", [ENTRY_FILE] = "file", [ENTRY_OTHER] = "other"
};

static void write_json(struct gather *g, struct request *r, struct listing *l,
                       const struct autoindex_conf *c)
{
    (void)r;
    (void)c;
    gather_lit(g, "[\n");
    for (unsigned i = 0; i < l->count && room_for_entry(g, l); i++) {
        const struct entry *e = &l->entries[i];
        char date[DATE_HTTP_SIZE];

        gather_str(g, i > 0 ? ",\n{ \"name\":\"" : "{ \"name\":\"");
        json_escape(g, e->name);
        gather_printf(g, "\", \"type\":\"%s\", \"mtime\":\"", kind_words[e->kind]);
        date_http(e->mtime, date);
        gather_bytes(g, date, sizeof date);
        gather_byte(g, '"');
        if (e->kind == ENTRY_FILE)
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

static void write_jsonp(struct gather *g, struct request *r, struct listing *l,
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

/* What XML can say at all: no control bytes (XML 1.0 §2.2). */
static void xml_escape(struct gather *g, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        bool control = (unsigned char)text.at[i] < 0x20 && text.at[i] != '\t';

        if (control)
            gather_byte(g, '?');
        else
            html_escape(g, slice_of(text.at + i, 1));
    }
}

static void write_xml(struct gather *g, struct request *r, struct listing *l,
                      const struct autoindex_conf *c)
{
    (void)r;
    (void)c;
    gather_lit(g, "<?xml version=\"1.0\"?>\n<list>\n");
    for (unsigned i = 0; i < l->count && room_for_entry(g, l); i++) {
        const struct entry *e = &l->entries[i];
        struct tm t;

        broken_down(e->mtime, false, &t);
        gather_printf(g, "<%s mtime=\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", kind_words[e->kind],
                      t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
        if (e->kind == ENTRY_FILE)
            gather_printf(g, " size=\"%lld\"", (long long)e->size);
        gather_byte(g, '>');
        xml_escape(g, e->name);
        gather_printf(g, "</%s>\n", kind_words[e->kind]);
    }
    gather_lit(g, "</list>\n");
}

static const struct {
    const char *type;
    void (*write)(struct gather *, struct request *, struct listing *,
                  const struct autoindex_conf *);
} formats[] = {
    [FORMAT_HTML] = { "text/html", write_html },
    [FORMAT_XML] = { "text/xml", write_xml },
    [FORMAT_JSON] = { "application/json", write_json },
    [FORMAT_JSONP] = { "application/javascript", write_jsonp },
};

/* ---- the step ------------------------------------------------------------------------ */

static enum verdict answer(struct request *r, struct listing *l, const struct autoindex_conf *c)
{
    struct gather g;

    if (l->error != 0) {
        file_log(r, l->place.path, l->error);
        return request_fail(r, file_status(l->error));
    }
    gather_init(&g, NULL, 0, &l->arena, PAGE_MAX);
    formats[c->format].write(&g, r, l, c);
    if (g.full)
        return request_fail(r, 500);
    if (l->cut)
        request_log(r, LOG_WARN, 0, "the listing of \"%.*s\" does not show all its entries",
                    SLICE_FMT(l->place.path));
    return request_reply(r, 200, slice_str(formats[c->format].type), gather_get(&g));
}

bool autoindex_idle(const struct scope *scope)
{
    const struct autoindex_conf *c = scope_conf(scope, &feature_autoindex);

    return !c->on;
}

enum verdict step_autoindex(struct request *r)
{
    const struct autoindex_conf *c = request_conf(r, &feature_autoindex);
    struct listing *l = r->slots[SLOT_LISTING];

    if (!c->on || r->uri.size == 0 || r->uri.at[r->uri.size - 1] != '/' ||
        (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD))
        return NEXT;
    if (l == NULL)
        return listing_begin(r);
    r->slots[SLOT_LISTING] = NULL;
    return answer(r, l, c);
}

/* ---- directives ---------------------------------------------------------------------- */

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)
#define AT(member) offsetof(struct autoindex_conf, member)

static const struct conf_word format_words[] = { { "html", FORMAT_HTML },
                                                 { "xml", FORMAT_XML },
                                                 { "json", FORMAT_JSON },
                                                 { "jsonp", FORMAT_JSONP },
                                                 { NULL, 0 } };

static const struct directive rows[] = {
    { "autoindex", HSL, 1, 1, CONF_FLAG, AT(on), "off", .syntax = "on | off",
      .help = "Lists directories that have no index file.", .example = "autoindex on;" },
    { "autoindex_exact_size", HSL, 1, 1, CONF_FLAG, AT(exact_size), "on", .syntax = "on | off",
      .help = "Shows sizes in bytes instead of rounded ones, in HTML.",
      .example = "autoindex_exact_size off;" },
    { "autoindex_localtime", HSL, 1, 1, CONF_FLAG, AT(local_time), "off", .syntax = "on | off",
      .help = "Shows times in the local zone, in HTML.", .example = "autoindex_localtime on;" },
    { "autoindex_format", HSL, 1, 1, CONF_ENUM, AT(format), "html", .words = format_words,
      .syntax = "html | xml | json | jsonp", .help = "The form of listings.",
      .example = "autoindex_format json;" },
};

const struct feature feature_autoindex = {
    .name = "autoindex",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct autoindex_conf),
    .about = "Listings of directories.",
    .index = &autoindex_index,
};
