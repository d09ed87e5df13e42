/* endpoint.c - addresses of peers: literals, unix sockets, names. */
#include "upstream/endpoint.h"

#include "net/addr.h"

#include <netdb.h>
#include <stdio.h>

enum { HOST_MAX = 255, TEXT_MAX = 80 };

static bool is_unix(struct slice text)
{
    return slice_starts(text, SLICE("unix:"));
}

bool endpoint_split(struct slice text, struct slice *host, uint16_t *port)
{
    uint64_t n;
    size_t end = text.size;

    if (is_unix(text)) {
        *host = text;
        return text.size > 5;
    }
    if (text.size > 0 && text.at[0] == '[') {
        end = slice_find(text, ']') + 1;
        if (end > text.size)
            return false;
    } else {
        end = slice_find(text, ':');
    }
    *host = slice_head(text, end);
    if (host->size == 0 || host->size > HOST_MAX)
        return false;
    if (end == text.size)
        return true;
    if (text.at[end] != ':' || !slice_to_u64(slice_skip(text, end + 1), UINT16_MAX, &n) || n == 0)
        return false;
    *port = (uint16_t)n;
    return true;
}

static bool unix_endpoint(struct slice host, struct endpoint *e)
{
    struct slice path = slice_skip(host, 5);

    memset(e, 0, sizeof *e);
    if (path.size == 0 || path.size >= sizeof e->address.un.sun_path)
        return false;
    e->address.un.sun_family = AF_UNIX;
    memcpy(e->address.un.sun_path, path.at, path.size);
    e->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.size + 1);
    e->text = host;
    return true;
}

bool endpoint_of(struct arena *arena, const struct addr *a, struct endpoint *e)
{
    struct sockaddr_storage s;
    char text[TEXT_MAX];
    struct gather g;

    memset(e, 0, sizeof *e);
    e->size = addr_to_sockaddr(a, &s);
    memcpy(&e->address, &s, e->size);
    gather_init(&g, text, sizeof text, NULL, 0);
    if (a->family == AF_INET6)
        gather_byte(&g, '[');
    addr_print(a, &g);
    if (a->family == AF_INET6)
        gather_byte(&g, ']');
    gather_byte(&g, ':');
    gather_u64(&g, a->port);
    e->text = arena_copy(arena, gather_get(&g));
    return e->text.at != NULL;
}

/* "80" alone would be a port to addr_parse(); here it is a name. */
static bool looks_numeric(struct slice host)
{
    return host.at[0] == '[' || slice_find(host, '.') < host.size;
}

bool endpoint_literal(struct arena *arena, struct slice host, uint16_t port, struct endpoint *e)
{
    struct addr a;

    if (is_unix(host))
        return unix_endpoint(host, e);
    if (!looks_numeric(host) || !addr_parse(host, port, &a))
        return false;
    a.port = port;
    return endpoint_of(arena, &a, e);
}

static bool add_found(struct arena *arena, const struct addrinfo *found, uint16_t port,
                      struct endpoint_list *list)
{
    struct addr a;

    addr_from_sockaddr(&a, found->ai_addr, found->ai_addrlen);
    a.port = port;
    for (unsigned i = 0; i < list->count; i++) {
        struct addr have;

        addr_from_sockaddr(&have, &list->all[i].address.any, list->all[i].size);
        if (addr_eq(&a, &have))
            return true;
    }
    return list->count == ENDPOINTS_MAX || endpoint_of(arena, &a, &list->all[list->count++]);
}

bool endpoints_find(struct arena *arena, struct slice host, uint16_t port,
                    struct endpoint_list *list, const char **why)
{
    static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC };
    struct endpoint one;
    struct addrinfo *found;
    char name[HOST_MAX + 1];
    bool made = true;

    *list = (struct endpoint_list){ 0 };
    *why = "there is no memory left";
    if (endpoint_literal(arena, host, port, &one)) {
        list->all = arena_alloc(arena, sizeof one);
        if (list->all == NULL)
            return false;
        list->all[list->count++] = one;
        return true;
    }
    if (is_unix(host) || host.size > HOST_MAX) {
        *why = "the path or name is too long";
        return false;
    }
    snprintf(name, sizeof name, "%.*s", SLICE_FMT(host));
    int error = getaddrinfo(name, NULL, &hints, &found);

    if (error != 0) {
        *why = gai_strerror(error);
        return false;
    }
    list->all = arena_alloc(arena, ENDPOINTS_MAX * sizeof *list->all);
    for (const struct addrinfo *f = found; f != NULL && made; f = f->ai_next)
        made = list->all != NULL && add_found(arena, f, port, list);
    freeaddrinfo(found);
    return made && list->count > 0;
}

bool endpoint_eq(const struct endpoint *a, const struct endpoint *b)
{
    return a->size == b->size && memcmp(&a->address, &b->address, a->size) == 0;
}
