/* geo.c - the directive geo: a variable whose value depends on an address.
 *
 * The block is read into a table (geo_table.h) when it ends. The address is the client's, or what a
 * variable holds; behind trusted proxies, what X-Forwarded-For says. */
#include "conf/expr.h"
#include "http/forwarded.h"
#include "http/geo_table.h"
#include "http/pipeline.h"
#include "http/site.h"

struct geo {
    struct expr *source; /* NULL: the client's address     */
    struct geo_table table;
    struct slice fallback;
    const struct conf_node *fallback_node;
    struct trusted *proxies, **proxies_end;
    bool recursive, ranges, begun;
    struct geo *next;
};

struct geo_conf {
    struct geo *all;
};

static uint32_t geo_index;

/* ---- looking up --------------------------------------------------------------------------- */

static void behind_proxies(const struct request *r, const struct geo *geo, struct addr *client)
{
    bool found = false;

    if (!forwarded_trusted(geo->proxies, client))
        return;
    for (uint32_t i = r->head.field_count; i > 0; i--) {
        const struct field *f = &r->head.fields[i - 1];

        if (slice_eq_nocase(f->name, SLICE("X-Forwarded-For")) &&
            !forwarded_look_back(geo->proxies, geo->recursive, f->value, client, &found))
            return;
    }
}

/* False: the text is no address. */
static bool address_of(struct request *r, const struct geo *geo, struct addr *ret)
{
    struct slice text;
    struct addr_net net;
    bool low_bits;

    if (geo->source == NULL) {
        *ret = *request_client(r);
    } else {
        if (!expr_eval(geo->source, r, &r->arena, ADDR_TEXT_MAX, &text) ||
            slice_find(text, '/') < text.size || !addr_net_parse(text, &net, &low_bits))
            return false;
        *ret = net.base;
    }
    if (geo->proxies != NULL)
        behind_proxies(r, geo, ret);
    return true;
}

/* What is no address is looked up as 255.255.255.255. use->number: the geo. */
static bool get_value(void *subject, const struct variable_use *use, struct gather *g)
{
    static const struct addr nobody = { .family = AF_INET, .ip = { 255, 255, 255, 255 } };
    const struct geo *geo = (const struct geo *)use->number;
    struct addr a;
    const struct slice *value;

    if (!address_of(subject, geo, &a))
        a = nobody;
    value = geo_table_find(&geo->table, &a);
    gather_slice(g, value != NULL ? *value : geo->fallback);
    return true;
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool refuse_line(struct conf_load *load, const struct conf_node *node, const char *why)
{
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "%s", why);
    conf_hint(load, "expected: address value; or default, delete, proxy, proxy_recursive, ranges");
    return false;
}

static bool read_range(struct conf_load *load, const struct conf_node *node, int arg,
                       const struct geo *geo, struct geo_range *ret, bool *ret_is_v6)
{
    struct slice text = arg == CONF_AT_NAME ? node->name : conf_arg(node, (unsigned)arg);
    bool low_bits = false;

    if (geo->ranges ? geo_read_span(text, ret, ret_is_v6)
                    : geo_read_net(text, ret, ret_is_v6, &low_bits)) {
        if (low_bits)
            conf_complain(load, CONF_WARN, node, arg,
                          "the address has bits beyond the net's mask; they mean nothing");
        return true;
    }
    conf_complain(load, CONF_EMERG, node, arg, "\"%.*s\" is not %s", SLICE_FMT(text),
                  geo->ranges ? "a range of addresses" : "a net or an address");
    conf_hint(load, geo->ranges ? "expected: first-last, such as 192.0.2.1-192.0.2.99"
                                : "expected: an address, or a net such as 10.0.0.0/8");
    return false;
}

static bool set_ranges(struct conf_load *load, const struct conf_node *node, struct geo *geo)
{
    if (geo->begun)
        return refuse_line(load, node, "ranges must stand before the first address");
    geo->ranges = true;
    return true;
}

static bool set_recursive(struct conf_load *load, const struct conf_node *node, struct geo *geo)
{
    (void)load;
    (void)node;
    geo->recursive = true;
    return true;
}

/* Values are looked up each time here: there is nothing to be said. */
static bool set_volatile(struct conf_load *load, const struct conf_node *node, struct geo *geo)
{
    (void)load;
    (void)node;
    (void)geo;
    return true;
}

static bool set_default(struct conf_load *load, const struct conf_node *node, struct geo *geo)
{
    if (geo->fallback_node != NULL) {
        conf_complain(load, CONF_WARN, node, CONF_AT_NAME, "default has a value already");
        conf_hint(load, "note: it was given at %s:%u; this one counts",
                  geo->fallback_node->file->path, geo->fallback_node->line);
    }
    geo->fallback = conf_arg(node, 0);
    geo->fallback_node = node;
    return true;
}

