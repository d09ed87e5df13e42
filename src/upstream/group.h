/* group.h - upstream { … }: peers that serve the same, and how one of them is chosen.
 *
 *   struct group *g = group_find_in(http, SLICE("backend"));
 *   struct pick pick;                                               for each request: balance.h
 *
 * What the configuration says of a peer never changes; how it is doing does, and is shared by all
 * loops behind the group's lock.
 */
#ifndef UPSTREAM_GROUP_H
#define UPSTREAM_GROUP_H

#include "conf/load.h"
#include "net/resolver.h"
#include "upstream/channel.h"
#include "upstream/endpoint.h"

#include <pthread.h>

struct balance;
struct expr;
struct ring;
struct sticky;

struct peer {
    struct endpoint at;
    struct slice name;  /* as written behind server: several peers may share it        */
    struct slice route; /* of sticky sessions; size 0: it has none                      */
    unsigned number;    /* in its group                                                */
    bool backup, down;  /* down: by configuration, or its name is not known             */
    bool drain;         /* only for sessions that are its own already                      */
    bool unhealthy;     /* health_check found it so, and …                              */
    bool unchecked;     /* … wants to find it well before it is used; behind the lock   */
    int64_t weight, max_conns, max_fails, fail_timeout_ms;
    int64_t slow_start_ms; /* so long its weight grows, once it is back; 0: it is there at once */
    struct peer *next;
    struct served *served; /* whose addresses it is one of; NULL: it stays as it is     */
    unsigned users;        /* of those that come and go: requests that know it …         */
    bool gone;             /* … which the last one frees; behind the lock                */

    /* How it is doing: behind the group's lock. */
    int64_t current, effective;   /* weights, of the smooth round robin                     */
    int64_t conns;                /* requests on it now                                     */
    int64_t fails;                /* within fail_timeout                                    */
    uint64_t failed_ms, tried_ms; /* the last failure; when it was last given a chance     */
    uint64_t back_ms;             /* when it was found well again; 0: it was never away    */
    uint64_t time_us;             /* of least_time: the average of its answers; 0: none yet */
    uint64_t timed_ms;            /* … and when the last one came                            */
    uint64_t begun_ms;            /* … the sum of when those on it now began                 */
};

/* What is timed of an answer. */
enum least_time { TIME_NONE, TIME_HEADER, TIME_LAST_BYTE };

/* `server name resolve`: its peers follow DNS (discover.h). */
struct served {
    struct group *group;
    struct peer like; /* what its peers are like */
    struct slice host, service;
    uint16_t port;
    struct loop *loop; /* that asks; NULL: none does */
    struct lookup lookup;
    struct io_timer timer;
    bool failed; /* the last time */
    struct served *next;
};

struct group {
    struct slice name;
    const struct conf_node *node; /* NULL: made by a proxy_pass for itself              */
    struct peer *peers, **end;    /* in order                                           */
    struct peer **by_number;      /* of numbers; made by group_seal()                   */
    unsigned numbers;             /* a peer's is below; NULL stands where none is       */
    struct served *served;        /* NULL: peers neither come nor go                    */
    const struct scope *scope;    /* its own; NULL: made by a proxy_pass                */
    unsigned count, backups;
    int64_t weights; /* of those that are no backups                       */
    const struct balance *balance;
    struct expr *key;            /* of hash                                            */
    bool slow;                   /* some server has slow_start                         */
    bool consistent, two, least; /* hash … consistent; random two; … least_conn        */
    enum least_time time;        /* of least_time and random two                       */
    bool inflight;               /* … answers that are not there yet count, too        */
    const struct sticky *sticky; /* NULL: sessions do not matter                       */
    struct ring *ring;           /* of hash … consistent                               */
    struct channel_keeping keeping;
    pthread_mutex_t lock;
    struct group *next;
};

extern const struct feature feature_upstream;

/* The group of that name, written before or behind, in the scope of http{}; NULL: there is none.
 * From merge() on: the whole configuration has been read then. */
struct group *group_find_in(const struct scope *http, struct slice name);

/* The groups of upstream { … }, linked by next; NULL: there are none. */
struct group *group_first(const struct scope *http);

/* A group that one address stands for, as in proxy_pass http://backend.test:8080. A name that is
 * not known is a warning at argument `arg` of the node, and a peer that is down. */
struct group *group_of_address(struct conf_load *, const struct conf_node *, unsigned arg,
                               struct slice host, uint16_t port);

/* The same for addresses found at run time, in the arena of a request: each of the endpoints is a
 * peer. NULL: no memory. */
struct group *group_of_endpoints(struct arena *, struct slice name, const struct endpoint_list *,
                                 const struct channel_keeping *) MUST_USE;

/* For peers that come and go, of block_alloc(), behind the lock. False: there are too many. */
bool group_join(struct group *, struct peer *) MUST_USE;
void group_part(struct group *, struct peer *);
/* A request that used it does not know it any more; the last one frees what has gone. */
void group_unuse(struct group *, struct peer *);

#endif
