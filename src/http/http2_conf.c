/* http2_conf.c - the directives of HTTP/2. */
#include "http/http2_conf.h"

#include "conf/load.h"
#include "http/site.h"
#include "http/vars_rows.h"

static uint32_t http2_index;

bool http2_on(const struct vhosts *v, const struct server *server)
{
    const struct server *s = server != NULL ? server : v->default_server;
    const struct http2_conf *conf = scope_conf(s->scope, &feature_http2);

    return v->listen_http2 || conf->enabled;
}

#define HS (CTX_HTTP | CTX_SERVER)
#define AT(member) offsetof(struct http2_conf, member)
#define GONE(name, where, form, text, use)                                                     \
    {                                                                                          \
        name, where, 1, 1, CONF_CUSTOM, .set = conf_set_ignored, .syntax = form, .help = text, \
                                        .example = use                                         \
    }

static const struct directive rows[] = {
    { "http2", HS, 1, 1, CONF_FLAG, AT(enabled), "off", .syntax = "on | off",
      .help = "Speaks HTTP/2 with clients that begin with it: by ALPN on TLS; without TLS, where "
              "the default server of an address says so, by its preface (prior knowledge). An "
              "Upgrade to h2c is ignored.",
      .example = "http2 on;" },
    { "http2_chunk_size", HS | CTX_LOCATION, 1, 1, CONF_SIZE, AT(chunk_size), "8k", .min = 256,
      .max = 16 * 1024, .syntax = "size",
      .help = "The most that one frame of an answer's body has. Small ones let urgent answers "
              "pass sooner.",
      .example = "http2_chunk_size 16k;" },
    { "http2_body_preread_size", HS, 1, 1, CONF_SIZE, AT(preread_size), "64k", .max = 1024 * 1024,
      .syntax = "size",
      .help = "How much of a request's body a client may send before somebody reads it.",
      .example = "http2_body_preread_size 128k;" },
    { "http2_max_concurrent_streams", HS, 1, 1, CONF_NUMBER, AT(streams_max), "128", .min = 1,
      .max = 10000, .syntax = "number",
      .help = "How many requests of one connection may be under way at a time. One is until "
              "everything that it has begun is over, also behind the client's reset.",
      .example = "http2_max_concurrent_streams 64;" },
    GONE("http2_recv_buffer_size", CTX_HTTP, "size",
         "Accepted; weir's receive buffers belong to its loops.", "http2_recv_buffer_size 256k;"),
    GONE("http2_idle_timeout", HS, "time", "Obsolete: keepalive_timeout says it.",
         "keepalive_timeout 3m;"),
    GONE("http2_max_field_size", HS, "size", "Obsolete: large_client_header_buffers says it.",
         "large_client_header_buffers 4 8k;"),
    GONE("http2_max_header_size", HS, "size", "Obsolete: large_client_header_buffers says it.",
         "large_client_header_buffers 4 8k;"),
    GONE("http2_max_requests", HS, "number", "Obsolete: keepalive_requests says it.",
         "keepalive_requests 1000;"),
    GONE("http2_recv_timeout", HS, "time",
         "Obsolete: client_header_timeout and client_body_timeout say it.",
         "client_header_timeout 30s;"),
    GONE("http2_push", HS | CTX_LOCATION, "uri | off",
         "Obsolete: clients do not take pushes any more; early_hints is what is left of them.",
         "early_hints $http2;"),
    GONE("http2_push_preload", HS | CTX_LOCATION, "on | off",
         "Obsolete: clients do not take pushes any more; early_hints is what is left of them.",
         "early_hints $http2;"),
    GONE("http2_max_concurrent_pushes", HS, "number",
         "Obsolete: clients do not take pushes any more.", "early_hints $http2;"),
};

static bool get_http2(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = request_main(subject);

    (void)use;
    if (strcmp(r->ops->name, "HTTP/2.0") == 0)
        gather_str(g, r->tls ? "h2" : "h2c");
    return true;
}

/* A counter of all loops of the worker; row->arg is its place in struct loop_stats. */
static bool get_count(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct loop *here = ((const struct request *)subject)->loop, *l = here;
    uint64_t sum = 0;

    do {
        sum += __atomic_load_n((const uint64_t *)((const char *)&l->stats + use->row->arg),
                               __ATOMIC_RELAXED);
        l = l->next;
    } while (l != NULL && l != here);
    gather_u64(g, sum);
    return true;
}

#define COUNT(name, member, text)                                                        \
    {                                                                                    \
        "http2_" name, get_count, offsetof(struct loop_stats, member), false, text, NULL \
    }

static const struct variable vars[] = {
    COUNT("resets", h2_resets, "Streams that a side reset, on all connections"),
    COUNT("glitches", h2_glitches, "Frames that brought nothing forward, on all connections"),
    COUNT("stalled", h2_stalled, "Answers given up because their client did not take them"),
    { "http2", get_http2, 0, false, "\"h2\" over TLS, \"h2c\" without; empty on HTTP/1", NULL },
};

const struct feature feature_http2 = {
    .name = "http2",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct http2_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .about = "HTTP/2 (RFC 9113), with priorities (RFC 9218) and WebSocket (RFC 8441).",
    .index = &http2_index,
};
