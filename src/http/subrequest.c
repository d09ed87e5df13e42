/* subrequest.c - requests inside requests: made of their parent, run, ended before it. */
#include "http/subrequest.h"

#include "http/log_target.h"
#include "http/pipeline.h"
#include "http/site.h"

/* What a sub-request has instead of a protocol's exchange; in its arena. Its conn is its parent. */
struct subrequest {
    const struct subrequest_ops *ops;
    void *arg;
    const struct slice *given; /* its values as they were at first; NULL: it has none */
    bool answered;
};

static struct subrequest *of(const struct request *r)
{
    return r->exchange;
}

bool subrequest_answered(const struct request *r)
{
    return of(r)->answered;
}

/* ---- what a protocol would do ------------------------------------------------------------- */

static void ops_respond(struct request *r)
{
    struct subrequest *s = of(r);

    s->answered = true;
    s->ops->answered(r, s->arg);
}

static void ops_body_ready(struct request *r)
{
    struct subrequest *s = of(r);

    if (s->ops->body_ready != NULL)
        s->ops->body_ready(r, s->arg);
}

/* Never asked: its body is of length 0, or its parent's, which has been read. */
static void ops_read_body(struct request *r)
{
    CHECK(r->parent == NULL);
}

static void ops_interim(struct request *r, unsigned status)
{
    (void)r;
    (void)status;
}

static void ops_peer(struct request *r, struct addr *ret)
{
    *ret = *request_client(r->parent);
}

static void ops_local(struct request *r, struct addr *ret)
{
    struct request *main = request_main(r);

    *ret = (struct addr){ 0 };
    if (!main->ended)
        main->ops->local(main, ret);
}

static int ops_socket(struct request *r)
{
    struct request *main = request_main(r);

    return main->ended ? -1 : main->ops->socket(main);
}

/* The child's names and fields lie in its parent's memory. */
static void ops_freed(void *conn)
{
    struct request *parent = conn;

    (void)request_unpin(parent);
}

static const struct request_ops ops = {
    .name = "sub-request",
    .read_body = ops_read_body,
    .respond = ops_respond,
    .body_ready = ops_body_ready,
    .interim = ops_interim,
    .peer = ops_peer,
    .local = ops_local,
    .socket = ops_socket,
    .freed = ops_freed,
};

/* ---- made ----------------------------------------------------------------------------------- */

static bool allowed(struct request *parent, struct slice uri)
{
    struct request *main = request_main(parent);
    unsigned depth = 1;

    for (const struct request *r = parent; r->parent != NULL; r = r->parent)
        depth++;
    if (depth > SUBREQUEST_DEPTH_MAX)
        request_log(parent, LOG_ERROR, 0, "sub-requests cycle while processing \"%.*s\"",
                    SLICE_FMT(slice_head(uri, 512)));
    else if (main->subrequests >= SUBREQUESTS_MAX)
        request_log(parent, LOG_ERROR, 0, "more than %d sub-requests while processing \"%.*s\"",
                    SUBREQUESTS_MAX, SLICE_FMT(slice_head(uri, 512)));
    else
        return main->subrequests++, true;
    return false;
}

/* What it knows of the client and the connection. */
static void inherit(struct request *r, struct request *parent)
{
    r->parent = parent;
    r->head = parent->head;
    r->head.method = METHOD_GET; /* $request_method stays the client's */
    r->head.has_length = r->head.chunked = false;
    r->head.length = 0;
    r->vhosts = parent->vhosts;
    r->server = parent->server;
    r->scope = parent->server->scope;
    r->log = log_of_scope(r->scope);
    r->internal = true;
    r->tls = parent->tls;
    r->pipelined = parent->pipelined;
    r->host = parent->host;
    r->host_port = parent->host_port;
    r->number = parent->number;
    r->conn_opened_ns = parent->conn_opened_ns;
    r->nth = parent->nth;
    r->head_bytes = parent->head_bytes;
    r->client = *request_client(parent);
    r->peer = parent->peer;
    r->told = parent->told;
    r->client_known = true;
}

/* The child's values begin as its parent's. */
static bool take_values(struct request *r)
{
    size_t size = r->site->value_count * sizeof *r->values;
    const struct slice *theirs = request_values(r->parent);
    struct slice *given = theirs != NULL ? arena_alloc(&r->arena, size) : NULL;

    if (r->site->value_count == 0)
        return true;
    r->values = given != NULL ? arena_alloc(&r->arena, size) : NULL;
    if (r->values == NULL)
        return false;
    memcpy(given, theirs, size);
    memcpy(r->values, theirs, size);
    of(r)->given = given;
    return true;
}

static bool same(struct slice a, struct slice b)
{
    return a.at == b.at && a.size == b.size;
}

/* What the child gave a value to has it in its parent, too. */
static void give_values_back(void *request)
{
    struct request *r = request, *parent = r->parent;
    const struct slice *given = of(r)->given;

    if (given == NULL || parent->ended)
        return;
    for (unsigned i = 0; i < r->site->value_count; i++) {
        if (same(r->values[i], given[i]))
            continue;
        struct slice copy = arena_copy(&parent->arena, r->values[i]);

        if (copy.at != NULL)
            parent->values[i] = copy;
    }
}

static bool prepare(struct request *r, struct slice uri, struct slice args)
{
    struct slice path = arena_copy(&r->arena, uri);

    if (args.at != NULL)
        args = arena_copy(&r->arena, args);
    r->args = args;
    if (path.at == NULL || !take_values(r) || !request_at_end(r, give_values_back, r))
        return false;
    request_set_uri(r, path);
    return true;
}

