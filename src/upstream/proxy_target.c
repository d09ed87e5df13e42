/* proxy_target.c - whom a request is passed on to: known in advance, or made of variables. */
#include "upstream/proxy.h"

#include "conf/expr.h"

enum { URL_MAX = 16 * 1024 };

bool proxy_split_url(struct slice url, struct slice *host, struct slice *uri, bool *has_uri,
                     const char **why)
{
    static const char http[] = "http://";
    struct slice rest;
    size_t end;

    if (url.size >= 8 && slice_eq_nocase(slice_head(url, 8), SLICE("https://"))) {
        *why = "https towards servers is not there yet";
        return false;
    }
    if (url.size < 7 || !slice_eq_nocase(slice_head(url, 7), slice_str(http))) {
        *why = "it does not begin with \"http://\"";
        return false;
    }
    rest = slice_skip(url, 7);
    end = slice_starts(rest, SLICE("unix:")) ? 5 + slice_find(slice_skip(rest, 5), ':') : 0;
    if (end == 0) {
        end = slice_find(rest, '/');
        size_t mark = slice_find(rest, '?');

        end = mark < end ? mark : end;
        *host = slice_head(rest, end);
        *uri = slice_skip(rest, end);
    } else {
        *host = slice_head(rest, end);
        *uri = end < rest.size ? slice_skip(rest, end + 1) : (struct slice){ 0 };
    }
    *has_uri = uri->size > 0;
    *why = "it names no server";
    return host->size > 0;
}

/* A unix socket has no name that a server would know. */
static struct slice host_of(struct slice address)
{
    return slice_starts(address, SLICE("unix:")) ? SLICE("localhost") : address;
}

/* The URL has variables. False: it is none. */
static bool take_url(struct request *r, struct proxied *px)
{
    const char *why;
    struct slice url;

    if (!expr_eval(px->target->url, r, &r->arena, URL_MAX, &url))
        return false;
    if (!proxy_split_url(url, &px->finding.address, &px->uri, &px->has_uri, &why)) {
        request_log(r, LOG_ERROR, 0, "invalid URL \"%.*s\" in proxy_pass: %s", SLICE_FMT(url), why);
        return false;
    }
    px->host = host_of(px->finding.address);
    px->finding.http = px->target->http;
    px->finding.port = 80;
    return true;
}

bool proxy_plan(struct request *r, struct proxied *px)
{
    const struct target *t = px->target;

    if (t->url != NULL)
        return px->host.at != NULL || take_url(r, px);
    px->finding.group = t->group;
    px->host = host_of(t->host);
    px->has_uri = t->has_uri;
    return true;
}

enum verdict proxy_find_target(struct request *r, struct proxied *px)
{
    if (!proxy_plan(r, px))
        return request_fail(r, 500);
    return px->target->url != NULL ? destination_find(r, &px->finding) : NEXT;
}
