/* api.c - paths and methods, errors, and what is done before a change is answered. */
#include "upstream/api_private.h"

#include "handler/client_body.h"
#include "handler/small.h"
#include "http/log_target.h"
#include "http/vars_rows.h"
#include "upstream/discover.h"
#include "upstream/state.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { ROOM_BLOCK = 16 * 1024, ERROR_TEXT_SIZE = 512 };

struct api_conf {
    bool write;
};

static uint32_t api_index;

/* ---- answers ---------------------------------------------------------------------------- */

static void begin_answer(struct api_call *c)
{
    arena_reset(&c->room);
    gather_init(&c->out, NULL, 0, &c->room, API_ANSWER_MAX);
    json_init(&c->json, &c->out);
}

bool api_fail(struct api_call *c, unsigned status, const char *code, const char *format, ...)
{
    struct request *r = c->request;
    char text[ERROR_TEXT_SIZE];
    struct gather id;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    begin_answer(c);
    c->status = status;
    json_open(&c->json, NULL, '{');
    json_open(&c->json, "error", '{');
    json_u64(&c->json, "status", status);
    json_text(&c->json, "text", slice_str(text));
    json_text(&c->json, "code", slice_str(code));
    json_shut(&c->json);
    gather_init(&id, NULL, 0, &r->arena, ERROR_TEXT_SIZE);
    if (get_request_id(r, NULL, &id))
        json_text(&c->json, "request_id", gather_get(&id));
    json_text(&c->json, "href", SLICE("https://nginx.org/en/docs/http/ngx_http_api_module.html"));
    json_shut(&c->json);
    return false;
}

bool api_nothing(struct api_call *c)
{
    c->status = 204;
    return true;
}

void api_choose(struct api_call *c, unsigned depth)
{
    if (c->fields.at == NULL)
        return;
    c->json.only = &c->fields;
    c->json.only_at = depth;
}

bool api_names_only(const struct api_call *c)
{
    return c->fields.at != NULL && c->fields.size == 0;
}

/* ---- lists of paths ------------------------------------------------------------------------ */

static bool list(struct api_call *c, const char *const *words, size_t count)
{
    json_open(&c->json, NULL, '[');
    for (size_t i = 0; i < count; i++)
        json_text(&c->json, NULL, slice_str(words[i]));
    json_shut(&c->json);
    return true;
}

static bool get_versions(struct api_call *c)
{
    json_open(&c->json, NULL, '[');
    json_u64(&c->json, NULL, API_VERSION);
    json_shut(&c->json);
    return true;
}

static bool get_root(struct api_call *c)
{
    static const char *const words[] = { "nginx", "processes", "connections", "http" };

    return list(c, words, COUNT_OF(words));
}

static bool get_http(struct api_call *c)
{
    static const char *const words[] = { "requests", "server_zones", "location_zones",
                                         "upstreams" };

    return list(c, words, COUNT_OF(words));
}

/* ---- paths ------------------------------------------------------------------------------ */

struct resource {
    const char *path; /* below the version; a star stands for one part                     */
    api_fn *get, *post, *patch, *drop; /* NULL: not possible                              */
};

static const struct resource resources[] = {
    { "", get_root, NULL, NULL, NULL },
    { "nginx", api_get_nginx, NULL, NULL, NULL },
    { "processes", api_get_processes, NULL, NULL, NULL },
    { "connections", api_get_connections, NULL, NULL, NULL },
    { "http", get_http, NULL, NULL, NULL },
    { "http/requests", api_get_requests, NULL, NULL, NULL },
    { "http/server_zones", api_get_server_zones, NULL, NULL, NULL },
    { "http/server_zones/*", api_get_server_zone, NULL, NULL, api_reset_server_zone },
    { "http/location_zones", api_get_location_zones, NULL, NULL, NULL },
    { "http/location_zones/*", api_get_location_zone, NULL, NULL, api_reset_location_zone },
    { "http/upstreams", api_get_upstreams, NULL, NULL, NULL },
    { "http/upstreams/*", api_get_upstream, NULL, NULL, api_reset_upstream },
    { "http/upstreams/*/servers", api_get_servers, api_add_server, NULL, NULL },
    { "http/upstreams/*/servers/*", api_get_server, NULL, api_change_server, api_remove_server },
};

