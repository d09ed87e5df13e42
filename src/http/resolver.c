/* resolver.c - the directives resolver and resolver_timeout: what is said about name servers. */
#include "http/resolver.h"

static uint32_t resolver_index;

struct reading {
    struct conf_load *load;
    const struct conf_node *node;
    unsigned arg;
    struct slice value;
    struct resolver_conf *conf;
};

static bool read_valid(struct reading *o)
{
    return conf_parse_msec(o->value, &o->conf->valid_ms);
}

static bool read_switch(struct slice value, bool *no)
{
    *no = slice_eq(value, SLICE("off"));
    return *no || slice_eq(value, SLICE("on"));
}

static bool read_ipv4(struct reading *o)
{
    return read_switch(o->value, &o->conf->no_ipv4);
}

static bool read_ipv6(struct reading *o)
{
    return read_switch(o->value, &o->conf->no_ipv6);
}

static bool read_zone(struct reading *o)
{
    o->conf->status_zone = o->value;
    return o->value.size > 0;
}

static const struct {
    const char *word;
    bool (*read)(struct reading *);
    const char *expected;
} options[] = {
    { "valid=", read_valid, "a time, such as 30s" },
    { "ipv4=", read_ipv4, "on or off" },
    { "ipv6=", read_ipv6, "on or off" },
    { "status_zone=", read_zone, "a name" },
};

/* -1: it is no option; else whether it could be read. */
static int read_option(struct reading *o)
{
    struct slice text = conf_arg(o->node, o->arg);

    for (size_t i = 0; i < COUNT_OF(options); i++) {
        struct slice word = slice_str(options[i].word);

        if (!slice_starts(text, word))
            continue;
        o->value = slice_skip(text, word.size);
        if (options[i].read(o))
            return true;
        conf_complain(o->load, CONF_EMERG, o->node, (int)o->arg, "\"%.*s\" is not a value of %s",
                      SLICE_FMT(o->value), options[i].word);
        conf_hint(o->load, "expected: %s", options[i].expected);
        return false;
    }
    return -1;
}

/* "name" or "name:port". */
static bool read_name(struct slice text, struct resolver_server *s)
{
    size_t colon = slice_find(text, ':');
    uint64_t port = RESOLVER_PORT;

    if (colon == 0 || text.size == 0 || text.at[0] == '[' || slice_find(text, '=') < text.size)
        return false;
    if (colon < text.size &&
        (!slice_to_u64(slice_skip(text, colon + 1), 65535, &port) || port == 0))
        return false;
    s->text = slice_head(text, colon);
    s->port = (uint16_t)port;
    return true;
}

static bool read_server(struct conf_load *load, const struct conf_node *node, unsigned arg,
                        struct resolver_conf *conf)
{
    struct resolver_server *s = arena_must(conf_arena(load), sizeof *s);
    struct slice text = conf_arg(node, arg);

    s->text = text;
    if (addr_parse(text, RESOLVER_PORT, &s->addr) && !addr_is_any(&s->addr)) {
        s->port = s->addr.port;
    } else {
        s->addr = (struct addr){ 0 };
        if (!read_name(text, s)) {
            conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not a name server",
                          SLICE_FMT(text));
            conf_hint(load, "expected: an address or a name, with a port if it is not 53; or "
                            "valid=, ipv4=, ipv6=, status_zone=");
            return false;
        }
    }
    *conf->end = s;
    conf->end = &s->next;
    return true;
}

static bool set_resolver(struct conf_load *load, const struct conf_node *node, void *own,
                         const struct directive *row)
{
    struct resolver_conf *conf = own;
    struct reading o = { load, node, 0, { 0 }, conf };

    (void)row;
    conf->end = &conf->servers;
    conf->valid_ms = -1;
    for (; o.arg < node->arg_count; o.arg++) {
        int option = read_option(&o);

        if (option == 0 || (option < 0 && !read_server(load, node, o.arg, conf)))
            return false;
    }
    if (conf->servers == NULL) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "no name server is named");
        return false;
    }
    if (!conf->no_ipv4 || !conf->no_ipv6)
        return true;
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "ipv4 and ipv6 are both off");
    return false;
}

/* A resolver is inherited whole, a timeout for itself. */
static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct resolver_conf *outer = parent;
    struct resolver_conf *conf = own;
    int64_t timeout_ms = conf->timeout_ms;

    (void)load;
    (void)scope;
    if (conf->servers != NULL || outer == NULL)
        return true;
    *conf = *outer;
    conf->timeout_ms = timeout_ms;
    return true;
}

static const struct directive rows[] = {
    { "resolver", CTX_ANY_HTTP, 1, ARGS_MANY, CONF_CUSTOM, .set = set_resolver,
      .syntax = "address … [valid=time] [ipv4=on | off] [ipv6=on | off] [status_zone=zone]",
      .help = "The name servers that are asked for names found out at run time; read and checked, "
              "and used by what connects to other servers.",
      .example = "resolver 127.0.0.53 valid=30s ipv6=off;" },
    { "resolver_timeout", CTX_ANY_HTTP, 1, 1, CONF_MSEC, offsetof(struct resolver_conf, timeout_ms),
      "30s", .min = 1, .max = INT32_MAX, .syntax = "time",
      .help = "How long a name server may take to answer." },
};

const struct feature feature_resolver = {
    .name = "resolver",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct resolver_conf),
    .merge = merge,
    .about = "Names that are looked up at run time.",
    .index = &resolver_index,
};
