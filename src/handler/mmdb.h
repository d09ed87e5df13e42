/* mmdb.h - a database of addresses in MaxMind's format, read through libmaxminddb(3).
 *
 *   if (!mmdb_open(&db, "/var/lib/GeoIP/country.mmdb", &why)) …
 *   mmdb_find(&db, &addr, path, g)               any thread
 *   if (mmdb_due(&db, now_ms, interval_ms))      true for one caller an interval
 *       …on a helper thread: mmdb_refresh(&db)
 *   mmdb_close(&db)
 *
 * The file is mapped, not copied: whoever brings a new one should rename it into place.
 */
#ifndef HANDLER_MMDB_H
#define HANDLER_MMDB_H

#include "base/gather.h"
#include "net/addr.h"

#include <maxminddb.h>
#include <pthread.h>
#include <sys/stat.h>

struct mmdb {
    const char *path; /* borrowed */
    pthread_rwlock_t lock;
    MMDB_s open;             /* behind the lock, as the two below                        */
    struct stat file;        /* as it was opened                                         */
    int64_t checked_s;       /* when the file was looked at last, seconds since 1970     */
    _Atomic uint64_t due_ms; /* when it is to be looked at next                          */
};

/* False: *why says it, in static text. Borrows the path. */
bool mmdb_open(struct mmdb *, const char *path, const char **why) MUST_USE;
void mmdb_close(struct mmdb *);

/* Appends the value at `path` (keys, NULL-terminated; numbers index arrays) of the address's entry:
 * texts as they are, numbers of up to 64 bits in decimal, 1 and 0 for booleans. False: there is
 * none, or it is a map or an array. */
bool mmdb_find(struct mmdb *, const struct addr *, const char *const *path, struct gather *);

enum mmdb_fact { MMDB_BUILT, MMDB_CHECKED, MMDB_CHANGED }; /* seconds since 1970 */
int64_t mmdb_fact(struct mmdb *, enum mmdb_fact);

/* True once an interval: the caller shall see to mmdb_refresh(). */
bool mmdb_due(struct mmdb *, uint64_t now_ms, int64_t interval_ms);

/* Looks at the file and, if it is another than the one that is open, opens it instead; what is no
 * database leaves the old one in force. May wait for the disk. 0: nothing to do; 1: it was opened;
 * negative: -errno, or -EBADMSG for what is no database. */
int mmdb_refresh(struct mmdb *);

#endif
