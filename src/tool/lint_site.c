/* lint_site.c - rules about servers and blocks: names, listeners, fields, conditions. */
#include "tool/lint_private.h"

enum { LISTENER_SIZE = 256 };

/* ---- servers ----------------------------------------------------------------------------- */

static bool all_digits(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
    return s.size > 0;
}

/* One spelling for each address: "80", "*:80" and "0.0.0.0:80" are the same. */
static void listener_print(struct slice s, char into[LISTENER_SIZE])
{
    bool six = slice_starts(s, SLICE("["));
    struct slice port = six ? slice_skip(s, slice_find(s, ']')) : s;

    if (slice_starts(s, SLICE("unix:"))) {
        snprintf(into, LISTENER_SIZE, "%.*s", SLICE_FMT(s));
        return;
    }
    if (all_digits(s)) {
        snprintf(into, LISTENER_SIZE, "*:%.*s", SLICE_FMT(s));
        return;
    }
    size_t colon = slice_find(port, ':');
    struct slice host = slice_head(s, s.size - port.size + colon);

    if (slice_eq(host, SLICE("0.0.0.0")))
        host = SLICE("*");
    if (colon < port.size)
        snprintf(into, LISTENER_SIZE, "%.*s%.*s", SLICE_FMT(host),
                 SLICE_FMT(slice_skip(port, colon)));
    else
        snprintf(into, LISTENER_SIZE, "%.*s:80", SLICE_FMT(s));
}

/* The i-th listener of a server; *ret_node: its directive, or NULL for the default one. */
static bool listener_at(const struct conf_node *server, unsigned i, char into[LISTENER_SIZE],
                        const struct conf_node **ret_node)
{
    bool some = false;

    for (const struct conf_node *n = server->children; n != NULL; n = n->next) {
        if (!node_is(n, "listen"))
            continue;
        some = true;
        if (i-- > 0)
            continue;
        listener_print(conf_arg(n, 0), into);
        *ret_node = n;
        return true;
    }
    *ret_node = NULL;
    snprintf(into, LISTENER_SIZE, "*:80");
    return !some && i == 0;
}

/* The directive of server that opens that listener; the server itself if it is the default one. */
static const struct conf_node *listens_on(const struct conf_node *server, const char *wanted)
{
    const struct conf_node *listen;
    char other[LISTENER_SIZE];

    for (unsigned i = 0; listener_at(server, i, other, &listen); i++)
        if (strcmp(wanted, other) == 0)
            return listen != NULL ? listen : server;
    return NULL;
}

static bool is_http_server(const struct spot *s)
{
    return s->node->block && node_is(s->node, "server") &&
           (s->outer == NULL || node_is(s->outer->node, "http"));
}

static bool has_name(const struct conf_node *server, struct slice name)
{
    for (const struct conf_node *n = server->children; n != NULL; n = n->next)
        for (unsigned i = 0; node_is(n, "server_name") && i < n->arg_count; i++)
            if (slice_eq_nocase(n->args[i].text, name))
                return true;
    return false;
}

static void check_name(struct lint *l, const struct spot *s, const struct conf_node *names,
                       unsigned arg)
{
    const struct conf_node *listen;
    struct slice name = conf_arg(names, arg);
    char listener[LISTENER_SIZE];

    for (const struct conf_node *o = spot_siblings(l, s); o != s->node; o = o->next) {
        if (!node_is(o, "server") || !has_name(o, name))
            continue;
        for (unsigned i = 0; listener_at(s->node, i, listener, &listen); i++) {
            if (listens_on(o, listener) == NULL)
                continue;
            lint_tell(l, names, (int)arg, "give the name to one of the two",
                      "the server at %s:%u has the name `%.*s` on %s already; this one does not "
                      "answer for it",
                      o->file->path, o->line, SLICE_FMT(name), listener);
            return;
        }
    }
}

void look_server_name_twice(struct lint *l, const struct spot *s)
{
    if (!is_http_server(s))
        return;
    for (const struct conf_node *n = s->node->children; n != NULL; n = n->next)
        for (unsigned i = 0; node_is(n, "server_name") && i < n->arg_count; i++)
            check_name(l, s, n, i);
}

/* How many servers are on the listener; 0 if one of them is marked as default, or if an earlier
 * one than `first` is. */
static unsigned count_on(const struct conf_node *n, const struct conf_node *first,
                         const char *listener)
{
    unsigned count = 0;

    for (; n != NULL; n = n->next) {
        const struct conf_node *listen =
            n->block && node_is(n, "server") ? listens_on(n, listener) : NULL;

        if (listen == NULL)
            continue;
        if ((count == 0 && n != first) || arg_any(listen, "default_server") ||
            arg_any(listen, "default"))
            return 0;
        count++;
    }
    return count;
}

