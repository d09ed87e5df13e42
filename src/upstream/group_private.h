/* group_private.h - what the files that read upstream { … } share. */
#ifndef UPSTREAM_GROUP_PRIVATE_H
#define UPSTREAM_GROUP_PRIVATE_H

#include "upstream/group.h"

/* group_server.c */
conf_set_fn server_set, server_set_state;

/* One peer for each address of the host; a warning at argument `arg` and a peer that is down, if
 * there is none. */
void server_add_found(struct conf_load *, const struct conf_node *, unsigned arg, struct group *,
                      const struct peer *like, struct slice host, uint16_t port);
/* The method of balancing knows no backups, or no slow_start: false. */
bool server_refuse(struct conf_load *, const struct conf_node *, const struct balance *,
                   bool backup);
/* All of the group was read: state and server are not both there. False after a complaint. */
bool server_state_fits(struct conf_load *, const struct group *);

#endif
