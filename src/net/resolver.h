/* resolver.h - from names to addresses at run time: one resolver for each loop.
 *
 *   struct lookup l = { .resolver = v, .how = &how, .name = name, .port = 80, .done = found };
 *   if (lookup_begin(&l)) …known already, or cannot be: l.outcome, l.found[0..l.count)
 *   else                  …found(&l) later, unless lookup_cancel(&l)
 *   lookup_end(&l)        when what was found is not wanted any more
 *
 * What name servers say is kept as long as they allow (bounds: RESOLVER_TTL_…), for as many names
 * as RESOLVER_ENTRIES_MAX; whoever wants what is being asked for already waits for the same answer.
 * Names in /etc/hosts are not asked for. Aliases (CNAME) are followed RESOLVER_ALIASES_MAX times.
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "base/list.h"
#include "net/addr.h"
#include "net/dns_ask.h"

enum {
    RESOLVER_FOUND_MAX = 64,     /* addresses of one name                                   */
    RESOLVER_TARGETS_MAX = 16,   /* of a service: further ones are left out                 */
    RESOLVER_ENTRIES_MAX = 1024, /* names and types that are known or asked for            */
    RESOLVER_ALIASES_MAX = 8,
    RESOLVER_TTL_MIN_S = 1,
    RESOLVER_TTL_MAX_S = 24 * 3600,
    RESOLVER_NONE_S = 1,  /* so long it is believed that there is no such name            */
    RESOLVER_HOSTS_S = 5, /* … or what /etc/hosts says                                    */
    RESOLVER_SEARCH_MAX = 6,
};

enum lookup_outcome {
    LOOKUP_FOUND,
    LOOKUP_NO_NAME,  /* the name does not exist, or has no address             */
    LOOKUP_FAILED,   /* the name servers failed or could not be reached        */
    LOOKUP_LATE,     /* … or did not answer in time                            */
    LOOKUP_BAD_NAME, /* it is no name that DNS could know                      */
    LOOKUP_BUSY,     /* too much is being asked for, or memory ran out         */
};

/* Of one status zone; shared by all loops. */
struct resolver_stats {
    _Atomic uint64_t names, services; /* questions                                     */
    _Atomic uint64_t rcodes[6];       /* answers: by enum dns_rcode                    */
    _Atomic uint64_t late, other;
};

/* Whom to ask, and how. Stays as it is while lookups use it. */
struct resolver_how {
    struct addr servers[DNS_SERVERS_MAX];
    unsigned server_count; /* 0: those of /etc/resolv.conf, and its search list       */
    int64_t valid_ms;      /* -1: as long as answers say                              */
    int64_t timeout_ms;    /* of each question                                        */
    bool no_ipv4, no_ipv6;
    struct resolver_stats *stats; /* NULL: nobody counts */
};

struct resolved {
    struct addr addr;
    uint16_t priority, weight; /* of a service                                        */
};

struct resolver;
struct lookup;
struct entry;

struct lookup_wait {
    struct link link;
    struct lookup *lookup;
    struct entry *entry; /* NULL: there is nothing to wait for */
};

/* Zero-initialised but for the first part. */
struct lookup {
    struct resolver *resolver;
    const struct resolver_how *how;
    struct slice name;    /* borrowed until the end                                    */
    struct slice service; /* size 0: addresses of the name; else SRV records: "http"
                             means _http._tcp.name, "_x._y" stands as it is            */
    uint16_t port;        /* of addresses that have none                               */
    void (*done)(struct lookup *);

    enum lookup_outcome outcome;
    struct resolved *found; /* until lookup_end()                                      */
    unsigned count;
    int64_t valid_ms; /* so long that is good; of LOOKUP_NO_NAME, too                  */

    /* Its own: */
    struct lookup_wait waits[2]; /* IPv4, IPv6; the first: a service                   */
    struct dns_name full;        /* the name that is asked for                         */
    unsigned candidate;          /* of the search list                                 */
    unsigned target;             /* of the service                                     */
    struct resolved_target *targets;
    unsigned target_count;
    bool over;
};

struct resolver *resolver_create(struct io *) MUST_USE; /* NULL: no memory */
/* What is asked for is not wanted any more: lookups that wait fail. */
void resolver_leave(struct resolver *);
bool resolver_gone(const struct resolver *);
void resolver_destroy(struct resolver *);

/* True: it is over. False: done() will be called, once. */
bool lookup_begin(struct lookup *) MUST_USE;
/* done() will not be called. Does nothing when it is over. */
void lookup_cancel(struct lookup *);
void lookup_end(struct lookup *);

/* "the name does not exist": for logs. */
const char *lookup_why(enum lookup_outcome);

#endif
