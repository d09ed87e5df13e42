/* proxy_servers.h - one connection of a server of proxy_servers.c, and what it answers, which
 * proxy_answers.c makes up.
 */
#ifndef TESTS_SIM_PROXY_SERVERS_H
#define TESTS_SIM_PROXY_SERVERS_H

#include "proxy_sim.h"

enum {
    IN_ROOM = 60000,
    OUT_ROOM = 90000,
    PAUSES = 6,
    INTERIMS_MOST = 16,
};

enum ending { GO_ON, FIN, RESET, FREEZE, LATE_FIN, LATE_NOISE };

/* How an answer goes. Those of `whole` are all that a calm server does. */
enum manner {
    BY_LENGTH,
    BY_CHUNKS,
    BY_CLOSE,
    EMPTY,
    WITH_INTERIMS,
    SAYS_CLOSE,
    OLD,
    SLOW,
    EARLY,
    CALM_MANNERS,
    EARLY_AND_DEAF = CALM_MANNERS,
    NOISE_BEHIND,
    NOISE_LATER,
    CLOSES_IDLE,
    GARBAGE,
    HALF_HEAD,
    NO_ANSWER,
    BAD_LENGTH,
    LENGTH_AND_CHUNKS,
    OLD_CHUNKS,
    ODD_CODING,
    HUGE_HEAD,
    MANY_FIELDS,
    BAD_STATUS,
    INTERIMS_FOR_EVER,
    SWITCHES_UNASKED,
    FOLDED,
    NUL_IN_FIELD,
    SHORT_BODY,
    BAD_CHUNK,
    SHORT_CHUNKS,
    RESET_FOR_END,
    MANNERS,
};

struct conn {
    struct sim_peer *end; /* NULL: free */
    char *in, *out;
    size_t in_size, out_size, out_done;
    struct trip *trip; /* being read or answered */
    bool mute, deaf;   /* reads nothing; … any more */
    bool noisy;        /* says more than its answer */
    bool up_whole, answering, chunked, reusable, tunnel;
    size_t up_at, up_left, chunk_left;
    unsigned chunk_state;
    struct {
        size_t at;
        unsigned ms;
    } pauses[PAUSES];
    unsigned pause_count;
    uint64_t wait_until;
    enum manner manner;
    enum ending ending;
};

/* Its trip's: how it will go, and all bytes of it. */
void conn_answers(struct io *, struct conn *);

#endif
