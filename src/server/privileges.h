/* privileges.h - what the worker gives up, and the limits it gets, before it serves anyone. */
#ifndef SERVER_PRIVILEGES_H
#define SERVER_PRIVILEGES_H

#include "server/main_conf.h"

#include <sys/types.h>

/* Sets limits, priority, user, no_new_privs, directory and environment as the configuration
 * says. `connections`: what all loops together may have; room for descriptors is made as far as
 * the hard limit goes. False: text says what failed. */
bool privileges_drop(const struct main_conf *, uint64_t connections, char *text,
                     size_t size) MUST_USE;

/* The user that the worker becomes, if we are root (getpwnam(3)); our own if there is none. */
uid_t privileges_user(const struct main_conf *);

/* How many descriptors this process may have now. */
uint64_t privileges_descriptors(void);

/* Raises RLIMIT_NOFILE to `wanted`, or as near as the hard limit allows. */
void privileges_raise_descriptors(uint64_t wanted);

#endif
