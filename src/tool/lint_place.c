/* lint_place.c - rules about locations: which of them are reached, and what files they mean. */
#include "tool/lint_private.h"

/* ---- alias ------------------------------------------------------------------------------- */

void look_alias_slash(struct lint *l, const struct spot *s)
{
    const struct spot *place = s->outer;
    struct slice alias = conf_arg(s->node, 0);

    if (place == NULL || !node_is(place->node, "location") || alias.size == 0)
        return;
    struct place_words words = place_read(place->node);
    bool here = slice_ends(alias, SLICE("/")), there = slice_ends(words.text, SLICE("/"));

    if ((words.kind != PLACE_PREFIX && words.kind != PLACE_FINAL) || here == there)
        return;
    if (here)
        lint_tell(l, s->node, 0,
                  lint_printf(l, "location %.*s/ { alias %.*s; }", SLICE_FMT(words.text),
                              SLICE_FMT(alias)),
                  "the location `%.*s` has no slash at its end but its alias has: %.*s../ is the "
                  "folder above \"%.*s\"",
                  SLICE_FMT(words.text), SLICE_FMT(words.text), SLICE_FMT(alias));
    else
        lint_tell(l, s->node, 0, lint_printf(l, "alias %.*s/;", SLICE_FMT(alias)),
                  "the location `%.*s` ends with a slash but its alias does not: %.*sx is "
                  "\"%.*sx\"",
                  SLICE_FMT(words.text), SLICE_FMT(words.text), SLICE_FMT(alias));
}

/* ---- locations that are not reached ------------------------------------------------------- */

static bool matches_all(struct slice regex)
{
    static const char *const all[] = { "",       "^",    "/",       "^/",    ".",    ".*",
                                       "^.*",    "^.*$", ".*$",     "/.*",   "^/.*", "^/.*$",
                                       "^(.*)$", "(.*)", "^/(.*)$", "^/(.*)" };

    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (slice_eq(regex, slice_str(all[i])))
            return true;
    return false;
}

/* The literal text that everything begins with which the regular expression matches; empty if
 * that is not clear. */
static struct slice literal_head(struct slice regex)
{
    size_t i = 1;

    if (!slice_starts(regex, SLICE("^")) || slice_find(regex, '|') < regex.size)
        return (struct slice){ 0 };
    while (i < regex.size && strchr("\\.[](){}*+?$^", regex.at[i]) == NULL)
        i++;
    if (i < regex.size && i > 1 && strchr("*?{", regex.at[i]) != NULL)
        i--;
    return slice_head(slice_skip(regex, 1), i - 1);
}

/* Does a longer prefix send some of the requests below `head` on to regular expressions? */
static bool has_way_around(const struct conf_node *n, struct slice head)
{
    for (; n != NULL; n = n->next) {
        struct place_words words = place_read(n);

        if (node_is(n, "location") && words.kind == PLACE_PREFIX &&
            slice_starts(words.text, head) && words.text.size > head.size)
            return true;
    }
    return false;
}

/* The ^~ location that keeps every request from the regular expression, or NULL. */
static const struct conf_node *find_final(const struct conf_node *siblings,
                                          const struct place_words *regex)
{
    struct slice head = literal_head(regex->text);

    for (const struct conf_node *n = siblings; n != NULL; n = n->next) {
        struct place_words words = place_read(n);
        bool all = slice_eq(words.text, SLICE("/"));

        if (!node_is(n, "location") || words.kind != PLACE_FINAL)
            continue;
        if ((all || (!regex->nocase && head.size > 0 && slice_starts(head, words.text))) &&
            !has_way_around(siblings, words.text))
            return n;
    }
    return NULL;
}

/* The regular expression that answers before: an equal one, or one that matches all. */
static const struct conf_node *find_regex(const struct conf_node *siblings,
                                          const struct conf_node *node,
                                          const struct place_words *words)
{
    bool before = true;

    for (const struct conf_node *n = siblings; n != NULL; n = n->next) {
        struct place_words other = place_read(n);

        before &= n != node;
        if (n == node || !node_is(n, "location") || other.kind != PLACE_REGEX)
            continue;
        if (matches_all(other.text) && (words->kind == PLACE_PREFIX || before))
            return n;
        if (before && words->kind == PLACE_REGEX && slice_eq(words->text, other.text) &&
            (other.nocase || !words->nocase))
            return n;
    }
    return NULL;
}

/* A rewrite before the return may have gone to the locations already. */
static bool goes_on(const struct conf_node *n)
{
    if (node_among(n, "rewrite break"))
        return true;
    for (const struct conf_node *c = node_is(n, "if") ? n->children : NULL; c != NULL; c = c->next)
        if (goes_on(c))
            return true;
    return false;
}

static const struct conf_node *find_return(const struct conf_node *n)
{
    for (; n != NULL; n = n->next) {
        if (node_is(n, "return"))
            return n;
        if (goes_on(n))
            return NULL;
    }
    return NULL;
}

static bool of_server_return(struct lint *l, const struct spot *s, const struct place_words *words)
{
    const struct conf_node *answer;

    if (s->outer == NULL || !node_is(s->outer->node, "server"))
        return false;
    answer = find_return(s->outer->node->children);
    if (answer == NULL || words->kind == PLACE_NAMED)
        return false;
    lint_tell(l, s->node, CONF_AT_NAME,
              lint_printf(l, "put it into a location: location / { return %.*s …; }",
                          SLICE_FMT(conf_arg(answer, 0))),
              "this location is never reached: the server's `return` at %s:%u answers before",
              answer->file->path, answer->line);
    return true;
}