static bool set_proxy(struct conf_load *load, const struct conf_node *node, struct geo *geo)
{
    struct trusted *t = forwarded_read(load, node, 0);

    if (t == NULL)
        return false;
    if (geo->proxies_end == NULL)
        geo->proxies_end = &geo->proxies;
    *geo->proxies_end = t;
    geo->proxies_end = &t->next;
    return true;
}

static bool set_delete(struct conf_load *load, const struct conf_node *node, struct geo *geo)
{
    struct geo_range range, *known;
    bool is_v6;

    if (!read_range(load, node, 0, geo, &range, &is_v6))
        return false;
    known = geo_table_same(&geo->table, &range, is_v6);
    if (known != NULL)
        geo_table_remove(&geo->table, known, is_v6);
    else
        conf_complain(load, CONF_WARN, node, 0, "nothing was said about this before");
    return true;
}

static const struct {
    const char *word;
    unsigned args;
    bool (*set)(struct conf_load *, const struct conf_node *, struct geo *);
} words[] = {
    { "ranges", 0, set_ranges },   { "proxy_recursive", 0, set_recursive },
    { "default", 1, set_default }, { "proxy", 1, set_proxy },
    { "delete", 1, set_delete },   { "volatile", 0, set_volatile },
};

static bool set_address(struct conf_load *load, const struct conf_node *node, struct geo *geo)
{
    struct slice *value = arena_must(conf_arena(load), sizeof *value);
    struct geo_range range;
    bool is_v6;

    if (node->arg_count != 1)
        return refuse_line(load, node, "this address has no value");
    if (!read_range(load, node, CONF_AT_NAME, geo, &range, &is_v6))
        return false;
    *value = conf_arg(node, 0);
    range.value = value;
    geo_table_add(&geo->table, conf_arena(load), &range, is_v6);
    return true;
}

static bool set_line(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct geo *geo = conf_scope(load)->object;

    (void)own;
    (void)row;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (!slice_eq(node->name, slice_str(words[i].word)))
            continue;
        if (node->arg_count != words[i].args)
            return refuse_line(load, node,
                               words[i].args == 0 ? "this takes no value" : "this wants a value");
        return words[i].set(load, node, geo);
    }
    geo->begun = true;
    return set_address(load, node, geo);
}

static bool set_geo(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    struct geo_conf *conf = own;
    struct geo *geo = arena_must(conf_arena(load), sizeof *geo);
    unsigned last = node->arg_count - 1;
    const struct variable *v = conf_declare_argument(load, node, last, get_value, (uintptr_t)geo,
                                                     "geo [$address] $name { … }");

    (void)row;
    if (v == NULL)
        return false;
    if (v->arg != (uintptr_t)geo) {
        conf_complain(load, CONF_EMERG, node, (int)last, "this variable is made elsewhere already");
        return false;
    }
    if (node->arg_count == 2 && (geo->source = expr_compile(load, node, 0)) == NULL)
        return false;
    geo->next = conf->all;
    conf->all = geo;
    return conf_enter(load, node, CTX_GEO, geo) != NULL;
}

/* The blocks have been read. */
static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    struct geo_conf *conf = own;

    (void)parent;
    if (scope->context == CTX_HTTP)
        for (struct geo *geo = conf->all; geo != NULL; geo = geo->next)
            geo_table_build(&geo->table, conf_arena(load));
    return true;
}

static const struct directive rows[] = {
    { "geo", CTX_HTTP, 1, 2, CONF_BLOCK, .set = set_geo, .inherit = INHERIT_NOT, .repeats = true,
      .syntax = "[$address] $variable { address value; … }",
      .help =
          "Makes a variable whose value depends on the client's address, or on the address that "
          "a variable holds.",
      .example = "geo $office { default 0; 10.0.0.0/8 1; 2001:db8::/32 1; }" },
    { "*", CTX_GEO, 0, 1, CONF_CUSTOM, .set = set_line, .repeats = true, .syntax = "value",
      .help =
          "An address or a net (the smallest that fits counts); behind ranges; a range "
          "first-last (the last that fits counts). default; delete net; proxy net: a proxy whose "
          "X-Forwarded-For is believed; proxy_recursive: other proxies in it are passed over.",
      .example = "192.0.2.0/24 1;" },
};

const struct feature feature_geo = {
    .name = "geo",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct geo_conf),
    .merge = merge,
    .about = "Variables that depend on an address.",
    .index = &geo_index,
};
