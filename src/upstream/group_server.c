/* group_server.c - `server`: from its words to peers, and back into words. */
#include "upstream/balance.h"
#include "upstream/discover.h"
#include "upstream/group_private.h"
#include "upstream/peers.h"
#include "upstream/sticky.h"

#include <errno.h>

enum { WEIGHT_MAX = 65535 };

/* One peer for each address; one that is down if there is none. */
void server_add_found(struct conf_load *load, const struct conf_node *node, unsigned arg,
                      struct group *g, const struct peer *like, struct slice host, uint16_t port)
{
    struct endpoint_list found;
    const char *why;
    bool known = endpoints_find(conf_arena(load), host, port, &found, &why);

    for (unsigned i = 0; i < (known ? found.count : 1); i++) {
        struct peer *p = arena_must(conf_arena(load), sizeof *p);

        *p = *like;
        if (known)
            p->at = found.all[i];
        else
            p->down = true;
        group_add(g, p);
    }
    if (known)
        return;
    conf_complain(load, CONF_WARN, node, (int)arg, "host not found in upstream \"%.*s\": %s",
                  SLICE_FMT(host), why);
    conf_hint(load, "note: it counts as down until the configuration is loaded again");
}

bool server_refuse(struct conf_load *load, const struct conf_node *node,
                   const struct balance *balance, bool backup)
{
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "there %s with this method of balancing",
                  backup ? "are no backups" : "is no slow_start");
    conf_hint(load, "note: %s chooses among all servers", balance->name);
    return false;
}

/* ---- its words ----------------------------------------------------------------------------- */

struct peer_number {
    const char *name;
    size_t offset;
    int64_t min, max;
    bool (*parse)(struct slice, int64_t *);
    const char *expected;
};

static bool parse_count(struct slice text, int64_t *ret)
{
    uint64_t n;

    if (!slice_to_u64(text, INT32_MAX, &n))
        return false;
    *ret = (int64_t)n;
    return true;
}

static const struct peer_number peer_numbers[] = {
    { "weight=", offsetof(struct peer, weight), 1, WEIGHT_MAX, parse_count, "1 to 65535" },
    { "max_conns=", offsetof(struct peer, max_conns), 0, INT32_MAX, parse_count, "a number" },
    { "max_fails=", offsetof(struct peer, max_fails), 0, INT32_MAX, parse_count, "a number" },
    { "fail_timeout=", offsetof(struct peer, fail_timeout_ms), 0, INT64_MAX, conf_parse_msec,
      "a time" },
    { "slow_start=", offsetof(struct peer, slow_start_ms), 0, INT32_MAX, conf_parse_msec,
      "a time" },
};

static bool read_peer_word(struct conf_load *load, const struct conf_node *node, unsigned arg,
                           struct peer *p)
{
    struct slice text = conf_arg(node, arg);

    for (size_t i = 0; i < COUNT_OF(peer_numbers); i++) {
        const struct peer_number *n = &peer_numbers[i];
        int64_t *at = (int64_t *)(void *)((char *)p + n->offset);

        if (!slice_starts(text, slice_str(n->name)))
            continue;
        if (n->parse(slice_skip(text, strlen(n->name)), at) && *at >= n->min && *at <= n->max)
            return true;
        conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" has no value that can be",
                      SLICE_FMT(text));
        conf_hint(load, "expected: %s and %s", n->name, n->expected);
        return false;
    }
    if (slice_starts(text, SLICE("route=")) && text.size > 6) {
        p->route = slice_skip(text, 6);
        return true;
    }
    if (slice_eq(text, SLICE("resolve")) || slice_starts(text, SLICE("service=")))
        return true; /* discover_add() */
    p->backup |= slice_eq(text, SLICE("backup"));
    p->down |= slice_eq(text, SLICE("down"));
    p->drain |= slice_eq(text, SLICE("drain"));
    if (slice_eq(text, SLICE("backup")) || slice_eq(text, SLICE("down")) ||
        slice_eq(text, SLICE("drain")))
        return true;
    conf_complain(load, CONF_EMERG, node, (int)arg, "`server` has no parameter \"%.*s\" here",
                  SLICE_FMT(text));
    conf_hint(load,
              "expected: weight=, max_conns=, max_fails=, fail_timeout=, slow_start=, route=, "
              "service=, backup, drain, down or resolve");
    return false;
}

