/* addr.c - reads and writes numeric addresses, and asks the kernel for the ends of a socket. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/un.h>

enum { V4_SIZE = 4, V6_SIZE = 16, V4_BITS = 32, V6_BITS = 128 };

/* ::ffff:0:0/96, under which IPv4 addresses appear on IPv6 sockets. */
static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

void addr_from_sockaddr(struct addr *a, const struct sockaddr *from, socklen_t size)
{
    *a = (struct addr){ 0 };
    if (size < (socklen_t)sizeof from->sa_family)
        return;
    if (from->sa_family == AF_INET && size >= (socklen_t)sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *in = (const void *)from;

        a->family = AF_INET;
        a->port = ntohs(in->sin_port);
        memcpy(a->ip, &in->sin_addr, V4_SIZE);
    } else if (from->sa_family == AF_INET6 && size >= (socklen_t)sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *in6 = (const void *)from;

        a->family = AF_INET6;
        a->port = ntohs(in6->sin6_port);
        memcpy(a->ip, &in6->sin6_addr, V6_SIZE);
    } else if (from->sa_family == AF_UNIX) {
        a->family = AF_UNIX;
    }
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *to)
{
    memset(to, 0, sizeof *to);
    if (a->family == AF_INET6) {
        struct sockaddr_in6 *in6 = (void *)to;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        memcpy(&in6->sin6_addr, a->ip, V6_SIZE);
        return sizeof *in6;
    }
    struct sockaddr_in *in = (void *)to;

    in->sin_family = AF_INET;
    in->sin_port = htons(a->port);
    memcpy(&in->sin_addr, a->ip, V4_SIZE);
    return sizeof *in;
}

int addr_unix(const char *path, struct sockaddr_storage *to, socklen_t *ret_size)
{
    struct sockaddr_un *un = (void *)to;
    size_t size = strlen(path);

    if (size == 0 || size >= sizeof un->sun_path)
        return -ENAMETOOLONG;
    memset(to, 0, sizeof *to);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, size);
    *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    return 0;
}

/* ---- text ------------------------------------------------------------------------------- */

static bool parse_ip(struct slice text, uint8_t family, struct addr *ret)
{
    char space[INET6_ADDRSTRLEN + 1];

    if (text.size == 0 || text.size >= sizeof space)
        return false;
    memcpy(space, text.at, text.size);
    space[text.size] = '\0';
    ret->family = family;
    return inet_pton(family, space, ret->ip) == 1;
}

bool addr_parse_ip(struct slice text, struct addr *ret)
{
    struct addr a = { 0 };

    if (!parse_ip(text, AF_INET, &a) && !parse_ip(text, AF_INET6, &a))
        return false;
    *ret = a;
    return true;
}

static bool parse_port(struct slice text, uint16_t *ret)
{
    uint64_t port;

    if (!slice_to_u64(text, UINT16_MAX, &port))
        return false;
    *ret = (uint16_t)port;
    return true;
}

/* "[::1]" or "[::1]:80". */
static bool parse_bracketed(struct slice text, struct addr *ret)
{
    size_t end = slice_find(text, ']');

    if (end == text.size || !parse_ip(slice_of(text.at + 1, end - 1), AF_INET6, ret))
        return false;
    struct slice rest = slice_skip(text, end + 1);

    return rest.size == 0 || (rest.at[0] == ':' && parse_port(slice_skip(rest, 1), &ret->port));
}

bool addr_parse(struct slice text, uint16_t default_port, struct addr *ret)
{
    struct addr a = { .family = AF_INET, .port = default_port };
    struct slice host = text, port = { 0 };
    bool good;

    if (text.size > 0 && text.at[0] == '[') {
        good = parse_bracketed(text, &a);
    } else if (slice_find(text, ':') == text.size && parse_port(text, &a.port)) {
        good = true; /* a port alone: any address */
    } else {
        size_t colon = slice_find(text, ':');

        host = slice_head(text, colon);
        if (colon < text.size)
            port = slice_skip(text, colon + 1);
        good = (colon == text.size || parse_port(port, &a.port)) &&
               (slice_eq(host, SLICE("*")) || parse_ip(host, AF_INET, &a));
    }
    if (good)
        *ret = a;
    return good;
}

