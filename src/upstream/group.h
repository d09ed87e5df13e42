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

#include "base/gather.h"
#include "conf/load.h"
#include "base/list.h"
#include "net/resolver.h"
#include "upstream/channel.h"
#include "upstream/endpoint.h"

#include <pthread.h>

struct balance;
struct expr;
struct ring;
struct sticky;

/* What became of requests to a peer. */
struct peer_stats {
    uint64_t requests, responses[6]; /* by the first digit of the status; [0]: none came      */
    uint64_t sent, received, fails, unavail, checks, check_fails, unhealthy;
    uint64_t header_us, response_us; /* moving averages; 0: no answer yet                */
    uint64_t downtime_ms, off_ms;    /* off_ms: since when it is out of use; 0: it is not     */
    int64_t off_wall_ns, selected_wall_ns; /* of the calendar; 0: never                     */
    bool checked, passed;                  /* the last health check                             */
};

struct peer {
    struct endpoint at;
    struct slice name;  /* as written behind server: several peers may share it        */
    struct slice route; /* of sticky sessions; size 0: it has none                      */
    unsigned number;    /* in its group                                                */
    unsigned id;        /* the same, never given twice; counted from 1                 */
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
    bool grown;            /* its memory is block_alloc()'s; else the arena's            */

    /* How it is doing: behind the group's lock. */
    int64_t current, effective;   /* weights, of the smooth round robin                     */
    int64_t conns;                /* requests on it now                                     */
    int64_t fails;                /* within fail_timeout                                    */
    uint64_t failed_ms, tried_ms; /* the last failure; when it was last given a chance     */
    uint64_t back_ms;             /* when it was found well again; 0: it was never away    */
    uint64_t time_us;             /* of least_time: the average of its answers; 0: none yet */
    uint64_t timed_ms;            /* … and when the last one came                            */
    uint64_t begun_ms;            /* … the sum of when those on it now began                 */
    struct peer_stats stats;
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
    bool failed;      /* the last time */
    unsigned id;      /* as a peer's */
    bool gone, grown; /* … as well     */
    struct served *next;
};

/* Requests that wait for a peer: queue.h. Behind the group's lock. */
struct queue {
    struct list list;
    unsigned length, most; /* most 0: none waits */
    int64_t timeout_ms;
    uint64_t overflows;
};

struct group {
    struct slice name;
    const struct conf_node *node; /* NULL: made by a proxy_pass for itself              */
    struct peer *peers, **end;    /* in order                                           */
    struct peer **by_number;      /* of numbers; made by group_seal()                   */
    unsigned numbers;             /* a peer's is below; NULL stands where none is       */
    unsigned next_id;
    unsigned version;  /* steps when peers come, go or are changed           */
    bool mandatory;    /* who comes is checked before it is used             */
    bool changes;      /* peers come and go                                  */
    struct slice zone; /* … when somebody says so; size 0: nobody may        */
    const char *state; /* the file that remembers; NULL: none does           */
    const struct conf_node *state_node, *first_server; /* where they stand; NULL: nowhere      */
    bool reading;               /* the file is read now                               */
    pthread_mutex_t state_lock; /* who writes it waits here; taken before the other   */
    struct served *served;      /* that follow DNS                                    */
    const struct scope *scope;  /* its own; NULL: made by a proxy_pass                */
    unsigned count, backups;
    int64_t weights; /* of those that are no backups                       */
    const struct balance *balance;
    struct expr *key;            /* of hash                                            */
    bool ntlm;                   /* a connection is of one client's connection alone */
    bool slow;                   /* some server has slow_start                         */
    bool consistent, two, least; /* hash … consistent; random two; … least_conn        */
    enum least_time time;        /* of least_time and random two                       */
    bool inflight;               /* … answers that are not there yet count, too        */
    const struct sticky *sticky; /* NULL: sessions do not matter                       */
    struct queue queue;
    struct ring *ring; /* of hash … consistent                               */
    struct channel_keeping keeping;
    pthread_mutex_t lock;
    struct group *next;
};

extern const struct feature feature_upstream;

/* The group of that name, written before or behind, in the scope of http{}; NULL: there is none.
 * From merge() on: the whole configuration has been read then. */
struct group *group_find_in(const struct scope *http, struct slice name);

/* Its servers as directives, behind the lock. */
void servers_print(struct gather *, const struct group *);

/* The groups of upstream { … }, linked by next, the last one first; NULL: there are none. */
struct group *group_first(const struct scope *http);

/* A group that one address stands for, as in proxy_pass http://backend.test:8080. A name that is
 * not known is a warning at argument `arg` of the node, and a peer that is down. */
struct group *group_of_address(struct conf_load *, const struct conf_node *, unsigned arg,
                               struct slice host, uint16_t port);

/* The same for addresses found at run time, in the arena of a request: each of the endpoints is a
 * peer. NULL: no memory. */
struct group *group_of_endpoints(struct arena *, struct slice name, const struct endpoint_list *,
                                 const struct channel_keeping *) MUST_USE;

#endif
