/* holder.h - who holds a port: the answer to "Address already in use". */
#ifndef NET_HOLDER_H
#define NET_HOLDER_H

#include "net/addr.h"

/* Writes "held by nginx (pid 812)" or, when the kernel does not show us whose it is, "held by
 * another user's process" into text. False: nobody was found listening there. */
bool holder_find(const struct addr *, char *text, size_t size);

#endif