void addr_print(const struct addr *a, struct gather *g)
{
    char text[INET6_ADDRSTRLEN];

    if (a->family == AF_UNIX)
        gather_lit(g, "unix:");
    else if ((a->family == AF_INET || a->family == AF_INET6) &&
             inet_ntop(a->family, a->ip, text, sizeof text) != NULL)
        gather_str(g, text);
}

struct slice addr_bytes(const struct addr *a)
{
    return slice_of((const char *)a->ip, a->family == AF_INET    ? V4_SIZE
                                         : a->family == AF_INET6 ? V6_SIZE
                                                                 : 0);
}

bool addr_is_any(const struct addr *a)
{
    static const uint8_t zero[V6_SIZE];
    struct slice bytes = addr_bytes(a);

    return bytes.size > 0 && memcmp(bytes.at, zero, bytes.size) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && a->port == b->port && slice_eq(addr_bytes(a), addr_bytes(b));
}

/* ---- networks --------------------------------------------------------------------------- */

/* True if all bits of ip from `bits` on are zero; clears them. */
static bool mask(uint8_t *ip, size_t size, unsigned bits)
{
    bool clean = true;

    for (size_t i = 0; i < size; i++) {
        unsigned keep = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * (unsigned)i : 0;
        uint8_t kept = (uint8_t)(ip[i] & (uint8_t)(0xff00u >> keep));

        clean &= kept == ip[i];
        ip[i] = kept;
    }
    return clean;
}

bool addr_net_parse(struct slice text, struct addr_net *ret, bool *ret_low_bits)
{
    struct addr_net net = { 0 };
    struct slice prefix = text, ip = slice_cut(&prefix, '/');
    bool v6 = slice_find(ip, ':') < ip.size;
    unsigned bits = v6 ? V6_BITS : V4_BITS;
    uint64_t said = bits;

    if (ip.size >= 2 && ip.at[0] == '[' && ip.at[ip.size - 1] == ']')
        ip = slice_of(ip.at + 1, ip.size - 2);
    if (!parse_ip(ip, v6 ? AF_INET6 : AF_INET, &net.base))
        return false;
    if (slice_find(text, '/') < text.size && !slice_to_u64(prefix, bits, &said))
        return false;
    net.bits = (uint8_t)said;
    *ret_low_bits = !mask(net.base.ip, v6 ? V6_SIZE : V4_SIZE, net.bits);
    *ret = net;
    return true;
}

bool addr_in_net(const struct addr *a, const struct addr_net *net)
{
    uint8_t ip[V6_SIZE];
    uint8_t family = a->family;

    memcpy(ip, a->ip, sizeof ip);
    if (family == AF_INET6 && net->base.family == AF_INET &&
        memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        memmove(ip, ip + sizeof mapped_prefix, V4_SIZE);
        family = AF_INET;
    }
    if (family != net->base.family || (family != AF_INET && family != AF_INET6))
        return false;
    size_t size = family == AF_INET ? V4_SIZE : V6_SIZE;

    (void)mask(ip, size, net->bits);
    return memcmp(ip, net->base.ip, size) == 0;
}

/* ---- ends of a socket ------------------------------------------------------------------- */

typedef int name_fn(int, struct sockaddr *, socklen_t *);

static void ask(name_fn *name, int fd, struct addr *ret)
{
    struct sockaddr_storage space;
    socklen_t size = sizeof space;

    *ret = (struct addr){ 0 };
    if (name(fd, (struct sockaddr *)&space, &size) == 0)
        addr_from_sockaddr(ret, (struct sockaddr *)&space, size);
}

void addr_of_peer(int fd, struct addr *ret)
{
    ask(getpeername, fd, ret);
}

void addr_of_local(int fd, struct addr *ret)
{
    ask(getsockname, fd, ret);
}
