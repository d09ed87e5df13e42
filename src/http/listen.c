/* listen.c - the listen directive: addresses and socket options. */
#include "http/core.h"

enum { BACKLOG_DEFAULT = 511, PORTS_MAX = 1000 };

void listen_print(const struct listen_addr *a, struct gather *g)
{
    if (a->addr.family == AF_UNIX) {
        gather_lit(g, "unix:");
        gather_slice(g, a->unix_path);
        return;
    }
    if (a->addr.family == AF_INET6)
        gather_byte(g, '[');
    addr_print(&a->addr, g);
    if (a->addr.family == AF_INET6)
        gather_byte(g, ']');
    gather_byte(g, ':');
    gather_u64(g, a->addr.port);
}

/* ---- options ------------------------------------------------------------------------ */

struct option {
    const char *name; /* "backlog=" with a value, "reuseport" without */
    bool (*set)(struct conf_load *, const struct conf_node *, unsigned arg, struct slice value,
                struct listen_addr *);
    bool socket; /* an option of the socket: said once per address */
};

static bool flag_on(bool *flag)
{
    *flag = true;
    return true;
}

static bool set_number(struct conf_load *load, const struct conf_node *node, unsigned arg,
                       struct slice value, int *ret, uint64_t min, uint64_t max)
{
    uint64_t n;

    if (slice_to_u64(value, max, &n) && n >= min) {
        *ret = (int)n;
        return true;
    }
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not a number here",
                  SLICE_FMT(value));
    conf_hint(load, "expected: %llu to %llu", (unsigned long long)min, (unsigned long long)max);
    return false;
}

static bool set_bytes(struct conf_load *load, const struct conf_node *node, unsigned arg,
                      struct slice value, int *ret)
{
    int64_t n;

    if (conf_parse_size(value, &n) && n > 0 && n <= INT32_MAX) {
        *ret = (int)n;
        return true;
    }
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not a size", SLICE_FMT(value));
    return false;
}

#define SETTER(name)                                                                     \
    static bool name(struct conf_load *load, const struct conf_node *node, unsigned arg, \
                     struct slice value, struct listen_addr *a)
#define UNUSED_ALL (void)load, (void)node, (void)arg, (void)value, (void)a

SETTER(set_reuseport)
{
    UNUSED_ALL;
    return flag_on(&a->reuseport);
}

SETTER(set_deferred)
{
    UNUSED_ALL;
    return flag_on(&a->deferred);
}

SETTER(set_bind)
{
    UNUSED_ALL;
    return flag_on(&a->bind);
}

SETTER(set_backlog)
{
    return set_number(load, node, arg, value, &a->backlog, 1, INT32_MAX);
}

SETTER(set_fastopen)
{
    return set_number(load, node, arg, value, &a->fastopen, 0, INT32_MAX);
}

SETTER(set_rcvbuf)
{
    return set_bytes(load, node, arg, value, &a->rcvbuf);
}

SETTER(set_sndbuf)
{
    return set_bytes(load, node, arg, value, &a->sndbuf);
}

SETTER(set_v6only)
{
    a->ipv6only = slice_eq(value, SLICE("on"));
    if (a->ipv6only || slice_eq(value, SLICE("off")))
        return true;
    conf_complain(load, CONF_EMERG, node, (int)arg, "ipv6only is \"on\" or \"off\"");
    return false;
}

/* on | off | [idle]:[interval]:[count] */
SETTER(set_keepalive)
{
    int *parts[] = { &a->keep_idle, &a->keep_interval, &a->keep_count };

    a->so_keepalive_set = true;
    a->so_keepalive = !slice_eq(value, SLICE("off"));
    if (slice_eq(value, SLICE("on")) || slice_eq(value, SLICE("off")))
        return true;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        struct slice part = slice_cut(&value, ':');
        int64_t n;

        if (part.size == 0)
            continue;
        if (!conf_parse_sec(part, &n) || n <= 0 || n > INT32_MAX) {
            conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not so_keepalive's form",
                          SLICE_FMT(part));
            conf_hint(load, "expected: on, off or idle:interval:count");
            return false;
        }
        *parts[i] = (int)n;
    }
    return true;
}

SETTER(set_proxy_protocol)
{
    UNUSED_ALL;
    return flag_on(&a->proxy_protocol);
}

SETTER(set_ssl)
{
    UNUSED_ALL;
    return flag_on(&a->tls);
}