void look_dead_location(struct lint *l, const struct spot *s)
{
    struct place_words words = place_read(s->node);
    const struct conf_node *siblings = spot_siblings(l, s), *other = NULL;
    bool nested = node_find(s->node->children, "location") != NULL;

    if (of_server_return(l, s, &words))
        return;
    if (words.kind == PLACE_REGEX || (words.kind == PLACE_PREFIX && !nested))
        other = find_regex(siblings, s->node, &words);
    if (other == NULL && words.kind == PLACE_REGEX)
        other = find_final(siblings, &words);
    if (other == NULL)
        return;
    struct place_words first = place_read(other);

    lint_tell(l, s->node, words.arg,
              words.kind == PLACE_PREFIX
                  ? lint_printf(l, "location ^~ %.*s { … }, or the other without `~`",
                                SLICE_FMT(words.text))
                  : "remove one of the two, or make the other one narrower",
              "this location is never reached: `%.*s` at %s:%u catches all its requests",
              SLICE_FMT(first.text), other->file->path, other->line);
}

void look_dead_rewrite(struct lint *l, const struct spot *s)
{
    const struct conf_node *n = spot_siblings(l, s);

    if (s->outer == NULL || !node_among(s->outer->node, "server location if"))
        return;
    while (n != s->node && !node_is(n, "return"))
        n = n->next;
    if (n != s->node)
        lint_tell(l, s->node, CONF_AT_NAME, "remove it, or put it before the `return`",
                  "this is never run: the `return` at line %u ends the block", n->line);
}

/* ---- files ------------------------------------------------------------------------------- */

/* Does the regular expression name one script, like ^/index\.php? */
static bool names_one(struct slice regex, size_t suffix)
{
    if (!slice_starts(regex, SLICE("^")))
        return false;
    for (size_t i = 0; i < suffix; i++)
        if (strchr("*+[.{", regex.at[i]) != NULL)
            return false;
    return true;
}

static bool asks_for_file(const struct conf_node *n)
{
    for (; n != NULL; n = n->next)
        if (node_among(n, "try_files internal") ||
            (node_is(n, "if") && n->arg_count > 0 &&
             slice_search(n->args[0].text, SLICE("-f")) < n->args[0].text.size))
            return true;
    return false;
}

void look_php_any(struct lint *l, const struct spot *s)
{
    struct place_words words = place_read(s->node);
    size_t suffix = slice_search(words.text, SLICE(".php"));
    const struct conf_node *pass = node_find(s->node->children, "fastcgi_pass");

    if (words.kind != PLACE_REGEX || suffix == words.text.size || pass == NULL ||
        names_one(words.text, suffix > 0 ? suffix - 1 : 0) || asks_for_file(s->node->children))
        return;
    lint_tell(
        l, pass, CONF_AT_NAME, "before it: try_files $uri =404;",
        "any path that matches `%.*s` is passed on, also /picture.jpg/x.php: PHP may then run "
        "the picture",
        SLICE_FMT(words.text));
}

void look_autoindex(struct lint *l, const struct spot *s)
{
    const struct conf_node *block = s->outer != NULL ? s->outer->node : NULL;

    if (!arg_is(s->node, 0, "on") || block == NULL)
        return;
    if (node_is(block, "location")) {
        struct place_words words = place_read(block);

        if (words.kind == PLACE_EXACT || !slice_eq(words.text, SLICE("/")))
            return;
    }
    lint_tell(l, s->node, 0, "location /files/ { autoindex on; }",
              "every folder of the site without an index file is listed");
}

void look_root_system(struct lint *l, const struct spot *s)
{
    static const char *const folders[] = { "",      "/etc", "/root", "/home", "/var", "/usr",
                                           "/proc", "/sys", "/dev",  "/boot", "/opt", "/run" };
    struct slice path = conf_arg(s->node, 0);

    if (path.size == 0)
        return;
    while (path.size > 0 && path.at[path.size - 1] == '/')
        path.size--;
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        if (slice_eq(path, slice_str(folders[i])))
            lint_tell(l, s->node, 0, "a folder for this site alone: root /srv/www;",
                      "\"%.*s\" holds the system's files, passwords and keys among them",
                      SLICE_FMT(conf_arg(s->node, 0)));
}

/* Does the location say itself where its answers come from? */
static bool has_answer(const struct conf_node *place)
{
    for (const struct conf_node *n = place->children; n != NULL; n = n->next)
        if (slice_ends(n->name, SLICE("_pass")) ||
            node_among(n, "root alias return rewrite empty_gif stub_status internal deny") ||
            slice_search(n->name, SLICE("_by_lua")) < n->name.size)
            return true;
    return false;
}

/* The first location that leaves it to a root around it. */
static const struct conf_node *find_rootless(const struct conf_node *n)
{
    for (; n != NULL; n = n->next)
        if (node_is(n, "location") && !has_answer(n))
            return n;
    return NULL;
}

static const struct conf_node *find_with_root(const struct conf_node *n)
{
    for (; n != NULL; n = n->next)
        if (node_is(n, "location") && node_find(n->children, "root") != NULL)
            return n;
    return NULL;
}

void look_root_location(struct lint *l, const struct spot *s)
{
    const struct conf_node *without, *with;

    if (!s->node->block || node_find(s->node->children, "root") != NULL ||
        spot_inherited(l, s, "root") != NULL)
        return;
    without = find_rootless(s->node->children);
    with = find_with_root(s->node->children);
    if (without == NULL)
        return;
    if (with != NULL)
        lint_tell(l, without, CONF_AT_NAME, "say `root` once, in the server",
                  "`root` is said at %s:%u for another location only; this one serves the built-in "
                  "folder",
                  with->file->path, with->line);
    else
        lint_tell(l, without, CONF_AT_NAME, "in the server: root /srv/www;",
                  "no `root` says which files are meant here: it is the built-in folder");
}
