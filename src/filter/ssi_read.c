/* ssi_read.c - the commands of server side includes: what each of them does. */
#include "filter/ssi_read.h"

#include "http/subrequest.h"
#include "wire/uri.h"

#include <stdarg.h>
#include <stdio.h>

static struct ssi_part *add_part(struct ssi_reader *rd, enum ssi_part_kind kind)
{
    struct ssi_part *p = arena_zalloc(rd->arena, sizeof *p);

    if (p == NULL) {
        rd->failed = true;
        return NULL;
    }
    p->kind = kind;
    p->owner = rd->owner;
    *rd->end = p;
    rd->end = &p->next;
    return p;
}

static void add_text(struct ssi_reader *rd, struct slice text)
{
    struct ssi_part *p = text.size > 0 ? add_part(rd, SSI_PART_TEXT) : NULL;

    if (p != NULL)
        p->text = text;
}

void ssi_error(struct ssi_reader *rd, const char *format, ...)
{
    char why[512];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    request_log(rd->request, LOG_ERROR, 0, "SSI of \"%.*s\": %s", SLICE_FMT(rd->request->uri), why);
    if (!rd->silent)
        add_text(rd, rd->page->error_text);
}

static bool active(const struct ssi_reader *rd)
{
    return rd->depth == 0 || rd->conditions[rd->depth - 1].active;
}

/* ---- include -------------------------------------------------------------------------- */

/* What the parameter says, as a path of this server and its arguments. Relative ones are below
 * the directory of the page. */
static bool target(struct ssi_reader *rd, struct slice said, struct slice *uri, struct slice *args)
{
    struct slice page = rd->request->uri;
    char *raw, *into;
    size_t base = 0;

    if (!ssi_evaluate(rd->request, rd->page, said, rd->value_max, rd->arena, uri))
        return false;
    *args = subrequest_split(uri);
    if (uri->size == 0)
        return false;
    if (uri->at[0] != '/')
        for (base = page.size; base > 0 && page.at[base - 1] != '/';)
            base--;
    raw = arena_bytes(rd->arena, base + uri->size);
    into = arena_bytes(rd->arena, base + uri->size);
    if (raw == NULL || into == NULL)
        return false;
    memcpy(raw, page.at, base);
    memcpy(raw + base, uri->at, uri->size);
    return uri_normalise(slice_of(raw, base + uri->size), true, into, uri) == URI_OK;
}

static void run_child(struct ssi_reader *rd, struct slice uri, struct slice args, struct slice set,
                      struct slice stub)
{
    struct ssi_part *p = add_part(rd, set.at != NULL ? SSI_PART_CAPTURE : SSI_PART_CHILD);

    if (p == NULL)
        return;
    p->stub = stub;
    p->variable = arena_copy(rd->arena, set);
    gather_init(&p->value, NULL, 0, rd->arena, SSI_VALUE_MAX);
    p->child = subrequest_create(rd->request, uri, args, rd->child_ops, p);
    if (p->child != NULL) {
        subrequest_run(p->child);
    } else {
        p->kind = SSI_PART_TEXT;
        p->text = rd->silent ? (struct slice){ 0 } : rd->page->error_text;
    }
}

static void run_include(struct ssi_reader *rd, const struct ssi_command *c)
{
    struct slice virtual = ssi_param(c, "virtual"), file = ssi_param(c, "file"),
                 set = ssi_param(c, "set"), stub = ssi_param(c, "stub"), uri, args;
    const struct ssi_name *block = NULL;

    if ((virtual.at != NULL) == (file.at != NULL)) {
        ssi_error(rd, "include wants either virtual or file");
        return;
    }
    if (stub.at != NULL) {
        block = ssi_find(rd->page->blocks, stub);
        if (block == NULL) {
            ssi_error(rd, "there is no block \"%.*s\"", SLICE_FMT(slice_head(stub, 100)));
            return;
        }
    }
    if (!target(rd, virtual.at != NULL ? virtual : file, &uri, &args)) {
        ssi_error(rd, "\"%.*s\" is no path that could be included",
                  SLICE_FMT(slice_head(virtual.at != NULL ? virtual : file, 200)));
        return;
    }
    run_child(rd, uri, args, set, block != NULL ? block->text : (struct slice){ 0 });
    rd->paused |= set.at != NULL || slice_eq(ssi_param(c, "wait"), SLICE("yes")) ||
                  ++rd->ahead >= SSI_AHEAD_MAX;
}

/* ---- echo, set, config ---------------------------------------------------------------- */

static void no_encoding(struct gather *into, struct slice text)
{
    gather_slice(into, text);
}

static const struct {
    const char *name;
    void (*encode)(struct gather *, struct slice);
} encodings[] = {
    { "entity", html_escape },
    { "url", uri_encode_path },
    { "none", no_encoding },
};

static struct slice lowered(struct ssi_reader *rd, struct slice name)
{
    struct slice copy = arena_copy(rd->arena, name);

