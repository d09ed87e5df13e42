/* explain_route.c - why this listener, this server, this location, and none of the others. */
#include "http/core.h"
#include "tool/explain_private.h"

#include <stdio.h>

/* ---- the listener -------------------------------------------------------------------------- */

static struct slice address_text(const struct listen_addr *a, char *room, size_t size)
{
    struct gather g;

    gather_init(&g, room, size, NULL, 0);
    listen_print(a, &g);
    return gather_get(&g);
}

/* The better it fits, the more; 0: it does not. */
static int listener_fits(const struct explaining *e, const struct listen_addr *a, struct slice host,
                         uint16_t port)
{
    char room[160];
    struct addr literal;

    if (e->listen != NULL)
        return slice_eq(address_text(a, room, sizeof room), slice_str(e->listen)) ? 3 : 0;
    if (a->addr.family == AF_UNIX || a->addr.port != port)
        return 0;
    if (addr_parse(host, port, &literal) && addr_eq(&literal, &a->addr))
        return 3;
    return addr_is_any(&a->addr) ? 2 : 1;
}

const struct listen_addr *explain_listener(struct explaining *e, struct slice host, uint16_t port)
{
    const struct listen_addr *best = NULL;
    char room[160];
    int most = 0;

    for (const struct listen_addr *a = e->config->site->addrs; a != NULL; a = a->next) {
        int fits = listener_fits(e, a, host, port);

        if (fits > most) {
            most = fits;
            best = a;
        }
    }
    if (best != NULL)
        return best;
    fprintf(stderr, "weir: nothing listens %s %s%u; there is:\n", e->listen != NULL ? "at" : "on",
            e->listen != NULL ? e->listen : "port ", e->listen != NULL ? 0 : port);
    for (const struct listen_addr *a = e->config->site->addrs; a != NULL; a = a->next)
        fprintf(stderr, "  listen %.*s\n", SLICE_FMT(address_text(a, room, sizeof room)));
    return NULL;
}

/* ---- the server ---------------------------------------------------------------------------- */

/* In the order of preference. */
enum fit { FIT_EXACT, FIT_HEAD, FIT_TAIL, FIT_REGEX, FIT_NONE };
static const char *const fit_words[] = { "the exact name", "the wildcard", "the wildcard",
                                         "the regular expression" };

static enum fit name_fits(const struct server_name *n, struct slice host)
{
    struct slice captures[CAPTURES_MAX], name = n->text;
    bool dot = name.size > 1 && name.at[0] == '.';

    if (n->regex != NULL)
        return regex_match(n->regex, host, captures, CAPTURES_MAX) == REGEX_YES ? FIT_REGEX
                                                                                : FIT_NONE;
    if (slice_eq_nocase(dot ? slice_skip(name, 1) : name, host))
        return FIT_EXACT;
    if (slice_starts(name, SLICE("*.")))
        name = slice_skip(name, 1);
    if (name.size > 1 && name.at[0] == '.' && host.size > name.size &&
        slice_eq_nocase(slice_skip(host, host.size - name.size), name))
        return FIT_HEAD;
    if (slice_ends(name, SLICE(".*")) && host.size >= name.size &&
        slice_eq_nocase(slice_head(host, name.size - 1), slice_head(name, name.size - 1)))
        return FIT_TAIL;
    return FIT_NONE;
}

/* The longest among equals counts, as it does for the server. */
static enum fit server_fits(const struct server *s, struct slice host,
                            const struct server_name **by)
{
    enum fit best = FIT_NONE;

    *by = NULL;
    for (const struct server_name *n = s->names; n != NULL; n = n->next) {
        enum fit fit = name_fits(n, host);

        if (fit < best || (fit == best && fit < FIT_REGEX && n->text.size > (*by)->text.size)) {
            best = fit;
            *by = n;
        }
    }
    return best;
}

static bool listens(const struct server *s, const struct listen_addr *at)
{
    for (const struct server_listen *l = s->listens; l != NULL; l = l->next)
        if (l->addr->vhosts == at->vhosts)
            return true;
    return false;
}

/* "name name …" of a server, shortened. */
static struct slice names_of(const struct server *s, char *room, size_t size)
{
    struct gather g;

    gather_init(&g, room, size - 4, NULL, 0);
    for (const struct server_name *n = s->names; n != NULL && !g.full; n = n->next) {
        gather_str(&g, n == s->names ? "" : " ");
        gather_slice(&g, n->text);
    }
    return s->names != NULL ? gather_get(&g) : SLICE("(no name)");
}

static void not_server(struct explaining *e, struct request *r, const struct server *s)
{
    const struct server_name *by;
    enum fit fit;
    char room[200];

    if (!listens(s, e->at)) {
        explain_say(r, "", s->node, "not %.*s: it does not listen there",
                    SLICE_FMT(names_of(s, room, sizeof room)));
        return;
    }
    fit = server_fits(s, r->host, &by);
    if (fit == FIT_NONE)
        explain_say(r, "", s->node, "not %.*s: no name of it fits",
                    SLICE_FMT(names_of(s, room, sizeof room)));
    else
        explain_say(r, "", s->node, "not %.*s: its \"%.*s\" fits, but comes behind",
                    SLICE_FMT(names_of(s, room, sizeof room)), SLICE_FMT(by->text));
}