bool server_set(struct conf_load *load, const struct conf_node *node, void *own,
                const struct directive *row)
{
    struct group *g = conf_scope(load)->object;
    struct peer like = plain_peer;
    struct slice host;
    uint16_t port = 80;

    (void)own;
    (void)row;
    if (!g->reading && g->first_server == NULL)
        g->first_server = node;
    like.name = conf_arg(node, 0);
    if (!endpoint_split(like.name, &host, &port)) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not an address",
                      SLICE_FMT(like.name));
        conf_hint(load, "expected: name[:port], address[:port] or unix:/path");
        return false;
    }
    for (unsigned i = 1; i < node->arg_count; i++)
        if (!read_peer_word(load, node, i, &like))
            return false;
    g->slow |= like.slow_start_ms > 0;
    if ((like.backup || g->slow) && !g->balance->backups)
        return server_refuse(load, node, g->balance, like.backup);
    if (g->count >= PEERS_MAX) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "too many servers");
        conf_hint(load, "expected: at most %d in one upstream", PEERS_MAX);
        return false;
    }
    if (discover_wanted(node))
        return discover_add(load, node, g, &like);
    server_add_found(load, node, 0, g, &like, host, port);
    return true;
}

/* ---- state ---------------------------------------------------------------------------------- */

bool server_set_state(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct group *g = conf_scope(load)->object;
    struct slice said = conf_arg(node, 0), path, text;
    int error;

    (void)own;
    (void)row;
    path = arena_printf(conf_arena(load), "%s%.*s",
                        slice_starts(said, SLICE("/")) ? "" : conf_prefix(load), SLICE_FMT(said));
    CHECK(path.at != NULL);
    g->state = path.at;
    g->state_node = node;
    error = conf_read(load, g->state, &text);
    if (error == -ENOENT)
        return true;
    if (error != 0) {
        conf_complain(load, CONF_EMERG, node, 0, "cannot read \"%s\": %s", g->state,
                      strerror(-error));
        return false;
    }
    g->reading = true;
    conf_load_text(load, node, g->state, text);
    g->reading = false;
    return true;
}

bool server_state_fits(struct conf_load *load, const struct group *g)
{
    if (g->state == NULL)
        return true;
    if (g->first_server != NULL) {
        conf_complain(load, CONF_EMERG, g->first_server, CONF_AT_NAME,
                      "the servers of this upstream are those in its state file");
        conf_hint(load, "note: that is %s; take this line out, or state", g->state);
        return false;
    }
    for (const struct group *other = g->next; other != NULL; other = other->next) {
        if (other->state == NULL || strcmp(other->state, g->state) != 0)
            continue;
        conf_complain(load, CONF_EMERG, g->state_node, 0, "upstream \"%.*s\" has that state file",
                      SLICE_FMT(other->name));
        conf_hint(load, "expected: a file of its own for each upstream");
        return false;
    }
    if (g->zone.size > 0)
        return true;
    conf_complain(load, CONF_EMERG, g->state_node, CONF_AT_NAME,
                  "nobody could change servers of an upstream without a zone");
    conf_hint(load, "expected: zone name; beside it");
    return false;
}

/* ---- back into words ------------------------------------------------------------------------ */

static void print_ms(struct gather *out, const char *name, int64_t ms)
{
    gather_printf(out, " %s=%lld%s", name, (long long)(ms % 1000 == 0 ? ms / 1000 : ms),
                  ms % 1000 == 0 ? "s" : "ms");
}

static void print_number(struct gather *out, const char *name, int64_t value, int64_t plain)
{
    if (value != plain)
        gather_printf(out, " %s=%lld", name, (long long)value);
}

static void print_one(struct gather *out, const struct group *g, const struct peer *p,
                      struct slice address, const struct served *served)
{
    gather_printf(out, "server %.*s", SLICE_FMT(address));
    print_number(out, "weight", p->weight, plain_peer.weight);
    print_number(out, "max_conns", p->max_conns, plain_peer.max_conns);
    print_number(out, "max_fails", p->max_fails, plain_peer.max_fails);
    if (p->fail_timeout_ms != plain_peer.fail_timeout_ms)
        print_ms(out, "fail_timeout", p->fail_timeout_ms);
    if (p->slow_start_ms != 0)
        print_ms(out, "slow_start", p->slow_start_ms);
    if (p->route.size > 0 && !sticky_route_is_made(g, p))
        gather_printf(out, " route=%.*s", SLICE_FMT(p->route));
    if (served != NULL && served->service.size > 0)
        gather_printf(out, " service=%.*s", SLICE_FMT(served->service));
    gather_str(out, served != NULL ? " resolve" : "");
    gather_str(out, p->backup ? " backup" : "");
    gather_str(out, p->drain ? " drain" : "");
    gather_str(out, p->down ? " down" : "");
    gather_lit(out, ";\n");
}

void servers_print(struct gather *out, const struct group *g)
{
    for (const struct peer *p = g->peers; p != NULL; p = p->next)
        if (p->served == NULL)
            print_one(out, g, p, p->at.text.size > 0 ? p->at.text : p->name, NULL);
    for (const struct served *d = g->served; d != NULL; d = d->next)
        print_one(out, g, &d->like, d->like.name, d);
}
