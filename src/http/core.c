/* core.c - the directives that shape http{}, server{} and location{}, and the ones about
 * connections and requests as such. Each row says what it does; listen has a file of its own. */
#include "http/core.h"

#include "http/pipeline.h"
#include "wire/range.h"

static uint32_t core_index;

/* ---- blocks ---------------------------------------------------------------------- */

struct site *core_site(struct conf_load *load)
{
    struct scope *http = conf_scope_of(load, CTX_HTTP);

    return http != NULL ? http->object : NULL;
}

static bool set_http(struct conf_load *load, const struct conf_node *node, void *conf,
                     const struct directive *row)
{
    struct site *site = arena_must(conf_arena(load), sizeof *site);
    struct scope *scope;

    (void)conf;
    (void)row;
    site->servers_end = &site->servers;
    site->arena = conf_arena(load);
    scope = conf_enter(load, node, CTX_HTTP, site);
    site->http = scope;
    return scope != NULL;
}

static bool set_server(struct conf_load *load, const struct conf_node *node, void *conf,
                       const struct directive *row)
{
    struct site *site = core_site(load);
    struct server *server = arena_must(conf_arena(load), sizeof *server);
    struct location *root = arena_must(conf_arena(load), sizeof *root);

    (void)conf;
    (void)row;
    server->names_end = &server->names;
    server->listens_end = &server->listens;
    server->root = root;
    server->node = node;
    *site->servers_end = server;
    site->servers_end = &server->next;
    server->scope = conf_enter(load, node, CTX_SERVER, server);
    root->scope = server->scope;
    return server->scope != NULL;
}

/* The location that a new one is nested in: the server's root outside of any. */
static struct location *enclosing(struct conf_load *load)
{
    struct scope *scope = conf_scope(load);
    struct scope *server = conf_scope_of(load, CTX_SERVER);

    if (scope->context == CTX_LOCATION)
        return scope->object;
    return ((struct server *)server->object)->root;
}

static const struct {
    const char *mark;
    enum location_kind kind;
    unsigned regex_flags;
} modifiers[] = {
    { "=", LOCATION_EXACT, 0 },
    { "^~", LOCATION_PREFIX_FINAL, 0 },
    { "~*", LOCATION_REGEX, REGEX_NOCASE },
    { "~", LOCATION_REGEX, 0 },
};

/* Reads "[modifier] name": the modifier may also stick to the name ("=/x", "~^/y"). */
static bool location_name(struct conf_load *load, const struct conf_node *node, struct location *l)
{
    struct slice first = conf_arg(node, 0);
    unsigned flags = 0, arg = 0;

    l->kind = LOCATION_PREFIX;
    l->name = first;
    for (size_t i = 0; i < COUNT_OF(modifiers); i++) {
        struct slice mark = slice_str(modifiers[i].mark);
        bool alone = node->arg_count == 2 && slice_eq(first, mark);

        if (!alone && !(node->arg_count == 1 && slice_starts(first, mark)))
            continue;
        l->kind = modifiers[i].kind;
        flags = modifiers[i].regex_flags;
        arg = alone ? 1 : 0;
        l->name = alone ? conf_arg(node, 1) : slice_skip(first, mark.size);
        break;
    }
    if (node->arg_count == 2 && arg == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a location modifier",
                      SLICE_FMT(first));
        conf_hint(load, "expected: =, ^~, ~ or ~*");
        return false;
    }
    if (l->kind == LOCATION_PREFIX && l->name.size > 0 && l->name.at[0] == '@')
        l->kind = LOCATION_NAMED;
    if (l->kind == LOCATION_REGEX) {
        l->regex = regex_compile(load, node, arg, l->name, flags);
        return l->regex != NULL;
    }
    return true;
}