    for (size_t i = 0; i < copy.size; i++)
        ((char *)(uintptr_t)copy.at)[i] = (char)byte_lower((unsigned char)copy.at[i]);
    return copy;
}

static void run_echo(struct ssi_reader *rd, const struct ssi_command *c)
{
    struct slice name = lowered(rd, ssi_param(c, "var")), fallback = ssi_param(c, "default"),
                 encoding = ssi_param(c, "encoding");
    struct gather value, out;
    size_t e = encoding.at != NULL ? 0 : rd->page->encoding;

    while (encoding.at != NULL && e < COUNT_OF(encodings) &&
           !slice_eq(encoding, slice_str(encodings[e].name)))
        e++;
    if (e == COUNT_OF(encodings)) {
        ssi_error(rd, "echo knows no encoding \"%.*s\"", SLICE_FMT(slice_head(encoding, 100)));
        return;
    }
    rd->page->encoding = e;
    gather_init(&value, NULL, 0, rd->arena, SSI_VALUE_MAX);
    gather_init(&out, NULL, 0, rd->arena, 6 * SSI_VALUE_MAX);
    if (!ssi_get(rd->request, rd->page, name, &value)) {
        fallback = fallback.at != NULL ? arena_copy(rd->arena, fallback) : SLICE("(none)");
        add_text(rd, fallback);
        return;
    }
    encodings[e].encode(&out, gather_get(&value));
    rd->failed |= out.full || value.full;
    add_text(rd, gather_get(&out));
}

static void run_set(struct ssi_reader *rd, const struct ssi_command *c)
{
    struct slice name = lowered(rd, ssi_param(c, "var")), value;

    if (!ssi_evaluate(rd->request, rd->page, ssi_param(c, "value"), SSI_VALUE_MAX, rd->arena,
                      &value)) {
        ssi_error(rd, "\"%.*s\" is no value", SLICE_FMT(slice_head(ssi_param(c, "value"), 200)));
        return;
    }
    rd->failed |= !ssi_put(rd->request, &rd->page->variables, name, value);
}

static void run_config(struct ssi_reader *rd, const struct ssi_command *c)
{
    struct arena *arena = &request_main(rd->request)->arena;
    struct slice format = ssi_param(c, "timefmt"), text = ssi_param(c, "errmsg");

    if (format.at != NULL)
        rd->page->date_format = arena_copy(arena, format);
    if (text.at != NULL)
        rd->page->error_text = arena_copy(arena, text);
    rd->failed |= (format.at != NULL && rd->page->date_format.at == NULL) ||
                  (text.at != NULL && rd->page->error_text.at == NULL);
}

/* ---- if ------------------------------------------------------------------------------- */

static bool test(struct ssi_reader *rd, const struct ssi_command *c)
{
    struct slice said = ssi_param(c, "expr");
    bool yes = false;

    if (!ssi_test(rd->request, rd->page, said, &yes))
        ssi_error(rd, "\"%.*s\" is no condition", SLICE_FMT(slice_head(said, 200)));
    return yes;
}

static void run_if(struct ssi_reader *rd, const struct ssi_command *c)
{
    struct ssi_condition now = { .dead = !active(rd) };

    if (rd->depth == SSI_CONDITIONS_MAX) {
        ssi_error(rd, "more than %d conditions inside one another", SSI_CONDITIONS_MAX);
        return;
    }
    now.active = now.taken = !now.dead && test(rd, c);
    rd->conditions[rd->depth++] = now;
}

/* The innermost condition, if `command` may stand there. */
static struct ssi_condition *innermost(struct ssi_reader *rd, const char *command)
{
    struct ssi_condition *now = rd->depth > 0 ? &rd->conditions[rd->depth - 1] : NULL;

    if (now != NULL && !now->last)
        return now;
    ssi_error(rd, "%s without an if", command);
    return NULL;
}

static void run_elif(struct ssi_reader *rd, const struct ssi_command *c)
{
    struct ssi_condition *now = innermost(rd, "elif");

    if (now == NULL)
        return;
    now->active = !now->dead && !now->taken && test(rd, c);
    now->taken |= now->active;
}

static void run_else(struct ssi_reader *rd, const struct ssi_command *c)
{
    struct ssi_condition *now = innermost(rd, "else");

    (void)c;
    if (now == NULL)
        return;
    now->active = !now->dead && !now->taken;
    now->taken = now->last = true;
}

static void run_endif(struct ssi_reader *rd, const struct ssi_command *c)
{
    (void)c;
    if (rd->depth > 0)
        rd->depth--;
    else
        ssi_error(rd, "endif without an if");
}

/* ---- block ---------------------------------------------------------------------------- */

static void run_block(struct ssi_reader *rd, const struct ssi_command *c)
{
    rd->block_name = arena_copy(&request_main(rd->request)->arena, ssi_param(c, "name"));
    rd->failed |= rd->block_name.at == NULL;
    gather_init(&rd->block, NULL, 0, &request_main(rd->request)->arena, SSI_VALUE_MAX);
    rd->in_block = true;
}