static bool fits(struct api_call *c, const char *pattern, struct slice path)
{
    struct slice left = slice_str(pattern);
    unsigned stars = 0;

    while (left.size > 0 && path.size > 0) {
        struct slice want = slice_cut(&left, '/'), is = slice_cut(&path, '/');

        if (slice_eq(want, SLICE("*")) && is.size > 0)
            c->parts[stars++] = is;
        else if (!slice_eq(want, is))
            return false;
    }
    return left.size == 0 && path.size == 0;
}

/* What stands behind the location, without slashes around it. */
static struct slice path_of(const struct request *r)
{
    struct slice path = r->uri;

    if (r->location != NULL && slice_starts(path, r->location->name))
        path = slice_skip(path, r->location->name.size);
    while (path.size > 0 && path.at[0] == '/')
        path = slice_skip(path, 1);
    while (path.size > 0 && path.at[path.size - 1] == '/')
        path.size--;
    return path;
}

static struct slice fields_of(const struct request *r)
{
    struct slice left = r->args;

    while (left.size > 0) {
        struct slice one = slice_cut(&left, '&');

        if (slice_starts(one, SLICE("fields=")))
            return slice_skip(one, 7);
        if (slice_eq(one, SLICE("fields")))
            return slice_skip(one, 6);
    }
    return (struct slice){ 0 };
}

/* ---- one call --------------------------------------------------------------------------- */

static api_fn *method_of(const struct resource *row, const struct request *r)
{
    static const struct {
        const char *name;
        size_t at;
    } methods[] = {
        { "GET", offsetof(struct resource, get) },
        { "HEAD", offsetof(struct resource, get) },
        { "POST", offsetof(struct resource, post) },
        { "PATCH", offsetof(struct resource, patch) },
        { "DELETE", offsetof(struct resource, drop) },
    };

    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (slice_eq(r->head.method_text, slice_str(methods[i].name)))
            return *(api_fn *const *)(const void *)((const char *)row + methods[i].at);
    return NULL;
}

static bool reads(const struct request *r)
{
    return slice_eq(r->head.method_text, SLICE("GET")) ||
           slice_eq(r->head.method_text, SLICE("HEAD"));
}

/* Its JSON, as a whole. False after a complaint. */
static bool read_body(struct api_call *c)
{
    struct request *r = c->request;
    struct body *b = client_body_open(r);
    struct gather g;
    struct chunk k;

    gather_init(&g, NULL, 0, &c->room, API_BODY_MAX);
    while (b != NULL && b->ops->pull(b, API_BODY_MAX, &k) == BODY_CHUNK) {
        char *into = k.file >= 0 ? arena_bytes(&c->room, k.size) : NULL;

        if (k.file >= 0 &&
            (into == NULL || pread(k.file, into, k.size, (off_t)k.offset) != (ssize_t)k.size))
            return api_fail(c, 500, "BodyReadError", "reading request body failed");
        gather_bytes(&g, into != NULL ? into : k.at, k.size);
        if (b->ops->sent != NULL)
            b->ops->sent(b, k.size);
    }
    c->body = gather_get(&g);
    return (b != NULL && !g.full) ||
           api_fail(c, 413, "BodyReadError", "the request body is too large");
}

static bool run(struct api_call *c)
{
    const struct api_conf *conf = request_conf(c->request, &feature_api);
    struct slice path = path_of(c->request), version;
    uint64_t number;

    if (path.size == 0)
        return reads(c->request) ? get_versions(c)
                                 : api_fail(c, 405, "MethodDisabled", "method disabled");
    version = slice_cut(&path, '/');
    if (!slice_to_u64(version, INT32_MAX, &number) || number != API_VERSION)
        return api_fail(c, 404, "UnknownVersion", "unknown version");
    for (size_t i = 0; i < COUNT_OF(resources); i++) {
        if (!fits(c, resources[i].path, path))
            continue;
        api_fn *method = method_of(&resources[i], c->request);

        if (method == NULL || (!reads(c->request) && !conf->write))
            return api_fail(c, 405, "MethodDisabled", "method disabled");
        return (reads(c->request) || read_body(c)) && method(c);
    }
    return api_fail(c, 404, "PathNotFound", "path not found");
}

/* ---- before the answer ------------------------------------------------------------------- */

static enum verdict reply(struct api_call *c)
{
    struct request *r = c->request;

    if (c->out.full)
        return request_fail(r, 500);
    (void)request_reply(r, c->status, c->out.used > 0 ? SLICE("application/json") : SLICE(""),
                        gather_get(&c->out));
    r->response.final = true;
    if (c->location.size > 0)
        r->response.location = c->location;
    return response_add(r, SLICE("Cache-Control"), SLICE("no-store")) ? DONE : request_fail(r, 500);
}

