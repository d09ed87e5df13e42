/* forwarded.h - who is the client, when trusted proxies tell it in a field? */
#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "conf/load.h"
#include "net/addr.h"

struct trusted {
    bool is_unix; /* every unix socket */
    struct addr_net net;
    struct trusted *next;
};

/* Reads an argument: an address, a net or "unix:". NULL after a complaint. */
struct trusted *forwarded_read(struct conf_load *, const struct conf_node *, unsigned arg);

bool forwarded_trusted(const struct trusted *nets, const struct addr *);

/* Goes through the addresses of one field's value from its end: *client is the last one, or
 * (recursive) the last one that is not trusted itself. False: the search is over; else the field
 * before this one may go on with it. */
bool forwarded_look_back(const struct trusted *nets, bool recursive, struct slice value,
                         struct addr *client, bool *found);

#endif
