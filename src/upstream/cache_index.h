/* cache_index.h - what is known of the files of a cache: in its zone's memory, shared by all loops,
 * handed from one generation to the next, read from the disk after a start.
 *
 * The index says what probably is there; the file itself says what it is (cache_file.h). Each
 * function looks at one state behind the lock of its part, and leaves.
 */
#ifndef UPSTREAM_CACHE_INDEX_H
#define UPSTREAM_CACHE_INDEX_H

#include "base/zone.h"
#include "upstream/cache_conf.h"

#include <limits.h>
#include <stdatomic.h>

enum {
    CACHE_NAME_SIZE = 16, /* of a digest; a file's name has two digits for each byte        */
    CACHE_NAME_ROOM = 64  /* levels, a slash, the name, a suffix                             */
};

/* The MD5 of a key: tools that purge by removing files reckon with that. */
struct cache_name {
    unsigned char bytes[CACHE_NAME_SIZE];
};

/* The state of one name. */
struct cache_node {
    uint64_t size;      /* of its file; 0: there is none                                  */
    uint64_t used_ns;   /* when it was asked for last                                     */
    uint64_t busy_ns;   /* until then somebody fetches it; 0: nobody does                 */
    uint64_t naming_ns; /* until then its file, which is whole, gets its name             */
    uint32_t busy_ticket;
    uint32_t uses;
    uint32_t version; /* grows with each file                                              */
};

/* zone_common() */
struct cache_totals {
    _Atomic uint64_t bytes;
    _Atomic uint32_t state;   /* enum cache_warmth                                         */
    _Atomic uint32_t tickets; /* given so far                                              */
    _Atomic uint32_t full_told;
};

enum cache_warmth { CACHE_COLD, CACHE_LOADING, CACHE_WARM };

struct cache_totals *cache_totals(struct zone *);

bool cache_name_of(struct slice key, struct cache_name *ret) MUST_USE;
/* "path/c/29/b7f54b2df7773722d382f4809d65029c"; into has CACHE_NAME_ROOM bytes more than path. */
void cache_path_of(const struct cache_place *, const struct cache_name *, char *into);
/* The digits of a file's name; false: it is no name of a file of a cache. */
bool cache_name_read(struct slice digits, struct cache_name *ret) MUST_USE;

/* A request asks for it: counts that, and says what is known. False: the zone is full, even of what
 * could be thrown out: `place` is asked for its files. */
bool cache_index_ask(struct zone *, const struct cache_place *, const struct cache_name *,
                     uint64_t now_ns, bool count, struct cache_node *ret) MUST_USE;

/* Who gets the ticket is to fetch it; nobody else does until it is given back, or age_ms have
 * passed. 0: somebody has it, or has had it since cache_index_ask() said `seen`: it may be there
 * now. */
uint32_t cache_index_lock(struct zone *, const struct cache_name *, uint64_t now_ns, int64_t age_ms,
                          const struct cache_node *seen);
void cache_index_unlock(struct zone *, const struct cache_name *, uint32_t ticket);

/* All of it is there, and will be a file in a moment. */
void cache_index_naming(struct zone *, const struct cache_place *, const struct cache_name *,
                        uint64_t now_ns);

/* It will not. */
void cache_index_named(struct zone *, const struct cache_name *);

/* There is a file of that size now; there is none any more. */
void cache_index_stored(struct zone *, const struct cache_place *, const struct cache_name *,
                        uint64_t now_ns, uint64_t size);
bool cache_index_gone(struct zone *, const struct cache_name *);

/* Takes the state that was not asked for the longest out of the index, if there is one from before
 * until_ns. False: none. */
bool cache_index_oldest(struct zone *, uint64_t until_ns, struct cache_name *ret,
                        uint64_t *ret_size) MUST_USE;

#endif
