/* limit.h - what limit_req and limit_conn have in common.
 *
 * Both count by a key in a zone (base/zone.h) that all loops share, and answer with a status when
 * a limit is reached; or, in a dry run, only say so. A request is counted once, whatever internal
 * redirects it takes: its fields req_limit and conn_limit remember the outcome.
 */
#ifndef HANDLER_LIMIT_H
#define HANDLER_LIMIT_H

#include "conf/zone.h"
#include "http/pipeline.h"

enum limit_status {
    LIMIT_NONE, /* not counted */
    LIMIT_PASSED,
    LIMIT_DELAYED,
    LIMIT_REJECTED,
    LIMIT_DELAYED_DRY_RUN,
    LIMIT_REJECTED_DRY_RUN
};

enum { LIMIT_KEY_MAX = 65535 };

/* What zones of both are declared with: conf_zone.own. */
struct limit_zone {
    struct expr *key;
    int64_t rate; /* limit_req: drops a millisecond (handler/leak.h) */
};

/* What both are told beside their limits. */
struct limit_manner {
    int64_t status;
    int level;
    bool dry_run;
};

extern const struct feature feature_limit_req, feature_limit_conn;
step_fn step_limit_req, step_limit_conn;
idle_fn limit_req_idle, limit_conn_idle;

extern const struct conf_word limit_levels[];

/* For a directive `key zone=name:size …`: declares the zone. NULL after a complaint. */
struct conf_zone *limit_declare(struct conf_load *, const struct conf_node *,
                                const struct directive *, uint32_t value_size) MUST_USE;

/* What the request is counted by in that zone, in its arena. False: it is not counted there,
 * because the key is empty or (the log says so) too long. */
bool limit_key(struct request *, const struct conf_zone *, struct slice *ret) MUST_USE;

/* The request is over a limit: notes it in *note, and answers (DONE) or lets pass (NEXT). */
enum verdict limit_refuse(struct request *, const struct limit_manner *, uint8_t *note);

/* A zone has no room for a new state: says so, once a second. */
void limit_say_full(struct request *, const struct conf_zone *);

/* The word of a variable. False: the request was not counted. */
bool limit_print(enum limit_status, struct gather *);

#endif
