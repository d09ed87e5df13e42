/* progress.h - is a slow peer taking anything? Asked only when a deadline has passed. */
#ifndef NET_PROGRESS_H
#define NET_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* A number that grows while the peer takes bytes (TCP: acknowledged ones, see tcp(7) TCP_INFO;
 * unix sockets: what left the queue). 0 when the kernel does not tell. */
uint64_t net_taken(int fd);

#endif
