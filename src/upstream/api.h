/* api.h - `api`: how the server and its upstreams are doing, and changes of upstreams, over HTTP.
 *
 * The paths, names and codes are those that nginx documents for version 9 of its API; docs/api.md
 * lists what is there. Changes of an upstream happen behind its lock, on whatever loop the request
 * is; then the group's state file is written by a helper thread; then comes the answer.
 */
#ifndef UPSTREAM_API_H
#define UPSTREAM_API_H

#include "http/site.h"

extern const struct feature feature_api, feature_status_zone;

/* status_zone.c: requests are counted at the end; a step of the pipeline asks for that. */
enum verdict step_status_zone(struct request *);
bool status_zone_idle(const struct scope *);
/* Before a generation is used: zones go on counting. from may be NULL. False: no memory. */
bool status_zones_take(struct site *to, const struct site *from) MUST_USE;
void status_zones_drop(struct site *);

#endif
