/* group.c - the directives of upstream { … }, and groups that one address stands for. */
#include "upstream/group.h"

#include "base/block.h"
#include "conf/expr.h"
#include "upstream/balance.h"
#include "upstream/discover.h"
#include "upstream/group_private.h"
#include "upstream/peers.h"
#include "upstream/queue.h"
#include "upstream/sticky.h"

enum {
    KEEPALIVE_MOST = 32,
    KEEPALIVE_REQUESTS = 1000,
    KEEPALIVE_TIME_MS = 3600 * 1000,
    KEEPALIVE_TIMEOUT_MS = 60 * 1000,
};

static uint32_t upstream_index;

/* In the struct of http{}. */
struct upstream_conf {
    struct group *groups;
};

/* ---- making groups -------------------------------------------------------------------------- */

static void group_init(struct group *g, struct slice name)
{
    g->name = name;
    g->end = &g->peers;
    g->balance = &balance_round_robin;
    g->keeping = (struct channel_keeping){ KEEPALIVE_MOST, KEEPALIVE_REQUESTS, KEEPALIVE_TIME_MS,
                                           KEEPALIVE_TIMEOUT_MS };
    list_init(&g->queue.list);
    pthread_mutex_init(&g->lock, NULL);
    pthread_mutex_init(&g->state_lock, NULL);
}

struct group *group_of_address(struct conf_load *load, const struct conf_node *node, unsigned arg,
                               struct slice host, uint16_t port)
{
    struct group *g = arena_must(conf_arena(load), sizeof *g);
    struct peer like = plain_peer;

    group_init(g, host);
    like.name = host;
    server_add_found(load, node, arg, g, &like, host, port);
    CHECK(group_seal(conf_arena(load), g));
    return g;
}

struct group *group_of_endpoints(struct arena *arena, struct slice name,
                                 const struct endpoint_list *found,
                                 const struct channel_keeping *keeping)
{
    struct group *g = arena_zalloc(arena, sizeof *g);

    if (g == NULL)
        return NULL;
    group_init(g, name);
    if (keeping != NULL)
        g->keeping = *keeping;
    for (unsigned i = 0; i < found->count; i++) {
        struct peer *p = arena_alloc(arena, sizeof *p);

        if (p == NULL)
            return NULL;
        *p = plain_peer;
        p->name = name;
        p->at = found->all[i];
        group_add(g, p);
    }
    return group_seal(arena, g) ? g : NULL;
}

struct group *group_find_in(const struct scope *http, struct slice name)
{
    const struct upstream_conf *c = scope_conf(http, &feature_upstream);

    for (struct group *g = c->groups; g != NULL; g = g->next)
        if (slice_eq_nocase(g->name, name))
            return g;
    return NULL;
}

struct group *group_first(const struct scope *http)
{
    const struct upstream_conf *c = scope_conf(http, &feature_upstream);

    return c->groups;
}

/* ---- upstream -------------------------------------------------------------------------------- */

static struct group *group_here(struct conf_load *load)
{
    return conf_scope(load)->object;
}

static bool set_upstream(struct conf_load *load, const struct conf_node *node, void *own,
                         const struct directive *row)
{
    struct upstream_conf *c = own;
    struct group *g = arena_must(conf_arena(load), sizeof *g);
    struct slice name = conf_arg(node, 0);

    (void)row;
    for (const struct group *other = c->groups; other != NULL; other = other->next) {
        if (!slice_eq_nocase(other->name, name))
            continue;
        conf_complain(load, CONF_EMERG, node, 0, "there is an upstream \"%.*s\" already",
                      SLICE_FMT(name));
        conf_hint(load, "note: it is in %s:%u", other->node->file->path, other->node->line);
        return false;
    }
    group_init(g, name);
    g->node = node;
    g->next = c->groups;
    c->groups = g;
    g->scope = conf_enter(load, node, CTX_UPSTREAM, g);
    if (g->scope == NULL)
        return false;
    if (!server_state_fits(load, g))
        return false;
    if (g->count == 0 && g->served == NULL && g->state == NULL) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "there is no server in this upstream");
        conf_hint(load, "expected: server address;");
        return false;
    }
    if (g->changes)
        conf_at_end(load, group_forget, g);
    if (g->count == g->backups && g->state == NULL && discover_only_backups(g)) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "every server here is a backup");
        conf_hint(load, "expected: at least one without the word backup");
        return false;
    }
    return group_seal(conf_arena(load), g) && balance_seal(conf_arena(load), g) &&
           sticky_seal(conf_arena(load), g);
}

