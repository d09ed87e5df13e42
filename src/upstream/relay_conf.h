/* relay_conf.h - the directives that proxy_…, fastcgi_… and their kin have in common.
 *
 * A feature whose struct begins with a struct relay_conf takes them by
 *
 *      RELAY_ROWS("proxy_"),
 */
#ifndef UPSTREAM_RELAY_CONF_H
#define UPSTREAM_RELAY_CONF_H

#include "conf/load.h"
#include "upstream/relay.h"

conf_set_fn relay_set_next, relay_set_buffers, relay_set_hide, relay_set_pass, relay_set_ignore,
    relay_set_bind, relay_set_allow, relay_set_limit_rate, relay_set_temp_path;

#define RELAY_WHERE (CTX_HTTP | CTX_SERVER | CTX_LOCATION)
#define RELAY_AT(member) offsetof(struct relay_conf, member)

/* clang-format off */
#define RELAY_TIME(name, member, value, words) \
    { name, RELAY_WHERE, 1, 1, CONF_MSEC, RELAY_AT(member), value, .syntax = "time", .help = words }
#define RELAY_FLAG(name, member, value, words) \
    { name, RELAY_WHERE, 1, 1, CONF_FLAG, RELAY_AT(member), value, .syntax = "on | off", \
      .help = words }
#define RELAY_SIZE(name, member, value, words) \
    { name, RELAY_WHERE, 1, 1, CONF_SIZE, RELAY_AT(member), value, .min = 0, .max = INT32_MAX, \
      .syntax = "size", .help = words }
#define RELAY_OWN(name, least, most, setter, member, value, form, words) \
    { name, RELAY_WHERE, least, most, CONF_CUSTOM, RELAY_AT(member), value, .set = setter, \
      .size = sizeof(((struct relay_conf *)0)->member), .syntax = form, .help = words }

/* What is worked out for each server that is asked. */
#define RELAY_EACH(P) \
    RELAY_FLAG(P "bind_dynamic", bind_dynamic, "off", \
               "Works bind out for each server that is asked, not once for a request."), \
    RELAY_OWN(P "allow_upstream", 1, ARGS_MANY, relay_set_allow, allow, NULL, "string …", \
              "A server is asked only if all the strings have a value other than 0; variables in " \
              "them may say which server that is ($upstream_last_addr). Else the answer is 403, " \
              "or the next one is asked, if next_upstream has denied.")

