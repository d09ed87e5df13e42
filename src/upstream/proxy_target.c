/* proxy_target.c - whom a request is passed on to: known in advance, or made of variables. */
#include "upstream/proxy.h"

#include "conf/expr.h"

enum { URL_MAX = 16 * 1024 };

/* "http://" or "https://" cut off; false: it begins with neither. */
static bool cut_scheme(struct slice *url, bool *tls)
{
    static const struct {
        struct slice text;
        bool tls;
    } schemes[] = { { { "http://", 7 }, false }, { { "https://", 8 }, true } };

    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        size_t size = schemes[i].text.size;

        if (url->size < size || !slice_eq_nocase(slice_head(*url, size), schemes[i].text))
            continue;
        *url = slice_skip(*url, size);
        *tls = schemes[i].tls;
        return true;
    }
    return false;
}

bool proxy_split_url(struct slice url, struct proxy_url *ret, const char **why)
{
    struct slice rest = url;
    size_t end;

    if (!cut_scheme(&rest, &ret->tls)) {
        *why = "it does not begin with \"http://\" or \"https://\"";
        return false;
    }
    end = slice_starts(rest, SLICE("unix:")) ? 5 + slice_find(slice_skip(rest, 5), ':') : 0;
    if (end == 0) {
        end = slice_find(rest, '/');
        size_t mark = slice_find(rest, '?');

        end = mark < end ? mark : end;
        ret->uri = slice_skip(rest, end);
    } else {
        ret->uri = end < rest.size ? slice_skip(rest, end + 1) : (struct slice){ 0 };
    }
    ret->host = slice_head(rest, end);
    ret->has_uri = ret->uri.size > 0;
    *why = "it names no server";
    return ret->host.size > 0;
}

/* A unix socket has no name that a server would know. */
static struct slice host_of(struct slice address)
{
    return slice_starts(address, SLICE("unix:")) ? SLICE("localhost") : address;
}

/* The URL has variables. False: it is none. */
static bool take_url(struct request *r, struct proxied *px)
{
    struct proxy_url parts;
    const char *why;
    struct slice url;

    if (!expr_eval(px->target->url, r, &r->arena, URL_MAX, &url))
        return false;
    if (!proxy_split_url(url, &parts, &why)) {
        request_log(r, LOG_ERROR, 0, "invalid URL \"%.*s\" in proxy_pass: %s", SLICE_FMT(url), why);
        return false;
    }
    px->tls = parts.tls;
    px->uri = parts.uri;
    px->has_uri = parts.has_uri;
    px->host = host_of(parts.host);
    px->finding.address = parts.host;
    px->finding.http = px->target->http;
    px->finding.port = proxy_port(parts.tls);
    return true;
}

bool proxy_plan(struct request *r, struct proxied *px)
{
    const struct target *t = px->target;

    if (t->url != NULL)
        return px->host.at != NULL || take_url(r, px);
    px->finding.group = t->group;
    px->host = host_of(t->host);
    px->tls = t->tls;
    px->has_uri = t->has_uri;
    return true;
}

enum verdict proxy_find_target(struct request *r, struct proxied *px)
{
    if (!proxy_plan(r, px))
        return request_fail(r, 500);
    return px->target->url != NULL ? destination_find(r, &px->finding) : NEXT;
}