void explain_server(struct explaining *e, struct request *r)
{
    const struct server_name *by;
    enum fit fit = server_fits(r->server, r->host, &by);
    unsigned losers = 0, most = e->all ? UINT32_MAX : EXPLAIN_LOSERS_MAX;
    char room[200];

    explain_say(r, "listener", e->at->node, "%.*s",
                SLICE_FMT(address_text(e->at, room, sizeof room)));
    if (fit != FIT_NONE)
        explain_say(r, "server", r->server->node, "by %s \"%.*s\"", fit_words[fit],
                    SLICE_FMT(by->text));
    else
        explain_say(r, "server", r->server->node, "%.*s: the default one of this listener: %s",
                    SLICE_FMT(names_of(r->server, room, sizeof room)),
                    r->host.size > 0 ? "no server has the name that was asked for"
                                     : "no name was asked for");
    for (const struct server *s = e->config->site->servers; s != NULL; s = s->next)
        if (s != r->server && losers++ < most)
            not_server(e, r, s);
    if (losers > most)
        explain_say(r, "", NULL, "and %u servers more: -a names them all", losers - most);
}

/* ---- the location -------------------------------------------------------------------------- */

/* "= /path", "~ regex" …: as written. */
static const char *pattern_of(const struct location *l)
{
    return explain_directive(l->node) + l->node->name.size + 1;
}

/* How the search among the children of one location went. */
struct race {
    struct slice uri;
    const struct location *winner, *prefix; /* the longest prefix that fits                  */
    bool regexes_asked;
};

static bool regex_fits(const struct location *l, struct slice uri)
{
    struct slice captures[CAPTURES_MAX];

    return regex_match(l->regex, uri, captures, CAPTURES_MAX) == REGEX_YES;
}

static const char *why_not_regex(const struct race *race, const struct location *l, bool behind)
{
    if (!race->regexes_asked)
        return "an exact or \"^~\" location lets no regular expression be asked";
    if (!regex_fits(l, race->uri))
        return "it does not match";
    return behind ? "it would match, but one before it does" : "one inside the prefix matches";
}

static const char *why_not_prefix(const struct race *race, const struct location *l)
{
    if (!slice_starts(race->uri, l->name))
        return "the path does not begin so";
    if (l != race->prefix)
        return "the path begins so, but a longer prefix fits";
    if (race->winner != NULL && race->winner->kind == LOCATION_EXACT)
        return "the path begins so, but an exact location fits";
    return "the longest prefix, but a regular expression comes before it";
}

static void not_location(const struct request *r, const struct race *race, const struct location *l,
                         bool behind)
{
    const char *why = "only for internal redirects";

    if (l->kind == LOCATION_EXACT)
        why = slice_eq(l->name, race->uri) ? "there is another like it" : "the path is not that";
    else if (l->kind == LOCATION_REGEX)
        why = why_not_regex(race, l, behind);
    else if (l->kind != LOCATION_NAMED)
        why = why_not_prefix(race, l);
    explain_say(r, "", l->node, "not %s: %s", explain_directive(l->node), why);
}

static const char *why_location(const struct race *race)
{
    switch (race->winner->kind) {
    case LOCATION_EXACT:
        return "the path is exactly that";
    case LOCATION_PREFIX_FINAL:
        return "the longest prefix, and no regular expression is asked";
    case LOCATION_PREFIX:
        return "the longest prefix";
    case LOCATION_REGEX:
        return "the first regular expression that matches";
    default:
        return "asked for by its name";
    }
}

static struct race race_among(const struct location *around, const struct location *winner,
                              struct slice uri)
{
    struct race race = { .uri = uri, .winner = winner };

    for (const struct location *l = around->children; l != NULL; l = l->next)
        if ((l->kind == LOCATION_PREFIX || l->kind == LOCATION_PREFIX_FINAL) &&
            slice_starts(uri, l->name) &&
            (race.prefix == NULL || l->name.size > race.prefix->name.size))
            race.prefix = l;
    race.regexes_asked = (winner == NULL || winner->kind != LOCATION_EXACT) &&
                         (race.prefix == NULL || race.prefix->kind != LOCATION_PREFIX_FINAL);
    return race;
}

/* Among the children of `around`; winner may be NULL. */
static void tell_race(const struct explaining *e, const struct request *r,
                      const struct location *around, const struct location *winner)
{
    struct race race = race_among(around, winner, r->uri);
    unsigned losers = 0, most = e->all ? UINT32_MAX : EXPLAIN_LOSERS_MAX;
    bool behind = false;

    if (winner != NULL)
        explain_say(r, "location", winner->node, "%s: %s", pattern_of(winner), why_location(&race));
    if (e->located && !e->all)
        return;
    for (const struct location *l = around->children; l != NULL; l = l->next) {
        if (l != winner && losers++ < most)
            not_location(r, &race, l, behind);
        behind |= l == winner;
    }
    if (losers > most)
        explain_say(r, "", NULL, "and %u locations more: -a names them all", losers - most);
}

static void tell_races(const struct explaining *e, const struct request *r,
                       const struct location *l)
{
    if (l->parent != NULL && l->parent != r->server->root)
        tell_races(e, r, l->parent);
    tell_race(e, r, l->parent != NULL ? l->parent : r->server->root, l);
}

void explain_location(struct explaining *e, struct request *r)
{
    const struct location *l = r->location;

    if (l == NULL) {
        explain_say(r, "location", r->server->node, "none: the server's own settings hold");
        tell_race(e, r, r->server->root, NULL);
    } else if (l->kind == LOCATION_NAMED) {
        explain_say(r, "location", l->node, "%.*s: asked for by its name", SLICE_FMT(l->name));
    } else {
        tell_races(e, r, l);
        if (l->children != NULL)
            tell_race(e, r, l, NULL);
    }
    e->located = true;
}
