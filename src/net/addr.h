/* addr.h - socket addresses: parsed, printed, compared. No name look-ups happen here.
 *
 *   struct addr a;
 *   if (addr_parse(SLICE("[::1]:8080"), 80, &a)) …
 *
 * struct addr is the compact form kept in each connection: 20 bytes instead of the 128 of
 * sockaddr_storage. The path of a unix socket is kept elsewhere (struct listen_addr).
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "base/gather.h"

#include <sys/socket.h>

struct addr {
    uint8_t family; /* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC: not known */
    uint16_t port;  /* host byte order */
    uint8_t ip[16]; /* IPv4 in the first four bytes */
};

enum { ADDR_TEXT_MAX = 64 };

void addr_from_sockaddr(struct addr *, const struct sockaddr *, socklen_t);
/* The size of what was written. For AF_UNIX use addr_unix(). */
socklen_t addr_to_sockaddr(const struct addr *, struct sockaddr_storage *);
/* 0, or -ENAMETOOLONG. */
int addr_unix(const char *path, struct sockaddr_storage *, socklen_t *ret_size) MUST_USE;

/* Numeric addresses only: "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:80", "*:80", "80". */
bool addr_parse(struct slice, uint16_t default_port, struct addr *) MUST_USE;
/* An address alone, without brackets and port: "127.0.0.1", "::1". The port is 0. */
bool addr_parse_ip(struct slice, struct addr *) MUST_USE;
/* "127.0.0.1" or "::1", without brackets; "unix:" for AF_UNIX; "" when not known. */
void addr_print(const struct addr *, struct gather *);
/* The 4 or 16 bytes of $binary_remote_addr. */
struct slice addr_bytes(const struct addr *);
bool addr_is_any(const struct addr *);
bool addr_eq(const struct addr *, const struct addr *); /* ip and port */

/* CIDR: "10.0.0.0/8", "::/0", "127.0.0.1". *ret_low_bits: bits beyond the mask were set. */
struct addr_net {
    struct addr base;
    uint8_t bits;
};
bool addr_net_parse(struct slice, struct addr_net *, bool *ret_low_bits) MUST_USE;
/* IPv4-mapped IPv6 addresses match IPv4 nets. */
bool addr_in_net(const struct addr *, const struct addr_net *);

/* The two ends of a connected socket; AF_UNSPEC when the kernel does not tell any more. */
void addr_of_peer(int fd, struct addr *);
void addr_of_local(int fd, struct addr *);

#endif