SETTER(set_http2)
{
    UNUSED_ALL;
    conf_complain(load, CONF_NOTICE, node, (int)arg,
                  "\"listen … http2\" is obsolete; it works like \"http2 on\" for this address");
    conf_hint(load, "help: write \"http2 on;\" in the server instead");
    return flag_on(&a->http2);
}

SETTER(set_ignored)
{
    UNUSED_ALL;
    conf_complain(load, CONF_NOTICE, node, (int)arg, "this parameter has no meaning on Linux");
    return true;
}

SETTER(set_not_yet)
{
    UNUSED_ALL;
    conf_complain(load, CONF_EMERG, node, (int)arg, "weir does not have \"%.*s\" yet",
                  SLICE_FMT(conf_arg(node, arg)));
    return false;
}

static const struct option options[] = {
    { "reuseport", set_reuseport, true },
    { "deferred", set_deferred, true },
    { "bind", set_bind, true },
    { "backlog=", set_backlog, true },
    { "fastopen=", set_fastopen, true },
    { "rcvbuf=", set_rcvbuf, true },
    { "sndbuf=", set_sndbuf, true },
    { "ipv6only=", set_v6only, true },
    { "so_keepalive=", set_keepalive, true },
    { "setfib=", set_ignored, false },
    { "accept_filter=", set_ignored, false },
    { "multipath", set_not_yet, false },
    { "ssl", set_ssl, false },
    { "http2", set_http2, false },
    { "quic", set_not_yet, false },
    { "proxy_protocol", set_proxy_protocol, false },
};

static bool set_option(struct conf_load *load, const struct conf_node *node, unsigned arg,
                       struct listen_addr *a)
{
    struct slice text = conf_arg(node, arg);
    const char *names[COUNT_OF(options) + 1];

    for (size_t i = 0; i < COUNT_OF(options); i++) {
        struct slice name = slice_str(options[i].name);
        bool valued = name.at[name.size - 1] == '=';

        names[i] = options[i].name;
        if (valued ? !slice_starts(text, name) : !slice_eq(text, name))
            continue;
        a->options_set |= options[i].socket;
        a->bind |= options[i].socket;
        return options[i].set(load, node, arg, valued ? slice_skip(text, name.size) : text, a);
    }
    names[COUNT_OF(options)] = "default_server";
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not a parameter of listen",
                  SLICE_FMT(text));
    const char *near = conf_nearest(text, names, COUNT_OF(names));

    if (near != NULL)
        conf_hint(load, "help: did you mean \"%s\"?", near);
    return false;
}

/* ---- addresses ------------------------------------------------------------------------- */

static bool parse_port_range(struct slice text, struct slice *ret_head, uint16_t *ret_last)
{
    size_t colon = text.size, dash = text.size;
    uint64_t last;

    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] == ':' || text.at[i] == ']')
            colon = i;
        if (text.at[i] == '-')
            dash = i;
    }
    if (dash == text.size || (colon != text.size && dash < colon) ||
        !slice_to_u64(slice_skip(text, dash + 1), 65535, &last))
        return false;
    *ret_head = slice_head(text, dash);
    *ret_last = (uint16_t)last;
    return true;
}

/* localhost is the one name that needs no look-up. */
static struct slice without_localhost(struct conf_load *load, struct slice text)
{
    struct slice name = SLICE("localhost");

    if (!slice_starts(text, name) || (text.size > name.size && text.at[name.size] != ':'))
        return text;
    return arena_printf(conf_arena(load), "127.0.0.1%.*s", SLICE_FMT(slice_skip(text, name.size)));
}

static bool parse_address(struct conf_load *load, const struct conf_node *node,
                          struct listen_addr *a, uint16_t *ret_last)
{
    struct slice text = conf_arg(node, 0), head;

    *ret_last = 0;
    if (slice_starts(text, SLICE("unix:"))) {
        a->addr.family = AF_UNIX;
        a->unix_path = slice_skip(text, 5);
        if (a->unix_path.size > 0 && a->unix_path.size < 108)
            return true;
        conf_complain(load, CONF_EMERG, node, 0, "a unix socket's path has 1 to 107 bytes");
        return false;
    }
    text = without_localhost(load, text);
    if (parse_port_range(text, &head, ret_last))
        text = head;
    if (!addr_parse(text, 80, &a->addr) || a->addr.port == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not an address to listen on",
                      SLICE_FMT(conf_arg(node, 0)));
        conf_hint(load, "expected: port, address, address:port, [address6]:port or unix:path; "
                        "names other than localhost are not looked up");
        return false;
    }
    if (*ret_last != 0 && (*ret_last < a->addr.port || *ret_last - a->addr.port >= PORTS_MAX)) {
        conf_complain(load, CONF_EMERG, node, 0, "the port range is empty or has over %d ports",
                      PORTS_MAX);
        return false;
    }
    return true;
}