/* nginx's rules for a location inside another. */
static bool nesting_ok(struct conf_load *load, const struct conf_node *node,
                       const struct location *outer, const struct location *l)
{
    const char *why = NULL;

    if (outer->parent == NULL && outer->name.size == 0)
        return true;
    if (outer->kind == LOCATION_EXACT)
        why = "an exact location cannot have locations inside";
    else if (outer->kind == LOCATION_NAMED)
        why = "a named location cannot have locations inside";
    else if (l->kind == LOCATION_NAMED)
        why = "a named location can stand in a server only";
    else if (l->kind != LOCATION_REGEX && outer->kind != LOCATION_REGEX &&
             !slice_starts(l->name, outer->name))
        why = "its name does not begin with the enclosing location's";
    if (why == NULL)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "location \"%.*s\" cannot be inside \"%.*s\": %s",
                  SLICE_FMT(l->name), SLICE_FMT(outer->name), why);
    return false;
}

static bool set_location(struct conf_load *load, const struct conf_node *node, void *conf,
                         const struct directive *row)
{
    struct location *l = arena_must(conf_arena(load), sizeof *l);
    struct location *outer = enclosing(load), **end;
    struct server *server = conf_scope_of(load, CTX_SERVER)->object;

    (void)conf;
    (void)row;
    if (!location_name(load, node, l) || !nesting_ok(load, node, outer, l)) {
        conf_enter(load, node, CTX_LOCATION, l); /* its mistakes are worth telling too */
        return false;
    }
    l->parent = outer;
    l->node = node;
    end = l->kind == LOCATION_NAMED ? &server->named_last : &outer->children_last;
    if (*end != NULL)
        (*end)->next = l;
    else if (l->kind == LOCATION_NAMED)
        server->named = l;
    else
        outer->children = l;
    *end = l;
    l->scope = conf_enter(load, node, CTX_LOCATION, l);
    return l->scope != NULL;
}

/* ---- values of a shape of their own ------------------------------------------------- */

static bool set_keepalive(struct conf_load *load, const struct conf_node *node, void *conf,
                          const struct directive *row)
{
    struct http_core *core = conf;

    (void)row;
    if (!conf_parse_msec(conf_arg(node, 0), &core->keepalive_timeout)) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a time",
                      SLICE_FMT(conf_arg(node, 0)));
        return false;
    }
    if (node->arg_count < 2)
        return true;
    if (!conf_parse_msec(conf_arg(node, 1), &core->keepalive_header)) {
        conf_complain(load, CONF_EMERG, node, 1, "\"%.*s\" is not a time",
                      SLICE_FMT(conf_arg(node, 1)));
        return false;
    }
    return true;
}

static bool set_large_buffers(struct conf_load *load, const struct conf_node *node, void *conf,
                              const struct directive *row)
{
    struct http_core *core = conf;
    uint64_t count;

    (void)row;
    if (!slice_to_u64(conf_arg(node, 0), 1024, &count) || count == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a number of buffers",
                      SLICE_FMT(conf_arg(node, 0)));
        conf_hint(load, "expected: 1 to 1024");
        return false;
    }
    if (!conf_parse_size(conf_arg(node, 1), &core->large_buffer_size) ||
        core->large_buffer_size < 256 || core->large_buffer_size > 64 * 1024) {
        conf_complain(load, CONF_EMERG, node, 1, "\"%.*s\" is not a buffer size",
                      SLICE_FMT(conf_arg(node, 1)));
        conf_hint(load, "expected: a size from 256 to 64k");
        return false;
    }
    core->large_buffer_count = (int64_t)count;
    return true;
}

/* root and alias are one setting with two spellings. */
static bool set_root(struct conf_load *load, const struct conf_node *node, void *conf,
                     const struct directive *row)
{
    struct http_core *core = conf;
    struct slice text = conf_arg(node, 0), constant;
    bool alias = row->name[0] == 'a';
    struct expr *e = expr_compile(load, node, 0);

    if (e == NULL)
        return false;
    if (core->root.size > 0 || core->root_expr != NULL) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME,
                      "\"%s\" cannot stand beside \"%s\" in one location", row->name,
                      alias ? "root" : "alias");
        return false;
    }
    core->alias = alias;
    core->alias_of = alias ? conf_scope(load)->object : NULL;
    if (!expr_constant(e, &constant)) {
        core->root_expr = e;
        return true;
    }
    if (text.size == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "the path is empty");
        return false;
    }
    core->root = constant.at[0] == '/' ? constant
                                       : arena_printf(conf_arena(load), "%s%.*s", conf_prefix(load),
                                                      SLICE_FMT(constant));
    return core->root.at != NULL;
}

