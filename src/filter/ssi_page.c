/* ssi_page.c - the variables of server side includes, texts made of them, and conditions. */
#include "filter/ssi_page.h"

#include "conf/expr.h"

enum { NAME_MAX_SIZE = 256 };

struct ssi_page *ssi_page(struct request *r, const struct conf_load *load)
{
    struct request *main = request_main(r);
    struct ssi_page *page = main->slots[SLOT_SSI];

    if (page != NULL)
        return page;
    page = arena_zalloc(&main->arena, sizeof *page);
    if (page == NULL)
        return NULL;
    page->load = load;
    page->date_format = SLICE("%A, %d-%b-%Y %H:%M:%S %Z");
    page->error_text = SLICE("[an error occurred while processing the directive]");
    main->slots[SLOT_SSI] = page;
    return page;
}

/* ---- names and values ------------------------------------------------------------------ */

const struct ssi_name *ssi_find(const struct ssi_name *list, struct slice name)
{
    for (; list != NULL; list = list->next)
        if (slice_eq(list->name, name))
            return list;
    return NULL;
}

bool ssi_put(struct request *r, struct ssi_name **list, struct slice name, struct slice text)
{
    struct arena *arena = &request_main(r)->arena;
    struct ssi_name *n = (struct ssi_name *)(uintptr_t)ssi_find(*list, name);
    struct slice copy = arena_copy(arena, text);

    if (copy.at == NULL)
        return false;
    if (n == NULL) {
        n = arena_alloc(arena, sizeof *n);
        if (n == NULL)
            return false;
        n->name = arena_copy(arena, name);
        if (n->name.at == NULL)
            return false;
        n->next = *list;
        *list = n;
    }
    n->text = copy;
    return true;
}

bool ssi_get(struct request *r, const struct ssi_page *page, struct slice name, struct gather *g)
{
    const struct ssi_name *own = ssi_find(page->variables, name);
    struct variable_use use;

    if (own != NULL) {
        gather_slice(g, own->text);
        return true;
    }
    if (name.size == 1 && name.at[0] >= '0' && name.at[0] <= '9') {
        gather_slice(g, page->captures[name.at[0] - '0']);
        return page->captures[name.at[0] - '0'].at != NULL;
    }
    return conf_use_variable(page->load, name, &use) && use.row->get(r, &use, g);
}

/* ---- texts ----------------------------------------------------------------------------- */

static bool is_name_byte(char c)
{
    unsigned char l = byte_lower((unsigned char)c);

    return (l >= 'a' && l <= 'z') || (l >= '0' && l <= '9') || l == '_';
}

/* Takes "name" or "{name}" behind a `$`; in lower case into `room`. */
static bool take_name(struct slice *left, char *room, struct slice *ret)
{
    bool braces = left->size > 0 && left->at[0] == '{';
    size_t n = 0;

    *left = slice_skip(*left, braces);
    for (; n < left->size && n < NAME_MAX_SIZE && is_name_byte(left->at[n]); n++)
        room[n] = (char)byte_lower((unsigned char)left->at[n]);
    *left = slice_skip(*left, n);
    *ret = slice_of(room, n);
    if (braces) {
        if (left->size == 0 || left->at[0] != '}')
            return false;
        *left = slice_skip(*left, 1);
    }
    return n > 0;
}

bool ssi_evaluate(struct request *r, const struct ssi_page *page, struct slice text, size_t most,
                  struct arena *arena, struct slice *ret)
{
    char room[NAME_MAX_SIZE];
    struct gather g;

    gather_init(&g, NULL, 0, arena, most);
    while (text.size > 0) {
        char c = text.at[0];
        struct slice name;

        text = slice_skip(text, 1);
        if (c == '\\' && text.size > 0 && (text.at[0] == '$' || text.at[0] == '\\')) {
            c = text.at[0];
            text = slice_skip(text, 1);
        } else if (c == '$') {
            if (!take_name(&text, room, &name))
                return false;
            (void)ssi_get(r, page, name, &g);
            continue;
        }
        gather_byte(&g, c);
    }
    *ret = g.used > 0 ? gather_get(&g) : SLICE("");
    return !g.full;
}

/* ---- conditions -------------------------------------------------------------------------- */

static struct slice trimmed(struct slice s)
{
    while (s.size > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = slice_skip(s, 1);
    while (s.size > 0 && (s.at[s.size - 1] == ' ' || s.at[s.size - 1] == '\t'))
        s.size--;
    return s;
}

struct named {
    struct request *r;
    struct ssi_page *page;
    bool failed;
};

static void keep_named(void *arg, struct slice name, struct slice value)
{
    struct named *n = arg;
    char lower[NAME_MAX_SIZE];

    if (name.size > sizeof lower)
        return;
    for (size_t i = 0; i < name.size; i++)
        lower[i] = (char)byte_lower((unsigned char)name.at[i]);
    n->failed |= !ssi_put(n->r, &n->page->variables, slice_of(lower, name.size), value);
}

/* What was matched lives in the arena of whoever asked last; it must last for the page. */
static bool match(struct request *r, struct ssi_page *page, struct slice pattern,
                  struct slice value, bool *ret)
{
    struct named names = { r, page, false };
    struct slice captures[CAPTURES_MAX] = { 0 }, copy = arena_copy(&request_main(r)->arena, value);
    enum regex_verdict v;

    if (copy.at == NULL ||
        !regex_match_once(pattern, copy, captures, CAPTURES_MAX, &v, keep_named, &names))
        return false;
    if (v == REGEX_YES)
        memcpy(page->captures, captures, sizeof page->captures);
    *ret = v == REGEX_YES;
    return v != REGEX_LIMIT && !names.failed;
}

bool ssi_test(struct request *r, struct ssi_page *page, struct slice expression, bool *ret)
{
    struct slice left = trimmed(expression), name, value, text;
    char room[NAME_MAX_SIZE];
    struct gather g;
    bool negated;

    if (left.size == 0 || left.at[0] != '$')
        return false;
    left = slice_skip(left, 1);
    if (!take_name(&left, room, &name))
        return false;
    gather_init(&g, NULL, 0, &r->arena, SSI_VALUE_MAX);
    (void)ssi_get(r, page, name, &g);
    value = g.used > 0 ? gather_get(&g) : SLICE("");
    left = trimmed(left);
    if (left.size == 0) {
        *ret = value.size > 0;
        return true;
    }
    negated = left.at[0] == '!';
    left = slice_skip(left, negated);
    if (left.size == 0 || left.at[0] != '=')
        return false;
    left = trimmed(slice_skip(left, 1));
    if (left.size >= 2 && left.at[0] == '/' && left.at[left.size - 1] == '/') {
        if (!match(r, page, slice_of(left.at + 1, left.size - 2), value, ret))
            return false;
    } else if (!ssi_evaluate(r, page, left, SSI_VALUE_MAX, &r->arena, &text)) {
        return false;
    } else {
        *ret = slice_eq(value, text);
    }
    *ret ^= negated;
    return true;
}
