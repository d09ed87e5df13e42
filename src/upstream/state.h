/* state.h - `state file`: the servers of a group, remembered in a file.
 *
 * The file is read by whoever reads the configuration, and written by the worker's helper threads,
 * who have no privileges: the master sees to it that the directory lets them, or says that it does
 * not (server/state_files.c).
 */
#ifndef UPSTREAM_STATE_H
#define UPSTREAM_STATE_H

#include "upstream/group.h"

/* Writes the servers as they are by now: a new file takes the place of the old one as a whole. May
 * wait for the disk: for helper threads. 0 or -errno. */
int state_write(struct group *) MUST_USE;

#endif
