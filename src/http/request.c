/* request.c - the life of a request: made, started, answered, ended. */
#include "http/request.h"

#include "http/log_target.h"
#include "http/pipeline.h"
#include "http/site.h"
#include "wire/uri.h"

#include <stdarg.h>
#include <stdio.h>

struct request *request_create_on(struct loop *loop, struct io *io, struct site *site,
                                  const struct request_ops *ops, void *conn)
{
    struct request *r = slab_take(&loop->request_slab);

    if (r == NULL)
        return NULL;
    /* the head is cleared by its reader */
    memset(r, 0, offsetof(struct request, head));
    memset(&r->host, 0, offsetof(struct request, captures) - offsetof(struct request, host));
    OBJ_BORN(r, REQUEST_MAGIC);
    arena_init(&r->arena, (char *)r + sizeof *r, REQUEST_SLOT - sizeof *r, 4096, REQUEST_ARENA_MAX);
    r->loop = loop;
    r->io = io;
    r->ops = ops;
    r->conn = conn;
    r->site = site;
    r->started_ns = loop_now_ns(loop, io);
    site_hold(loop, r->site);
    r->response.length = r->response.last_modified = -1;
    r->response.headers_end = &r->response.headers;
    return r;
}

struct request *request_create(struct loop *loop, struct io *io, const struct request_ops *ops,
                               void *conn)
{
    return request_create_on(loop, io, loop->site, ops, conn);
}

/* ---- start ------------------------------------------------------------------------- */

static void use_server(struct request *r, const struct server *server)
{
    r->server = server;
    r->scope = server->scope;
    r->log = log_of_scope(server->scope);
}

void request_set_uri(struct request *r, struct slice uri)
{
    r->uri = uri;
    r->uri_changed = true;
    r->extension = (struct slice){ 0 };
    for (size_t i = uri.size; i > 0 && uri.at[i - 1] != '/'; i--) {
        if (uri.at[i - 1] != '.')
            continue;
        /* ".profile" has no extension */
        if (i >= 2 && uri.at[i - 2] != '/')
            r->extension = slice_skip(uri, i);
        return;
    }
}

/* nginx's alphabet of methods; any other token is one nobody implements. */
static bool method_plausible(struct slice method)
{
    for (size_t i = 0; i < method.size; i++) {
        char c = method.at[i];

        if (!((c >= 'A' && c <= 'Z') || c == '_' || c == '-'))
            return false;
    }
    return true;
}

static bool take_host(struct request *r, const struct vhosts *v)
{
    char *into = arena_bytes(&r->arena, r->head.host.size + 1);

    if (into == NULL)
        return false;
    r->host = uri_host_fold(r->head.host, into);
    r->host_port = r->head.host_port;
    use_server(r, vhosts_find(v, r->host, r->server_captures, &r->server_captures_of));
    return r->server_captures_of == NULL || request_matched(r, r->server_captures_of);
}

/* 0, or the status that refuses the request. */
static unsigned take_target(struct request *r)
{
    const struct http_core *core = core_conf(r);
    struct slice uri;
    char *into;

    if (r->head.method == METHOD_CONNECT || r->head.method == METHOD_TRACE)
        return 405;
    if (r->head.method == METHOD_OTHER && !method_plausible(r->head.method_text))
        return 501;
    r->args = r->head.args;
    if (r->head.path.size == 1 && r->head.path.at[0] == '*') {
        request_set_uri(r, r->head.path);
        return 0;
    }
    into = arena_bytes(&r->arena, r->head.path.size + 1);
    if (into == NULL)
        return 500;
    if (uri_normalise(r->head.path, core->merge_slashes, into, &uri) == URI_BAD)
        return 400;
    request_set_uri(r, uri);
    r->uri_changed = false;
    return 0;
}

/* From now until its end somebody works on it. */
static void count(struct request *r)
{
    if (!r->counted)
        stat_add(&r->loop->stats.writing, 1);
    r->counted = true;
}

void request_start(struct request *r, const struct vhosts *v)
{
    unsigned refused;

    OBJ(r, REQUEST_MAGIC);
    count(r);
    r->vhosts = v;
    use_server(r, v->default_server);
    refused = take_host(r, v) ? take_target(r) : 500;
    if (refused != 0) {
        request_start_refused(r, v, refused);
        return;
    }
    if (r->uri.size == 1 && r->uri.at[0] == '*') {
        /* OPTIONS *: about the server as a whole (RFC 9110 §9.3.7) */
        r->response.status = 204;
        r->response.final = true;
        r->header_only = true;
        r->ops->respond(r);
        return;
    }
    request_run(r);
}

void request_start_refused(struct request *r, const struct vhosts *v, unsigned status)
{
    OBJ(r, REQUEST_MAGIC);
    count(r);
    r->vhosts = v;
    if (status == 497 && take_host(r, v)) /* its head is whole: error_page may use it */
        (void)take_target(r);
    if (r->server == NULL)
        use_server(r, v->default_server);
    if (r->head.why != NULL && r->head.status == status)
        request_log(r, LOG_INFO, 0, "client sent a bad request head: %s", r->head.why);
    if (r->uri.size == 0)
        request_set_uri(r, SLICE("/"));
    request_run_refused(r, status);
}

