/* resolver.c - the directives resolver and resolver_timeout: what is said about name servers. */
#include "upstream/resolver.h"

#include <netdb.h>

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
    return conf_parse_msec(o->value, &o->conf->how.valid_ms);
}

static bool read_switch(struct slice value, bool *no)
{
    *no = slice_eq(value, SLICE("off"));
    return *no || slice_eq(value, SLICE("on"));
}

static bool read_ipv4(struct reading *o)
{
    return read_switch(o->value, &o->conf->how.no_ipv4);
}

static bool read_ipv6(struct reading *o)
{
    return read_switch(o->value, &o->conf->how.no_ipv6);
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
static bool read_name(struct slice text, struct slice *name, uint16_t *ret_port)
{
    size_t colon = slice_find(text, ':');
    uint64_t port = RESOLVER_PORT;

    if (colon == 0 || text.size == 0 || text.at[0] == '[' || slice_find(text, '=') < text.size)
        return false;
    if (colon < text.size &&
        (!slice_to_u64(slice_skip(text, colon + 1), UINT16_MAX, &port) || port == 0))
        return false;
    *name = slice_head(text, colon);
    *ret_port = (uint16_t)port;
    return true;
}

/* A name server's own name is asked of the system, now. A name that is not known is a warning. */
static void add_named(struct conf_load *load, const struct conf_node *node, unsigned arg,
                      struct resolver_how *how, struct slice name, uint16_t port)
{
    static const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
    struct slice text = arena_printf(conf_arena(load), "%.*s", SLICE_FMT(name));
    struct addrinfo *found = NULL;
    int error = text.at != NULL ? getaddrinfo(text.at, NULL, &hints, &found) : EAI_MEMORY;

    for (const struct addrinfo *a = found; a != NULL && how->server_count < DNS_SERVERS_MAX;
         a = a->ai_next) {
        struct addr *server = &how->servers[how->server_count++];

        addr_from_sockaddr(server, a->ai_addr, a->ai_addrlen);
        server->port = port;
    }
    if (found != NULL)
        freeaddrinfo(found);
    if (error == 0)
        return;
    conf_complain(load, CONF_WARN, node, (int)arg, "host not found in resolver \"%.*s\": %s",
                  SLICE_FMT(name), gai_strerror(error));
    conf_hint(load, "note: this name server is not asked");
}

static bool read_server(struct conf_load *load, const struct conf_node *node, unsigned arg,
                        struct resolver_conf *conf)
{
    struct slice text = conf_arg(node, arg), name;
    struct resolver_how *how = &conf->how;
    struct addr a;
    uint16_t port;

    if (how->server_count == DNS_SERVERS_MAX) {
        conf_complain(load, CONF_EMERG, node, (int)arg, "too many name servers");
        conf_hint(load, "expected: at most %d", DNS_SERVERS_MAX);
        return false;
    }
    if (addr_parse(text, RESOLVER_PORT, &a) && !addr_is_any(&a) && a.port != 0) {
        how->servers[how->server_count++] = a;
        return true;
    }
    if (read_name(text, &name, &port)) {
        add_named(load, node, arg, how, name, port);
        return true;
    }
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not a name server",
                  SLICE_FMT(text));
    conf_hint(load, "expected: an address or a name, with a port if it is not 53; or "
                    "valid=, ipv4=, ipv6=, status_zone=");
    return false;
}

static bool set_resolver(struct conf_load *load, const struct conf_node *node, void *own,
                         const struct directive *row)
{
    struct resolver_conf *conf = own;
    struct reading o = { load, node, 0, { 0 }, conf };

    unsigned servers = 0;

    (void)row;
    conf->node = node;
    conf->how.valid_ms = -1;
    for (; o.arg < node->arg_count; o.arg++) {
        int option = read_option(&o);

        servers += option < 0;
        if (option == 0 || (option < 0 && !read_server(load, node, o.arg, conf)))
            return false;
    }
    if (servers == 0) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "no name server is named");
        return false;
    }
    if (!conf->how.no_ipv4 || !conf->how.no_ipv6)
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
    if (conf->node == NULL && outer != NULL)
        *conf = *outer;
    if (conf->node == NULL)
        conf->how.valid_ms = -1;
    conf->timeout_ms = conf->how.timeout_ms = timeout_ms;
    return true;
}

static const struct directive rows[] = {
    { "resolver", CTX_ANY_HTTP | CTX_UPSTREAM, 1, ARGS_MANY, CONF_CUSTOM, .set = set_resolver,
      .syntax = "address … [valid=time] [ipv4=on | off] [ipv6=on | off] [status_zone=zone]",
      .help = "The name servers that are asked for names found out at run time, as in proxy_pass "
              "with variables; without this, those of /etc/resolv.conf. Answers are kept as long "
              "as they say, or for valid; names in /etc/hosts are not asked for.",
      .example = "resolver 127.0.0.53 valid=30s ipv6=off;" },
    { "resolver_timeout", CTX_ANY_HTTP | CTX_UPSTREAM, 1, 1, CONF_MSEC,
      offsetof(struct resolver_conf, timeout_ms), "30s", .min = 1, .max = INT32_MAX,
      .syntax = "time",
      .help = "How long a name may stay unanswered: until then, it is asked for again and again." },
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
