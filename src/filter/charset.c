/* charset.c - charset, source_charset, override_charset, charset_types, charset_map. */
#include "conf/expr.h"
#include "conf/load.h"
#include "filter/recode.h"
#include "http/encoding.h"
#include "http/error_page.h"
#include "http/media.h"
#include "wire/field.h"

enum { NAME_MAX_SIZE = 256 };

struct charset_name {
    struct expr *name; /* NULL: none */
    const struct conf_node *node;
};

struct known_map {
    struct recode_map map;
    struct known_map *next;
};

struct charset_conf {
    struct charset_name charset, source;
    bool override;
    struct media_set *types;
    struct known_map *maps;
};

static uint32_t charset_index;

/* ---- answering ------------------------------------------------------------------------------- */

static const struct recode_map *find_map(const struct charset_conf *c, struct slice from,
                                         struct slice to, bool *ret_backwards)
{
    for (const struct known_map *k = c->maps; k != NULL; k = k->next) {
        bool there = slice_eq_nocase(k->map.from, from) && slice_eq_nocase(k->map.to, to);

        *ret_backwards = slice_eq_nocase(k->map.from, to) && slice_eq_nocase(k->map.to, from);
        if (there || *ret_backwards)
            return &k->map;
    }
    return NULL;
}

/* The charset parameter of a media type; at == NULL: there is none. */
static struct slice charset_of(struct slice type)
{
    slice_cut(&type, ';');
    while (type.size > 0) {
        struct slice value = slice_cut(&type, ';');
        struct slice name = slice_trim(slice_cut(&value, '='));

        if (!slice_eq_nocase(name, SLICE("charset")))
            continue;
        value = slice_trim(value);
        if (value.size > 1 && value.at[0] == '"' && value.at[value.size - 1] == '"')
            value = slice_head(slice_skip(value, 1), value.size - 2);
        return value;
    }
    return (struct slice){ 0 };
}

static bool name_of(struct request *r, const struct charset_name *n, struct slice *ret)
{
    *ret = (struct slice){ 0 };
    if (n->name == NULL)
        return true;
    if (!expr_eval(n->name, r, &r->arena, NAME_MAX_SIZE, ret))
        return false;
    if (slice_eq(*ret, SLICE("off")))
        *ret = (struct slice){ 0 };
    return true;
}

static bool recode(struct request *r, const struct recode_map *m, bool backwards)
{
    struct recoder *s = recode_create(&r->arena, m, backwards);
    int64_t length = r->response.length;

    if (s == NULL || !encoding_weaken_etag(r) || !transform_wrap(r, &recode_ops, s))
        return false;
    if (!m->utf8) /* a byte for a byte */
        r->response.length = length;
    return true;
}

/* False: memory ran out. */
static bool put_charset(struct request *r, const struct charset_conf *c)
{
    struct slice type = r->response.content_type, from = charset_of(type), base, to;
    bool backwards = false, ok = true;

    if ((from.at != NULL && !c->override) || !field_value_ok(type))
        return true;
    if (!name_of(r, &c->charset, &to) || (from.at == NULL && !name_of(r, &c->source, &from)))
        return false;
    if (to.size == 0 || !field_name_ok(to))
        return true;
    if (from.size > 0 && !slice_eq_nocase(from, to) && r->response.body != NULL &&
        r->response.status != 206 && response_find(r, SLICE("Content-Encoding")) == NULL) {
        const struct recode_map *m = find_map(c, from, to, &backwards);

        if (m == NULL) {
            request_log(r, LOG_ERROR, 0, "no charset_map between \"%.*s\" and \"%.*s\"",
                        SLICE_FMT(from), SLICE_FMT(to));
            return true;
        }
        ok = recode(r, m, backwards);
    }
    base = slice_trim(slice_cut(&type, ';'));
    r->response.content_type =
        arena_printf(&r->arena, "%.*s; charset=%.*s", SLICE_FMT(base), SLICE_FMT(to));
    return ok && r->response.content_type.at != NULL;
}

bool charset_idle(const struct scope *scope)
{
    const struct charset_conf *c = scope_conf(scope, &feature_charset);

    return c->charset.name == NULL;
}

/* nginx leaves these alone for old browsers' sake, and tests of configurations know it. */
static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302;
}

void filter_charset(struct request *r)
{
    const struct charset_conf *c = request_conf(r, &feature_charset);

    if (c->charset.name == NULL || is_redirect(r->response.status) ||
        !media_in(c->types, r->response.content_type) || put_charset(r, c))
        return;
    request_fail(r, 500);
    error_text_fill(r);
}

/* ---- directives ------------------------------------------------------------------------------ */

static bool set_name(struct conf_load *load, const struct conf_node *node, void *conf,
                     const struct directive *row)
{
    struct charset_name *n = (struct charset_name *)((char *)conf + row->offset);

    n->name = expr_compile(load, node, 0);
    n->node = node;
    return n->name != NULL;
}

/* "E282AC" */
static bool read_hex(struct slice text, char into[RECODE_BYTES_MAX], struct slice *ret)
{
    if (text.size == 0 || text.size % 2 != 0 || text.size / 2 > RECODE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.size; i += 2) {
        int high = hex_value(text.at[i]), low = hex_value(text.at[i + 1]);

        if (high < 0 || low < 0)
            return false;
        into[i / 2] = (char)(high << 4 | low);
    }
    *ret = slice_of(into, text.size / 2);
    return true;
}