static bool after(struct api_call *);

/* What was changed is written, even if nobody waits for the answer any more. */
static void go_on(struct api_call *c)
{
    struct request *r = c->request;
    bool waits = after(c);

    if (!request_unpin(r) && !waits)
        request_resume(r);
}

static void back_home(struct loop *loop, struct loop_call *call)
{
    (void)loop;
    go_on(container_of(call, struct api_call, call));
}

/* On the loop that asks for names. */
static void follow(struct loop *loop, struct loop_call *call)
{
    struct api_call *c = container_of(call, struct api_call, call);
    struct loop *home = c->request->loop;

    if (c->leave)
        discover_end(loop, c->follow);
    else
        discover_begin(loop, c->follow);
    c->follow = NULL;
    c->call.run = back_home;
    CHECK(home->call(home, &c->call)); /* it waits for its request */
}

static int32_t write_state(struct io_op *op)
{
    return state_write(container_of(op, struct api_call, op)->changed);
}

static void written(struct io *io, struct io_op *op, struct io_result result)
{
    struct api_call *c = container_of(op, struct api_call, op);
    struct group *g = c->changed;

    (void)io;
    if (result.res < 0)
        log_write(log_of_scope(g->scope->parent), LOG_ERROR, -result.res,
                  "the servers of upstream \"%.*s\" cannot be written to \"%s\": the change is in "
                  "force, but a restart forgets it",
                  SLICE_FMT(g->name), g->state);
    c->changed = NULL;
    go_on(c);
}

static struct loop *first_loop(struct loop *loop)
{
    while (loop->index != 0)
        loop = loop->next;
    return loop;
}

/* True: something is still to be waited for. The request's memory stays meanwhile. */
static bool after(struct api_call *c)
{
    struct request *r = c->request;

    if (c->follow != NULL) {
        request_pin(r);
        c->call.run = follow;
        if (r->loop->call(first_loop(r->loop), &c->call))
            return true;
        request_unpin(r);
        c->follow = NULL;
    }
    if (c->changed == NULL || c->changed->state == NULL)
        return false;
    request_pin(r);
    io_work(r->io, &c->op, write_state, written);
    return true;
}

static void at_end(void *call)
{
    arena_done(&((struct api_call *)call)->room);
}

static struct api_call *begin(struct request *r)
{
    struct api_call *c = arena_zalloc(&r->arena, sizeof *c);

    if (c == NULL)
        return NULL;
    c->request = r;
    c->status = 200;
    c->fields = fields_of(r);
    arena_init(&c->room, NULL, 0, ROOM_BLOCK, 2 * (size_t)API_ANSWER_MAX);
    begin_answer(c);
    r->slots[SLOT_API] = c;
    return request_at_end(r, at_end, c) ? c : NULL;
}

static enum verdict answer(struct request *r)
{
    struct api_call *c = r->slots[SLOT_API];
    enum verdict v;

    if (c != NULL)
        return reply(c);
    v = reads(r) ? NEXT : client_body_read(r);
    if (v != NEXT)
        return v;
    c = begin(r);
    if (c == NULL)
        return request_fail(r, 500);
    (void)run(c);
    return after(c) ? WAIT : reply(c);
}

/* ---- the directive ---------------------------------------------------------------------- */

static bool set_api(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    struct api_conf *conf = own;

    (void)row;
    conf->write = slice_eq(conf_arg(node, 0), SLICE("write=on"));
    if (node->arg_count > 0 && !conf->write && !slice_eq(conf_arg(node, 0), SLICE("write=off"))) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" means nothing here",
                      SLICE_FMT(conf_arg(node, 0)));
        conf_hint(load, "expected: write=on or write=off");
        return false;
    }
    return content_set(load, node, answer);
}

static const struct directive rows[] = {
    { "api", CTX_LOCATION, 0, 1, CONF_CUSTOM, .set = set_api, .inherit = INHERIT_NOT,
      .syntax = "[write=on | off]",
      .help =
          "Answers with how the server and its upstreams are doing, as JSON, below the version: "
          "/api/9/http/upstreams, say. write=on: servers of upstreams that have a zone can be "
          "added, changed and removed. Say who may ask, by allow or auth_basic.",
      .example = "location /api/ { api write=on; allow 127.0.0.1; deny all; }" },
};

const struct feature feature_api = {
    .name = "api",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct api_conf),
    .about = "Numbers of the server and its upstreams as JSON, and changes of upstreams.",
    .index = &api_index,
};