/* ---- how one is chosen ------------------------------------------------------------------- */

static bool choose(struct conf_load *load, const struct conf_node *node,
                   const struct balance *balance)
{
    struct group *g = group_here(load);

    if (g->balance != &balance_round_robin) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME,
                      "another method of balancing was chosen already");
        conf_hint(load, "note: that is %s", g->balance->name);
        return false;
    }
    g->balance = balance;
    if ((g->backups == 0 && !g->slow) || balance->backups)
        return true;
    return server_refuse(load, node, balance, g->backups > 0);
}

static bool refuse_word(struct conf_load *load, const struct conf_node *node, unsigned arg,
                        const char *expected)
{
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" means nothing here",
                  SLICE_FMT(conf_arg(node, arg)));
    conf_hint(load, "expected: %s", expected);
    return false;
}

static bool set_least_conn(struct conf_load *load, const struct conf_node *node, void *own,
                           const struct directive *row)
{
    (void)own;
    (void)row;
    return choose(load, node, &balance_least_conn);
}

static bool read_time(struct group *g, struct slice text)
{
    g->time = slice_eq(text, SLICE("header"))      ? TIME_HEADER
              : slice_eq(text, SLICE("last_byte")) ? TIME_LAST_BYTE
                                                   : TIME_NONE;
    return g->time != TIME_NONE;
}

static bool set_least_time(struct conf_load *load, const struct conf_node *node, void *own,
                           const struct directive *row)
{
    static const char form[] = "least_time header | last_byte [inflight]";
    struct group *g = group_here(load);

    (void)own;
    (void)row;
    if (!read_time(g, conf_arg(node, 0)))
        return refuse_word(load, node, 0, form);
    g->inflight = node->arg_count > 1;
    if (g->inflight && !slice_eq(conf_arg(node, 1), SLICE("inflight")))
        return refuse_word(load, node, 1, form);
    return choose(load, node, &balance_least_time);
}

static bool set_ip_hash(struct conf_load *load, const struct conf_node *node, void *own,
                        const struct directive *row)
{
    (void)own;
    (void)row;
    return choose(load, node, &balance_ip_hash);
}

static bool set_hash(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct group *g = group_here(load);

    (void)own;
    (void)row;
    g->key = expr_compile(load, node, 0);
    g->consistent = slice_eq(conf_arg(node, 1), SLICE("consistent"));
    if (node->arg_count > 1 && !g->consistent)
        return refuse_word(load, node, 1, "hash key [consistent]");
    return g->key != NULL && choose(load, node, &balance_hash);
}

/* "least_conn", "least_time=header", "least_time=last_byte". */
static bool read_better(struct group *g, struct slice text)
{
    struct slice time = SLICE("least_time=");

    return slice_eq(text, SLICE("least_conn")) ||
           (slice_starts(text, time) && read_time(g, slice_skip(text, time.size)));
}

static bool set_random(struct conf_load *load, const struct conf_node *node, void *own,
                       const struct directive *row)
{
    static const char form[] =
        "random [two [least_conn | least_time=header | least_time=last_byte]]";
    struct group *g = group_here(load);

    (void)own;
    (void)row;
    g->two = slice_eq(conf_arg(node, 0), SLICE("two"));
    g->least = g->two;
    if (node->arg_count > 0 && !g->two)
        return refuse_word(load, node, 0, form);
    if (node->arg_count > 1 && !read_better(g, conf_arg(node, 1)))
        return refuse_word(load, node, 1, form);
    return choose(load, node, &balance_random);
}

/* ---- keepalive --------------------------------------------------------------------------- */

static bool set_keepalive(struct conf_load *load, const struct conf_node *node, void *own,
                          const struct directive *row)
{
    uint64_t n;

    (void)own;
    (void)row;
    if (!slice_to_u64(conf_arg(node, 0), CHANNELS_IDLE_MAX, &n))
        return refuse_word(load, node, 0, "how many idle connections are kept, at most 4096");
    if (node->arg_count > 1 && !slice_eq(conf_arg(node, 1), SLICE("local")))
        return refuse_word(load, node, 1, "keepalive connections [local]");
    group_here(load)->keeping.most = (unsigned)n;
    return true;
}

