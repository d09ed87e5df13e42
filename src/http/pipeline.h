/* pipeline.h - the steps a request takes, in nginx's order of phases.
 *
 * The list itself is server/features.c: the one place that names every feature. A request runs
 * down the steps once; REROUTE and RELOCATE send it back to a step; DONE jumps to the filters,
 * which run on every answer, in order, once.
 */
#ifndef HTTP_PIPELINE_H
#define HTTP_PIPELINE_H

#include "http/request.h"

typedef enum verdict step_fn(struct request *);

/* Filters may change the answer, wrap its body, or replace it by request_fail() (which is not
 * filtered again by error_page). */
typedef void filter_fn(struct request *);

/* Has it nothing to do in this scope? Asked once, when the configuration is loaded: requests pass
 * over it there, so that what nobody switched on costs nothing. */
typedef bool idle_fn(const struct scope *);

struct step {
    const char *name; /* nginx's phase, or what it does */
    step_fn *run;
    idle_fn *idle;  /* NULL: never                      */
    bool main_only; /* sub-requests pass over it        */
};

struct filter {
    const char *name;
    filter_fn *run;
    idle_fn *idle;
    bool main_only;
};

/* What is at a path, for the file tests of `if`. */
struct file_found {
    unsigned mode; /* as stat(2) says it, links followed */
    int error;     /* an errno: why there is nothing     */
};

/* NEXT with *ret, or WAIT: the step is run again and asks again. Borrows path until the request
 * ends. */
typedef enum verdict look_fn(struct request *, struct slice path, struct file_found *ret);

/* An instruction of rewrite was carried out; `what` says how, in words ("does not match"). */
typedef void told_fn(struct request *, const struct conf_node *, struct slice what);

struct pipeline {
    const struct step *steps;
    unsigned step_count;
    unsigned reroute_step, relocate_step; /* where these verdicts lead: the server's own
                                             instructions, the search for the location  */
    unsigned content_step;                /* what a directive put into the location      */
    const struct filter *filters;
    unsigned filter_count;
    look_fn *look;
    void (*log)(struct request *); /* the access log, at request_end()         */
    told_fn *told;                 /* hears of rewrite's instructions; NULL: nobody does */
};

/* Asks the idle functions about each scope of http{}. Once, before the first request. */
void pipeline_fit(const struct pipeline *, struct scope *http);

/* Runs a request from the first step; a refused one (its head was bad) only meets error_page
 * and the filters. Both end in ops->respond(), now or later. */
void request_run(struct request *);
void request_run_refused(struct request *, unsigned status);

/* Runs a sub-request, from the server's own instructions on. */
void request_run_inner(struct request *);
/* … from r->step on. */
void request_run_on(struct request *);

/* The built-in steps of http/ itself. */
step_fn step_server_rewrite, step_find_location, step_rewrite, step_access, step_access_verdict;
extern const struct feature feature_headers, feature_map, feature_num_map, feature_realip,
    feature_geo, feature_split_clients, feature_referer, feature_userid, feature_browser;
step_fn step_realip;
idle_fn realip_idle, access_idle, userid_idle;
filter_fn filter_challenge, filter_conditional, filter_range, filter_headers, filter_redirect,
    filter_userid;

/* add_trailer: fields behind the body (RFC 9112 §7.1.2), for protocols that can send them. */

/* Does this answer, whose status is decided, get any? */
bool trailers_wanted(const struct request *);
/* Their names, as the Trailer field lists them (RFC 9110 §6.6.2). */
void trailers_name(const struct request *, struct gather *);
/* The body has been sent: makes their values, into r->response.trailers. False: no memory. */
bool trailers_make(struct request *) MUST_USE;
/* The field may stand behind a body: it is neither framing nor about the content's form. */
bool trailer_is_allowed(struct slice name);

#endif
