/* scgi.c - scgi_pass: requests passed on in SCGI: a netstring of names and values, each with a NUL
 * behind it, CONTENT_LENGTH first, and the body behind it.
 */
#include "upstream/cgi.h"
#include "upstream/gateways.h"
#include "upstream/relay_conf.h"

enum { PARAMS_MAX = 128 * 1024, PARAMS_FIRST = 1024 };

static uint32_t scgi_index;

static void put_pair(struct gather *g, struct slice name, struct slice value)
{
    gather_slice(g, name);
    gather_byte(g, '\0');
    gather_slice(g, value);
    gather_byte(g, '\0');
}

/* Those two are there already; and a NUL inside would shift all that follows. */
static void put(void *gather, struct slice name, struct slice value)
{
    struct gather *g = gather;

    if (slice_eq(name, SLICE("CONTENT_LENGTH")) || slice_eq(name, SLICE("SCGI")))
        return;
    if (slice_find(value, '\0') < value.size)
        g->full = true;
    else
        put_pair(g, name, value);
}

static bool write_head(struct relay *y, struct gather *g)
{
    int64_t length = y->source == SOURCE_NONE ? 0 : client_body_length(y->request);
    char digits[24];
    struct gather params, number;

    gather_init(&number, digits, sizeof digits, NULL, 0);
    gather_u64(&number, length > 0 ? (uint64_t)length : 0);
    gather_init(&params, NULL, 0, &y->request->arena, PARAMS_MAX);
    put_pair(&params, SLICE("CONTENT_LENGTH"), gather_get(&number));
    put_pair(&params, SLICE("SCGI"), SLICE("1"));
    if (!cgi_each_param(y, put, &params) || params.full)
        return false;
    gather_u64(g, params.used);
    gather_byte(g, ':');
    gather_slice(g, gather_get(&params));
    gather_byte(g, ',');
    return true;
}

static const struct relay_protocol scgi = {
    .name = "scgi",
    .scheme = "scgi://",
    .write_head = write_head,
    .begin = cgi_begin_plain,
    .read_head = cgi_read_head,
    .read_body = cgi_read_body,
    .read_end = cgi_read_end,
    .answer = cgi_answer,
    .may_keep = cgi_never_keep,
};

static enum verdict scgi_content(struct request *r)
{
    return cgi_content(r, &feature_scgi, &scgi, sizeof(struct cgi_exchange));
}

static bool set_pass(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    static const char scheme[] = "scgi://";
    bool said = slice_starts(conf_arg(node, 0), slice_str(scheme));

    (void)row;
    return cgi_set_target(load, node, own, said ? sizeof scheme - 1 : 0, scgi_content);
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    return cgi_merge(load, scope, "scgi_", parent, own);
}

static const struct directive rows[] = {
    { "scgi_pass", CTX_LOCATION | CTX_IF_LOCATION, 1, 1, CONF_CUSTOM, .set = set_pass,
      .inherit = INHERIT_NOT, .syntax = "address",
      .help = "Passes requests on to this SCGI application: an upstream, name:port, address:port "
              "or unix:/path. Variables may stand in it.",
      .example = "location / { include scgi_params; scgi_pass 127.0.0.1:4000; }" },
    { "scgi_param", RELAY_WHERE | CTX_IF_LOCATION, 2, 3, CONF_CUSTOM, .set = cgi_set_param,
      .repeats = true, .inherit = INHERIT_NOT, .syntax = "parameter value [if_not_empty]",
      .help = "A parameter that the application gets. A scope that sets any does not inherit those "
              "around it." },
    RELAY_ROWS("scgi_"),
    CACHE_ROWS("scgi_", NULL),
};

const struct feature feature_scgi = {
    .name = "scgi",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct cgi_conf),
    .merge = merge,
    .about = "Passes requests on to SCGI applications.",
    .index = &scgi_index,
};