static bool parse_count(struct slice text, int64_t *ret)
{
    uint64_t n;

    if (!slice_to_u64(text, INT32_MAX, &n))
        return false;
    *ret = (int64_t)n;
    return true;
}

static bool set_keepalive_requests(struct conf_load *load, const struct conf_node *node, void *own,
                                   const struct directive *row)
{
    (void)own;
    (void)row;
    return parse_count(conf_arg(node, 0), &group_here(load)->keeping.requests) ||
           refuse_word(load, node, 0, "how many requests one connection serves");
}

static bool set_keepalive_time(struct conf_load *load, const struct conf_node *node, void *own,
                               const struct directive *row)
{
    (void)own;
    (void)row;
    return conf_parse_msec(conf_arg(node, 0), &group_here(load)->keeping.time_ms) ||
           refuse_word(load, node, 0, "a time, such as 1h");
}

static bool set_keepalive_timeout(struct conf_load *load, const struct conf_node *node, void *own,
                                  const struct directive *row)
{
    (void)own;
    (void)row;
    return conf_parse_msec(conf_arg(node, 0), &group_here(load)->keeping.timeout_ms) ||
           refuse_word(load, node, 0, "a time, such as 60s");
}

static bool set_ntlm(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    (void)node;
    (void)own;
    (void)row;
    group_here(load)->ntlm = true;
    return true;
}

static bool set_zone(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    int64_t size;

    (void)own;
    (void)row;
    group_here(load)->zone = conf_arg(node, 0);
    group_here(load)->changes = true;
    return node->arg_count < 2 || conf_parse_size(conf_arg(node, 1), &size) ||
           refuse_word(load, node, 1, "a size, such as 64k");
}

