/* explain_run.c - a pipeline whose steps are those of the server, each of them watched. */
#include "handler/auth.h"
#include "handler/dav.h"
#include "handler/limit.h"
#include "handler/small.h"
#include "handler/static.h"
#include "http/access.h"
#include "http/auth_request.h"
#include "http/map_path.h"
#include "http/rewrite.h"
#include "server/features.h"
#include "tool/explain_private.h"
#include "wire/h1_write.h"

struct explaining *explaining_of(const struct request *r)
{
    return container_of(r->loop, struct explaining, loop);
}

static void say_path(const struct request *r, const char *label, const struct conf_node *node,
                     const char *why)
{
    explain_say(r, label, node, "%s%.*s%s%.*s", why, SLICE_FMT(r->uri),
                r->args.at != NULL ? "?" : "", SLICE_FMT(r->args));
}

/* ---- what steps did ------------------------------------------------------------------------ */

static void tell_location(struct request *r, enum verdict v)
{
    if (v == DONE && r->response.status == 301 && r->response.location.size > 0)
        explain_say(r, "", NULL, "the path lacks only the slash at its end");
    explain_location(explaining_of(r), r);
    if (v == DONE && r->location != NULL && r->location->is_internal && !r->internal)
        explain_say(r, "", explain_find(r->scope, "internal", (struct slice){ 0 }),
                    "it is internal: not for requests from outside");
}

static void tell_access(struct request *r, enum verdict v)
{
    const struct conf_node *rule = access_rule_for(r);

    (void)v;
    if (r->scope->context == CTX_LIMIT_EXCEPT)
        explain_say(r, "access", r->scope->node, "%s holds for this method",
                    explain_directive(r->scope->node));
    if (rule != NULL)
        explain_say(r, "access", rule, "%s decides about %s", explain_directive(rule),
                    explaining_of(r)->from);
    else if (!access_idle(r->scope))
        explain_say(r, "access", NULL, "no allow and no deny fits: let in");
}

/* For steps whose directive says what they do. */
static void tell_directive(struct request *r, const char *label, const char *name, const char *what)
{
    const struct conf_node *n = explain_find(explaining_of(r)->scope, name, (struct slice){ 0 });

    if (n != NULL)
        explain_say(r, label, n, "%s%s%s", explain_directive(n), what[0] != '\0' ? ": " : "", what);
}

static void tell_auth_basic(struct request *r, enum verdict v)
{
    (void)v;
    tell_directive(r, "access", "auth_basic",
                   r->access_status == 401 ? "not let in without a name and its password" : "");
}

static void tell_auth_request(struct request *r, enum verdict v)
{
    (void)v;
    tell_directive(r, "access", "auth_request",
                   r->access_status != 0 ? "not let in"
                                         : "let in, if another server has to say so it does");
}

static void tell_limit_req(struct request *r, enum verdict v)
{
    (void)v;
    tell_directive(r, "limit", "limit_req", "as for a first request");
}

static void tell_limit_conn(struct request *r, enum verdict v)
{
    (void)v;
    tell_directive(r, "limit", "limit_conn", "as for a first connection");
}

static void tell_verdict(struct request *r, enum verdict v)
{
    if (v == DONE && r->response.status >= 400)
        explain_say(r, "access", NULL, "refused with %u", r->response.status);
}

static void tell_try_files(struct request *r, enum verdict v)
{
    if (v == NEXT && !r->tried)
        return;
    tell_directive(r, "try_files", "try_files", "");
    if (v == REROUTE)
        say_path(r, "", NULL, "nothing found; goes on as ");
    else if (v == RELOCATE)
        explain_say(r, "", NULL, "nothing found; goes on in %.*s", SLICE_FMT(r->location->name));
    else if (v == DONE)
        explain_say(r, "", NULL, "nothing found");
    else
        say_path(r, "", NULL, "found: ");
}

