/* log_format.c - what a line of an access log looks like. A format is a list of expressions,
 * one for each string of the directive, so that complaints point at the right one; a line is
 * written in one pass. Bytes that could forge a line are escaped (threats: log injection). */
#include "http/log_format.h"

#include "conf/expr.h"
#include "wire/uri.h"

enum { STEP = sizeof(uint64_t) };

/* STEP bytes none of which needs an escape: each term has its top bit set in a byte that does. */
static bool all_plain(const char *at)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t w, quote, backslash, del, found;

    memcpy(&w, at, STEP);
    quote = w ^ ones * '"';
    backslash = w ^ ones * '\\';
    del = w ^ ones * 0x7f;
    found = w | ((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) |
            ((backslash - ones) & ~backslash) | ((del - ones) & ~del);
    return (found & ones << 7) == 0;
}

static bool is_plain(char byte)
{
    unsigned char c = (unsigned char)byte;

    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* How many bytes come before the first that needs an escape. */
static size_t plain_run(const char *at, size_t size)
{
    size_t i = 0;

    while (size - i >= STEP && all_plain(at + i))
        i += STEP;
    if (size >= STEP && size - i < STEP && all_plain(at + size - STEP))
        return size;
    while (i < size && is_plain(at[i]))
        i++;
    return i;
}

/* Prints what a client may have sent so that it cannot leave its quotes or its line. */
static void escape_default(struct gather *g, struct slice value)
{
    static const char digits[] = "0123456789ABCDEF";

    for (;;) {
        size_t plain = plain_run(value.at, value.size);

        gather_bytes(g, value.at, plain);
        if (plain == value.size)
            return;
        unsigned char c = (unsigned char)value.at[plain];
        char text[4] = { '\\', 'x', digits[c >> 4], digits[c & 15] };

        gather_bytes(g, text, sizeof text);
        value = slice_skip(value, plain + 1);
    }
}

struct escaping {
    const char *name;
    expr_escape_fn *escape;
    struct slice missing; /* stands for variables without a value */
};

static const struct escaping escapings[] = {
    { "default", escape_default, { "-", 1 } },
    { "json", json_escape, { "", 0 } },
    { "none", NULL, { "", 0 } },
};
enum { ESCAPE_DEFAULT, ESCAPE_JSON };

struct log_format {
    struct slice name;
    const struct escaping *escaping;
    struct expr **parts;
    unsigned count;
    bool ready_made;
    struct log_format *next;
};

static const struct ready_made {
    const char *name;
    int escaping;
    const char *text;
} ready_made[] = {
    { "combined", ESCAPE_DEFAULT,
      "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent "
      "\"$http_referer\" \"$http_user_agent\"" },
    { "json", ESCAPE_JSON,
      "{\"time\":\"$time_iso8601_ms\",\"remote_addr\":\"$remote_addr\","
      "\"remote_user\":\"$remote_user\",\"method\":\"$request_method\",\"uri\":\"$request_uri\","
      "\"protocol\":\"$server_protocol\",\"status\":$status,"
      "\"body_bytes_sent\":$body_bytes_sent,\"bytes_sent\":$bytes_sent,"
      "\"request_length\":$request_length,\"request_time\":$request_time,\"host\":\"$host\","
      "\"server_name\":\"$server_name\",\"referer\":\"$http_referer\","
      "\"user_agent\":\"$http_user_agent\",\"request_id\":\"$request_id\","
      "\"connection\":$connection}" },
};

/* ---- finding ------------------------------------------------------------------------------ */

static struct log_format *find_defined(const struct log_formats *formats, struct slice name)
{
    for (struct log_format *f = formats->first; f != NULL; f = f->next)
        if (slice_eq(f->name, name))
            return f;
    return NULL;
}

static const struct ready_made *find_ready_made(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(ready_made); i++)
        if (slice_eq(name, slice_str(ready_made[i].name)))
            return &ready_made[i];
    return NULL;
}

/* An access_log above may use the ready-made one already: it gets what is written here. */
static struct log_format *format_create(struct conf_load *load, struct log_formats *formats,
                                        struct slice name, unsigned count)
{
    struct log_format *f = find_defined(formats, name);

