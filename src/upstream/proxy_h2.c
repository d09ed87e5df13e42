/* proxy_h2.c - proxy_http_version 2: the proxy's requests to servers of HTTP/2. */
#include "upstream/cache.h"
#include "upstream/proxy.h"
#include "upstream/relay_answer.h"
#include "upstream/relay_h2.h"

#include "conf/expr.h"

enum { PATH_MAX_SIZE = 128 * 1024 };

static bool path_of(struct request *r, const struct proxied *px, struct slice *ret)
{
    struct gather g;

    gather_init(&g, NULL, 0, &r->arena, PATH_MAX_SIZE);
    proxy_write_uri(r, px, &g);
    *ret = gather_get(&g);
    return !g.full;
}

static bool write_head(struct relay *y, struct gather *g)
{
    struct proxied *px = y->own;
    struct request *r = y->request;
    struct relay_h2_request q = { .authority = px->host,
                                  .sets = px->conf->fields,
                                  .setter = "proxy_set_header",
                                  .no_match = cache_if_none_match(y->cached),
                                  .no_since = cache_if_modified_since(y->cached) };

    if (!proxy_choose_body(y))
        return false;
    y->tls_wanted = px->tls;
    if (!proxy_write_greeting(y, px->conf) || !proxy_method(r, px, y->as_get, &q.method) ||
        !path_of(r, px, &q.path))
        return false;
    return relay_h2_open(y, &px->conf->limits, &px->answer, method_from(q.method)) &&
           relay_h2_write(y, &q, g);
}

static enum verdict answer(struct relay *y)
{
    const struct proxied *px = y->own;

    return relay_h2_fill(y, proxy_http.rewrites, px->conf->pass_trailers);
}

const struct relay_protocol proxy_http2 = {
    .name = "proxy",
    .scheme = "http://",
    .secure = "https://",
    .write_head = write_head,
    .answer = answer,
    RELAY_H2,
};
