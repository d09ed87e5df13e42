/* state_files.h - files that upstreams keep their servers in: what the master does about them.
 *
 * The worker writes them, as `user`. The master, who may, makes a directory that is not there, and
 * warns of one that the worker cannot write into.
 */
#ifndef SERVER_STATE_FILES_H
#define SERVER_STATE_FILES_H

#include "server/config.h"

/* To be called when the logs are open. */
void states_prepare(const struct config *);

/* A worker died: the next one begins with what the files say by now. */
void states_read_again(struct config *);

#endif
