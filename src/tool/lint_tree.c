/* lint_tree.c - questions that rules ask of directives and the blocks around them. */
#include "tool/lint_private.h"

bool node_is(const struct conf_node *n, const char *name)
{
    return slice_eq(n->name, slice_str(name));
}

bool node_among(const struct conf_node *n, const char *words)
{
    struct slice rest = slice_str(words);

    while (rest.size > 0)
        if (slice_eq(slice_cut(&rest, ' '), n->name))
            return true;
    return false;
}

bool arg_is(const struct conf_node *n, unsigned i, const char *text)
{
    return i < n->arg_count && slice_eq(n->args[i].text, slice_str(text));
}

bool arg_any(const struct conf_node *n, const char *text)
{
    for (unsigned i = 0; i < n->arg_count; i++)
        if (arg_is(n, i, text))
            return true;
    return false;
}

const struct conf_node *node_find(const struct conf_node *n, const char *name)
{
    while (n != NULL && !node_is(n, name))
        n = n->next;
    return n;
}

const struct conf_node *spot_siblings(const struct lint *l, const struct spot *s)
{
    return s->outer != NULL ? s->outer->node->children : l->root;
}

const struct conf_node *spot_inherited(const struct lint *l, const struct spot *s, const char *name)
{
    for (; s != NULL; s = s->outer) {
        const struct conf_node *n = node_find(spot_siblings(l, s), name);

        if (n != NULL)
            return n;
    }
    return NULL;
}

const struct spot *spot_around(const struct spot *s, const char *name)
{
    for (s = s->outer; s != NULL && !node_is(s->node, name);)
        s = s->outer;
    return s;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

size_t find_variable(struct slice text, struct slice name)
{
    for (size_t i = 0; i < text.size; i++) {
        struct slice rest = slice_skip(text, i + 1);

        if (text.at[i] != '$')
            continue;
        bool braces = slice_starts(rest, SLICE("{"));

        rest = slice_skip(rest, braces);
        if (!slice_starts(rest, name))
            continue;
        rest = slice_skip(rest, name.size);
        /* $1 is followed by any digit: there is no $10 */
        bool digit = name.size == 1 && name.at[0] >= '0' && name.at[0] <= '9';

        if (braces ? slice_starts(rest, SLICE("}"))
                   : rest.size == 0 || digit || !is_name_byte(rest.at[0]))
            return i;
    }
    return text.size;
}

/* ---- locations --------------------------------------------------------------------------- */

static const struct {
    const char *mark;
    enum place_kind kind;
    bool nocase;
} place_marks[] = {
    { "~*", PLACE_REGEX, true }, { "~", PLACE_REGEX, false }, { "^~", PLACE_FINAL, false },
    { "=", PLACE_EXACT, false }, { "@", PLACE_NAMED, false }, { "", PLACE_PREFIX, false },
};

struct place_words place_read(const struct conf_node *n)
{
    struct slice first = conf_arg(n, 0);
    struct place_words ret = { .kind = PLACE_NAMED, .arg = n->arg_count > 0 ? 0 : CONF_AT_NAME };

    for (size_t i = 0; i < COUNT_OF(place_marks); i++) {
        struct slice mark = slice_str(place_marks[i].mark);

        if (!slice_starts(first, mark))
            continue;
        ret.kind = place_marks[i].kind;
        ret.nocase = place_marks[i].nocase;
        ret.text = slice_skip(first, mark.size);
        break;
    }
    if (n->arg_count > 1) {
        ret.arg = 1;
        ret.text = conf_arg(n, 1);
    }
    return ret;
}

/* ---- regular expressions ------------------------------------------------------------------ */

/* Cuts "~" or "~*" off; false: there is none. */
static bool cut_mark(struct node_regex *r)
{
    if (!slice_starts(r->pattern, SLICE("~")))
        return false;
    r->nocase = slice_starts(r->pattern, SLICE("~*"));
    r->pattern = slice_skip(r->pattern, r->nocase ? 2 : 1);
    return true;
}

static bool of_location(const struct conf_node *n, unsigned i, struct node_regex *ret)
{
    struct place_words words = place_read(n);

    *ret = (struct node_regex){ words.arg, words.text, words.nocase };
    return i == 0 && words.kind == PLACE_REGEX;
}

static bool of_rewrite(const struct conf_node *n, unsigned i, struct node_regex *ret)
{
    *ret = (struct node_regex){ 0, conf_arg(n, 0), false };
    return i == 0 && n->arg_count > 0;
}

/* if ($variable ~ regex): the parenthesis is no part of it. */
static bool of_if(const struct conf_node *n, unsigned i, struct node_regex *ret)
{
    struct slice mark = conf_arg(n, 1), s = conf_arg(n, 2);

    mark = slice_skip(mark, slice_starts(mark, SLICE("!")));
    if (i > 0 || n->arg_count < 3 || !slice_starts(mark, SLICE("~")))
        return false;
    if (n->arg_count == 3 && !n->args[2].quoted && slice_ends(s, SLICE(")")))
        s.size--;
    *ret = (struct node_regex){ 2, s, mark.size > 1 };
    return true;
}

static bool of_arguments(const struct conf_node *n, unsigned i, struct node_regex *ret)
{
    for (unsigned k = 0; k < n->arg_count; k++) {
        *ret = (struct node_regex){ (int)k, n->args[k].text, false };
        if (cut_mark(ret) && i-- == 0)
            return true;
    }
    return false;
}

static const struct {
    const char *name;
    bool (*find)(const struct conf_node *, unsigned i, struct node_regex *ret);
} regex_places[] = {
    { "location", of_location },     { "rewrite", of_rewrite },          { "if", of_if },
    { "server_name", of_arguments }, { "valid_referers", of_arguments },
};

bool node_regex(const struct spot *s, unsigned i, struct node_regex *ret)
{
    for (size_t k = 0; k < COUNT_OF(regex_places); k++)
        if (node_is(s->node, regex_places[k].name))
            return regex_places[k].find(s->node, i, ret);
    *ret = (struct node_regex){ CONF_AT_NAME, s->node->name, false };
    return i == 0 && s->outer != NULL && node_is(s->outer->node, "map") && cut_mark(ret);
}
