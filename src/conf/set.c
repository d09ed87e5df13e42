/* set.c - typed rows: what a directive's argument means, and what to say when it means nothing. */
#include "conf/load_private.h"
#include "conf/suggest.h"

typedef bool set_fn(struct conf_load *, const struct conf_node *, void *at,
                    const struct directive *);

enum { WORDS_SIZE = 512 };

/* ---- complaints ---------------------------------------------------------------------- */

/* "a, b or c" */
static void list_words(const struct conf_word *words, char *into, size_t size)
{
    struct gather g;
    gather_init(&g, into, size - 1, NULL, 0);
    for (const struct conf_word *w = words; w->word != NULL; w++) {
        if (w != words)
            gather_str(&g, w[1].word != NULL ? ", " : " or ");
        gather_str(&g, w->word);
    }
    into[g.used] = '\0';
}

static bool refuse_word(struct conf_load *load, const struct conf_node *node,
                        const struct conf_word *words)
{
    char list[WORDS_SIZE];
    struct suggestion s;
    struct slice said = conf_arg(node, 0);
    list_words(words, list, sizeof list);
    conf_complain(load, CONF_EMERG, node, 0, "`%.*s` cannot be \"%.*s\"", SLICE_FMT(node->name),
                  SLICE_FMT(said));
    conf_hint(load, "expected: %s", list);
    suggest_init(&s, said);
    for (const struct conf_word *w = words; w->word != NULL; w++)
        suggest_consider(&s, w->word);
    if (s.best != NULL)
        conf_hint(load, "help: did you mean \"%s\"?", s.best);
    return false;
}

/* How numbers of a row are shown. */
typedef void print_fn(struct gather *, int64_t);

static void print_size(struct gather *g, int64_t n)
{
    static const char units[] = { 'k', 'm', 'g' };
    size_t unit = 0;
    while (n > 0 && n % 1024 == 0 && unit < COUNT_OF(units)) {
        n /= 1024;
        unit++;
    }
    gather_i64(g, n);
    if (unit > 0)
        gather_byte(g, units[unit - 1]);
}

/* In the largest unit that divides it. */
static void print_msec(struct gather *g, int64_t n)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };
    size_t i = 0;
    while (n % units[i].ms != 0)
        i++;
    gather_i64(g, n / units[i].ms);
    if (n != 0)
        gather_str(g, units[i].unit);
}

static void print_sec(struct gather *g, int64_t n)
{
    print_msec(g, n < INT64_MAX / 1000 ? n * 1000 : INT64_MAX);
}

/* "1k to 64k", "1 or more"; nothing without bounds. */
static void print_range(struct gather *g, const struct directive *row, print_fn *print)
{
    if (row->max == 0 && row->min == 0)
        return;
    print(g, row->min);
    if (row->max == 0 || row->max == INT64_MAX) {
        gather_lit(g, " or more");
        return;
    }
    gather_lit(g, " to ");
    print(g, row->max);
}

static bool refuse_number(struct conf_load *load, const struct conf_node *node,
                          const struct directive *row, const char *what, print_fn *print)
{
    char text[WORDS_SIZE];
    struct gather g;
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not %s", SLICE_FMT(conf_arg(node, 0)),
                  what);
    gather_init(&g, text, sizeof text, NULL, 0);
    gather_str(&g, what);
    if (row->min != 0 || row->max != 0)
        gather_lit(&g, ", ");
    print_range(&g, row, print);
    conf_hint(load, "expected: %.*s", SLICE_FMT(gather_get(&g)));
    return false;
}

static bool within(struct conf_load *load, const struct conf_node *node,
                   const struct directive *row, int64_t n, print_fn *print)
{
    char text[WORDS_SIZE];
    struct gather g;
    bool low = n < row->min, high = row->max != 0 && n > row->max;
    if (!low && !high)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is too %s for `%.*s`",
                  SLICE_FMT(conf_arg(node, 0)), low ? "small" : "large", SLICE_FMT(node->name));
    gather_init(&g, text, sizeof text, NULL, 0);
    print_range(&g, row, print);
    conf_hint(load, "expected: %.*s", SLICE_FMT(gather_get(&g)));
    return false;
}

/* ---- one function a type ------------------------------------------------------------- */

static bool find_word(struct slice said, const struct conf_word *words, int *ret)
{
    for (const struct conf_word *w = words; w->word != NULL; w++) {
        if (!slice_eq_nocase(said, slice_str(w->word)))
            continue;
        *ret = w->value;
        return true;
    }
    return false;
}

static bool set_flag(struct conf_load *load, const struct conf_node *node, void *at,
                     const struct directive *row)
{
    static const struct conf_word words[] = { { "on", 1 }, { "off", 0 }, { NULL, 0 } };
    int value;
    (void)row;
    if (!find_word(conf_arg(node, 0), words, &value))
        return refuse_word(load, node, words);
    *(bool *)at = value != 0;
    return true;
}

static bool set_enum(struct conf_load *load, const struct conf_node *node, void *at,
                     const struct directive *row)
{
    if (!find_word(conf_arg(node, 0), row->words, at))
        return refuse_word(load, node, row->words);
    return true;
}

