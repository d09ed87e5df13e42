/* explain_private.h - what the files of `weir explain` share.
 *
 * explain.c has the command and the server around the request; explain_run.c watches each step and
 * the answer; explain_route.c says why this server and location; explain_pass.c what other servers
 * would get; explain_text.c writes it all.
 */
#ifndef TOOL_EXPLAIN_PRIVATE_H
#define TOOL_EXPLAIN_PRIVATE_H

#include "base/log_ring.h"
#include "http/pipeline.h"
#include "server/config.h"

enum { EXPLAIN_FIELDS_MAX = 64, EXPLAIN_STEPS_MAX = 32, EXPLAIN_LOSERS_MAX = 20 };

struct explaining {
    /* what was asked */
    const char *url, *method, *listen, *from;
    const char *fields[EXPLAIN_FIELDS_MAX];
    unsigned field_count;
    bool all; /* every server and location that was not chosen is named          */
    struct options options;

    /* the server around it */
    struct config *config;
    struct site_use use;
    struct loop loop;
    struct pipeline pipeline; /* as a server's, but told here                          */
    struct step steps[EXPLAIN_STEPS_MAX];
    const struct listen_addr *at;
    struct addr client, local;
    struct log_ring *ring; /* what the error log would get                                */
    struct log_ring_cursor heard;

    /* the request */
    bool answered;
    struct slice uri, args; /* as of the step before                                      */
    const struct location *location;
    const struct scope *scope; /* in force before the step that is told of               */
    bool located;              /* a location was explained, with all its rivals          */
};

struct explaining *explaining_of(const struct request *);

/* ---- explain_text.c ------------------------------------------------------------------------ */

/* One line: a label, the text, and the directive's place (NULL: none) behind it. A sub-request's
 * lines are indented. r may be NULL. */
void explain_say(const struct request *r, const char *label, const struct conf_node *,
                 const char *format, ...) PRINTF_LIKE(4, 5);

/* "name arg arg", as written but for white space. Static; overwritten by the next call. */
const char *explain_directive(const struct conf_node *);

/* The directive of that name that is in force: in the scope, or in the nearest one around it that
 * has any. NULL: there is none. With `first`, the first argument must be that (in either case). */
const struct conf_node *explain_find(const struct scope *, const char *name, struct slice first);

/* What the error log got since the last call. */
void explain_hear(struct explaining *, const struct request *);

/* ---- explain_route.c ----------------------------------------------------------------------- */

/* Which address, or NULL after a message on stderr. host and port are the URL's. */
const struct listen_addr *explain_listener(struct explaining *, struct slice host, uint16_t port);
void explain_server(struct explaining *, struct request *);
void explain_location(struct explaining *, struct request *);

/* ---- explain_pass.c ------------------------------------------------------------------------ */

/* The …_pass directive that answers in the request's location; NULL: none does. */
const struct conf_node *explain_pass_of(const struct request *);
void explain_pass(struct request *, const struct conf_node *);

/* ---- explain_run.c ------------------------------------------------------------------------- */

/* Makes e->pipeline. */
void explain_pipeline(struct explaining *);
/* The request's answer is decided. */
void explain_answer(struct explaining *, struct request *);

#endif
