/* relay_h2.h - a request to a server of HTTP/2: what proxy_http_version 2 and grpc_pass have
 * in common. A connection carries as many requests at a time as the server allows.
 *
 *   write_head():  relay_h2_open(y, &limits, &answer, method), relay_h2_write(y, &request, g)
 *   answer():      relay_h2_fill(y, &rewrites, trailers)
 *
 * Everything else of the struct relay_protocol is here: RELAY_H2.
 */
#ifndef UPSTREAM_RELAY_H2_H
#define UPSTREAM_RELAY_H2_H

#include "upstream/passing.h"
#include "wire/h1_response.h"

/* Borrows all. False: no memory. */
bool relay_h2_open(struct relay *, const struct h1_limits *, struct h1_response *,
                   enum http_method) MUST_USE;

/* relay_h2_request.c: the head of a request. False: a value that may not be sent, which is logged,
 * or no memory. */
struct relay_h2_request {
    struct slice method, authority, path; /* authority: unless sets have a Host                */
    const struct set_field *sets;
    const char *setter; /* "grpc_set_header", for the log                                   */
    struct slice no_match, no_since; /* If-None-Match, If-Modified-Since; empty: none          */
};
bool relay_h2_write(struct relay *, const struct relay_h2_request *, struct gather *) MUST_USE;

/* From the head that was read to the client's answer; trailers: those that follow it are passed on,
 * too. */
enum verdict relay_h2_fill(struct relay *, const struct relay_rewrites *, bool trailers);

bool relay_h2_begin(struct relay *);
enum h1_verdict relay_h2_read_head(struct relay *, const char *at, size_t size, size_t *taken);
enum h1_verdict relay_h2_read_body(struct relay *, const char *at, size_t size, size_t *taken,
                                   struct slice *piece);
enum h1_verdict relay_h2_read_end(struct relay *);
void relay_h2_send(struct relay *);
void relay_h2_listen(struct relay *);

/* clang-format off */
#define RELAY_H2 \
    .alpn = { "\2h2", 3 }, .begin = relay_h2_begin, .read_head = relay_h2_read_head, \
    .read_body = relay_h2_read_body, .read_end = relay_h2_read_end, \
    .send = relay_h2_send, .listen = relay_h2_listen
/* clang-format on */

#endif
