/* peers.h - peers that come and go while their group is used, behind its lock.
 *
 *   like.at = …; like.name = …;
 *   p = peer_grow(group, &like);
 *   if (p == NULL || !group_join(group, p)) …no memory, or too many
 *   group_part(group, p);
 *   balance_changed(group);
 *
 * A peer that has parted is given no new request; its memory stays until the last request that
 * knew it has ended.
 */
#ifndef UPSTREAM_PEERS_H
#define UPSTREAM_PEERS_H

#include "http/site.h"
#include "upstream/group.h"

enum { PEERS_MAX = 1000 };

/* What a peer is like of which nothing is said. */
extern const struct peer plain_peer;

/* A peer like that one, with texts of its own. NULL: no memory. */
struct peer *peer_grow(const struct group *, const struct peer *like) MUST_USE;
/* One that has not joined. */
void peer_wither(struct peer *);

/* Behind the others; `id` stays if it has one. False: there are too many. */
bool group_join(struct group *, struct peer *) MUST_USE;
void group_part(struct group *, struct peer *);
/* A request that used it does not know it any more; the last one frees what has gone. */
void group_unuse(struct group *, struct peer *);

/* For loading: the same without a lock, of peers in the arena. */
void group_add(struct group *, struct peer *);
/* Every `server` has been read. False: no memory. */
bool group_seal(struct arena *, struct group *) MUST_USE;
/* What came at run time goes with the configuration. */
void group_forget(void *group);

/* Before a generation is used: what was counted of peers with the same addresses in upstreams of
 * the same names. from may be NULL. */
void peers_take(struct site *to, const struct site *from);

/* A peer may be out of use now, or in use again: its time out of use is counted. */
void peer_settle(struct peer *, int64_t wall_ns, uint64_t now_ms);
/* It failed too often lately. */
bool peer_unavailable(const struct group *, const struct peer *, uint64_t now_ms);

#endif