static void tell_index(struct request *r, enum verdict v)
{
    if (v == REROUTE)
        say_path(r, "index", explain_find(explaining_of(r)->scope, "index", (struct slice){ 0 }),
                 "goes on as ");
}

/* Steps that nothing is to be told of are missing here. */
static const struct {
    step_fn *step;
    void (*tell)(struct request *, enum verdict);
} tellers[] = {
    { step_find_location, tell_location },
    { step_access, tell_access },
    { step_auth_basic, tell_auth_basic },
    { step_auth_request, tell_auth_request },
    { step_limit_req, tell_limit_req },
    { step_limit_conn, tell_limit_conn },
    { step_access_verdict, tell_verdict },
    { step_try_files, tell_try_files },
    { step_index, tell_index },
};

/* ---- steps that are not carried out -------------------------------------------------------- */

static enum verdict empty_answer(struct request *r, unsigned status)
{
    return request_reply(r, status, (struct slice){ 0 }, SLICE(""));
}

static bool pass_instead(struct request *r, enum verdict *v)
{
    const struct conf_node *pass = explain_pass_of(r);
    const struct location *l = r->location != NULL ? r->location : r->server->root;

    if (pass == NULL || l->content == NULL)
        return false;
    explain_pass(r, pass);
    *v = empty_answer(r, 200);
    return true;
}

static bool dav_instead(struct request *r, enum verdict *v)
{
    static const unsigned writing = 1u << METHOD_PUT | 1u << METHOD_DELETE | 1u << METHOD_MKCOL |
                                    1u << METHOD_COPY | 1u << METHOD_MOVE;

    if ((writing & 1u << r->head.method) == 0)
        return false;
    tell_directive(r, "files", "dav_methods", "would change files; nothing is changed now");
    *v = empty_answer(r, 204);
    return true;
}

static bool mirror_instead(struct request *r, enum verdict *v)
{
    tell_directive(r, "mirror", "mirror", "would be sent there, too");
    *v = NEXT;
    return true;
}

static const struct {
    const char *name; /* of the step */
    bool (*instead)(struct request *, enum verdict *);
} stand_ins[] = {
    { "content", pass_instead },
    { "dav", dav_instead },
    { "mirror", mirror_instead },
};

static enum verdict run_or_stand_in(struct request *r, const struct step *s)
{
    enum verdict v;

    for (size_t i = 0; i < COUNT_OF(stand_ins); i++)
        if (strcmp(s->name, stand_ins[i].name) == 0 && stand_ins[i].instead(r, &v))
            return v;
    return s->run(r);
}

/* ---- watching ------------------------------------------------------------------------------ */

/* Between two steps, only error_page moves a request. */
static void tell_moved(struct explaining *e, const struct request *r)
{
    if (r->parent != NULL || !r->from_error_page || !r->page_asked ||
        (slice_eq(r->uri, e->uri) && r->location == e->location))
        return;
    if (r->location != NULL && r->location->kind == LOCATION_NAMED)
        explain_say(r, "error_page", NULL, "goes on in %.*s", SLICE_FMT(r->location->name));
    else
        say_path(r, "error_page", NULL, "goes on as ");
}

static void remember(struct explaining *e, const struct request *r)
{
    if (r->parent != NULL)
        return;
    e->uri = r->uri;
    e->location = r->location;
}

static enum verdict watched(struct request *r)
{
    struct explaining *e = explaining_of(r);
    const struct step *s = &pipeline.steps[r->step];
    enum verdict v;

    if (e->uri.at == NULL) {
        explain_server(e, r);
        remember(e, r);
    }
    tell_moved(e, r);
    e->scope = r->scope;
    v = run_or_stand_in(r, s);
    if (v == WAIT)
        return v;
    for (size_t i = 0; i < COUNT_OF(tellers); i++)
        if (tellers[i].step == s->run)
            tellers[i].tell(r, v);
    explain_hear(e, r);
    if (v == DONE)
        explain_say(r, "decided", NULL, "%u, by step %s", r->response.status, s->name);
    remember(e, r);
    return v;
}