static bool set_internal(struct conf_load *load, const struct conf_node *node, void *conf,
                         const struct directive *row)
{
    (void)node;
    (void)row;
    (void)load;
    ((struct http_core *)conf)->internal = true;
    return true;
}

static bool set_name(struct conf_load *load, const struct conf_node *node, void *conf,
                     const struct directive *row)
{
    struct server *server = conf_scope(load)->object;

    (void)conf;
    (void)row;
    for (unsigned i = 0; i < node->arg_count; i++)
        if (!core_add_name(load, node, i, server))
            return false;
    return true;
}

static bool core_merge(struct conf_load *load, struct scope *scope, const void *parent_conf,
                       void *conf)
{
    const struct http_core *parent = parent_conf;
    struct http_core *core = conf;

    if (parent != NULL && core->root.size == 0 && core->root_expr == NULL) {
        core->root = parent->root;
        core->root_expr = parent->root_expr;
        core->alias = parent->alias;
        core->alias_of = parent->alias_of;
    }
    core->prefix = slice_str(conf_prefix(load));
    if (core->root.size == 0 && core->root_expr == NULL)
        core->root = arena_printf(conf_arena(load), "%shtml", conf_prefix(load));
    if (scope->context == CTX_LOCATION && scope->object != NULL)
        ((struct location *)scope->object)->is_internal = core->internal;
    return true;
}

/* ---- the rows ------------------------------------------------------------------------ */

#define AT(member) offsetof(struct http_core, member)
#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)
#define HS (CTX_HTTP | CTX_SERVER)

static const struct conf_word lingering_words[] = {
    { "off", LINGER_OFF }, { "on", LINGER_ON }, { "always", LINGER_ALWAYS }, { NULL, 0 }
};
static const struct conf_word token_words[] = {
    { "off", TOKENS_OFF }, { "on", TOKENS_ON }, { "build", TOKENS_BUILD }, { NULL, 0 }
};
static const struct conf_word ims_words[] = {
    { "off", IMS_OFF }, { "exact", IMS_EXACT }, { "before", IMS_BEFORE }, { NULL, 0 }
};
static const struct conf_word satisfy_words[] = { { "all", SATISFY_ALL },
                                                  { "any", SATISFY_ANY },
                                                  { NULL, 0 } };

#define FLAG(name, where, member, value, text)                                              \
    {                                                                                       \
        name, where, 1, 1, CONF_FLAG, AT(member), value, .syntax = "on | off", .help = text \
    }
#define TIME(name, where, member, value, text)                                          \
    {                                                                                   \
        name, where, 1, 1, CONF_MSEC, AT(member), value, .syntax = "time", .help = text \
    }

#define HINT(name, where, most, form, text)                                             \
    {                                                                                   \
        name, where, 1, most, CONF_CUSTOM, .set = conf_set_ignored, .syntax = form,     \
                                           .help = "Accepted and without effect: " text \
    }

