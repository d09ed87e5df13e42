/* small.h - handlers that a directive puts into a location. */
#ifndef HANDLER_SMALL_H
#define HANDLER_SMALL_H

#include "http/site.h"

extern const struct feature feature_empty_gif, feature_stub_status, feature_mirror,
    feature_secure_link, feature_error_log_status, feature_flv, feature_geoip2, feature_respond;

enum verdict step_mirror(struct request *);
bool mirror_idle(const struct scope *);

/* From a directive's set function: requests of the location (or of the server, outside of its
 * locations) that is being loaded are answered by `answer`. False after a complaint: something
 * else answers there already. */
bool content_set(struct conf_load *, const struct conf_node *, content_fn *answer) MUST_USE;

/* For handlers that answer GET and HEAD alone: true if it is one of them, else r is answered with
 * 405. */
bool method_is_get(struct request *);

#endif
