/* names.c - server_name: how names are said, entered, and found (exact, *.wildcard,
 * wildcard.*, regular expression, in that order of preference). */
#include "http/core.h"

static bool bad_name(struct conf_load *load, const struct conf_node *node, unsigned arg,
                     const char *why)
{
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not a server name: %s",
                  SLICE_FMT(conf_arg(node, arg)), why);
    conf_hint(load, "expected: name, *.name, .name, name.* or ~regex");
    return false;
}

/* '*' may stand only at one end, next to a dot. */
static const char *wildcard_fault(struct slice name)
{
    size_t star = slice_find(name, '*');

    if (star == name.size)
        return NULL;
    if (slice_find(slice_skip(name, star + 1), '*') != name.size - star - 1)
        return "it has more than one '*'";
    if (star == 0 && name.size > 2 && name.at[1] == '.')
        return NULL;
    if (star == name.size - 1 && star > 1 && name.at[star - 1] == '.')
        return NULL;
    return "'*' stands for whole labels, at the beginning or the end";
}

bool core_add_name(struct conf_load *load, const struct conf_node *node, unsigned arg,
                   struct server *server)
{
    struct server_name *n = arena_must(conf_arena(load), sizeof *n);
    struct slice text = conf_arg(node, arg);
    const char *fault = wildcard_fault(text);

    n->text = text;
    n->node = node;
    n->arg = arg;
    if (text.size > 0 && text.at[0] == '~') {
        n->regex = regex_compile(load, node, arg, slice_skip(text, 1), REGEX_NOCASE);
        if (n->regex == NULL)
            return false;
    } else if (fault != NULL) {
        return bad_name(load, node, arg, fault);
    } else if (slice_find(text, '/') < text.size) {
        conf_complain(load, CONF_WARN, node, (int)arg, "the name \"%.*s\" has a '/'",
                      SLICE_FMT(text));
    }
    *server->names_end = n;
    server->names_end = &n->next;
    return true;
}

/* ---- entering them at an address -------------------------------------------------------- */

static bool enter(struct conf_load *load, struct map *map, struct slice key,
                  const struct server *server, const struct server_name *n,
                  const struct listen_addr *at)
{
    struct server *known = map_get(map, key);
    char text[160];
    struct gather g;

    if (known == NULL)
        return map_put(map, key, (void *)(uintptr_t)server);
    if (known == server)
        return true;
    gather_init(&g, text, sizeof text, NULL, 0);
    listen_print(at, &g);
    conf_complain(load, CONF_WARN, n->node, n->node != NULL ? (int)n->arg : CONF_AT_NAME,
                  "conflicting server name \"%.*s\" on %.*s, ignored", SLICE_FMT(n->text),
                  SLICE_FMT(gather_get(&g)));
    return true;
}

static bool enter_regex(struct conf_load *load, struct vhosts *v, const struct server *server,
                        const struct server_name *n)
{
    struct server_regex **at = &v->regexes, *entry = arena_must(conf_arena(load), sizeof *entry);

    while (*at != NULL)
        at = &(*at)->next;
    *entry = (struct server_regex){ n->regex, server, NULL };
    *at = entry;
    return true;
}

static bool enter_one(struct conf_load *load, struct vhosts *v, const struct server *server,
                      const struct server_name *n, const struct listen_addr *at)
{
    struct slice name = n->text;

    if (n->regex != NULL)
        return enter_regex(load, v, server, n);
    if (slice_starts(name, SLICE("*.")))
        return enter(load, &v->head_wildcards, slice_skip(name, 1), server, n, at);
    if (slice_ends(name, SLICE(".*")))
        return enter(load, &v->tail_wildcards, slice_head(name, name.size - 1), server, n, at);
    if (name.size > 1 && name.at[0] == '.')
        return enter(load, &v->exact, slice_skip(name, 1), server, n, at) &&
               enter(load, &v->head_wildcards, name, server, n, at);
    return enter(load, &v->exact, name, server, n, at);
}

bool names_enter(struct conf_load *load, struct vhosts *v, const struct server *server,
                 const struct listen_addr *at)
{
    static const struct server_name unnamed = { .text = { "", 0 } };

    if (server->names == NULL)
        return map_get(&v->exact, unnamed.text) != NULL ||
               map_put(&v->exact, unnamed.text, (void *)(uintptr_t)server);
    for (const struct server_name *n = server->names; n != NULL; n = n->next)
        if (!enter_one(load, v, server, n, at))
            return false;
    return true;
}

/* ---- finding them --------------------------------------------------------------------------- */

/* ".a.test" for "x.y.a.test": the longest suffix that is entered. */
static const struct server *find_head(const struct vhosts *v, struct slice host)
{
    if (v->head_wildcards.live == 0)
        return NULL;
    for (size_t i = 1; i < host.size; i++) {
        struct server *s;

        if (host.at[i] == '.' && (s = map_get(&v->head_wildcards, slice_skip(host, i))) != NULL)
            return s;
    }
    return NULL;
}

static const struct server *find_tail(const struct vhosts *v, struct slice host)
{
    if (v->tail_wildcards.live == 0)
        return NULL;
    for (size_t i = host.size; i > 1; i--) {
        struct server *s;

        if (host.at[i - 1] == '.' && (s = map_get(&v->tail_wildcards, slice_head(host, i))) != NULL)
            return s;
    }
    return NULL;
}

const struct server *vhosts_find(const struct vhosts *v, struct slice host,
                                 struct slice captures[CAPTURES_MAX], const struct regex **ret_of)
{
    const struct server *s;

    if (v->only != NULL)
        return v->only;
    if ((s = map_get(&v->exact, host)) != NULL)
        return s;
    if ((s = find_head(v, host)) != NULL || (s = find_tail(v, host)) != NULL)
        return s;
    for (const struct server_regex *e = v->regexes; e != NULL && host.size > 0; e = e->next)
        if (regex_match(e->regex, host, captures, CAPTURES_MAX) == REGEX_YES) {
            *ret_of = e->regex;
            return e->server;
        }
    return v->default_server;
}
