/* health_match.c - match { … }: what an answer must be like for its peer to be well. */
#include "conf/expr.h"
#include "conf/regex.h"
#include "upstream/health.h"
#include "upstream/relay.h"

enum condition_kind { MATCH_STATUS, MATCH_HEADER, MATCH_BODY, MATCH_REQUIRE };
enum header_test { HEADER_IS_THERE, HEADER_EQUALS, HEADER_MATCHES };

struct status_range {
    unsigned first, last;
    struct status_range *next;
};

struct condition {
    enum condition_kind kind;
    bool not ;
    struct status_range *statuses;
    enum header_test test;
    struct slice name, value;
    struct regex *regex;
    struct expr *expr;
    struct condition *next;
};

struct match {
    struct slice name;
    const struct conf_node *node;
    struct condition *all, **end;
    struct match *next;
};

const struct match *health_match_find(const struct scope *http, struct slice name)
{
    const struct match *m =
        ((const struct health_conf *)scope_conf(http, &feature_health))->matches;

    while (m != NULL && !slice_eq(m->name, name))
        m = m->next;
    return m;
}

/* ---- judging ------------------------------------------------------------------------------- */

bool health_match_reads(const struct match *m)
{
    const struct condition *c = m != NULL ? m->all : NULL;

    while (c != NULL && c->kind != MATCH_BODY)
        c = c->next;
    return c != NULL;
}

static bool status_fits(const struct condition *c, unsigned status)
{
    const struct status_range *s = c->statuses;

    while (s != NULL && (status < s->first || status > s->last))
        s = s->next;
    return s != NULL;
}

static bool one_field_fits(const struct condition *c, struct slice value)
{
    struct slice captures[CAPTURES_MAX];

    switch (c->test) {
    case HEADER_IS_THERE:
        return true;
    case HEADER_EQUALS:
        return slice_eq(value, c->value);
    case HEADER_MATCHES:
        return regex_match(c->regex, value, captures, CAPTURES_MAX) == REGEX_YES;
    }
    return false;
}

/* The fields as the peer sent them. */
static bool header_fits(const struct condition *c, const struct request *r)
{
    const struct relay *y = r->slots[SLOT_LAST_RELAY];

    for (uint32_t i = 0; y != NULL && i < y->field_count; i++)
        if (slice_eq_nocase(y->fields[i].name, c->name) && one_field_fits(c, y->fields[i].value))
            return true;
    return false;
}

static bool body_fits(const struct condition *c, struct slice body)
{
    struct slice captures[CAPTURES_MAX];

    return regex_match(c->regex, body, captures, CAPTURES_MAX) == REGEX_YES;
}

static bool required(const struct condition *c, struct request *r)
{
    struct slice value;

    return expr_eval(c->expr, r, &r->arena, EXPR_MAX, &value) && value.size > 0 &&
           !slice_eq(value, SLICE("0"));
}

static bool holds(const struct condition *c, struct request *r, struct slice body)
{
    switch (c->kind) {
    case MATCH_STATUS:
        return status_fits(c, r->response.status) != c->not ;
    case MATCH_HEADER:
        return header_fits(c, r) != c->not ;
    case MATCH_BODY:
        return body_fits(c, body) != c->not ;
    case MATCH_REQUIRE:
        return required(c, r);
    }
    return false;
}

