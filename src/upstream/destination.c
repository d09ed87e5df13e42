/* destination.c - upstreams, addresses, and names that a helper thread asks the system for. */
#include "upstream/destination.h"

#include "io/io.h"

#include <netdb.h>

enum { NAME_ROOM = 256, FOUND_MAX = 16 };

struct looking {
    struct io_op op;
    struct request *request;
    char name[NAME_ROOM];
    struct addrinfo *found;
    int error;
    bool waits, done;
};

static bool has_no_port(struct slice name)
{
    return slice_starts(name, SLICE("unix:"));
}

struct group *destination_group(struct conf_load *load, const struct conf_node *node,
                                const struct scope *http, struct slice address, uint16_t port)
{
    struct group *g = group_find_in(http, address);
    struct slice name;

    if (g != NULL)
        return g;
    if (endpoint_split(address, &name, &port) && (port != 0 || has_no_port(name)))
        return group_of_address(load, node, 0, name, port);
    if (endpoint_split(address, &name, &port)) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" names no port", SLICE_FMT(address));
        conf_hint(load, "expected: an upstream, name:port, address:port or unix:/path");
        return NULL;
    }
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" has no name or port that can be",
                  SLICE_FMT(address));
    conf_hint(load, "expected: an upstream, name[:port], address[:port] or unix:/path");
    return NULL;
}

/* ---- names ------------------------------------------------------------------------------- */

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

static enum verdict begin_looking(struct request *r, struct finding *f, struct slice name)
{
    struct looking *l = arena_zalloc(&r->arena, sizeof *l);

    if (l == NULL || name.size >= sizeof l->name)
        return request_fail(r, l == NULL ? 500 : 502);
    memcpy(l->name, name.at, name.size);
    l->request = r;
    l->waits = true;
    f->looking = l;
    request_pin(r);
    io_work(r->io, &l->op, look_up, looked_up);
    return WAIT;
}

static bool take_found(struct request *r, struct finding *f, struct slice name)
{
    struct endpoint all[FOUND_MAX];
    struct endpoint_list list = { all, 0 };

    for (const struct addrinfo *a = f->looking->found; a != NULL; a = a->ai_next) {
        struct addr addr;
        char text[NI_MAXHOST];

        if (list.count == FOUND_MAX ||
            getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        addr_from_sockaddr(&addr, a->ai_addr, a->ai_addrlen);
        struct slice host =
            addr.family == AF_INET6 ? arena_printf(&r->arena, "[%s]", text) : slice_str(text);

        if (host.at == NULL || !endpoint_literal(&r->arena, host, f->port, &all[list.count]))
            continue;
        list.count++;
    }
    freeaddrinfo(f->looking->found);
    f->looking->found = NULL;
    f->group = list.count > 0 ? group_of_endpoints(&r->arena, name, &list, NULL) : NULL;
    return f->group != NULL;
}

static enum verdict resolve(struct request *r, struct finding *f, struct slice name)
{
    if (f->looking == NULL)
        return begin_looking(r, f, name);
    if (!f->looking->done)
        return WAIT;
    if (f->looking->error != 0) {
        request_log(r, LOG_ERROR, 0, "\"%.*s\" could not be resolved: %s", SLICE_FMT(name),
                    gai_strerror(f->looking->error));
        return request_fail(r, 502);
    }
    return take_found(r, f, name) ? NEXT : request_fail(r, 500);
}

enum verdict destination_find(struct request *r, struct finding *f)
{
    struct endpoint_list one = { NULL, 1 };
    struct slice name;

    f->group = group_find_in(f->http, f->address);
    if (f->group != NULL)
        return NEXT;
    if (!endpoint_split(f->address, &name, &f->port)) {
        request_log(r, LOG_ERROR, 0, "\"%.*s\" is not an address to pass a request on to",
                    SLICE_FMT(f->address));
        return request_fail(r, 500);
    }
    one.all = arena_alloc(&r->arena, sizeof *one.all);
    if (one.all == NULL)
        return request_fail(r, 500);
    if (!endpoint_literal(&r->arena, name, f->port, one.all))
        return resolve(r, f, name);
    f->group = group_of_endpoints(&r->arena, f->address, &one, NULL);
    return f->group != NULL ? NEXT : request_fail(r, 500);
}
