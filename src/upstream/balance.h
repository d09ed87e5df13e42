/* balance.h - which peer of a group serves a request, and what became of those that were asked.
 *
 *   struct pick pick;
 *   if (!balance_begin(&pick, group, r)) …no memory
 *   while ((peer = balance_next(&pick)) != NULL) {         each peer at most once
 *       …ask it
 *       balance_done(&pick, failed);
 *   }
 */
#ifndef UPSTREAM_BALANCE_H
#define UPSTREAM_BALANCE_H

#include "http/request.h"
#include "upstream/group.h"

struct waiter;

struct pick {
    struct group *group;
    struct waiter *waiter; /* who waits in the group's queue if there is no peer; NULL: nobody   */
    struct request *request;
    struct peer *only;   /* of a health check: nobody else; NULL: of the group              */
    struct peer *wanted; /* of the request's session; NULL: any                            */
    struct peer *peer;   /* being asked; NULL: none                                   */
    uint8_t *tried;      /* a bit for each peer                                       */
    uint8_t *held;       /* … that comes and goes: it stays until the request's end   */
    uint32_t hash;       /* of the methods that have one                              */
    uint32_t first_hash; /* … at first                                                */
    unsigned attempts;   /* of them: how often they have chosen                       */
    bool hashed, backup; /* backup: among these now                                   */
    uint64_t asked_ms;   /* when peer was                                             */
    uint64_t header_us, last_us; /* how long its answer took, for balance_done(); 0: none */
    uint64_t sent, received;     /* … bytes                                           */
    unsigned status;             /* … of the answer; 0: there was none                */
    struct slice key;
};

/* A way of choosing. choose() is called with the group's lock held and gives one of the peers
 * that peer_usable(), or NULL: then round robin has the next word. */
struct balance {
    const char *name;
    bool backups; /* it knows them */
    struct peer *(*choose)(struct pick *, uint64_t now_ms);
    bool (*begin)(struct pick *); /* NULL: nothing to do; false: no memory              */
};

extern const struct balance balance_round_robin, balance_least_conn, balance_ip_hash, balance_hash,
    balance_random, balance_least_time;

/* The group's peers are known: what its method must know of them in advance. False: no memory. */
bool balance_seal(struct arena *, struct group *) MUST_USE;

/* Its peers are others now (behind its lock); they will not be any more. */
void balance_changed(struct group *);
void balance_forget(struct group *);

/* Borrows both until the request ends. False: no memory. */
bool balance_begin(struct pick *, struct group *, struct request *) MUST_USE;

/* The peer of that address shall be asked, if it can be. */
void balance_want(struct pick *, const struct endpoint *);

/* NULL: none is left that could be asked. */
struct peer *balance_next(struct pick *);

/* How it went with pick->peer; does nothing when there is none. */
void balance_done(struct pick *, bool failed);

/* How many could be asked in all, the given one included. */
unsigned balance_tries(const struct pick *);

/* For methods: may this one be asked now? */
bool peer_usable(const struct pick *, const struct peer *, uint64_t now_ms);

/* For methods: round robin among those that may. */
struct peer *balance_smooth(struct pick *, uint64_t now_ms,
                            bool (*may)(struct pick *, struct peer *));

/* balance_time.c, all of them behind the group's lock: a is better than b; peer was given a
 * request; it has one less, which went well or not. */
bool peer_is_faster(const struct pick *, const struct peer *a, const struct peer *b,
                    uint64_t now_ms);
void peer_time_begin(struct pick *, struct peer *, uint64_t now_ms);
void peer_time_end(struct pick *, struct peer *, bool failed, uint64_t now_ms);

/* balance_hash.c: the arena may be NULL, then it is block_alloc()'s. */
bool ring_make(struct arena *, struct group *) MUST_USE;

#endif
