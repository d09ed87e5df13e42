/* listen.h - opens the sockets that connections are accepted from.
 *
 *   struct listen_wish wish = { .addr = a, .backlog = 511 };
 *   int fd = listen_open(&wish, &step);     < 0: -errno, and *step names the call that failed
 *
 * A listener's sockets belong to the master; worker loops accept on them. TCP_NODELAY and the
 * buffer sizes are set here once: accepted connections take them over from the listener.
 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "net/addr.h"

/* Numbers below 0 mean: not said. */
struct listen_wish {
    struct addr addr;
    unsigned unix_mode;    /* of the socket's file; 0: everybody's                 */
    const char *unix_path; /* AF_UNIX                                              */
    bool ipv6only, reuseport, deferred, keepalive_set, keepalive;
    int backlog, rcvbuf, sndbuf, fastopen, keep_idle, keep_interval, keep_count;
};

/* Close-on-exec, listening. A unix socket's file left behind by a server that is gone is
 * replaced; one that somebody answers on is -EADDRINUSE. */
int listen_open(const struct listen_wish *, const char **ret_step) MUST_USE;

/* Applies what can change while a socket listens: backlog, buffers, keepalive. */
void listen_adjust(int fd, const struct listen_wish *);

/* From now on SYNs are dropped unanswered, while handshakes that have begun are completed and
 * queued connections can still be accepted. 0 or -errno. (Connections accepted later inherit
 * the filter; it never matches what they receive.) */
int listen_stop_syns(int fd);

/* How many connections wait to be accepted; -1: the kernel does not tell (unix sockets). */
int listen_waiting(int fd);

/* Is fd a listening socket? Fills in what it is bound to; path is for AF_UNIX. */
enum { LISTEN_PATH_SIZE = 108 };
bool listen_describe(int fd, struct addr *ret, char path[LISTEN_PATH_SIZE]);

#endif