/* ---- answers ------------------------------------------------------------------------ */

static void response_clear(struct request *r)
{
    body_drop(r->response.body);
    r->response = (struct response){ .length = -1, .last_modified = -1 };
    r->response.headers_end = &r->response.headers;
}

enum verdict request_fail(struct request *r, unsigned status)
{
    static const uint16_t closing[] = {
        400, 408, 413, 414, 431, 494, 495, 496, 497, 500, 501, 505
    };

    response_clear(r);
    r->response.status = (uint16_t)status;
    r->response.no_answer = status == 444;
    r->response.final = status == 444;
    for (size_t i = 0; i < COUNT_OF(closing); i++)
        r->response.close |= closing[i] == status;
    return DONE;
}

enum verdict request_reply(struct request *r, unsigned status, struct slice content_type,
                           struct slice bytes)
{
    response_clear(r);
    r->response.status = (uint16_t)status;
    r->response.content_type = content_type;
    r->response.length = (int64_t)bytes.size;
    r->response.final = true;
    if (bytes.size == 0)
        return DONE;
    r->response.body = body_memory(r, bytes);
    return r->response.body != NULL ? DONE : request_fail(r, 500);
}

enum verdict request_redirect_out(struct request *r, unsigned status, struct slice to)
{
    request_fail(r, status);
    r->response.location = to;
    return DONE;
}

/* ---- internal redirects -------------------------------------------------------------- */

static bool redirect_allowed(struct request *r, const char *doing, struct slice where)
{
    response_clear(r);
    if (++r->redirects <= REDIRECTS_MAX)
        return true;
    request_log(r, LOG_ERROR, 0, "rewrite or internal redirection cycle while %s \"%.*s\"", doing,
                SLICE_FMT(where));
    request_fail(r, 500);
    r->response.final = false;
    r->no_error_page = true;
    return false;
}

static void leave_location(struct request *r)
{
    r->internal = true;
    r->location = NULL;
    r->root_path = (struct slice){ 0 };
    use_server(r, r->server);
}

enum verdict request_reroute_args(struct request *r, struct slice uri, struct slice args)
{
    struct slice copy = arena_copy(&r->arena, uri);

    if (!redirect_allowed(r, "internally redirecting to", uri))
        return DONE;
    if (copy.at == NULL)
        return request_fail(r, 500);
    request_set_uri(r, copy);
    r->args = args;
    leave_location(r);
    return REROUTE;
}

enum verdict request_relocate(struct request *r)
{
    if (!redirect_allowed(r, "processing", r->uri))
        return DONE;
    leave_location(r);
    return RELOCATE;
}

enum verdict request_reroute(struct request *r, struct slice uri)
{
    struct slice path = uri, args = { 0 };
    size_t mark = slice_find(uri, '?');

    if (mark < uri.size) {
        path = slice_head(uri, mark);
        args = arena_copy(&r->arena, slice_skip(uri, mark + 1));
    }
    return request_reroute_args(r, path, args);
}

enum verdict request_reroute_named(struct request *r, struct slice name)
{
    if (!redirect_allowed(r, "redirecting to named location", name))
        return DONE;
    for (const struct location *l = r->server->named; l != NULL; l = l->next) {
        if (!slice_eq(l->name, name))
            continue;
        r->internal = true;
        location_use(r, l);
        r->routed = true;
        return RELOCATE;
    }
    request_log(r, LOG_ERROR, 0, "there is no location \"%.*s\"", SLICE_FMT(name));
    return request_fail(r, 500);
}

/* ---- what it carries -------------------------------------------------------------------- */

struct slice *request_values(struct request *r)
{
    if (r->values == NULL && r->site->value_count > 0)
        r->values = arena_zalloc(&r->arena, r->site->value_count * sizeof *r->values);
    return r->values;
}

bool request_matched(struct request *r, const struct regex *re)
{
    bool of_server = re == r->server_captures_of;

    if (!of_server)
        r->captures_of = re;
    if (regex_name_count(re) == 0)
        return true;
    if (request_values(r) == NULL)
        return false;
    regex_keep_named(re, of_server ? r->server_captures : r->captures, r->values);
    return true;
}

bool response_add(struct request *r, struct slice name, struct slice value)
{
    struct header *h =
        r->response.header_count < HEADERS_MAX ? arena_alloc(&r->arena, sizeof *h) : NULL;

    if (h == NULL)
        return false;
    *h = (struct header){ name, value, NULL };
    *r->response.headers_end = h;
    r->response.headers_end = &h->next;
    r->response.header_count++;
    return true;
}

struct header *response_find(struct request *r, struct slice name)
{
    for (struct header *h = r->response.headers; h != NULL; h = h->next)
        if (h->value.at != NULL && slice_eq_nocase(h->name, name))
            return h;
    return NULL;
}