static bool read_line(struct conf_load *load, const struct conf_node *line, struct recode_map *m)
{
    char from_bytes[RECODE_BYTES_MAX], to_bytes[RECODE_BYTES_MAX];
    struct slice from, to;

    if (line->block || line->arg_count != 1 || !read_hex(line->name, from_bytes, &from) ||
        from.size != 1) {
        conf_complain(load, CONF_EMERG, line, CONF_AT_NAME, "this is not a line of a charset_map");
        conf_hint(load, "expected: two hexadecimal digits, and the character's code: C0 FE;");
        return false;
    }
    if (read_hex(conf_arg(line, 0), to_bytes, &to) &&
        recode_map_add(m, (unsigned char)from.at[0], to))
        return true;
    conf_complain(load, CONF_EMERG, line, 0, "\"%.*s\" is not a character of %.*s",
                  SLICE_FMT(conf_arg(line, 0)), SLICE_FMT(m->to));
    conf_hint(load, m->utf8 ? "expected: the bytes of one UTF-8 sequence: E282AC"
                            : "expected: two hexadecimal digits");
    return false;
}

static bool set_map(struct conf_load *load, const struct conf_node *node, void *conf,
                    const struct directive *row)
{
    struct charset_conf *c = conf;
    struct known_map *k = arena_must(conf_arena(load), sizeof *k);
    bool ok = true, backwards;

    (void)row;
    k->map.from = conf_arg(node, 0);
    k->map.to = conf_arg(node, 1);
    k->map.utf8 = slice_eq_nocase(k->map.to, SLICE("utf-8"));
    if (slice_eq_nocase(k->map.from, k->map.to) || slice_eq_nocase(k->map.from, SLICE("utf-8"))) {
        conf_complain(load, CONF_EMERG, node, 0, "a charset_map cannot begin with \"%.*s\" here",
                      SLICE_FMT(k->map.from));
        conf_hint(load, "expected: a set with one byte a character, then another set or utf-8");
        return false;
    }
    if (find_map(c, k->map.from, k->map.to, &backwards) != NULL) {
        conf_complain(load, CONF_EMERG, node, 0, "there is a charset_map of these two already");
        return false;
    }
    for (const struct conf_node *line = node->children; line != NULL; line = line->next)
        ok &= read_line(load, line, &k->map);
    recode_map_done(&k->map);
    k->next = c->maps;
    c->maps = k;
    return ok;
}

/* Maps are http's alone. Two names that are known and have none are a mistake. */
static bool charset_merge(struct conf_load *load, struct scope *scope, const void *parent,
                          void *conf)
{
    struct charset_conf *c = conf;
    struct slice to, from;
    bool backwards;

    if (c->maps == NULL && parent != NULL)
        c->maps = ((const struct charset_conf *)parent)->maps;
    if (!scope_is_set(scope, &feature_charset, "charset") &&
        !scope_is_set(scope, &feature_charset, "source_charset"))
        return true;
    if (c->charset.name == NULL || c->source.name == NULL || !expr_constant(c->charset.name, &to) ||
        !expr_constant(c->source.name, &from) || slice_eq(to, SLICE("off")) ||
        slice_eq(from, SLICE("off")) || slice_eq_nocase(from, to) ||
        find_map(c, from, to, &backwards) != NULL)
        return true;
    conf_complain(load, CONF_EMERG, c->charset.node, 0,
                  "there is no charset_map between \"%.*s\" and \"%.*s\"", SLICE_FMT(from),
                  SLICE_FMT(to));
    return false;
}

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)

static const struct directive rows[] = {
    { "charset", HSL | CTX_IF_LOCATION, 1, 1, CONF_CUSTOM, offsetof(struct charset_conf, charset),
      NULL, .set = set_name, .size = sizeof(struct charset_name), .syntax = "charset | off",
      .help = "Adds the character set to Content-Type, and converts answers to it that are in "
              "another.",
      .example = "charset utf-8;" },
    { "source_charset", HSL | CTX_IF_LOCATION, 1, 1, CONF_CUSTOM,
      offsetof(struct charset_conf, source), NULL, .set = set_name,
      .size = sizeof(struct charset_name), .syntax = "charset",
      .help = "The character set that answers have; if it is not that of `charset`, they are "
              "converted.",
      .example = "source_charset koi8-r;" },
    { "override_charset", HSL | CTX_IF_LOCATION, 1, 1, CONF_FLAG,
      offsetof(struct charset_conf, override), "off", .syntax = "on | off",
      .help = "Whether answers that say their character set are converted, from that one.",
      .example = "override_charset on;" },
    { "charset_types", HSL, 1, ARGS_MANY, CONF_CUSTOM, offsetof(struct charset_conf, types),
      "text/html text/xml text/plain text/vnd.wap.wml application/javascript application/rss+xml",
      .set = media_set_types, .size = sizeof(struct media_set *), .syntax = "mime-type …",
      .help = "The types of answers that are given a character set beside text/html; * means all.",
      .example = "charset_types text/css application/json;" },
    { "charset_map", CTX_HTTP, 2, 2, CONF_BLOCK, offsetof(struct charset_conf, maps),
      .set = set_map, .repeats = true, .syntax = "charset1 charset2 { code code; … }",
      .help = "How characters of one set are written in another, in hexadecimal digits; used in "
              "both directions. What is missing becomes ?, or &#1234; coming from UTF-8.",
      .example = "charset_map koi8-r utf-8 { C0 D18E; C1 D0B0; }" },
};

const struct feature feature_charset = {
    .name = "charset",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct charset_conf),
    .merge = charset_merge,
    .about = "The character set of answers: named in Content-Type, and converted.",
    .index = &charset_index,
};