static bool parse_number(struct slice s, bool negative_too, int64_t *ret)
{
    uint64_t n;
    bool negative = negative_too && s.size > 0 && s.at[0] == '-';
    if (!slice_to_u64(negative ? slice_skip(s, 1) : s, INT64_MAX, &n))
        return false;
    *ret = negative ? -(int64_t)n : (int64_t)n;
    return true;
}

static bool set_number(struct conf_load *load, const struct conf_node *node, void *at,
                       const struct directive *row)
{
    int64_t n;
    if (!parse_number(conf_arg(node, 0), row->min < 0, &n))
        return refuse_number(load, node, row, "a number", gather_i64);
    *(int64_t *)at = n;
    return within(load, node, row, n, gather_i64);
}

static bool set_size(struct conf_load *load, const struct conf_node *node, void *at,
                     const struct directive *row)
{
    if (!conf_parse_size(conf_arg(node, 0), at))
        return refuse_number(load, node, row, "a size like 512, 8k or 1m", print_size);
    return within(load, node, row, *(int64_t *)at, print_size);
}

static bool set_msec(struct conf_load *load, const struct conf_node *node, void *at,
                     const struct directive *row)
{
    if (!conf_parse_msec(conf_arg(node, 0), at))
        return refuse_number(load, node, row, "a time like 500ms, 30s or 1h30m", print_msec);
    return within(load, node, row, *(int64_t *)at, print_msec);
}

static bool set_sec(struct conf_load *load, const struct conf_node *node, void *at,
                    const struct directive *row)
{
    if (!conf_parse_sec(conf_arg(node, 0), at))
        return refuse_number(load, node, row, "a time in seconds like 30s, 1h30m or 7d", print_sec);
    return within(load, node, row, *(int64_t *)at, print_sec);
}

static bool set_string(struct conf_load *load, const struct conf_node *node, void *at,
                       const struct directive *row)
{
    (void)load;
    (void)row;
    *(struct slice *)at = conf_arg(node, 0);
    return true;
}

static bool set_expr(struct conf_load *load, const struct conf_node *node, void *at,
                     const struct directive *row)
{
    (void)row;
    *(struct expr **)at = expr_compile(load, node, 0);
    return *(struct expr **)at != NULL;
}

static bool set_below(struct conf_load *load, const struct conf_node *node, void *at,
                      const char *dir)
{
    struct slice said = conf_arg(node, 0);
    if (said.size == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "the path is empty");
        return false;
    }
    *(struct slice *)at =
        arena_printf(load->arena, "%s%.*s", said.at[0] == '/' ? "" : dir, SLICE_FMT(said));
    return ((struct slice *)at)->at != NULL;
}

static bool set_path(struct conf_load *load, const struct conf_node *node, void *at,
                     const struct directive *row)
{
    (void)row;
    return set_below(load, node, at, load->prefix);
}

static bool set_file(struct conf_load *load, const struct conf_node *node, void *at,
                     const struct directive *row)
{
    (void)row;
    return set_below(load, node, at, load->dir);
}

static set_fn *const setters[] = {
    [CONF_FLAG] = set_flag,     [CONF_NUMBER] = set_number, [CONF_SIZE] = set_size,
    [CONF_MSEC] = set_msec,     [CONF_SEC] = set_sec,       [CONF_ENUM] = set_enum,
    [CONF_STRING] = set_string, [CONF_EXPR] = set_expr,     [CONF_PATH] = set_path,
    [CONF_FILE] = set_file,
};

bool set_value(struct conf_load *load, const struct conf_node *node, void *conf,
               const struct directive *row)
{
    unsigned before = load->said;
    bool ok = row->type == CONF_CUSTOM || row->type == CONF_BLOCK
                  ? row->set(load, node, conf, row)
                  : setters[row->type](load, node, (char *)conf + row->offset, row);
    if (!ok && load->said == before)
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "`%.*s` cannot be used here",
                      SLICE_FMT(node->name));
    return ok;
}

bool conf_set_ignored(struct conf_load *load, const struct conf_node *node, void *conf,
                      const struct directive *row)
{
    (void)conf;
    conf_complain(load, CONF_NOTICE, node, CONF_AT_NAME,
                  "`%.*s` is ignored: it has no meaning "
                  "here",
                  SLICE_FMT(node->name));
    if (row->help != NULL)
        conf_hint(load, "note: %s", row->help);
    return true;
}

/* ---- arguments, for set() functions -------------------------------------------------- */

struct slice conf_arg(const struct conf_node *node, unsigned i)
{
    return i < node->arg_count ? node->args[i].text : SLICE("");
}

struct slice conf_option(const struct conf_node *node, unsigned first, const char *name,
                         unsigned *ret_index)
{
    struct slice wanted = slice_str(name);
    for (unsigned i = first; i < node->arg_count; i++) {
        struct slice text = node->args[i].text;
        if (!slice_starts(text, wanted) || text.size == wanted.size || text.at[wanted.size] != '=')
            continue;
        if (ret_index != NULL)
            *ret_index = i;
        return slice_skip(text, wanted.size + 1);
    }
    return (struct slice){ 0 };
}
