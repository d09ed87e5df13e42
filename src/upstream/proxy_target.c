/* proxy_target.c - whom a request is passed on to: known in advance, or made of variables. */
#include "upstream/proxy.h"

#include "conf/expr.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>

enum { URL_MAX = 16 * 1024, NAME_MAX_SIZE = 256, FOUND_MAX = 16 };

/* A name that a helper thread asks the system for. */
struct looking {
    struct io_op op;
    struct request *request;
    char name[NAME_MAX_SIZE];
    struct addrinfo *found;
    int error;
    bool waits, done;
};

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

/* ---- names that are known at run time only ----------------------------------------------- */

static int32_t look_up(struct io_op *op)
{
    static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC };
    struct looking *l = container_of(op, struct looking, op);

    l->error = getaddrinfo(l->name, NULL, &hints, &l->found);
    return 0;
}

static void looked_up(struct io *io, struct io_op *op, struct io_result result)
{
    struct looking *l = container_of(op, struct looking, op);

    (void)io;
    if (result.res < 0)
        l->error = EAI_SYSTEM;
    l->done = true;
    if (l->request->ended && l->found != NULL)
        freeaddrinfo(l->found);
    if (!request_unpin(l->request) && l->waits)
        request_resume(l->request);
}

static enum verdict begin_looking(struct request *r, struct proxied *px, struct slice name)
{
    struct looking *l = arena_zalloc(&r->arena, sizeof *l);

    if (l == NULL || name.size >= sizeof l->name)
        return request_fail(r, l == NULL ? 500 : 502);
    memcpy(l->name, name.at, name.size);
    l->request = r;
    l->waits = true;
    px->looking = l;
    request_pin(r);
    io_work(r->io, &l->op, look_up, looked_up);
    return WAIT;
}

static bool take_found(struct request *r, struct proxied *px, struct slice name)
{
    struct endpoint all[FOUND_MAX];
    struct endpoint_list list = { all, 0 };

    for (const struct addrinfo *f = px->looking->found; f != NULL; f = f->ai_next) {
        struct addr a;
        char text[NI_MAXHOST];

        if (list.count == FOUND_MAX ||
            getnameinfo(f->ai_addr, f->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        addr_from_sockaddr(&a, f->ai_addr, f->ai_addrlen);
        struct slice host =
            a.family == AF_INET6 ? arena_printf(&r->arena, "[%s]", text) : slice_str(text);

        if (host.at == NULL || !endpoint_literal(&r->arena, host, px->port, &all[list.count]))
            continue;
        list.count++;
    }
    freeaddrinfo(px->looking->found);
    px->looking->found = NULL;
    px->group = list.count > 0 ? group_of_endpoints(&r->arena, name, &list, NULL) : NULL;
    return px->group != NULL;
}

static enum verdict resolve(struct request *r, struct proxied *px, struct slice name)
{
    if (px->looking == NULL)
        return begin_looking(r, px, name);
    if (!px->looking->done)
        return WAIT;
    if (px->looking->error != 0) {
        request_log(r, LOG_ERROR, 0, "\"%.*s\" could not be resolved: %s", SLICE_FMT(name),
                    gai_strerror(px->looking->error));
        return request_fail(r, 502);
    }
    return take_found(r, px, name) ? NEXT : request_fail(r, 500);
}

/* ---- URLs with variables ----------------------------------------------------------------- */

/* A unix socket has no name that a server would know. */
static struct slice host_of(struct slice address)
{
    return slice_starts(address, SLICE("unix:")) ? SLICE("localhost") : address;
}

static enum verdict find_group(struct request *r, struct proxied *px)
{
    struct endpoint_list one = { NULL, 1 };
    struct slice name;

    px->host = host_of(px->address);
    px->group = group_find_in(px->target->http, px->address);
    if (px->group != NULL)
        return NEXT;
    px->port = 80;
    if (!endpoint_split(px->address, &name, &px->port)) {
        request_log(r, LOG_ERROR, 0, "\"%.*s\" is not an address to pass a request on to",
                    SLICE_FMT(px->address));
        return request_fail(r, 500);
    }
    one.all = arena_alloc(&r->arena, sizeof *one.all);
    if (one.all == NULL)
        return request_fail(r, 500);
    if (!endpoint_literal(&r->arena, name, px->port, one.all))
        return resolve(r, px, name);
    px->group = group_of_endpoints(&r->arena, px->address, &one, NULL);
    return px->group != NULL ? NEXT : request_fail(r, 500);
}

enum verdict proxy_find_target(struct request *r, struct proxied *px)
{
    const struct target *t = px->target;
    const char *why;
    struct slice url;

    if (t->url == NULL) {
        px->group = t->group;
        px->host = host_of(t->host);
        px->port = t->port;
        px->has_uri = t->has_uri;
        return NEXT;
    }
    if (px->address.at != NULL)
        return find_group(r, px);
    if (!expr_eval(t->url, r, &r->arena, URL_MAX, &url))
        return request_fail(r, 500);
    if (!proxy_split_url(url, &px->address, &px->uri, &px->has_uri, &why)) {
        request_log(r, LOG_ERROR, 0, "invalid URL \"%.*s\" in proxy_pass: %s", SLICE_FMT(url), why);
        return request_fail(r, 500);
    }
    return find_group(r, px);
}