void look_default_server(struct lint *l, const struct spot *s)
{
    const struct conf_node *listen;
    char listener[LISTENER_SIZE];

    for (unsigned i = 0; is_http_server(s) && listener_at(s->node, i, listener, &listen); i++) {
        unsigned count = count_on(spot_siblings(l, s), s->node, listener);

        if (count > 1)
            lint_tell(l, listen != NULL ? listen : s->node, CONF_AT_NAME,
                      "listen … default_server; in the server that is meant",
                      "%u servers are on %s and none is the default: this one, the first, answers "
                      "for all unknown names",
                      count, listener);
    }
}

/* ---- add_header -------------------------------------------------------------------------- */

static bool adds(const struct conf_node *n, struct slice name)
{
    for (; n != NULL; n = n->next)
        if (node_is(n, "add_header") && slice_eq_nocase(conf_arg(n, 0), name))
            return true;
    return false;
}

static const struct conf_node *outer_headers(const struct lint *l, const struct spot *s)
{
    return spot_inherited(l, s, "add_header");
}

void look_add_header(struct lint *l, const struct spot *s)
{
    const struct conf_node *own = node_find(s->node->children, "add_header");
    const struct conf_node *outer = own != NULL ? outer_headers(l, s) : NULL;
    struct gather g;
    char lost[512];

    if (outer == NULL || node_find(s->node->children, "add_header_inherit") != NULL ||
        spot_inherited(l, s, "add_header_inherit") != NULL)
        return;
    gather_init(&g, lost, sizeof lost, NULL, 0);
    for (const struct conf_node *n = outer; n != NULL; n = n->next) {
        struct slice name = conf_arg(n, 0);

        if (!node_is(n, "add_header") || adds(s->node->children, name))
            continue;
        gather_printf(&g, "%s%.*s", g.used > 0 ? ", " : "", SLICE_FMT(name));
    }
    if (g.used > 0)
        lint_tell(l, own, CONF_AT_NAME, "say them here again, or include a file with all of them",
                  "this drops what %s:%u and the lines behind it add: %.*s", outer->file->path,
                  outer->line, SLICE_FMT(gather_get(&g)));
}

/* ---- if ---------------------------------------------------------------------------------- */

/* Word i of the condition, without the parentheses around all of it. */
static struct slice condition_word(const struct conf_node *n, unsigned i)
{
    bool apart = arg_is(n, 0, "(");
    struct slice s = conf_arg(n, i + apart);

    if (i == 0 && !apart && slice_starts(s, SLICE("(")))
        s = slice_skip(s, 1);
    if (i + apart + 1 >= n->arg_count && slice_ends(s, SLICE(")")))
        s.size--;
    return s;
}

void look_if_trap(struct lint *l, const struct spot *s)
{
    struct gather g;
    char names[512];

    if (s->outer == NULL || !node_is(s->outer->node, "location"))
        return;
    gather_init(&g, names, sizeof names, NULL, 0);
    for (const struct conf_node *n = s->node->children; n != NULL; n = n->next)
        if (n->name.size > 0 && !node_among(n, "return rewrite set break rewrite_log limit_rate "
                                               "limit_rate_after access_log expires"))
            gather_printf(&g, "%s`%.*s`", g.used > 0 ? ", " : "", SLICE_FMT(n->name));
    if (g.used > 0)
        lint_tell(l, s->node, CONF_AT_NAME,
                  "set a variable with `map`, or go to a location of its own with `rewrite`",
                  "an `if` is a location of its own, which a request enters in place of this one; "
                  "that surprises with %.*s",
                  SLICE_FMT(gather_get(&g)));
}

void look_if_file(struct lint *l, const struct spot *s)
{
    struct slice test = condition_word(s->node, 0), path = condition_word(s->node, 1);

    if (slice_starts(test, SLICE("!")))
        test = slice_skip(test, 1);
    if (!slice_eq(test, SLICE("-f")) && !slice_eq(test, SLICE("-d")) &&
        !slice_eq(test, SLICE("-e")))
        return;
    if (find_variable(path, SLICE("request_filename")) < path.size ||
        find_variable(path, SLICE("uri")) < path.size)
        lint_tell(l, s->node, CONF_AT_NAME, "try_files $uri $uri/ @other; or =404 as its last word",
                  "`try_files` asks whether a file exists");
}

void look_if_host(struct lint *l, const struct spot *s)
{
    struct slice name = condition_word(s->node, 0), operator= condition_word(s->node, 1);

    if (!slice_eq(name, SLICE("$host")) && !slice_eq(name, SLICE("$http_host")))
        return;
    if (operator.size> 0)
        lint_tell(l, s->node, CONF_AT_NAME,
                  "server { server_name …; return 301 https://example.com$request_uri; }",
                  "a name of its own needs a server of its own, not an `if` on `%.*s`",
                  SLICE_FMT(name));
}
