/* destination.c - upstreams, addresses, and names that are looked up for each request. */
#include "upstream/destination.h"

#include "upstream/resolver.h"

struct looking {
    struct lookup lookup;
    struct request *request;
    bool waits;
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

static void looked_up(struct lookup *lookup)
{
    struct looking *l = container_of(lookup, struct looking, lookup);

    if (l->waits)
        request_resume(l->request);
}

static void forget(void *arg)
{
    struct looking *l = arg;

    lookup_end(&l->lookup);
}

/* True: it is known already, or cannot be. */
static bool begin_looking(struct request *r, struct finding *f, struct slice name)
{
    const struct resolver_conf *conf = request_conf(r, &feature_resolver);
    struct looking *l = f->looking;

    l->request = r;
    l->lookup = (struct lookup){ .resolver = r->loop->resolver,
                                 .how = &conf->how,
                                 .name = name,
                                 .port = f->port,
                                 .done = looked_up };
    l->waits = !lookup_begin(&l->lookup);
    return !l->waits;
}

static bool take_found(struct request *r, struct finding *f, struct slice name)
{
    struct endpoint all[RESOLVER_FOUND_MAX];
    struct endpoint_list list = { all, 0 };
    const struct lookup *l = &f->looking->lookup;

    for (unsigned i = 0; i < l->count; i++)
        if (!endpoint_of(&r->arena, &l->found[i].addr, &all[list.count++]))
            return false;
    f->group = group_of_endpoints(&r->arena, name, &list, NULL);
    return f->group != NULL;
}

static enum verdict resolve(struct request *r, struct finding *f, struct slice name)
{
    const struct lookup *l;

    if (f->looking == NULL) {
        f->looking = arena_zalloc(&r->arena, sizeof *f->looking);
        if (f->looking == NULL || !request_at_end(r, forget, f->looking))
            return request_fail(r, 500);
        if (!begin_looking(r, f, name))
            return WAIT;
    }
    l = &f->looking->lookup;
    if (!l->over)
        return WAIT;
    f->looking->waits = false;
    if (l->outcome != LOOKUP_FOUND) {
        request_log(r, LOG_ERROR, 0, "\"%.*s\" could not be resolved: %s", SLICE_FMT(name),
                    lookup_why(l->outcome));
        return request_fail(r, l->outcome == LOOKUP_BUSY ? 503 : 502);
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
