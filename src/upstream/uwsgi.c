/* uwsgi.c - uwsgi_pass: requests passed on in the uwsgi protocol, as Python applications speak it:
 * four bytes (modifier, size, modifier), then names and values, each behind its size in two bytes,
 * low byte first.
 */
#include "upstream/cgi.h"
#include "upstream/gateways.h"
#include "upstream/relay_tls.h"

enum { HEADER_SIZE = 4, PARAMS_MAX = 65535 };

static uint32_t uwsgi_index;

struct uwsgi_conf {
    struct cgi_conf cgi; /* first */
    int64_t modifier1, modifier2;
};

static void put_size(struct gather *g, size_t size)
{
    gather_byte(g, (char)size);
    gather_byte(g, (char)(size >> 8));
}

static void put(void *gather, struct slice name, struct slice value)
{
    struct gather *g = gather;

    if (name.size > PARAMS_MAX || value.size > PARAMS_MAX) {
        g->full = true;
        return;
    }
    put_size(g, name.size);
    gather_slice(g, name);
    put_size(g, value.size);
    gather_slice(g, value);
}

static bool write_head(struct relay *y, struct gather *g)
{
    const struct uwsgi_conf *c = request_conf(y->request, &feature_uwsgi);
    const char head[HEADER_SIZE] = { (char)c->modifier1, 0, 0, (char)c->modifier2 };

    gather_bytes(g, head, sizeof head);
    if (!cgi_each_param(y, put, g) || g->full)
        return false;
    size_t size = g->used - HEADER_SIZE;

    if (size > PARAMS_MAX) {
        request_log(y->request, LOG_ERROR, 0, "the parameters are too large for uwsgi: %zu bytes",
                    size);
        return false;
    }
    g->at[1] = (char)size;
    g->at[2] = (char)(size >> 8);
    return true;
}

static const struct relay_protocol uwsgi = {
    .name = "uwsgi",
    .scheme = "uwsgi://",
    .secure = "suwsgi://",
    .write_head = write_head,
    .begin = cgi_begin_plain,
    .read_head = cgi_read_head,
    .read_body = cgi_read_body,
    .read_end = cgi_read_end,
    .answer = cgi_answer,
    .may_keep = cgi_never_keep,
};

static enum verdict uwsgi_content(struct request *r)
{
    return cgi_content(r, &feature_uwsgi, &uwsgi, sizeof(struct cgi_exchange));
}

static bool set_pass(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    const struct slice plain = SLICE("uwsgi://"), tls = SLICE("suwsgi://");
    struct slice text = conf_arg(node, 0);
    struct cgi_conf *c = own;
    bool secure = slice_starts(text, tls);

    (void)row;
    if (!cgi_set_target(load, node, c,
                        secure                      ? tls.size
                        : slice_starts(text, plain) ? plain.size
                                                    : 0,
                        uwsgi_content))
        return false;
    c->target->tls = secure;
    return true;
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct uwsgi_conf *outer = parent;
    struct cgi_conf *c = own;

    if (!cgi_merge(load, scope, "uwsgi_", outer != NULL ? &outer->cgi : NULL, c))
        return false;
    if (c->target == NULL || !c->target->tls)
        return true;
    const struct relay_tls_wish wish = { &feature_uwsgi, "uwsgi_", c->target->node, true };

    return relay_tls_merge(load, scope, &c->relay, &wish);
}

static const struct directive rows[] = {
    { "uwsgi_pass", CTX_LOCATION | CTX_IF_LOCATION, 1, 1, CONF_CUSTOM, .set = set_pass,
      .inherit = INHERIT_NOT, .syntax = "[uwsgi:// | suwsgi://]address",
      .help = "Passes requests on to this application in the uwsgi protocol: an upstream, "
              "name:port, address:port or unix:/path; suwsgi: over TLS. Variables may stand in it.",
      .example = "location / { include uwsgi_params; uwsgi_pass unix:/run/app.sock; }" },
    { "uwsgi_param", RELAY_WHERE | CTX_IF_LOCATION, 2, 3, CONF_CUSTOM, .set = cgi_set_param,
      .repeats = true, .inherit = INHERIT_NOT, .syntax = "parameter value [if_not_empty]",
      .help = "A parameter that the application gets. A scope that sets any does not inherit those "
              "around it." },
    { "uwsgi_modifier1", RELAY_WHERE, 1, 1, CONF_NUMBER, offsetof(struct uwsgi_conf, modifier1),
      "0", .max = 255, .syntax = "number", .help = "The first byte of the packet." },
    { "uwsgi_modifier2", RELAY_WHERE, 1, 1, CONF_NUMBER, offsetof(struct uwsgi_conf, modifier2),
      "0", .max = 255, .syntax = "number", .help = "The fourth byte of the packet." },
    RELAY_ROWS("uwsgi_"),
    CACHE_ROWS("uwsgi_", NULL),
    RELAY_SSL_ROWS("uwsgi_"),
};

const struct feature feature_uwsgi = {
    .name = "uwsgi",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct uwsgi_conf),
    .merge = merge,
    .about = "Passes requests on to applications in the uwsgi protocol.",
    .index = &uwsgi_index,
};