static const struct directive rows[] = {
    { "http", CTX_MAIN, 0, 0, CONF_BLOCK, .set = set_http, .syntax = "{ … }",
      .help = "Everything about HTTP: settings for all servers, and the servers." },
    { "server", CTX_HTTP, 0, 0, CONF_BLOCK, .set = set_server, .repeats = true, .syntax = "{ … }",
      .help = "A virtual server: what is said to one set of names." },
    { "location", CTX_SERVER | CTX_LOCATION, 1, 2, CONF_BLOCK, .set = set_location, .repeats = true,
      .syntax = "[ = | ~ | ~* | ^~ ] uri { … } | @name { … }",
      .help = "Settings for a part of a server's paths.",
      .example = "location /img/ { expires 1d; }" },
    { "listen", CTX_SERVER, 1, ARGS_MANY, CONF_CUSTOM, .set = core_set_listen, .repeats = true,
      .syntax = "address[:port] | port | unix:path [default_server] [reuseport] [proxy_protocol] "
                "[backlog=n] …",
      .help = "Where the server accepts connections.", .example = "listen 8080;" },
    { "server_name", CTX_SERVER, 1, ARGS_MANY, CONF_CUSTOM, .set = set_name, .repeats = true,
      .fallback = NULL, .syntax = "name …",
      .help = "The names a server answers to: exact, *.wildcard, wildcard.*, or ~regex.",
      .example = "server_name example.com *.example.com;" },
    { "root", HSL | CTX_IF_LOCATION, 1, 1, CONF_CUSTOM, .set = set_root, .inherit = INHERIT_NOT,
      .syntax = "path", .help = "The directory below which files are looked for.",
      .example = "root /srv/www;" },
    { "alias", CTX_LOCATION, 1, 1, CONF_CUSTOM, .set = set_root, .inherit = INHERIT_NOT,
      .syntax = "path", .help = "Replaces the location's prefix by this path.",
      .example = "location /i/ { alias /srv/images/; }" },
    { "internal", CTX_LOCATION, 0, 0, CONF_CUSTOM, .set = set_internal, .inherit = INHERIT_NOT,
      .syntax = "", .help = "The location is only reached by internal redirects." },
    TIME("client_header_timeout", HS, client_header_timeout, "60s",
         "How long a complete request head may take; counted from its first byte."),
    TIME("client_body_timeout", HSL, client_body_timeout, "60s",
         "How long to wait between two pieces of a request body."),
    TIME("send_timeout", HSL, send_timeout, "60s",
         "How long a client may take no bytes of an answer."),
    { "keepalive_timeout", HSL, 1, 2, CONF_CUSTOM, AT(keepalive_timeout), "75s",
      .set = set_keepalive, .size = 2 * sizeof(int64_t), .syntax = "time [header_time]",
      .help = "How long an idle connection is kept; 0 closes it after each answer." },
    TIME("keepalive_time", HSL, keepalive_time, "1h",
         "How long a connection is kept at all, counted from its beginning."),
    TIME("keepalive_min_timeout", HSL, keepalive_min_timeout, "0",
         "How long an idle connection is left alone when the server is leaving."),
    { "keepalive_requests", HSL, 1, 1, CONF_NUMBER, AT(keepalive_requests), "1000", .min = 0,
      .max = INT64_MAX, .syntax = "number",
      .help = "After so many requests a connection is closed." },
    { "client_max_body_size", HSL, 1, 1, CONF_SIZE, AT(client_max_body_size), "1m",
      .syntax = "size", .help = "The largest request body that is accepted; 0: any size." },
    { "client_header_buffer_size", HS, 1, 1, CONF_SIZE, AT(client_header_buffer_size), "1k",
      .min = 64, .max = 65536, .syntax = "size",
      .help = "What is set aside for a request head at first." },
    { "large_client_header_buffers", HS, 2, 2, CONF_CUSTOM, AT(large_buffer_count), "4 8k",
      .set = set_large_buffers, .size = 2 * sizeof(int64_t), .syntax = "number size",
      .help = "The largest line of a request head (size) and the largest head (number × size)." },
    { "max_headers", HS, 1, 1, CONF_NUMBER, AT(max_headers), "100", .min = 1, .max = 10000,
      .syntax = "number", .help = "How many fields a request head may have." },
    FLAG("allow_bare_lf", HS, allow_bare_lf, "off",
         "Accepts lines that end in LF without CR in requests."),
    FLAG("underscores_in_headers", HS, underscores, "off",
         "Keeps request fields whose names have underscores."),
    FLAG("ignore_invalid_headers", HS, ignore_invalid, "on",
         "Drops request fields with unusual names instead of keeping them."),
    FLAG("merge_slashes", HS, merge_slashes, "on", "Takes several slashes in a path for one."),
    { "lingering_close", HSL, 1, 1, CONF_ENUM, AT(lingering_close), "on", .words = lingering_words,
      .syntax = "off | on | always",
      .help = "Whether unread input is read and thrown away before a connection is closed." },
    TIME("lingering_time", HSL, lingering_time, "30s", "How long that may take in all."),
    TIME("lingering_timeout", HSL, lingering_timeout, "5s",
         "How long it waits for the next bytes."),
    { "server_tokens", HSL, 1, 1, CONF_ENUM, AT(server_tokens), "on", .words = token_words,
      .syntax = "on | off | build", .help = "Whether the version is shown to clients." },
    { "satisfy", HSL, 1, 1, CONF_ENUM, AT(satisfy), "all", .words = satisfy_words,
      .syntax = "all | any", .help = "Whether all access rules must agree, or one." },
    TIME("auth_delay", HSL, auth_delay, "0",
         "Answers with 401 that access rules decide (auth_basic) are held back for so long."),
    FLAG("absolute_redirect", HSL, absolute_redirect, "on",
         "Sends redirects with scheme and host."),
    FLAG("server_name_in_redirect", HSL, server_name_in_redirect, "off",
         "Uses the first server_name in redirects instead of the Host that came."),
    FLAG("port_in_redirect", HSL, port_in_redirect, "on", "Names the port in redirects."),
    FLAG("reset_timedout_connection", HSL, reset_timedout, "off",
         "Resets connections that timed out, which frees their memory at once."),
    FLAG("etag", HSL, etag, "on", "Sends an ETag with files."),
    { "if_modified_since", HSL, 1, 1, CONF_ENUM, AT(if_modified_since), "exact", .words = ims_words,
      .syntax = "off | exact | before",
      .help = "How If-Modified-Since is compared with the file's time." },
    { "max_ranges", HSL, 1, 1, CONF_NUMBER, AT(max_ranges), "16", .min = 0, .max = RANGES_MAX,
      .syntax = "number", .help = "How many ranges a request may ask for; 0: ranges are off." },
    FLAG("tcp_nodelay", HSL, tcp_nodelay, "on", "Sends small pieces without delay."),
    FLAG("tcp_nopush", HSL, tcp_nopush, "off",
         "Joins head and file in full packets; weir always does."),
    FLAG("log_not_found", HSL, log_not_found, "on", "Logs files that are not there."),
    FLAG("log_subrequest", HSL, log_subrequest, "off", "Writes sub-requests to the access log."),
    FLAG("msie_padding", HSL, msie_padding, "on", "Accepted; no browser needs it any more."),
    FLAG("chunked_transfer_encoding", HSL, chunked_encoding, "on",
         "Uses chunks for answers of unknown length."),
    FLAG("recursive_error_pages", HSL, recursive_error_pages, "off",
         "Lets an error on the way to an error page choose another error page."),
    HINT("connection_pool_size", HS, 1, "size", "an idle connection has no pool."),
    HINT("request_pool_size", HS, 1, "size", "weir sizes its arenas itself."),
    HINT("keepalive_disable", HSL, ARGS_MANY, "none | browser …",
         "the browsers in question are gone."),
    HINT("msie_refresh", HSL, 1, "on | off", "the browsers in question are gone."),
    HINT("server_names_hash_max_size", CTX_HTTP, 1, "size", "weir sizes its tables itself."),
    HINT("server_names_hash_bucket_size", CTX_HTTP, 1, "size", "weir sizes its tables itself."),
    HINT("variables_hash_max_size", CTX_HTTP, 1, "size", "weir sizes its tables itself."),
    HINT("variables_hash_bucket_size", CTX_HTTP, 1, "size", "weir sizes its tables itself."),
    { "limit_rate", HSL | CTX_IF_LOCATION, 1, 1, CONF_EXPR, AT(limit_rate), NULL, .syntax = "rate",
      .help = "Bytes a second for one answer; 0: no limit." },
    { "limit_rate_after", HSL | CTX_IF_LOCATION, 1, 1, CONF_EXPR, AT(limit_rate_after), NULL,
      .syntax = "size", .help = "What is sent at full speed before limit_rate begins." },
};

const struct feature feature_http_core = {
    .name = "core",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct http_core),
    .merge = core_merge,
    .about = "Servers, locations, connections and requests.",
    .index = &core_index,
};