/* An instruction of rewrite. */
static void told(struct request *r, const struct conf_node *node, struct slice what)
{
    bool moved = slice_eq(node->name, SLICE("rewrite")) && slice_eq(what, SLICE("matches"));

    if (slice_eq(node->name, SLICE("set")))
        explain_say(r, "rewrite", node, "%s: \"%.*s\"", explain_directive(node), SLICE_FMT(what));
    else
        explain_say(r, "rewrite", node, "%s: %.*s", explain_directive(node), SLICE_FMT(what));
    if (moved)
        say_path(r, "", NULL, "goes on as ");
}

static void no_log(struct request *r)
{
    (void)r;
}

void explain_pipeline(struct explaining *e)
{
    CHECK(pipeline.step_count <= EXPLAIN_STEPS_MAX);
    e->pipeline = pipeline;
    for (unsigned i = 0; i < pipeline.step_count; i++) {
        e->steps[i] = pipeline.steps[i];
        e->steps[i].run = watched;
    }
    e->pipeline.steps = e->steps;
    e->pipeline.log = no_log;
    e->pipeline.told = told;
}

/* ---- the answer ---------------------------------------------------------------------------- */

/* What brings a field, when no add_header does. */
static const struct {
    const char *field, *directive;
} bringers[] = {
    { "Cache-Control", "expires" },       { "Expires", "expires" },
    { "Content-Encoding", "gzip" },       { "Vary", "gzip_vary" },
    { "WWW-Authenticate", "auth_basic" }, { "Set-Cookie", "userid" },
};

static const struct conf_node *bringer_of(const struct request *r, struct slice name)
{
    const struct conf_node *n = explain_find(r->scope, "add_header", name);

    for (size_t i = 0; i < COUNT_OF(bringers) && n == NULL; i++)
        if (slice_eq_nocase(name, slice_str(bringers[i].field)))
            n = explain_find(r->scope, bringers[i].directive, (struct slice){ 0 });
    return n;
}

/* Files are what step_static and its kin answer with: those answers know when they changed. */
static void tell_file(struct request *r)
{
    const struct conf_node *n = explain_find(r->scope, "alias", (struct slice){ 0 });
    struct gather g;

    if (r->response.last_modified < 0)
        return;
    gather_init(&g, NULL, 0, &r->arena, EXPR_MAX);
    map_filename(r, &g);
    if (n == NULL)
        n = explain_find(r->scope, "root", (struct slice){ 0 });
    explain_say(r, "file", n, "%.*s", SLICE_FMT(gather_get(&g)));
}

void explain_answer(struct explaining *e, struct request *r)
{
    const struct response *a = &r->response;

    if (e->uri.at == NULL)
        explain_server(e, r);
    explain_hear(e, r);
    tell_file(r);
    if (a->no_answer) {
        explain_say(r, "answer", NULL, "none: the connection is closed");
        return;
    }
    explain_say(r, "answer", NULL, "%u %.*s", a->status, SLICE_FMT(status_phrase(a->status)));
    if (a->content_type.size > 0)
        explain_say(r, "field", NULL, "Content-Type: %.*s", SLICE_FMT(a->content_type));
    if (a->length >= 0)
        explain_say(r, "field", NULL, "Content-Length: %lld", (long long)a->length);
    if (a->location.size > 0)
        explain_say(r, "field", NULL, "Location: %.*s", SLICE_FMT(a->location));
    if (a->etag.size > 0)
        explain_say(r, "field", NULL, "ETag: %.*s", SLICE_FMT(a->etag));
    for (const struct header *h = a->headers; h != NULL; h = h->next)
        if (h->value.at != NULL)
            explain_say(r, "field", bringer_of(r, h->name), "%.*s: %.*s", SLICE_FMT(h->name),
                        SLICE_FMT(h->value));
}
