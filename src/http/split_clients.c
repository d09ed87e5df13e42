/* split_clients.c - a variable that has one of several values, by a hash of a text: so many in a
 * hundred clients have the first, and so on. The hash is MurmurHash2, as in nginx: a client has the
 * same value under both servers. */
#include "conf/expr.h"
#include "http/pipeline.h"
#include "http/site.h"

enum { WHOLE = 10000 }; /* hundredths of a percent */

struct part {
    uint32_t below; /* hashes below this one have the value */
    bool rest;
    struct slice value;
    struct part *next;
};

struct split {
    struct expr *source;
    struct part *parts, **end;
    unsigned sum;
};

static uint32_t split_index;

/* MurmurHash2, 32 bits, seed 0 (Austin Appleby, public domain): of the bytes as they come. */
static uint32_t murmur2(struct slice text)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t h = (uint32_t)text.size;

    for (; text.size >= 4; text = slice_skip(text, 4)) {
        const unsigned char *p = (const unsigned char *)text.at;
        uint32_t k = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

        k *= m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    for (size_t i = text.size; i > 0; i--) {
        h ^= (uint32_t)(unsigned char)text.at[i - 1] << 8 * (i - 1);
        if (i == 1)
            h *= m;
    }
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

/* use->number: the split. */
static bool get_value(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct split *s = (const struct split *)use->number;
    struct request *r = subject;
    struct slice text;
    uint32_t hash;

    if (!expr_eval(s->source, r, &r->arena, EXPR_MAX, &text)) {
        g->full = true;
        return false;
    }
    hash = murmur2(text);
    for (const struct part *p = s->parts; p != NULL; p = p->next) {
        if (!p->rest && hash >= p->below)
            continue;
        gather_slice(g, p->value);
        break;
    }
    return true;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* "12.5%" in hundredths: 1250. */
static bool read_percent(struct slice text, unsigned *ret)
{
    size_t dot;
    uint64_t whole, rest = 0;

    if (text.size < 2 || text.at[text.size - 1] != '%')
        return false;
    text.size--;
    dot = slice_find(text, '.');
    if (!slice_to_u64(slice_head(text, dot), 100, &whole))
        return false;
    text = slice_skip(text, dot + (dot < text.size));
    if (text.size > 2 || (text.size > 0 && !slice_to_u64(text, 99, &rest)))
        return false;
    *ret = (unsigned)(whole * 100 + rest * (text.size == 1 ? 10 : 1));
    return *ret > 0;
}

static bool refuse(struct conf_load *load, const struct conf_node *node, const char *why)
{
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "%s", why);
    conf_hint(load, "expected: shares such as 0.5%% or 20%%, 100%% in all, and * for the rest");
    return false;
}

static bool set_part(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct split *s = conf_scope(load)->object;
    struct part *p = arena_must(conf_arena(load), sizeof *p);
    unsigned share = 0;

    (void)own;
    (void)row;
    p->rest = slice_eq(node->name, SLICE("*"));
    if (!p->rest && !read_percent(node->name, &share))
        return refuse(load, node, "this is no share");
    s->sum += share;
    if (s->sum > WHOLE)
        return refuse(load, node, "the shares are more than 100%");
    p->below = (uint32_t)((uint64_t)s->sum * UINT32_MAX / WHOLE);
    p->value = conf_arg(node, 0);
    *s->end = p;
    s->end = &p->next;
    return true;
}

static bool set_split(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct split *s = arena_must(conf_arena(load), sizeof *s);
    const struct variable *v = conf_declare_argument(load, node, 1, get_value, (uintptr_t)s,
                                                     "split_clients text $name { … }");

    (void)own;
    (void)row;
    if (v == NULL)
        return false;
    if (v->arg != (uintptr_t)s) {
        conf_complain(load, CONF_EMERG, node, 1, "this variable is made elsewhere already");
        return false;
    }
    s->end = &s->parts;
    s->source = expr_compile(load, node, 0);
    return s->source != NULL && conf_enter(load, node, CTX_SPLIT_CLIENTS, s) != NULL;
}

static const struct directive rows[] = {
    { "split_clients", CTX_HTTP, 2, 2, CONF_BLOCK, .set = set_split, .inherit = INHERIT_NOT,
      .repeats = true, .syntax = "text $variable { share value; … }",
      .help =
          "Makes a variable that has one of several values, by a hash of the text: for tests of "
          "variants.",
      .example = "split_clients $remote_addr $variant { 0.5% .one; 2.0% .two; * \"\"; }" },
    { "*", CTX_SPLIT_CLIENTS, 1, 1, CONF_CUSTOM, .set = set_part, .repeats = true,
      .syntax = "value",
      .help = "A share of all texts, such as 0.5%, or * for those that are left.",
      .example = "20% .two;" },
};

const struct feature feature_split_clients = {
    .name = "split_clients",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .about = "Clients divided into groups, each with a value of its own.",
    .index = &split_index,
};
