/* resolver_private.h - what the parts of the resolver share: entries, and two files of the system.
 *
 * An entry is what is known of one name and type from some name servers, or is being asked for.
 */
#ifndef NET_RESOLVER_PRIVATE_H
#define NET_RESOLVER_PRIVATE_H

#include "base/map.h"
#include "base/slab.h"
#include "net/resolver.h"

struct resolved_target {
    struct dns_name name;
    uint16_t port, priority, weight;
};

struct system_files {
    struct stamp {
        int64_t sec, nsec, size;
    } hosts_stamp, conf_stamp;
    char *hosts; /* block_alloc(): the text of /etc/hosts; NULL: none                   */
    size_t hosts_size;
    struct addr servers[DNS_SERVERS_MAX];
    unsigned server_count;
    struct dns_name search[RESOLVER_SEARCH_MAX];
    unsigned search_count, dots; /* names with that many dots are tried as they are first */
};

struct entry {
    struct link link;    /* of resolver->known or ->asked                                  */
    struct entry *next;  /* in its bucket                                                */
    uint64_t hash, from; /* from: of the servers and the way they are asked             */
    struct dns_name name;
    enum dns_type type;
    bool known, doomed; /* doomed: nobody shall find it any more                        */
    enum lookup_outcome outcome;
    uint64_t until_ns;
    struct resolver *resolver;
    struct asking *asking; /* NULL: not on the way                                      */
    struct list waits;     /* while it is being asked for                                   */
    unsigned users;        /* it stays while somebody reads it, doomed or not               */
    uint8_t count;
    struct resolved *addresses;      /* block_alloc()                                   */
    struct resolved_target *targets; /* … of DNS_SRV                                    */
};

enum { ENTRY_BUCKETS = 512 };

struct resolver {
    struct io *io;
    struct slab entries, askings;
    struct entry *buckets[ENTRY_BUCKETS];
    struct list known, asked; /* known: the one used last is last                       */
    unsigned entry_count, first_server;
    struct system_files files;
};

/* The entry, known or asked for from now on; to be left. NULL: LOOKUP_BUSY. */
struct entry *entry_want(struct resolver *, const struct resolver_how *, const struct dns_name *,
                         enum dns_type) MUST_USE;
/* Whoever has it does not need it any more. */
void entry_leave(struct entry *);

/* resolver.c: it is known now, or failed: whoever waits goes on. */
void lookups_go_on(struct entry *);

/* ---- resolver_files.c -------------------------------------------------------------------- */

/* What /etc/resolv.conf says now; the system's own server if it says nothing. */
void system_files_look(struct system_files *);
/* Addresses of a name in /etc/hosts. -1: it is not there; else how many of that family, at most
 * RESOLVER_FOUND_MAX. */
int system_files_host(struct system_files *, struct slice name, int family,
                      struct addr into[RESOLVER_FOUND_MAX]);
void system_files_done(struct system_files *);

#endif
