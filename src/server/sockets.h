/* sockets.h - the master's listening sockets: opened, inherited, kept over reloads, given up.
 *
 *   sockets_inherit(&book, getenv(…))        from the binary before us
 *   sockets_prepare(&book, site, loops, …)   opens what the site wants and is not there
 *   sockets_commit(&book)                    that site runs: the others are closed
 *   sockets_abandon(&book)                   it does not: what was opened for it is closed
 *
 * An id stays with a socket as long as it is open, and is never given again.
 */
#ifndef SERVER_SOCKETS_H
#define SERVER_SOCKETS_H

#include "server/bundle.h"

struct held_socket {
    char key[LISTENER_KEY_SIZE];
    uint32_t id, count; /* count of fds                                          */
    int *fds;
    char *unix_path; /* to be unlinked at the end; or NULL                    */
    bool fresh;      /* opened since the last commit                          */
    bool wanted;     /* by the configuration being prepared                   */
    struct held_socket *next;
};

struct sockets {
    struct held_socket *first;
    uint32_t next_id;
};

/* The variable that names the descriptors: "7,8,9". */
#define SOCKETS_VARIABLE "WEIR_LISTENERS"

void sockets_inherit(struct sockets *, const char *list);
/* Makes the descriptors survive exec(2), and writes the list of them. */
bool sockets_hand_down(const struct sockets *, char *list, size_t size) MUST_USE;

/* `loops`: a socket for each where reuseport is said. At start (`patient`) a port that is in use
 * is tried again for a moment. False: text is a sentence about what failed. */
bool sockets_prepare(struct sockets *, const struct site *, unsigned loops, bool patient,
                     char *text, size_t size) MUST_USE;
void sockets_commit(struct sockets *, bool alone);
void sockets_abandon(struct sockets *);

/* What the worker must be told: the wanted ones. Listeners and descriptors, in one order; the
 * caller frees both. */
void sockets_list(const struct sockets *, struct bundle_listener **ret, uint32_t *ret_count,
                  int **ret_fds, uint32_t *ret_fd_count);

/* Closes all; `alone`: nobody else uses them, files of unix sockets go too. */
void sockets_close(struct sockets *, bool alone);

#endif