bool request_at_end(struct request *r, void (*run)(void *), void *arg)
{
    struct cleanup *k = arena_alloc(&r->arena, sizeof *k);

    if (k == NULL) {
        run(arg);
        return false;
    }
    *k = (struct cleanup){ run, arg, r->cleanups };
    r->cleanups = k;
    return true;
}

const struct addr *request_client(struct request *r)
{
    if (!r->client_known) {
        r->ops->peer(r, &r->client);
        r->client_known = true;
    }
    return &r->client;
}

void request_body_ready(struct request *r)
{
    OBJ(r, REQUEST_MAGIC);
    if (!r->ended)
        r->ops->body_ready(r);
}

uint64_t request_rate(struct request *r, uint64_t *ret_after)
{
    const struct http_core *core = core_conf(r);
    struct slice text;
    int64_t rate = 0, after = 0;

    *ret_after = 0;
    if (r->rate_set)
        rate = (int64_t)r->rate;
    else if (core->limit_rate == NULL || !expr_eval(core->limit_rate, r, &r->arena, 64, &text) ||
             !conf_parse_size(text, &rate))
        return 0;
    if (core->limit_rate_after != NULL &&
        expr_eval(core->limit_rate_after, r, &r->arena, 64, &text) && conf_parse_size(text, &after))
        *ret_after = (uint64_t)after;
    return (uint64_t)rate;
}

/* ---- the error log -------------------------------------------------------------------------- */

static void about(struct request *r, struct gather *g)
{
    gather_lit(g, "client: ");
    addr_print(request_client(r), g);
    if (r->server != NULL && r->server->names != NULL) {
        gather_lit(g, ", server: ");
        gather_slice(g, r->server->names->text);
    }
    if (r->head.line.size > 0) {
        gather_lit(g, ", request: \"");
        gather_slice(g, slice_head(r->head.line, 1024));
        gather_byte(g, '"');
    }
    if (r->parent != NULL) {
        gather_lit(g, ", subrequest: \"");
        gather_slice(g, slice_head(r->uri, 512));
        gather_byte(g, '"');
    }
    if (r->head.authority.size > 0) {
        gather_lit(g, ", host: \"");
        gather_slice(g, slice_head(r->head.authority, 256));
        gather_byte(g, '"');
    }
}

void request_log(struct request *r, enum log_level level, int error, const char *format, ...)
{
    char text[LOG_LINE_MAX], tail[2048];
    struct gather g;
    va_list args;
    int n;

    if (r->log == NULL || !log_wants(r->log, level))
        return;
    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0)
        return;
    gather_init(&g, tail, sizeof tail, NULL, 0);
    about(r, &g);
    log_about(r->log, level, error, gather_get(&g), "*%llu %s", (unsigned long long)r->number,
              text);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void request_free(struct request *r)
{
    struct loop *loop = r->loop;
    const struct request_ops *ops = r->ops;
    void *conn = r->conn;

    site_drop(loop, r->site);
    arena_done(&r->arena);
    OBJ_DEAD(r);
    slab_give(&loop->request_slab, r);
    ops->freed(conn);
}

void request_leave_parent(struct request *r)
{
    struct request **at = &r->parent->children;

    while (*at != NULL && *at != r)
        at = &(*at)->sibling;
    if (*at == r)
        *at = r->sibling;
    r->sibling = NULL;
}

/* Clients' requests are what is counted. */
static void count_answer(struct request *r)
{
    if (r->counted)
        stat_sub(&r->loop->stats.writing, 1);
    if (r->parent != NULL || r->is_check)
        return;
    if (r->response.status >= 100 && r->response.status < 600)
        stat_add(&r->loop->stats.status[r->response.status / 100], 1);
    stat_add(&r->loop->stats.bytes_out, r->head_sent_bytes + r->body_sent);
}

void request_end(struct request *r)
{
    OBJ(r, REQUEST_MAGIC);
    CHECK(!r->ended);
    r->ended = true;
    r->pins++; /* its sub-requests hold it, and are about to let it go */
    if (r->parent != NULL)
        request_leave_parent(r);
    count_answer(r);
    if (r->server != NULL && r->loop->pipeline->log != NULL && !r->is_check)
        r->loop->pipeline->log(r);
    body_drop(r->response.body);
    r->response.body = NULL;
    for (struct cleanup *k = r->cleanups; k != NULL; k = k->next)
        k->run(k->arg);
    while (r->children != NULL) /* that neither a body nor a cleanup has ended */
        request_end(r->children);
    request_unpin(r);
}

void request_pin(struct request *r)
{
    OBJ(r, REQUEST_MAGIC);
    r->pins++;
}

bool request_unpin(struct request *r)
{
    bool ended = r->ended;

    OBJ(r, REQUEST_MAGIC);
    CHECK(r->pins > 0);
    if (--r->pins == 0 && ended)
        request_free(r);
    return ended;
}
