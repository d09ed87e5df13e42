/* site.h - one generation of the http{} block: listeners' addresses, servers, locations.
 *
 * Built by the loader from a configuration, immutable afterwards, shared by all loops, freed
 * when the last request on it ended (server/generation.h counts).
 *
 *   const struct vhosts *v = site_vhosts(site, listener_id, &local_addr);
 *   const struct server *s = vhosts_find(v, host, captures, &captures_of);
 *   const struct location *l = location_find(s->root_location, uri, …);
 */
#ifndef HTTP_SITE_H
#define HTTP_SITE_H

#include "base/map.h"
#include "conf/load.h"
#include "http/request.h"

struct generation;

/* ---- listen --------------------------------------------------------------------- */

/* One address:port (or unix path) of the configuration. */
struct listen_addr {
    struct addr addr;
    struct slice unix_path; /* AF_UNIX; else size 0                                  */
    unsigned unix_mode;     /* of the socket's file; 0: everybody's                  */
    bool bind;              /* has socket options: gets a socket of its own          */
    bool ipv6only, reuseport, deferred, so_keepalive, so_keepalive_set, tls, http2, proxy_protocol,
        options_set;
    int backlog, rcvbuf, sndbuf, fastopen, keep_idle, keep_interval, keep_count; /* -1: unset */
    const struct conf_node *node; /* where it was first said, for messages                 */
    struct vhosts *vhosts;
    struct listen_addr *also; /* the next address covered by the same wildcard socket  */
    struct listen_addr *next;
};

/* The servers of one address. */
struct vhosts {
    const struct server *default_server;
    bool default_explicit;
    bool proxy_protocol; /* connections begin with a PROXY header                    */
    bool tls;            /* … (behind it) with a TLS handshake                       */
    bool listen_http2;   /* one of its listens says http2                            */
    const struct conf_node *default_node;
    struct map exact;             /* "a.test", ".a.test"'s own name                        */
    struct map head_wildcards;    /* "*.a.test" under ".a.test"                             */
    struct map tail_wildcards;    /* "www.a.*" under "www.a."                              */
    struct server_regex *regexes; /* in order                                              */
    uint32_t server_count;
    const struct server *only;           /* the single server: no name needs looking up           */
    const struct h1_limits *head_limits; /* of the default server                         */
};

struct server_regex {
    struct regex *regex;
    const struct server *server;
    struct server_regex *next;
};

/* A socket to be opened: one or several listen_addrs (a wildcard address and the addresses it
 * covers share one). `id` is stable over generations: server/ assigns it by what it is bound
 * to, and keeps the socket while any generation wants it. */
struct listener_want {
    struct listen_addr *addr;    /* what to bind                                          */
    struct listen_addr *covered; /* further addresses served by it, chained by `also`     */
    unsigned id;
    struct listener_want *next;
};

/* ---- servers and locations --------------------------------------------------------- */

struct server_name {
    struct slice text; /* as written                                            */
    struct regex *regex;
    const struct conf_node *node;
    unsigned arg;
    struct server_name *next;
};

/* An address that one server listens on. */
struct server_listen {
    struct listen_addr *addr;
    const struct conf_node *node;
    bool is_default;
    bool tls; /* this listen says so; others of the address may */
    struct server_listen *next;
};

struct server {
    struct scope *scope;
    const struct conf_node *node;
    struct server_listen *listens, **listens_end;
    struct server_name *names, **names_end;
    struct location *root;               /* the scope of the server itself: locations hang below  */
    struct location *named, *named_last; /* "@name", chained by next                         */
    struct server *next;
};

enum location_kind {
    LOCATION_PREFIX,
    LOCATION_PREFIX_FINAL /* ^~ */,
    LOCATION_EXACT,
    LOCATION_REGEX,
    LOCATION_NAMED
};

typedef enum verdict content_fn(struct request *);

struct location {
    enum location_kind kind;
    struct slice name; /* the prefix, path, pattern text or @name               */
    struct regex *regex;
    struct scope *scope;
    struct location *parent;
    const struct conf_node *node;
    struct location *children, *children_last, *next; /* as written                        */
    /* Built after loading: */
    struct map exact;           /* of children                                           */
    struct location **prefixes; /* children by prefix, sorted by name                    */
    uint32_t prefix_count;
    struct location **regexes;
    uint32_t regex_count;
    const struct location *shorter; /* the next shorter sibling prefix of this one, or NULL  */
    content_fn *content;            /* set by directives like stub_status; NULL: files       */
    bool is_internal;
    bool has_names;     /* its pattern, or one around it, has (?<name>…)               */
    bool auto_redirect; /* "/dir" answers 301 to "/dir/" (proxy_pass and kin)    */
    bool has_redirects; /* one of the children does                              */
    struct log *log;    /* error_log in force                                    */
};

