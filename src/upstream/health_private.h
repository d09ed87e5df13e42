/* health_private.h - what the files of health_check share. */
#ifndef UPSTREAM_HEALTH_PRIVATE_H
#define UPSTREAM_HEALTH_PRIVATE_H

#include "io/io.h"
#include "upstream/health.h"

/* One health_check directive. */
struct health {
    const struct conf_node *node;
    const struct scope *scope, *http;
    const struct location *location;
    struct group *group;
    int64_t interval_ms, jitter_ms, fails, passes, port; /* port 0: the peer's own       */
    struct slice uri, match_name;
    unsigned match_arg;
    const struct match *match;
    bool grpc;               /* by gRPC's own protocol for that                           */
    struct slice grpc_asked; /* a message that names the service                          */
    int64_t grpc_status;     /* which is well                                             */
    bool mandatory, persistent;
    struct check *checks;  /* while a generation runs, on the loop that checks         */
    struct loop *loop;     /* … this one                                              */
    struct io_timer timer; /* looks who has come and gone                             */
    unsigned seen;         /* the group's version then                                */
    struct health *next;
};

/* One peer that it asks. */
struct check {
    const struct health *health;
    struct peer *peer; /* which it uses */
    struct peer probe; /* what is asked: the peer, perhaps at another port; counts by itself */
    struct loop *loop;
    struct request *request;
    struct io_timer timer;
    int64_t failed, passed; /* in a row                                              */
    struct gather body;
    bool reading; /* its answer's body                                               */
    struct check *next;
};

/* health_grpc.c: POST /grpc.health.v1.Health/Check. False: no memory. */
bool health_grpc_prepare(struct request *, const struct health *) MUST_USE;
/* What is asked about; at == NULL: no memory. */
struct slice health_grpc_message(struct arena *, struct slice service);
/* What is wrong with the answer; NULL: nothing. */
const char *health_grpc_judge(const struct health *, const struct request *, struct slice body);

#endif
