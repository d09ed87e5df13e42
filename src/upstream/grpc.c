/* grpc.c - grpc_pass: calls passed on to gRPC servers, which are servers of HTTP/2: bodies go both
 * ways as they come, and trailers say how a call ended.
 */
#include "upstream/grpc.h"
#include "upstream/health.h"
#include "upstream/proxy.h"
#include "upstream/relay_answer.h"
#include "upstream/relay_conf.h"
#include "upstream/relay_h2.h"
#include "upstream/relay_tls.h"

#include "conf/expr.h"
#include "handler/small.h"

enum { FIELDS_MAX_OF_ANSWER = 200, ANSWER_FIRST = 1024, PATH_MAX_SIZE = 128 * 1024 };
enum { ADDRESS_MAX = 16 * 1024 };

static uint32_t grpc_index;

/* What one call needs. */
struct call {
    const struct grpc_conf *conf;
    struct finding finding;
    struct slice host; /* as grpc_pass says it */
    bool tls;
    struct h1_response answer;
};

static const struct grpc_conf *conf_of(const struct request *r)
{
    return request_conf(r, &feature_grpc);
}

/* ---- whom it goes to ----------------------------------------------------------------------- */

/* Its scheme cut off. */
static struct slice cut_scheme(struct slice address, bool *tls)
{
    const struct slice plain = SLICE("grpc://"), secure = SLICE("grpcs://");

    *tls = slice_starts(address, secure);
    if (*tls)
        return slice_skip(address, secure.size);
    return slice_starts(address, plain) ? slice_skip(address, plain.size) : address;
}

static enum verdict find_peer(struct request *r, struct call *call)
{
    const struct grpc_target *t = call->conf->target;
    struct slice text;

    if (t->text == NULL) {
        call->finding.group = t->group;
        call->host = t->address;
        call->tls = t->tls;
        return NEXT;
    }
    if (call->finding.address.at == NULL) {
        if (!expr_eval(t->text, r, &r->arena, ADDRESS_MAX, &text))
            return request_fail(r, 500);
        call->host = call->finding.address = cut_scheme(text, &call->tls);
        call->finding.http = t->http;
    }
    return destination_find(r, &call->finding);
}

static enum verdict begin(struct request *r)
{
    struct call *call = r->slots[SLOT_GRPC];
    enum verdict v;

    if (call == NULL) {
        call = arena_zalloc(&r->arena, sizeof *call);
        if (call == NULL)
            return request_fail(r, 500);
        call->conf = conf_of(r);
        r->slots[SLOT_GRPC] = call;
    }
    v = find_peer(r, call);
    if (v == DONE)
        r->slots[SLOT_GRPC] = NULL;
    return v;
}

/* ---- a call -------------------------------------------------------------------------------- */

static bool write_head(struct relay *y, struct gather *g)
{
    struct call *call = y->own;
    struct request *r = y->request;
    struct slice host = call->host;
    struct relay_h2_request q = { .method = r->head.method_text,
                                  .sets = call->conf->fields,
                                  .setter = "grpc_set_header" };
    struct gather path;

    if (r->is_check)
        relay_use_bytes(y, health_body(r));
    q.authority = slice_starts(host, SLICE("unix:")) ? SLICE("localhost") : host;
    y->tls_wanted = call->tls;
    gather_init(&path, NULL, 0, &r->arena, PATH_MAX_SIZE);
    proxy_write_own_uri(r, &path);
    q.path = gather_get(&path);
    return !path.full && relay_h2_open(y, &call->conf->limits, &call->answer, r->head.method) &&
           relay_h2_write(y, &q, g);
}

static const struct relay_rewrites none = { NULL, NULL };

static enum verdict answer(struct relay *y)
{
    return relay_h2_fill(y, &none, true);
}

static const struct relay_protocol grpc = {
    .name = "grpc",
    .scheme = "grpc://",
    .secure = "grpcs://",
    .write_head = write_head,
    .answer = answer,
    RELAY_H2,
};

static struct relay *make_relay(struct request *r, struct call *call)
{
    struct relay *y;

    r->unhurried = true;
    y = relay_begin(r, &call->conf->relay, &grpc, call->finding.group, call);
    return y != NULL && (!call->tls || relay_secure(y, call->host)) ? y : NULL;
}