static void run_endblock(struct ssi_reader *rd, const struct ssi_command *c)
{
    (void)c;
    if (!rd->in_block) {
        ssi_error(rd, "endblock without a block");
        return;
    }
    rd->in_block = false;
    if (rd->block.full)
        ssi_error(rd, "the block \"%.*s\" is longer than %d bytes",
                  SLICE_FMT(slice_head(rd->block_name, 100)), SSI_VALUE_MAX);
    else
        rd->failed |=
            !ssi_put(rd->request, &rd->page->blocks, rd->block_name, gather_get(&rd->block));
}

/* ---- which ------------------------------------------------------------------------------ */

enum { PARAMS_EACH = 5 };

static const struct command {
    const char *name;
    void (*run)(struct ssi_reader *, const struct ssi_command *);
    bool always;     /* in branches that are left out, too            */
    unsigned needed; /* so many of the parameters must be there       */
    const char *params[PARAMS_EACH];
} commands[] = {
    { "include", run_include, false, 0, { "virtual", "file", "wait", "set", "stub" } },
    { "echo", run_echo, false, 1, { "var", "default", "encoding" } },
    { "set", run_set, false, 2, { "var", "value" } },
    { "config", run_config, false, 0, { "timefmt", "errmsg" } },
    { "if", run_if, true, 1, { "expr" } },
    { "elif", run_elif, true, 1, { "expr" } },
    { "else", run_else, true, 0, { NULL } },
    { "endif", run_endif, true, 0, { NULL } },
    { "block", run_block, false, 1, { "name" } },
    { "endblock", run_endblock, false, 0, { NULL } },
};

static const struct command *find(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (slice_eq(name, slice_str(commands[i].name)))
            return &commands[i];
    return NULL;
}

static bool knows(const struct command *k, struct slice param)
{
    for (size_t i = 0; i < PARAMS_EACH && k->params[i] != NULL; i++)
        if (slice_eq(param, slice_str(k->params[i])))
            return true;
    return false;
}

/* The parameters are those of the command, none is too long, and what must be there is. */
static bool params_fit(struct ssi_reader *rd, const struct command *k, const struct ssi_command *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        struct slice name = c->params[i].name;

        if (!knows(k, name)) {
            ssi_error(rd, "%s has no parameter \"%.*s\"", k->name, SLICE_FMT(slice_head(name, 64)));
            return false;
        }
        if (c->params[i].value.size > rd->value_max) {
            ssi_error(rd, "%s of %s is longer than ssi_value_length (%zu)", k->params[0], k->name,
                      rd->value_max);
            return false;
        }
    }
    for (unsigned i = 0; i < k->needed; i++) {
        if (ssi_param(c, k->params[i]).at != NULL)
            continue;
        ssi_error(rd, "%s wants %s", k->name, k->params[i]);
        return false;
    }
    return true;
}

static void run_command(struct ssi_reader *rd)
{
    struct slice raw = { 0 };
    struct ssi_command c;
    const struct command *k;

    if (rd->in_block)
        raw = arena_copy(rd->arena, slice_of(rd->scan.command, rd->scan.used));
    if (!ssi_parse(&rd->scan, &c)) {
        if (active(rd))
            ssi_error(rd, "a command that cannot be read");
        return;
    }
    k = find(c.name);
    if (rd->in_block && (k == NULL || k->run != run_endblock)) {
        gather_lit(&rd->block, "<!--#");
        gather_slice(&rd->block, raw);
        gather_lit(&rd->block, "-->");
    } else if (k == NULL) {
        if (active(rd))
            ssi_error(rd, "there is no command \"%.*s\"", SLICE_FMT(slice_head(c.name, 64)));
    } else if ((k->always || active(rd)) && (!active(rd) || params_fit(rd, k, &c))) {
        k->run(rd, &c);
    }
}

/* ---- reading ---------------------------------------------------------------------------- */

static void put_text(struct ssi_reader *rd, struct slice text)
{
    if (rd->in_block)
        gather_slice(&rd->block, text);
    else if (active(rd))
        add_text(rd, text);
}

void ssi_read(struct ssi_reader *rd, struct slice *in)
{
    struct slice text;

    while (!rd->paused && !rd->failed) {
        switch (ssi_scan(&rd->scan, in, &text)) {
        case SSI_MORE:
            return;
        case SSI_TEXT:
            put_text(rd, text);
            break;
        case SSI_COMMAND:
            run_command(rd);
            break;
        case SSI_BROKEN:
            if (active(rd))
                ssi_error(rd, "a command longer than %d bytes", SSI_COMMAND_MAX);
            break;
        }
    }
}

void ssi_read_end(struct ssi_reader *rd)
{
    bool unclosed;

    put_text(rd, ssi_scan_end(&rd->scan, &unclosed));
    if (unclosed)
        ssi_error(rd, "the page ends inside a command");
}
