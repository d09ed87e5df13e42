/* health.h - health_check: peers are asked again and again whether they are well, and get no
 * requests while they are not.
 *
 * A check is a request like others, on the loop that does the checking: it runs the step that
 * answers in its location, with all that the location says of passing on, to one peer alone.
 * health.c does that; health_match.c judges the answers.
 */
#ifndef UPSTREAM_HEALTH_H
#define UPSTREAM_HEALTH_H

#include "http/request.h"
#include "upstream/group.h"

struct match;
struct health;

extern const struct feature feature_health;

struct health_conf {
    struct match *matches; /* of http{}                                              */
    struct health *all;    /* of http{}: every health_check                          */
    struct health *here;   /* of a location; NULL: none                              */
};

/* The loop that checks goes over from one site (NULL: none yet) to another (NULL: it leaves): the
 * old one's checks end, the new one's begin. */
void health_follow(struct loop *, struct site *from, struct site *to);

/* ---- health_match.c ------------------------------------------------------------------------ */

enum { HEALTH_BODY_MAX = 64 * 1024 /* as much of a body is looked at */ };

conf_set_fn health_set_match, health_set_match_line;

/* The one of that name in http{}; NULL: there is none (yet). */
const struct match *health_match_find(const struct scope *http, struct slice name);
/* Does it look at bodies? m may be NULL. */
bool health_match_reads(const struct match *);
/* NULL: all of it holds; else what was checked and does not, in words. m NULL: 200 to 399. */
const char *health_match_judge(const struct match *, struct request *, struct slice body);

/* The body of a check that is a gRPC call. */
struct slice health_body(const struct request *);

#endif