#define RELAY_COMMON(P) \
    RELAY_TIME(P "connect_timeout", connect_timeout, "60s", \
               "How long a connection to a server may take to be made."), \
    RELAY_TIME(P "send_timeout", send_timeout, "60s", \
               "How long a server may take nothing of a request."), \
    RELAY_TIME(P "read_timeout", read_timeout, "60s", \
               "How long a server may say nothing, before its answer and in it."), \
    RELAY_TIME(P "next_upstream_timeout", next_timeout, "0", \
               "No other server is asked when that much time has passed; 0: no limit."), \
    { P "next_upstream_tries", RELAY_WHERE, 1, 1, CONF_NUMBER, RELAY_AT(next_tries), "0", \
      .max = INT32_MAX, .syntax = "number", \
      .help = "How many servers are asked at most; 0: no limit." }, \
    RELAY_OWN(P "next_upstream", 1, ARGS_MANY, relay_set_next, next, "error timeout", \
              "error | timeout | denied | invalid_header | http_500 | http_502 | http_503 | " \
              "http_504 | http_403 | http_404 | http_429 | non_idempotent | off …", \
              "When the next server is asked. A request that may not be repeated (POST, LOCK, " \
              "PATCH) is, once it has been sent, only with non_idempotent."), \
    RELAY_SIZE(P "buffer_size", buffer_size, "8k", \
               "The most bytes that the header of an answer may have."), \
    RELAY_FLAG(P "intercept_errors", intercept, "off", \
               "Answers of 300 and above are replaced where error_page has something for them."), \
    RELAY_FLAG(P "socket_keepalive", keepalive, "off", \
               "Has the system look after connections that say nothing (SO_KEEPALIVE)."), \
    { P "hide_header", RELAY_WHERE, 1, 1, CONF_CUSTOM, RELAY_AT(hide), NULL, \
      .set = relay_set_hide, .size = sizeof(struct name_list *), .repeats = true, \
      .syntax = "field", .help = "A field of the server's answer that the client does not get." }, \
    { P "pass_header", RELAY_WHERE, 1, 1, CONF_CUSTOM, RELAY_AT(pass), NULL, \
      .set = relay_set_pass, .size = sizeof(struct name_list *), .repeats = true, \
      .syntax = "field", \
      .help = "A field that the client gets although it is held back else: Date, Server, X-Pad " \
              "and X-Accel-… are." }, \
    RELAY_OWN(P "ignore_headers", 1, ARGS_MANY, relay_set_ignore, ignore, NULL, "field …", \
              "Fields of the answer that mean nothing here: X-Accel-Redirect, X-Accel-Expires, " \
              "X-Accel-Limit-Rate, X-Accel-Buffering, X-Accel-Charset, Expires, Cache-Control, " \
              "Set-Cookie, Vary."), \
    RELAY_OWN(P "bind", 1, 2, relay_set_bind, bind, NULL, "address [transparent] | off", \
              "The local address that connections come from; transparent: even one that is not " \
              "this machine's (needs the privilege for that)."), \
    RELAY_EACH(P), \
    RELAY_FLAG(P "request_dynamic", request_dynamic, "off", \
               "Makes the request anew for each server that is asked: variables in it may say " \
               "which one that is ($upstream_last_addr)."), \
    RELAY_SIZE(P "socket_rcvbuf", rcvbuf, "0", "SO_RCVBUF of connections; 0: the system's."), \
    RELAY_SIZE(P "socket_sndbuf", sndbuf, "0", "SO_SNDBUF of connections; 0: the system's.")

/* … and of those who may keep what is on its way. */
#define RELAY_ROWS(P) \
    RELAY_COMMON(P), \
    RELAY_OWN(P "buffers", 2, 2, relay_set_buffers, buffers, "8 8k", "number size", \
              "How much of an answer may wait for its client in memory: the product of the two. " \
              "The rest goes to a temporary file."), \
    RELAY_SIZE(P "busy_buffers_size", busy_size, "16k", \
               "Has no meaning here: what waits is bounded by the buffers."), \
    RELAY_SIZE(P "max_temp_file_size", temp_file_max, "1024m", \
               "How much of an answer may wait for its client in a temporary file, behind what " \
               "the buffers hold; then the server waits. 0: no files."), \
    RELAY_SIZE(P "temp_file_write_size", temp_write_size, "16k", \
               "How much is written to a temporary file at a time."), \
    RELAY_OWN(P "temp_path", 1, 4, relay_set_temp_path, temp, P "temp", \
              "path [level [level [level]]]", \
              "The directory for answers that wait for their clients in files."), \
    RELAY_FLAG(P "buffering", buffering, "on", \
               "Whether buffers of an answer may wait for their client; off: at most one of " \
               "buffer_size does. X-Accel-Buffering of an answer decides for it."), \
    RELAY_FLAG(P "request_buffering", request_buffering, "on", \
               "Reads the request's body whole before a server is asked; off: passes it on as it " \
               "comes, to one server only."), \
    RELAY_FLAG(P "ignore_client_abort", ignore_abort, "off", \
               "Goes on waiting for an answer when the client has closed its connection."), \
    RELAY_FLAG(P "pass_request_headers", pass_fields, "on", \
               "Passes the client's header fields on."), \
    RELAY_FLAG(P "pass_request_body", pass_body, "on", "Passes the request's body on."), \
    RELAY_FLAG(P "force_ranges", force_ranges, "off", \
               "Answers ranges here, whatever the server says of them."), \
    RELAY_OWN(P "limit_rate", 1, 1, relay_set_limit_rate, limit_rate, "0", "rate", \
              "Bytes a second that are read of an answer; 0: no limit."), \
    RELAY_SIZE(P "send_lowat", send_lowat, "0", "Has no effect on this system.")
/* clang-format on */

#endif