    if (f == NULL) {
        f = arena_must(conf_arena(load), sizeof *f);
        f->name = name;
        f->next = formats->first;
        formats->first = f;
    }
    f->escaping = &escapings[ESCAPE_DEFAULT];
    f->parts = arena_must(conf_arena(load), count * sizeof *f->parts);
    f->count = 0;
    f->ready_made = false;
    return f;
}

const struct log_format *log_format_find(struct conf_load *load, struct log_formats *formats,
                                         const struct conf_node *node, unsigned arg,
                                         struct slice name)
{
    struct log_format *f = find_defined(formats, name);
    const struct ready_made *ready = find_ready_made(name);

    if (f != NULL || ready == NULL)
        return f;
    f = format_create(load, formats, slice_str(ready->name), 1);
    f->escaping = &escapings[ready->escaping];
    f->ready_made = true;
    f->parts[f->count++] = expr_compile_text(load, node, arg, slice_str(ready->text));
    return f;
}

const char *log_format_nearest(struct conf_load *load, const struct log_formats *formats,
                               struct slice name)
{
    size_t count = 0, size = COUNT_OF(ready_made);
    const char **names;

    for (const struct log_format *f = formats->first; f != NULL; f = f->next)
        size++;
    names = arena_must(conf_arena(load), size * sizeof *names);
    for (size_t i = 0; i < COUNT_OF(ready_made); i++)
        names[count++] = ready_made[i].name;
    for (const struct log_format *f = formats->first; f != NULL; f = f->next)
        names[count++] = arena_printf(conf_arena(load), "%.*s", SLICE_FMT(f->name)).at;
    return conf_nearest(name, names, count);
}

/* ---- log_format ------------------------------------------------------------------------------ */

static bool name_free(struct conf_load *load, const struct conf_node *node,
                      const struct log_formats *formats, struct slice name)
{
    const struct log_format *f = find_defined(formats, name);

    if (slice_eq(name, SLICE("combined"))) {
        conf_complain(load, CONF_EMERG, node, 0, "the format \"combined\" cannot be changed");
        conf_hint(load, "give yours another name");
        return false;
    }
    if (f == NULL || f->ready_made)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "the log format \"%.*s\" is defined twice",
                  SLICE_FMT(name));
    return false;
}

/* "escape=…": true, or false after a complaint. */
static bool read_escaping(struct conf_load *load, const struct conf_node *node, struct slice word,
                          struct log_format *f)
{
    for (size_t i = 0; i < COUNT_OF(escapings); i++) {
        if (slice_eq(word, slice_str(escapings[i].name))) {
            f->escaping = &escapings[i];
            return true;
        }
    }
    conf_complain(load, CONF_EMERG, node, 1, "\"%.*s\" is not a way to escape", SLICE_FMT(word));
    conf_hint(load, "expected: default, json or none");
    return false;
}

bool log_format_set(struct conf_load *load, const struct conf_node *node, void *conf,
                    const struct directive *row)
{
    struct log_formats *formats = conf;
    struct slice name = conf_arg(node, 0), escape = SLICE("escape=");
    struct log_format *f;
    unsigned arg = 1;

    (void)row;
    if (!name_free(load, node, formats, name))
        return false;
    f = format_create(load, formats, name, node->arg_count);
    if (slice_starts(conf_arg(node, 1), escape)) {
        if (!read_escaping(load, node, slice_skip(conf_arg(node, 1), escape.size), f))
            return false;
        arg++;
    }
    if (arg == node->arg_count) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "the log format has no text");
        return false;
    }
    for (; arg < node->arg_count; arg++) {
        struct expr *part = expr_compile(load, node, arg);

        if (part == NULL)
            return false;
        f->parts[f->count++] = part;
    }
    return true;
}

/* ---- writing ------------------------------------------------------------------------------- */

void log_format_write(const struct log_format *f, struct request *r, struct gather *g)
{
    for (unsigned i = 0; i < f->count; i++)
        expr_append(f->parts[i], r, g, f->escaping->missing, f->escaping->escape);
}