static bool same_address(const struct listen_addr *a, const struct listen_addr *b)
{
    if (a->addr.family != b->addr.family)
        return false;
    return a->addr.family == AF_UNIX ? slice_eq(a->unix_path, b->unix_path)
                                     : addr_eq(&a->addr, &b->addr);
}

/* The site's entry for this address: made by the first listen that names it. */
static struct listen_addr *intern(struct conf_load *load, struct site *site,
                                  const struct conf_node *node, const struct listen_addr *said)
{
    struct listen_addr **at = &site->addrs;

    for (; *at != NULL; at = &(*at)->next) {
        struct listen_addr *known = *at, *next = known->next;
        struct vhosts *vhosts = known->vhosts;

        if (!same_address(known, said))
            continue;
        known->proxy_protocol |= said->proxy_protocol; /* one of its listens is enough */
        known->tls |= said->tls;
        known->http2 |= said->http2;
        if (!said->options_set)
            return known;
        if (known->options_set) {
            conf_complain(load, CONF_EMERG, node, 0,
                          "socket options of this address were already given at %s:%u",
                          known->node->file->path, known->node->line);
            return NULL;
        }
        bool proxy_protocol = known->proxy_protocol, tls = known->tls, http2 = known->http2;

        *known = *said;
        known->proxy_protocol = proxy_protocol;
        known->tls = tls;
        known->http2 = http2;
        known->next = next;
        known->vhosts = vhosts;
        return known;
    }
    struct listen_addr *a = arena_must(site->arena, sizeof *a);

    *a = *said;
    *at = a;
    return a;
}

static bool add_listen(struct conf_load *load, struct site *site, const struct conf_node *node,
                       struct server *server, const struct listen_addr *said, bool is_default)
{
    struct listen_addr *a = intern(load, site, node, said);

    if (a == NULL)
        return false;
    for (const struct server_listen *l = server->listens; l != NULL; l = l->next) {
        if (l->addr != a)
            continue;
        conf_complain(load, CONF_EMERG, node, 0, "this server already listens there, since line %u",
                      l->node->line);
        return false;
    }
    struct server_listen *l = arena_must(site->arena, sizeof *l);

    *l = (struct server_listen){
        .addr = a, .node = node, .is_default = is_default, .tls = said->tls
    };
    *server->listens_end = l;
    server->listens_end = &l->next;
    return true;
}

void listen_default(struct conf_load *load, struct site *site, struct server *server)
{
    struct listen_addr a = { .backlog = BACKLOG_DEFAULT,
                             .ipv6only = true,
                             .node = server->node,
                             .addr = { .family = AF_INET, .port = 80 } };

    (void)add_listen(load, site, server->node, server, &a, false);
}

bool listen_unix(struct conf_load *load, struct site *site, struct server *server,
                 struct slice path, unsigned mode)
{
    struct listen_addr a = { .backlog = BACKLOG_DEFAULT,
                             .node = server->node,
                             .addr = { .family = AF_UNIX },
                             .unix_path = path,
                             .unix_mode = mode };

    return add_listen(load, site, server->node, server, &a, false);
}

bool core_set_listen(struct conf_load *load, const struct conf_node *node, void *conf,
                     const struct directive *row)
{
    struct server *server = conf_scope(load)->object;
    struct listen_addr a = { .backlog = BACKLOG_DEFAULT, .ipv6only = true, .node = node };
    bool is_default = false, ok = true;
    uint16_t last;

    (void)conf;
    (void)row;
    ok = parse_address(load, node, &a, &last);
    for (unsigned i = 1; i < node->arg_count; i++) {
        struct slice text = conf_arg(node, i);

        if (slice_eq(text, SLICE("default_server")) || slice_eq(text, SLICE("default")))
            is_default = true;
        else
            ok = set_option(load, node, i, &a) && ok;
    }
    if (!ok)
        return false;
    do
        ok = add_listen(load, core_site(load), node, server, &a, is_default) && ok;
    while (last != 0 && a.addr.port++ < last);
    return ok;
}
