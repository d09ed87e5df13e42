/* json.c - JSON texts (RFC 8259), written. */
#include "base/json.h"

#include <time.h>

enum { NS_PER_S = 1000000000, NS_PER_MS = 1000000 };

void json_init(struct json *j, struct gather *out)
{
    *j = (struct json){ .out = out };
}

/* UTF-8 stands as it is; what is none of it as well, byte for byte. */
static void put_text(struct gather *g, struct slice s)
{
    gather_byte(g, '"');
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.at[i];

        if (c == '"' || c == '\\') {
            gather_byte(g, '\\');
            gather_byte(g, (char)c);
        } else if (c < ' ' || c == 0x7f) {
            gather_printf(g, "\\u%04x", c);
        } else {
            gather_byte(g, (char)c);
        }
    }
    gather_byte(g, '"');
}

static bool wanted(const struct json *j, struct slice name)
{
    struct slice left;

    if (j->only == NULL || j->depth != j->only_at || name.at == NULL)
        return true;
    left = *j->only;
    while (left.size > 0)
        if (slice_eq(slice_cut(&left, ','), name))
            return true;
    return false;
}

/* False: what follows is left out. */
static bool begin(struct json *j, struct slice name)
{
    if (j->skipped > 0 || !wanted(j, name))
        return false;
    if (j->comma)
        gather_byte(j->out, ',');
    j->comma = true;
    if (name.at == NULL)
        return true;
    put_text(j->out, name);
    gather_byte(j->out, ':');
    return true;
}

static struct slice named(const char *name)
{
    return name != NULL ? slice_str(name) : (struct slice){ 0 };
}

void json_open_named(struct json *j, struct slice name, char bracket)
{
    if (!begin(j, name)) {
        j->skipped++;
        return;
    }
    CHECK(j->depth < JSON_DEPTH_MAX);
    j->ends[j->depth++] = bracket == '{' ? '}' : ']';
    j->comma = false;
    gather_byte(j->out, bracket);
}

void json_open(struct json *j, const char *name, char bracket)
{
    json_open_named(j, named(name), bracket);
}

void json_shut(struct json *j)
{
    if (j->skipped > 0) {
        j->skipped--;
        return;
    }
    CHECK(j->depth > 0);
    gather_byte(j->out, j->ends[--j->depth]);
    j->comma = true;
}

void json_text(struct json *j, const char *name, struct slice value)
{
    if (begin(j, named(name)))
        put_text(j->out, value);
}

void json_u64(struct json *j, const char *name, uint64_t value)
{
    if (begin(j, named(name)))
        gather_u64(j->out, value);
}

void json_i64(struct json *j, const char *name, int64_t value)
{
    if (begin(j, named(name)))
        gather_i64(j->out, value);
}

void json_bool(struct json *j, const char *name, bool value)
{
    if (begin(j, named(name)))
        gather_str(j->out, value ? "true" : "false");
}

void json_time(struct json *j, const char *name, int64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    char text[40], with_ms[48];
    struct tm t;
    struct gather g;

    if (gmtime_r(&seconds, &t) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t) == 0)
        return;
    gather_init(&g, with_ms, sizeof with_ms, NULL, 0);
    gather_printf(&g, "%s.%03dZ", text, (int)(wall_ns % NS_PER_S / NS_PER_MS));
    json_text(j, name, gather_get(&g));
}