static void adopt(struct request *r, struct request *parent)
{
    r->sibling = parent->children;
    parent->children = r;
}

struct request *subrequest_create(struct request *parent, struct slice uri, struct slice args,
                                  const struct subrequest_ops *child_ops, void *arg)
{
    struct request *r;
    struct subrequest *s;

    if (!allowed(parent, uri))
        return NULL;
    r = request_create_on(parent->loop, parent->io, parent->site, &ops, parent);
    if (r == NULL)
        return NULL;
    request_pin(parent);
    adopt(r, parent);
    inherit(r, parent);
    s = r->exchange = arena_zalloc(&r->arena, sizeof *s);
    if (s == NULL || !prepare(r, uri, args)) {
        request_end(r);
        return NULL;
    }
    s->ops = child_ops;
    s->arg = arg;
    return r;
}

struct request *subrequest_clone(struct request *parent, const struct subrequest_ops *child_ops,
                                 void *arg)
{
    struct request *r = subrequest_create(parent, parent->uri, parent->args, child_ops, arg);

    if (r == NULL)
        return NULL;
    r->clone = true;
    r->uri_changed = parent->uri_changed;
    r->uri_rewritten = parent->uri_rewritten;
    r->location = parent->location;
    r->scope = parent->scope;
    r->log = parent->log;
    r->captures_of = parent->captures_of;
    r->server_captures_of = parent->server_captures_of;
    memcpy(r->captures, parent->captures, sizeof r->captures);
    memcpy(r->server_captures, parent->server_captures, sizeof r->server_captures);
    r->step = parent->step;
    return r;
}

struct slice subrequest_split(struct slice *uri)
{
    size_t mark = slice_find(*uri, '?');
    struct slice args = { 0 };

    if (mark < uri->size)
        args = slice_skip(*uri, mark + 1);
    *uri = slice_head(*uri, mark);
    return args;
}

void subrequest_run(struct request *r)
{
    if (r->clone)
        request_run_on(r);
    else
        request_run_inner(r);
}

/* ---- on their own ---------------------------------------------------------------------------- */

static void one_less(void *loop)
{
    ((struct loop *)loop)->detached--;
}

static void end_it(struct request *r, void *arg)
{
    (void)arg;
    request_end(r);
}

bool subrequest_detach(struct request *r)
{
    static const struct subrequest_ops alone = { end_it, NULL };
    struct loop *loop = r->loop;

    if (loop->detached >= SUBREQUESTS_DETACHED_MAX) {
        request_log(r, LOG_ERROR, 0, "more than %d detached sub-requests: \"%.*s\" is left out",
                    SUBREQUESTS_DETACHED_MAX, SLICE_FMT(r->uri));
        request_end(r);
        return false;
    }
    loop->detached++;
    if (!request_at_end(r, one_less, loop)) {
        request_end(r);
        return false;
    }
    request_leave_parent(r);
    of(r)->ops = &alone;
    return true;
}

/* ---- as a body ------------------------------------------------------------------------------ */

struct child_body {
    struct body body;
    struct request *child; /* NULL: not made yet, or ended */
    struct slice uri, args;
    bool begun, waiting;
};

static void child_goes_on(struct request *child, void *arg)
{
    struct child_body *c = arg;
    bool waiting = c->waiting;

    (void)child;
    c->waiting = false;
    if (waiting)
        request_body_ready(c->body.request);
}

static enum body_status later(struct child_body *c)
{
    c->waiting = true;
    return BODY_LATER;
}

static void child_ended(struct child_body *c)
{
    if (c->child != NULL)
        request_end(c->child);
    c->child = NULL;
}

static bool child_begin(struct child_body *c)
{
    static const struct subrequest_ops child_ops = { child_goes_on, child_goes_on };

    c->begun = true;
    c->child = subrequest_create(c->body.request, c->uri, c->args, &child_ops, c);
    if (c->child != NULL)
        subrequest_run(c->child);
    return c->child != NULL;
}

static enum body_status child_pull(struct body *b, size_t max, struct chunk *ret)
{
    struct child_body *c = container_of(b, struct child_body, body);
    struct body *from;
    enum body_status status = BODY_END;

    if (!c->begun && !child_begin(c))
        return BODY_FAILED;
    if (c->child == NULL)
        return BODY_END;
    if (!subrequest_answered(c->child))
        return later(c);
    from = c->child->response.body;
    if (from != NULL && !c->child->header_only)
        status = from->ops->pull(from, max, ret);
    if (status == BODY_LATER)
        return later(c);
    if (status == BODY_CHUNK)
        c->child->body_sent += ret->size;
    else
        child_ended(c);
    return status;
}

static void child_sent(struct body *b, size_t size)
{
    struct child_body *c = container_of(b, struct child_body, body);
    struct body *from = c->child->response.body;

    if (from->ops->sent != NULL)
        from->ops->sent(from, size);
}

static void child_drop(struct body *b)
{
    child_ended(container_of(b, struct child_body, body));
}

static const struct body_ops child_body_ops = {
    .name = "sub-request", .pull = child_pull, .sent = child_sent, .drop = child_drop
};

struct body *subrequest_body(struct request *parent, struct slice uri, struct slice args)
{
    struct child_body *c = arena_zalloc(&parent->arena, sizeof *c);

    if (c == NULL)
        return NULL;
    c->body = (struct body){ .ops = &child_body_ops, .request = parent };
    c->uri = arena_copy(&parent->arena, uri);
    c->args = args.at != NULL ? arena_copy(&parent->arena, args) : args;
    return c->uri.at != NULL ? &c->body : NULL;
}
