/* status_zone.h - `status_zone`: requests of a server or of locations, counted under a name.
 *
 * All loops count into the same numbers, without a lock; a reload goes on with those of the same
 * name.
 */
#ifndef UPSTREAM_STATUS_ZONE_H
#define UPSTREAM_STATUS_ZONE_H

#include "conf/load.h"

enum { ZONE_STATUS_MIN = 100, ZONE_STATUS_END = 600 };

struct zone_counts {
    unsigned users; /* generations; the control thread's */
    _Atomic uint64_t processing, requests, discarded, received, sent;
    _Atomic uint64_t statuses[ZONE_STATUS_END - ZONE_STATUS_MIN];
};

struct status_zone {
    struct slice name;
    struct zone_counts *counts; /* while a generation runs */
    struct status_zone *next;
};

struct status_zone_conf {
    struct status_zone *server, *location;   /* in force; NULL: none                      */
    struct status_zone *servers, *locations; /* of http{}: all, the latest first          */
};

/* Of http{}. */
const struct status_zone_conf *status_zones_of(const struct scope *http);

#endif