static const struct directive rows[] = {
    { "upstream", CTX_HTTP, 1, 1, CONF_BLOCK, .set = set_upstream, .repeats = true,
      .inherit = INHERIT_NOT, .syntax = "name { … }",
      .help = "A group of servers that serve the same, for proxy_pass and its kin.",
      .example = "upstream backend { server 127.0.0.1:8081; server 127.0.0.1:8082 backup; }" },
    { "server", CTX_UPSTREAM, 1, ARGS_MANY, CONF_CUSTOM, .set = server_set, .repeats = true,
      .inherit = INHERIT_NOT,
      .syntax = "address [weight=number] [max_conns=number] [max_fails=number] "
                "[fail_timeout=time] [slow_start=time] [route=name] [resolve] [service=name] "
                "[backup] [drain] [down]",
      .help =
          "One server of the group: name or address with a port (80 if none is said), or "
          "unix:/path. Each address of a name is a server. A server that failed max_fails "
          "times within fail_timeout is left alone for fail_timeout; backups are asked when "
          "no other is there. With slow_start, one that is well again gets its share back "
          "little by little, over that time (not with hash, ip_hash and random). route is what "
          "sticky knows it by; drain: it gets only requests of sessions that it has. resolve: the "
          "addresses of the name are asked of the resolver again and again, and servers come "
          "and go with them; service: the SRV records of _service._tcp.name say which servers, "
          "ports and weights, and those of worse priority are backups.",
      .example = "server 10.0.0.1:8080 weight=5 max_fails=3 fail_timeout=30s;" },
    { "zone", CTX_UPSTREAM, 1, 2, CONF_CUSTOM, .set = set_zone, .inherit = INHERIT_NOT,
      .syntax = "name [size]",
      .help = "Lets servers be added, changed and removed at run time, by `api` and by weir "
              "upstream; the name is what the API calls it. How servers are doing is always shared "
              "between loops, and the size means nothing." },
    { "state", CTX_UPSTREAM, 1, 1, CONF_CUSTOM, .set = server_set_state, .inherit = INHERIT_NOT,
      .syntax = "file",
      .help = "The servers of the group are those in the file, which is written whenever they are "
              "changed at run time: changes survive a restart. Needs a zone, and no server beside "
              "it. The user of the workers must be able to write into the file's directory.",
      .example = "upstream app { zone app; state /var/lib/weir/state/app.conf; }" },
    { "keepalive", CTX_UPSTREAM, 1, 2, CONF_CUSTOM, .set = set_keepalive, .inherit = INHERIT_NOT,
      .fallback = "32 local", .syntax = "connections [local]",
      .help = "How many idle connections to each server a loop keeps for the next request; 0: "
              "none." },
    { "keepalive_requests", CTX_UPSTREAM, 1, 1, CONF_CUSTOM, .set = set_keepalive_requests,
      .inherit = INHERIT_NOT, .fallback = "1000", .syntax = "number",
      .help = "How many requests go over one connection before it is closed." },
    { "keepalive_time", CTX_UPSTREAM, 1, 1, CONF_CUSTOM, .set = set_keepalive_time,
      .inherit = INHERIT_NOT, .fallback = "1h", .syntax = "time",
      .help = "How old a connection may become before it is closed behind a request." },
    { "keepalive_timeout", CTX_UPSTREAM, 1, 1, CONF_CUSTOM, .set = set_keepalive_timeout,
      .inherit = INHERIT_NOT, .fallback = "60s", .syntax = "timeout",
      .help = "How long an idle connection is kept." },
    { "least_conn", CTX_UPSTREAM, 0, 0, CONF_CUSTOM, .set = set_least_conn, .inherit = INHERIT_NOT,
      .syntax = "",
      .help = "Asks the server with the fewest requests in progress, in proportion to weights." },
    { "least_time", CTX_UPSTREAM, 1, 2, CONF_CUSTOM, .set = set_least_time, .inherit = INHERIT_NOT,
      .syntax = "header | last_byte [inflight]",
      .help = "Asks the server that answers fastest on average, until the head or the last byte of "
              "the answer, with its requests in progress and its weight taken into account. "
              "inflight: answers that are not there yet count, too. An average that nothing was "
              "added to for 10s counts half, and so on: a server that was slow is tried again.",
      .example = "least_time header;" },
    { "ip_hash", CTX_UPSTREAM, 0, 0, CONF_CUSTOM, .set = set_ip_hash, .inherit = INHERIT_NOT,
      .syntax = "",
      .help = "Asks the same server for the same client: by the first three bytes of its IPv4 "
              "address or its whole IPv6 address." },
    { "hash", CTX_UPSTREAM, 1, 2, CONF_CUSTOM, .set = set_hash, .inherit = INHERIT_NOT,
      .syntax = "key [consistent]",
      .help = "Asks the same server for the same key. consistent (ketama): when servers come or "
              "go, few keys move.",
      .example = "hash $request_uri consistent;" },
    { "random", CTX_UPSTREAM, 0, 2, CONF_CUSTOM, .set = set_random, .inherit = INHERIT_NOT,
      .syntax = "[two [least_conn | least_time=header | least_time=last_byte]]",
      .help = "Asks a server at random, by weights; two: the less busy, or the faster, of two." },
    { "ntlm", CTX_UPSTREAM, 0, 0, CONF_CUSTOM, .set = set_ntlm, .inherit = INHERIT_NOT,
      .syntax = "",
      .help = "A kept connection to a server serves requests of one connection of a client alone, "
              "and they go to that server: for authentication that is of the connection (NTLM, "
              "Negotiate)." },
    { "queue", CTX_UPSTREAM, 1, 2, CONF_CUSTOM, .set = queue_set, .inherit = INHERIT_NOT,
      .syntax = "number [timeout=time]",
      .help = "So many requests may wait, in the order that they came, when no server can be asked "
              "at once: all have max_conns, say. Those who find no room, or no server in time "
              "(60s), are answered 502.",
      .example = "upstream app { server 127.0.0.1:8080 max_conns=20; queue 100 timeout=5s; }" },
    { "sticky", CTX_UPSTREAM, 2, ARGS_MANY, CONF_CUSTOM, .set = sticky_set, .inherit = INHERIT_NOT,
      .syntax = "cookie name [expires=time] [domain=name] [path=path] "
                "[samesite=strict|lax|none|$variable] [secure] [httponly] | route $variable … | "
                "learn create=$variable … lookup=$variable … zone=name:size [timeout=time] "
                "[header]",
      .help = "Requests of one session go to one server, while it can be asked. cookie: the client "
              "gets a cookie with its server's route (the MD5 of its address, if none is said); "
              "route: the first variable that is not empty says it; learn: a session begins with "
              "the name that create has when an answer is over (header: has begun), and a request "
              "belongs to the one that lookup names; a session that is not used for timeout (10m) "
              "is forgotten.",
      .example = "sticky cookie srv expires=1h path=/;" },
};

const struct feature feature_upstream = {
    .name = "upstream",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct upstream_conf),
    .about = "Groups of servers that requests are passed on to.",
    .index = &upstream_index,
};
