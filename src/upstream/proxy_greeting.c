/* proxy_greeting.c - proxy_protocol: a server is told who the client is, by a PROXY header before
 * the first request on a connection. Requests of another client, or that it would be told another
 * address for, go over another connection: channel_manner.greeting.
 */
#include "upstream/proxy.h"
#include "wire/proxy_line.h"

/* IPv4 as an address of IPv6, where the other end has one (RFC 4291 §2.5.5.2). */
static struct proxy_end end_of(const struct addr *a, bool six)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    struct proxy_end end = { .port = a->port };

    if (a->family == AF_INET && six) {
        memcpy(end.ip, mapped, sizeof mapped);
        memcpy(end.ip + sizeof mapped, a->ip, 4);
    } else {
        memcpy(end.ip, a->ip, sizeof end.ip);
    }
    return end;
}

/* A health check is nobody's request; a unix socket has no address that could be told. */
static struct proxy_line line_of(struct request *r)
{
    struct proxy_line line = { .local = r->is_check };
    struct addr source, target = { 0 };

    if (line.local)
        return line;
    source = *request_client(r);
    r->ops->local(r, &target);
    if ((source.family != AF_INET && source.family != AF_INET6) ||
        (target.family != AF_INET && target.family != AF_INET6))
        return line;
    bool six = source.family == AF_INET6 || target.family == AF_INET6;

    line.family = six ? PROXY_TCP6 : PROXY_TCP4;
    line.source = end_of(&source, six);
    line.target = end_of(&target, six);
    return line;
}

bool proxy_write_greeting(struct relay *y, const struct proxy_conf *conf)
{
    struct proxy_line line;
    struct gather g;
    char *room;

    if (conf->greeting == 0)
        return true;
    room = arena_bytes(&y->request->arena, CHANNEL_GREETING_MAX);
    if (room == NULL)
        return false;
    line = line_of(y->request);
    gather_init(&g, room, CHANNEL_GREETING_MAX, NULL, 0);
    if (!(conf->greeting == 1 ? proxy_line_write_v1(&g, &line)
                              : proxy_line_write_v2(&g, &line, false)))
        return false;
    y->greeting = gather_get(&g);
    return true;
}