const char *health_match_judge(const struct match *m, struct request *r, struct slice body)
{
    static const char *const words[] = { [MATCH_STATUS] = "status code",
                                         [MATCH_HEADER] = "header",
                                         [MATCH_BODY] = "body",
                                         [MATCH_REQUIRE] = "require" };

    if (m == NULL)
        return r->response.status >= 200 && r->response.status < 400 ? NULL : words[MATCH_STATUS];
    for (const struct condition *c = m->all; c != NULL; c = c->next)
        if (!holds(c, r, body))
            return words[c->kind];
    return NULL;
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool refuse(struct conf_load *load, const struct conf_node *node, unsigned arg,
                   const char *expected)
{
    conf_complain(load, CONF_EMERG, node, arg < node->arg_count ? (int)arg : CONF_AT_NAME,
                  "this condition is not understood");
    conf_hint(load, "expected: %s", expected);
    return false;
}

/* Is argument 0 a "!"? Then conditions are about what must not be. */
static unsigned take_not(const struct conf_node *node, struct condition *c)
{
    c->not |= slice_eq(conf_arg(node, 0), SLICE("!"));
    return c->not ;
}

static bool read_statuses(struct conf_load *load, const struct conf_node *node, struct condition *c)
{
    for (unsigned i = take_not(node, c); i < node->arg_count; i++) {
        struct status_range *s = arena_must(conf_arena(load), sizeof *s);
        struct slice text = conf_arg(node, i), first = slice_cut(&text, '-');
        uint64_t low, high;

        if (!slice_to_u64(first, 599, &low) ||
            !slice_to_u64(text.size > 0 ? text : first, 599, &high) || low < 100 || high < low)
            return refuse(load, node, i, "status [!] 200 | 200-399 …");
        *s = (struct status_range){ (unsigned)low, (unsigned)high, c->statuses };
        c->statuses = s;
    }
    return c->statuses != NULL || refuse(load, node, 0, "status [!] 200 | 200-399 …");
}

/* "=", "!=", "~" or "!~". */
static bool read_operator(struct slice text, struct condition *c)
{
    bool not = slice_starts(text, SLICE("!"));

    text = not ? slice_skip(text, 1) : text;
    c->not |= not ;
    c->test = slice_eq(text, SLICE("~")) ? HEADER_MATCHES : HEADER_EQUALS;
    return slice_eq(text, SLICE("~")) || slice_eq(text, SLICE("="));
}

static bool read_header(struct conf_load *load, const struct conf_node *node, struct condition *c)
{
    static const char form[] = "header [!] Name; or header Name = | != | ~ | !~ value;";
    unsigned at = take_not(node, c);

    c->name = conf_arg(node, at);
    if (node->arg_count == at + 1)
        return true;
    if (at != 0 || node->arg_count != 3 || !read_operator(conf_arg(node, 1), c))
        return refuse(load, node, 1, form);
    c->value = conf_arg(node, 2);
    if (c->test == HEADER_MATCHES)
        c->regex = regex_compile(load, node, 2, c->value, 0);
    return c->test != HEADER_MATCHES || c->regex != NULL;
}

static bool read_body(struct conf_load *load, const struct conf_node *node, struct condition *c)
{
    if (node->arg_count != 2 || !read_operator(conf_arg(node, 0), c) || c->test != HEADER_MATCHES)
        return refuse(load, node, 0, "body ~ | !~ \"regex\"");
    c->regex = regex_compile(load, node, 1, conf_arg(node, 1), 0);
    return c->regex != NULL;
}

static struct condition *add(struct conf_load *load, struct match *m, enum condition_kind kind)
{
    struct condition *c = arena_must(conf_arena(load), sizeof *c);

    *c = (struct condition){ .kind = kind };
    *m->end = c;
    m->end = &c->next;
    return c;
}

/* Every one of them must hold. */
static bool read_require(struct conf_load *load, const struct conf_node *node, struct match *m)
{
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct condition *c = add(load, m, MATCH_REQUIRE);

        c->expr = expr_compile(load, node, i);
        if (c->expr == NULL)
            return false;
    }
    return node->arg_count > 0 || refuse(load, node, 0, "require $variable …");
}

bool health_set_match_line(struct conf_load *load, const struct conf_node *node, void *own,
                           const struct directive *row)
{
    static const struct {
        const char *word;
        enum condition_kind kind;
        bool (*read)(struct conf_load *, const struct conf_node *, struct condition *);
    } lines[] = {
        { "status", MATCH_STATUS, read_statuses },
        { "header", MATCH_HEADER, read_header },
        { "body", MATCH_BODY, read_body },
    };
    struct match *m = conf_scope(load)->object;

    (void)own;
    (void)row;
    if (slice_eq(node->name, SLICE("require")))
        return read_require(load, node, m);
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        if (slice_eq(node->name, slice_str(lines[i].word)))
            return lines[i].read(load, node, add(load, m, lines[i].kind));
    return refuse(load, node, node->arg_count, "status, header, body or require");
}

bool health_set_match(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct health_conf *conf = own;
    struct match *m = arena_must(conf_arena(load), sizeof *m);

    (void)row;
    if (health_match_find(conf_scope_of(load, CTX_HTTP), conf_arg(node, 0)) != NULL) {
        conf_complain(load, CONF_EMERG, node, 0, "there is a match \"%.*s\" already",
                      SLICE_FMT(conf_arg(node, 0)));
        return false;
    }
    *m = (struct match){ .name = conf_arg(node, 0), .node = node, .next = conf->matches };
    m->end = &m->all;
    conf->matches = m;
    return conf_enter(load, node, CTX_MATCH, m) != NULL;
}
