/* grpc.h - grpc_pass, for those who ask whom a location passes requests on to. */
#ifndef UPSTREAM_GRPC_H
#define UPSTREAM_GRPC_H

#include "upstream/destination.h"
#include "upstream/passing.h"
#include "upstream/relay.h"

struct grpc_target {
    const struct conf_node *node;
    const struct scope *http;
    struct expr *text;    /* when it has variables                                        */
    struct slice address; /* else this, without a scheme                                  */
    bool tls;
    struct group *group;
};

struct grpc_conf {
    struct relay_conf relay; /* first: see relay_conf.h                                  */
    struct grpc_target *target;
    struct set_field *fields, **fields_end;
    struct h1_limits limits; /* of answers */
};

extern const struct feature feature_grpc;

#endif
