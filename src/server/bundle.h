/* bundle.h - a configuration on its way from the master to the worker.
 *
 * A sealed memory file holds what the master read (source items), where it was read, and the
 * keys and ids of the listeners; the descriptors travel beside it: first the memory file, then
 * the listeners' sockets in the order of the keys, then the logs in the order of their ids.
 */
#ifndef SERVER_BUNDLE_H
#define SERVER_BUNDLE_H

#include "server/config.h"

/* A listener as both sides name it: what it is bound to. */
enum { LISTENER_KEY_SIZE = 160 };

struct bundle_listener {
    char key[LISTENER_KEY_SIZE];
    uint32_t id, sockets;
};

struct bundle {
    uint32_t number;    /* of the generation                                 */
    uint32_t loops;     /* loop threads of the worker                        */
    uint32_t respawned; /* workers that died before this one                        */
    uint32_t log_count;
    uint32_t listener_count;
    struct bundle_listener *listeners; /* malloc'ed                                         */
};

/* A memory file with all of it: the descriptor, or -errno. */
int bundle_write(const struct bundle *, const struct config *) MUST_USE;

/* Maps it, fills *ret (free with bundle_done) and gives a config ready for config_read(); the
 * mapping is the config's, for good. NULL: not a bundle, or no memory. */
struct config *bundle_read(struct bundle *ret, int fd, const struct registry *) MUST_USE;
void bundle_done(struct bundle *);

/* The key of an address. */
void listener_key(const struct listen_addr *, char into[LISTENER_KEY_SIZE]);

#endif
