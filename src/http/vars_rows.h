/* vars_rows.h - the getters that vars.c puts into its table. Each file has one group of them.
 * All append to the gather and allocate nothing, but $request_id, $realpath_root and paths that
 * are made of variables; all are called with a struct request. */
#ifndef HTTP_VARS_ROWS_H
#define HTTP_VARS_ROWS_H

#include "conf/expr.h"
#include "http/request.h"

/* vars.c: the member of struct request at offset row->arg */
variable_get_fn get_slice, get_u64;
/* row->arg is the text; a variable that never has a value here */
variable_get_fn get_text, get_absent;

/* vars_request.c: what was asked */
variable_get_fn get_arg, get_is_args, get_request_uri, get_host, get_request_port,
    get_is_request_port, get_server_name, get_protocol, get_http_field, get_http_known, get_cookie,
    get_request_body, get_request_body_file, get_content_length, get_remote_user, get_request_id,
    get_limit_rate, get_capture;

/* … and what the directive set may change of it */
variable_set_fn set_args, set_limit_rate;

/* vars_answer.c: what was answered */
variable_get_fn get_status, get_bytes_sent, get_completion, get_sent_field, get_sent_type,
    get_sent_length, get_sent_modified, get_sent_etag, get_sent_location, get_sent_connection,
    get_sent_keep_alive, get_sent_coding, get_sent_trailer, get_sent_ranges;

/* vars_place.c: files, addresses, time, the process */
variable_get_fn get_remote_addr, get_remote_port, get_binary_addr, get_server_addr, get_server_port,
    get_scheme, get_https, get_nth, get_pipe, get_tcp, get_msec, get_request_time,
    get_connection_time, get_time_local, get_time_iso, get_time_iso_ms, get_pid, get_filename,
    get_document_root, get_realpath_root;

/* proxy_told.c: what a PROXY header said */
variable_get_fn get_told_addr, get_told_port, get_told_server_addr, get_told_server_port,
    get_told_tlv;

/* Joins the values of several fields of one name, as nginx does: ", ", cookies "; ". */
struct joiner {
    struct gather *into;
    struct slice between;
    bool any;
};
void join_value(struct joiner *, struct slice value);

/* Is it the name ($http_x_y names X-Y)? `rest` is in lower case, with "_" for "-". */
bool field_named(struct slice field, struct slice rest);

#endif
