/* sticky.h - requests of one session go to one peer: by a cookie that is given here, or by what
 * the request says of its route.
 */
#ifndef UPSTREAM_STICKY_H
#define UPSTREAM_STICKY_H

#include "http/request.h"
#include "upstream/group.h"

/* The directive sticky, in upstream{}. */
conf_set_fn sticky_set;

/* Gives each peer of a group with sticky its route, if it has none: the MD5 of its address. False:
 * no memory. */
bool sticky_seal(struct arena *, struct group *) MUST_USE;

/* The peer that the request belongs to; NULL: none yet, or it is gone. */
struct peer *sticky_peer(struct request *, const struct group *);

/* The peer answers: gives the client its cookie, unless it has it. False: no memory. */
bool sticky_tell(struct request *, const struct group *, const struct peer *) MUST_USE;

/* The whole answer came from the peer: `sticky learn` may remember whose session it began. */
void sticky_answered(struct request *, const struct group *, const struct peer *);

/* What sticky knows a peer by, if it was not said: the MD5 of its address, in the room given, which
 * is borrowed. False: there is no MD5. */
enum { STICKY_ROUTE_SIZE = 32 };
bool sticky_route_of(const struct group *, struct peer *, char into[STICKY_ROUTE_SIZE]) MUST_USE;
/* Its route was made so. */
bool sticky_route_is_made(const struct group *, const struct peer *);

#endif