static enum verdict grpc_content(struct request *r)
{
    struct relay *y = relay_of(r);

    if (conf_of(r)->target == NULL)
        return NEXT;
    if (y == NULL) {
        enum verdict v = begin(r);
        struct call *call = r->slots[SLOT_GRPC];

        if (v != NEXT)
            return v;
        r->slots[SLOT_GRPC] = NULL;
        y = make_relay(r, call);
        if (y == NULL)
            return request_fail(r, 500);
    }
    return relay_step(y);
}

/* ---- directives ---------------------------------------------------------------------------- */

static bool set_pass(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct grpc_conf *c = own;
    struct grpc_target *t = arena_must(conf_arena(load), sizeof *t);

    (void)row;
    t->node = node;
    t->http = conf_scope_of(load, CTX_HTTP);
    t->text = expr_compile(load, node, 0);
    c->target = t;
    if (t->text == NULL || !content_set(load, node, grpc_content))
        return false;
    if (expr_constant(t->text, &t->address)) {
        t->text = NULL;
        t->address = cut_scheme(t->address, &t->tls);
    }
    return true;
}

static bool set_field(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct grpc_conf *c = own;

    (void)row;
    return passing_set(load, node, &c->fields, &c->fields_end);
}

/* What other modules have directives for. */
static void set_fixed(struct grpc_conf *c)
{
    struct relay_conf *y = &c->relay;

    y->buffering = y->request_buffering = false;
    y->pass_fields = y->pass_body = true;
    y->buffers = (struct relay_buffers){ 1, y->buffer_size };
    c->limits = (struct h1_limits){ .line_max = (uint32_t)y->buffer_size,
                                    .head_max = (uint32_t)y->buffer_size,
                                    .fields_max = FIELDS_MAX_OF_ANSWER,
                                    .first_size = ANSWER_FIRST };
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct grpc_conf *outer = parent;
    struct grpc_conf *c = own;
    struct grpc_target *t;

    if (c->fields == NULL && outer != NULL)
        c->fields = outer->fields;
    if (c->target == NULL && outer != NULL && scope->context == CTX_IF_LOCATION)
        c->target = outer->target;
    set_fixed(c);
    t = c->target;
    if (t == NULL)
        return true;
    if (t->text == NULL && t->group == NULL)
        t->group = destination_group(load, t->node, t->http, t->address, 0);
    if (t->text == NULL && t->group == NULL)
        return false;
    const struct relay_tls_wish wish = { &feature_grpc, "grpc_", t->node, t->tls };

    if (t->text != NULL ? slice_starts(expr_text(t->text), SLICE("grpc://")) : !t->tls)
        return true;
    return relay_tls_merge(load, scope, &c->relay, &wish);
}

static const struct directive rows[] = {
    { "grpc_pass", CTX_LOCATION | CTX_IF_LOCATION, 1, 1, CONF_CUSTOM, .set = set_pass,
      .inherit = INHERIT_NOT, .syntax = "[grpc:// | grpcs://]address",
      .help = "Passes requests on to this gRPC server: an upstream, name:port, address:port or "
              "unix:/path; grpcs: over TLS. Variables may stand in it. Bodies go both ways as they "
              "come, if the client speaks HTTP/2.",
      .example = "location / { grpc_pass grpc://127.0.0.1:50051; }" },
    { "grpc_set_header", RELAY_WHERE, 2, 2, CONF_CUSTOM, .set = set_field, .repeats = true,
      .inherit = INHERIT_NOT, .fallback = "Content-Length $content_length", .syntax = "field value",
      .help = "A field of the request as the server gets it, in place of the client's; an empty "
              "value: none. Host is :authority. A scope that sets any does not inherit those "
              "around it.",
      .example = "grpc_set_header Host $host;" },
    RELAY_COMMON("grpc_"),
    RELAY_SSL_ROWS("grpc_"),
};

const struct feature feature_grpc = {
    .name = "grpc",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct grpc_conf),
    .merge = merge,
    .about = "Passes calls on to gRPC servers.",
    .index = &grpc_index,
};