/* How many requests of one loop run on a site. A cache line each: loops do not disturb one
 * another. */
struct site_use {
    _Alignas(64) uint32_t count;
};

struct site {
    struct generation *generation;
    struct site_use *uses;     /* by loop index; made by server/generation.c            */
    struct scope *root, *http; /* http may be NULL: no http block                        */
    struct server *servers, **servers_end;
    struct listen_addr *addrs;
    struct listener_want *listeners;
    struct arena *arena;
    const struct log *log; /* the main error log                                    */
    const struct listener_want **by_listener; /* by listener id, or NULL; server/ fills it    */
    unsigned listener_count;
    uint32_t number, respawned;   /* of the generation; workers that died before this one    */
    int64_t loaded_wall_ns;       /* when it was                                            */
    unsigned value_count;         /* conf_place_count(): of each request's own values      */
    void *features[FEATURES_MAX]; /* features' own per-generation state                    */
};

/* Set functions of the rows `http`, `server`, `location`, `listen`, `server_name` make the
 * tree while loading; this turns it into tables and complains about duplicate listens,
 * conflicting names, and the like. */
struct site *site_build(struct conf_load *, struct scope *root) MUST_USE;

/* A request on `loop` begins or ends using the site. When the last one of a site that the
 * loop has left behind ends, loop->site_unused() is told. No atomics: a loop has one thread. */
static inline void site_hold(struct loop *loop, struct site *site)
{
    site->uses[loop->index].count++;
}

static inline void site_drop(struct loop *loop, struct site *site)
{
    if (--site->uses[loop->index].count == 0 && site != loop->site)
        loop->site_unused(loop, site);
}

/* Which servers a connection accepted on listener `id` may reach; NULL: the listener is not
 * part of this generation. local is asked for only if the listener covers several addresses. */
const struct vhosts *site_vhosts(const struct site *, unsigned id,
                                 void (*local)(void *arg, struct addr *), void *arg);

/* Exact, longest "*.", longest ".*", first regex; else the default. */
const struct server *vhosts_find(const struct vhosts *, struct slice host,
                                 struct slice captures[CAPTURES_MAX], const struct regex **ret_of);

/* nginx's rules: exact; longest prefix; unless it is ^~, the first regex that matches (nested
 * ones first); else that prefix. NULL: no location (the server's own scope serves). */
/* LOCATION_SLASH: the path lacks only the slash at the end of *ret, which passes requests on. */
enum location_found { LOCATION_FOUND, LOCATION_REGEX_LIMIT, LOCATION_SLASH };
enum location_found location_find(const struct location *root, struct slice uri,
                                  struct slice captures[CAPTURES_MAX], const struct regex **ret_of,
                                  const struct location **ret);

/* Puts a location's configuration in force for the request. */
void location_use(struct request *, const struct location *);

extern const struct feature feature_http_core;
/* …whose struct, in each scope: */
struct http_core {
    int64_t client_header_timeout, client_body_timeout, send_timeout, keepalive_timeout,
        keepalive_header, keepalive_time, keepalive_min_timeout, lingering_time,
        lingering_timeout; /* ms         */
    int64_t keepalive_requests, client_max_body_size, max_headers;
    int64_t client_header_buffer_size, large_buffer_count, large_buffer_size;
    int lingering_close; /* LINGER_OFF, LINGER_ON, LINGER_ALWAYS           */
    bool allow_bare_lf, underscores, ignore_invalid, merge_slashes, server_tokens_build,
        absolute_redirect, server_name_in_redirect, port_in_redirect, reset_timedout, tcp_nodelay,
        tcp_nopush, log_not_found, log_subrequest, msie_padding, etag, recursive_error_pages,
        internal, chunked_encoding;
    uint32_t idle_steps, idle_filters; /* bits: see pipeline_fit()            */
    int server_tokens;                 /* TOKENS_OFF, TOKENS_ON, TOKENS_BUILD            */
    int satisfy;                       /* SATISFY_ALL, SATISFY_ANY                       */
    int if_modified_since;             /* IMS_OFF, IMS_EXACT, IMS_BEFORE                 */
    int64_t auth_delay;                /* ms                                          */
    int64_t max_ranges;                /* -1: no limit but RANGES_MAX                    */
    struct expr *limit_rate, *limit_rate_after;
    struct slice root;
    struct expr *root_expr;
    bool alias;
    const struct location *alias_of;
    struct slice prefix; /* what relative paths are below of               */
};
enum { LINGER_OFF, LINGER_ON, LINGER_ALWAYS };
enum { TOKENS_OFF, TOKENS_ON, TOKENS_BUILD };
enum { SATISFY_ALL, SATISFY_ANY };
enum { IMS_OFF, IMS_EXACT, IMS_BEFORE };

static inline const struct http_core *core_conf(const struct request *r)
{
    return scope_conf(r->scope, &feature_http_core);
}

#endif
