/* proxy_told.h - what a connection's PROXY header told of it, kept as long as the connection is.
 *
 * Made by the protocol from a wire/proxy_line.h, lent to each of the connection's requests
 * (r->told), read by the variables $proxy_protocol_… and by real_ip_header proxy_protocol.
 */
#ifndef HTTP_PROXY_TOLD_H
#define HTTP_PROXY_TOLD_H

#include "net/addr.h"
#include "wire/proxy_line.h"

struct proxy_told {
    struct addr source, target; /* AF_UNSPEC: an address that means nothing here (unix) */
    struct slice tlvs;
    struct arena arena; /* in which all of it lies */
};

/* Does it tell anything? Not if the balancer itself connects, or the family is not known. */
static inline bool proxy_line_tells(const struct proxy_line *line)
{
    return !line->local && line->family != PROXY_UNKNOWN;
}

/* Copies what there is to keep of the line. NULL: no memory. proxy_told_destroy() frees it. */
struct proxy_told *proxy_told_create(const struct proxy_line *) MUST_USE;
/* Takes it back; NULL is nothing. */
void proxy_told_destroy(struct proxy_told *);

#endif
