/* explain_text.c - how explanations are written: labels, texts, places. */
#include "tool/explain_private.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_SIZE = 4096, LABEL_WIDTH = 12 };

static unsigned depth_of(const struct request *r)
{
    unsigned depth = 0;

    for (; r != NULL && r->parent != NULL; r = r->parent)
        depth++;
    return depth;
}

void explain_say(const struct request *r, const char *label, const struct conf_node *node,
                 const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    printf("%*s%-*s %s", (int)depth_of(r) * 2, "", LABEL_WIDTH, label, text);
    if (node != NULL)
        printf("  [%s:%u]", node->file->path, node->line);
    putchar('\n');
}

const char *explain_directive(const struct conf_node *node)
{
    static char text[TEXT_SIZE];
    struct gather g;

    gather_init(&g, text, sizeof text - 1, NULL, 0);
    gather_slice(&g, node->name);
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct slice arg = conf_arg(node, i);
        bool quoted = node->args[i].quoted;

        gather_str(&g, quoted ? " \"" : " ");
        gather_slice(&g, arg);
        gather_str(&g, quoted ? "\"" : "");
    }
    text[g.used < sizeof text ? g.used : sizeof text - 1] = '\0';
    return text;
}

static const struct conf_node *find_in(const struct conf_node *n, const char *name,
                                       struct slice first, bool *any)
{
    for (; n != NULL; n = n->next) {
        if (!slice_eq(n->name, slice_str(name)))
            continue;
        *any = true;
        if (first.at == NULL || slice_eq_nocase(conf_arg(n, 0), first))
            return n;
    }
    return NULL;
}

const struct conf_node *explain_find(const struct scope *s, const char *name, struct slice first)
{
    bool any = false;

    for (; s != NULL && s->node != NULL && !any; s = s->parent) {
        const struct conf_node *n = find_in(s->node->children, name, first, &any);

        if (n != NULL)
            return n;
    }
    return NULL;
}

/* "2026/11/23 04:45:00 [error] 1#2: *5 text, client: …" without what everybody knows. */
static struct slice message_of(struct slice line)
{
    size_t at = slice_search(line, SLICE("] ")), end;

    line = at < line.size ? slice_skip(line, at + 2) : line;
    at = slice_search(line, SLICE(": "));
    line = at < line.size ? slice_skip(line, at + 2) : line;
    if (slice_starts(line, SLICE("*")))
        line = slice_skip(line, slice_find(line, ' ') + 1);
    end = slice_search(line, SLICE(", client: "));
    return slice_trim(slice_head(line, end));
}

void explain_hear(struct explaining *e, const struct request *r)
{
    char room[LOG_RING_LINE_MAX];
    struct log_ring_cursor cursor;
    struct slice line;

    log_ring_begin(e->ring, SIZE_MAX, &cursor);
    if (cursor.at < e->heard.end)
        cursor.at = e->heard.end;
    while ((line = log_ring_next(e->ring, &cursor, room)).size > 0)
        explain_say(r, "error log", NULL, "%.*s", SLICE_FMT(message_of(line)));
    e->heard = cursor;
}
