/* mirror.c - a copy of each request, sent to another place of this server; its answer is
 * nobody's. */
#include "conf/load.h"
#include "handler/client_body.h"
#include "handler/small.h"
#include "http/site.h"
#include "http/subrequest.h"

static uint32_t mirror_index;

struct mirror_uri {
    struct slice uri;
    struct mirror_uri *next;
};

struct mirror_conf {
    struct mirror_uri *uris, **end; /* NULL: off */
    bool request_body;
};

static void send_copy(struct request *r, const struct mirror_conf *conf, struct slice uri)
{
    static const struct subrequest_ops nobody = { NULL, NULL };
    struct request *child = subrequest_create(r, uri, r->args, &nobody, NULL);

    if (child == NULL)
        return;
    child->head.method = r->head.method;
    if (conf->request_body && !client_body_share(child, r))
        request_end(child);
    else if (subrequest_detach(child))
        subrequest_run(child);
}

bool mirror_idle(const struct scope *scope)
{
    const struct mirror_conf *conf = scope_conf(scope, &feature_mirror);

    return conf->uris == NULL;
}

enum verdict step_mirror(struct request *r)
{
    const struct mirror_conf *conf = request_conf(r, &feature_mirror);

    if (conf->uris == NULL || r->slots[SLOT_MIRROR] != NULL)
        return NEXT;
    if (conf->request_body) {
        enum verdict v = client_body_read(r);

        if (v != NEXT)
            return v;
    }
    r->slots[SLOT_MIRROR] = r; /* once for each request, whatever it is redirected to */
    for (const struct mirror_uri *u = conf->uris; u != NULL; u = u->next)
        send_copy(r, conf, u->uri);
    return NEXT;
}

/* ---- directives ------------------------------------------------------------------------------ */

static bool refuse(struct conf_load *load, const struct conf_node *node, const char *why)
{
    conf_complain(load, CONF_EMERG, node, 0, "%s", why);
    conf_hint(load, "expected: a path that begins with \"/\", or \"off\" alone");
    return false;
}

static bool set_mirror(struct conf_load *load, const struct conf_node *node, void *own,
                       const struct directive *row)
{
    struct mirror_conf *conf = own;
    struct slice uri = conf_arg(node, 0);
    struct mirror_uri *u;

    (void)row;
    if (slice_eq(uri, SLICE("off")))
        return conf->uris == NULL || refuse(load, node, "requests are mirrored here already");
    if (uri.size == 0 || uri.at[0] != '/')
        return refuse(load, node, "this is not a path of this server");
    u = arena_must(conf_arena(load), sizeof *u);
    u->uri = uri;
    if (conf->end == NULL)
        conf->end = &conf->uris;
    *conf->end = u;
    conf->end = &u->next;
    return true;
}

static const struct directive rows[] = {
    { "mirror", CTX_ANY_HTTP, 1, 1, CONF_CUSTOM, offsetof(struct mirror_conf, uris), "off",
      .set = set_mirror, .size = sizeof(struct mirror_uri *), .repeats = true,
      .syntax = "uri | off",
      .help = "Sends a copy of each request to this path as a sub-request whose answer is thrown "
              "away; nobody waits for it.",
      .example = "mirror /mirror;" },
    { "mirror_request_body", CTX_ANY_HTTP, 1, 1, CONF_FLAG,
      offsetof(struct mirror_conf, request_body), "on", .syntax = "on | off",
      .help = "Whether copies have the request's body; it is then read before the request goes on.",
      .example = "mirror_request_body off;" },
};

const struct feature feature_mirror = {
    .name = "mirror",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct mirror_conf),
    .about = "Copies of requests, sent beside the answer.",
    .index = &mirror_index,
};
