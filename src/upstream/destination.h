/* destination.h - whom a request goes to: an address or an upstream's name, known when the
 * configuration is loaded or made of variables for each request.
 *
 *   d->group = destination_group(load, node, http, address, 80);      in merge()
 *
 *   struct finding f = { .http = http, .address = address, .port = 80 };
 *   v = destination_find(r, &f);                  NEXT: f.group is there; WAIT: call it again
 */
#ifndef UPSTREAM_DESTINATION_H
#define UPSTREAM_DESTINATION_H

#include "http/request.h"
#include "upstream/group.h"

struct looking;

struct finding {
    const struct scope *http;
    struct slice address; /* "name", "name:port", "unix:/path", an upstream              */
    uint16_t port;        /* the protocol's, then the address's own                      */
    struct group *group;
    struct looking *looking;
};

/* NULL after a complaint at the node's first argument. */
struct group *destination_group(struct conf_load *, const struct conf_node *,
                                const struct scope *http, struct slice address, uint16_t port);

/* NEXT; WAIT: a name is being looked up, and the step will run again; DONE: the request was failed
 * (500: no address, 502: an unknown name). */
enum verdict destination_find(struct request *, struct finding *);

#endif
