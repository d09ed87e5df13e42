/* discover.h - `server name resolve`: peers that come and go as DNS says.
 *
 * One loop asks for all. A peer that has gone is given no new request, and its memory stays until
 * the last request that used it has ended.
 */
#ifndef UPSTREAM_DISCOVER_H
#define UPSTREAM_DISCOVER_H

#include "http/request.h"
#include "upstream/group.h"

/* The words of a `server` say that it is one of these. */
bool discover_wanted(const struct conf_node *);
/* Reads it. False after a complaint. */
bool discover_add(struct conf_load *, const struct conf_node *, struct group *,
                  const struct peer *like) MUST_USE;
/* None of them could have a peer that is no backup. */
bool discover_only_backups(const struct group *);

/* One that is said at run time, not yet in its group; like->name names it. NULL: no memory. */
struct served *discover_grow(struct group *, const struct peer *like,
                             struct slice service) MUST_USE;
void discover_wither(struct served *);
/* On the loop that asks for all: it is in its group; it is not any more, nor are its peers: frees
 * it. */
void discover_begin(struct loop *, struct served *);
void discover_end(struct loop *, struct served *);

/* Before a generation is used: what the one before knew is where it begins. from may be NULL. */
void discover_take(struct site *to, const struct site *from);

/* As health_follow(). */
void discover_follow(struct loop *, struct site *from, struct site *to);

#endif
