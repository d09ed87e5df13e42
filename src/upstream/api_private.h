/* api_private.h - what the files of the API share: one call, its answer, its errors.
 *
 * A resource is a path with a function for each method (api.c: resources). The function writes into
 * call->json and returns true, or returns api_fail(…).
 */
#ifndef UPSTREAM_API_PRIVATE_H
#define UPSTREAM_API_PRIVATE_H

#include "base/json.h"
#include "http/request.h"
#include "io/io.h"
#include "upstream/api.h"
#include "upstream/group.h"

enum { API_VERSION = 9, API_PARTS_MAX = 2, API_BODY_MAX = 64 * 1024, API_ANSWER_MAX = 32 << 20 };

struct api_call {
    struct request *request;
    struct slice parts[API_PARTS_MAX]; /* what the stars of the path stand for                 */
    struct slice body;                 /* of POST and PATCH                                    */
    struct slice fields;               /* of the query; at == NULL: all                        */
    struct arena room;                 /* of the answer                                        */
    struct gather out;
    struct json json;
    unsigned status;
    struct slice location; /* of the answer; size 0: none */

    /* What is left to be done before the answer; see api_after(). */
    struct group *changed; /* its state is to be written        */
    struct served *follow; /* to be followed from now on, or …  */
    bool leave;            /* … not any more                    */
    struct io_op op;
    struct loop_call call;
};

typedef bool api_fn(struct api_call *);

/* An error instead of an answer. False. */
bool api_fail(struct api_call *, unsigned status, const char *code, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* Nothing is to be said: 204. True. */
bool api_nothing(struct api_call *);

/* Members of objects at this depth of the answer are what ?fields= chooses among. */
void api_choose(struct api_call *, unsigned depth);
/* Only the names of a collection are asked for: ?fields= with nothing behind it. */
bool api_names_only(const struct api_call *);

/* api_view.c */
api_fn api_get_nginx, api_get_processes, api_get_connections, api_get_requests;
/* api_upstreams.c */
api_fn api_get_upstreams, api_get_upstream, api_get_servers, api_get_server, api_reset_upstream;
/* api_change.c */
api_fn api_add_server, api_change_server, api_remove_server;
/* api_zones.c */
api_fn api_get_server_zones, api_get_server_zone, api_reset_server_zone, api_get_location_zones,
    api_get_location_zone, api_reset_location_zone;

/* The upstream that the first star names, or NULL after a complaint. */
struct group *api_group(struct api_call *);
/* … whose servers can be changed. */
struct group *api_zoned_group(struct api_call *);
/* The server of the second star: a peer, or one that follows DNS; behind the lock. False after a
 * complaint. */
bool api_find_server(struct api_call *, const struct group *, struct peer **, struct served **);
void api_write_server(struct json *, const struct group *, const struct peer *,
                      const struct served *);
void api_write_servers(struct json *, const struct group *);

#endif
