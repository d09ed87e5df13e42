/* vars.c - the table of variables every request has. The getters are in vars_*.c. */
#include "http/vars.h"

#include "http/vars_rows.h"
#include "net/tcp_info.h"

#include <unistd.h>

static uint32_t vars_index;

/* What is the same for every request of a generation. */
struct vars_conf {
    struct slice hostname;
};

bool get_slice(void *subject, const struct variable_use *use, struct gather *g)
{
    struct slice value;

    memcpy(&value, (const char *)subject + use->number, sizeof value);
    gather_slice(g, value);
    return value.at != NULL;
}

bool get_u64(void *subject, const struct variable_use *use, struct gather *g)
{
    uint64_t value;

    memcpy(&value, (const char *)subject + use->number, sizeof value);
    gather_u64(g, value);
    return true;
}

bool get_text(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)subject;
    gather_str(g, (const char *)use->number);
    return true;
}

bool get_absent(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)subject;
    (void)use;
    (void)g;
    return false;
}

static bool get_hostname(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;
    const struct vars_conf *conf = request_conf(r, &feature_vars);

    (void)use;
    gather_slice(g, conf->hostname);
    return true;
}

#define IN(member) .arg = offsetof(struct request, member)
#define NOW(member) .arg = offsetof(struct tcp_now, member)
#define TEXT(text) .arg = (uintptr_t)(text)
#define HEAD(id) .arg = FIELD_##id

static const struct variable variables[] = {
    { "", get_capture, .prefix = true,
      .help = "$1 … $9, or $name: what a part of the last regular expression matched." },
    /* what was asked */
    { "uri", get_slice, IN(uri), .help = "The path: decoded, normalised; changes with redirects." },
    { "document_uri", get_slice, IN(uri), .help = "The same as $uri." },
    { "args", get_slice, IN(args), .set = set_args,
      .help = "What stands behind the question mark; set can change it." },
    { "query_string", get_slice, IN(args), .help = "The same as $args." },
    { "is_args", get_is_args, .help = "\"?\" if there are arguments, else nothing." },
    { "arg_", get_arg, .prefix = true, .help = "One argument: $arg_page of \"?page=2\" is 2." },
    { "request_uri", get_request_uri, .help = "Path and arguments as they were sent." },
    { "request", get_slice, IN(head.line), .help = "The request line as it was sent." },
    { "request_method", get_slice, IN(head.method_text), .help = "GET, POST …" },
    { "request_length", get_u64, IN(head_bytes), .help = "Bytes of the request, head and body." },
    { "request_id", get_request_id,
      .help = "A random name of the request, 32 hexadecimal digits." },
    { "request_body", get_request_body,
      .help = "The body, where something has read it into memory." },
    { "request_body_file", get_request_body_file,
      .help = "The file the body is in, if it has a name: see client_body_in_file_only." },
    { "server_protocol", get_protocol, .help = "HTTP/1.0, HTTP/1.1 …" },
    { "host", get_host, .help = "The host asked for, in lower case; else the server's name." },
    { "request_port", get_request_port, .help = "The port asked for, if one was named." },
    { "is_request_port", get_is_request_port, .help = "\":\" if $request_port is not empty." },
    { "server_name", get_server_name, .help = "The first name of the server that answers." },
    { "http_", get_http_field, .prefix = true,
      .help = "A request field: $http_x_token is X-Token. Several are joined by commas." },
    { "http_host", get_http_known, HEAD(HOST), .help = "The field Host." },
    { "http_user_agent", get_http_known, HEAD(USER_AGENT), .help = "The field User-Agent." },
    { "http_referer", get_http_known, HEAD(REFERER), .help = "The field Referer." },
    { "http_cookie", get_http_known, HEAD(COOKIE), .help = "All cookies, joined by semicolons." },
    { "http_x_forwarded_for", get_http_known, HEAD(X_FORWARDED_FOR),
      .help = "The field X-Forwarded-For." },
    { "content_length", get_content_length,
      .help = "The field Content-Length, or how long a chunked body was that has been read." },
    { "content_type", get_http_known, HEAD(CONTENT_TYPE), .help = "The field Content-Type." },
    { "cookie_", get_cookie, .prefix = true, .help = "One cookie: $cookie_session." },
    { "remote_user", get_remote_user, .help = "The name given for basic authentication." },
    { "limit_rate", get_limit_rate, .set = set_limit_rate,
      .help = "Bytes a second this answer may take; 0: no limit; set can change it." },
    /* what was answered */
    { "status", get_status, .help = "The answer's status." },
    { "bytes_sent", get_bytes_sent, .help = "Bytes of the answer, head and body." },
    { "body_bytes_sent", get_u64, IN(body_sent), .help = "Bytes of the answer's body." },
    { "request_completion", get_completion, .help = "\"OK\" if the answer was sent to its end." },
    { "sent_http_", get_sent_field, .prefix = true, .help = "A field of the answer." },
    { "sent_http_content_type", get_sent_type, .help = "The answer's Content-Type." },
    { "sent_http_content_length", get_sent_length, .help = "The answer's Content-Length." },
    { "sent_http_last_modified", get_sent_modified, .help = "The answer's Last-Modified." },
    { "sent_http_etag", get_sent_etag, .help = "The answer's ETag." },
    { "sent_http_location", get_sent_location, .help = "Where the answer redirects to." },
    { "sent_http_connection", get_sent_connection, .help = "\"keep-alive\" or \"close\"." },
    { "sent_http_keep_alive", get_sent_keep_alive, .help = "The answer's Keep-Alive." },
    { "sent_http_transfer_encoding", get_sent_coding, .help = "\"chunked\", or no value." },
    { "sent_http_accept_ranges", get_sent_ranges, .help = "\"bytes\", or no value." },
    { "sent_trailer_", get_sent_trailer, .prefix = true,
      .help = "A field that was sent behind the answer's body." },
    /* files */
    { "document_root", get_document_root, .help = "What root or alias says." },
    { "realpath_root", get_realpath_root, .help = "The same without symbolic links." },
    { "request_filename", get_filename, .help = "The path of the file that $uri means." },
    /* addresses and the connection */
    { "remote_addr", get_remote_addr, .help = "The client's address." },
    { "remote_port", get_remote_port, .help = "The client's port." },
    { "binary_remote_addr", get_binary_addr, .help = "The client's address in 4 or 16 bytes." },
    { "server_addr", get_server_addr, .help = "The address that accepted the connection." },
    { "server_port", get_server_port, .help = "The port that accepted the connection." },
    { "scheme", get_scheme, .help = "\"http\" or \"https\"." },
    { "https", get_https, .help = "\"on\" over TLS, else nothing." },
    { "connection", get_u64, IN(number), .help = "The number of the connection." },
    { "connection_requests", get_nth, .help = "Which request of its connection this is." },
    { "connection_time", get_connection_time, .help = "The connection's age in seconds." },
    { "pipe", get_pipe, .help = "\"p\" if the request was pipelined, else \".\"." },
    { "tcpinfo_rtt", get_tcp, NOW(rtt_us), .help = "Round trip time in microseconds." },
    { "tcpinfo_rttvar", get_tcp, NOW(rttvar_us), .help = "How much the round trip time varies." },
    { "tcpinfo_snd_cwnd", get_tcp, NOW(snd_cwnd), .help = "Segments that may be on the way." },
    { "tcpinfo_rcv_space", get_tcp, NOW(rcv_space), .help = "Bytes of room for what comes in." },
    { "proxy_protocol_addr", get_told_addr, .help = "The client's address from a PROXY line." },
    { "proxy_protocol_port", get_told_port, .help = "The client's port from a PROXY line." },
    { "proxy_protocol_server_addr", get_told_server_addr,
      .help = "Our address from a PROXY line." },
    { "proxy_protocol_server_port", get_told_server_port, .help = "Our port from a PROXY line." },
    { "proxy_protocol_tlv_", get_told_tlv, .prefix = true,
      .help = "A TLV of a PROXY line: alpn, authority, unique_id, netns, ssl_version, ssl_cn, "
              "ssl_cipher, ssl_sig_alg, ssl_key_alg, ssl_verify, 0x01, ssl_0x21 …" },
    /* time */
    { "request_time", get_request_time, .help = "Seconds since the request's first byte." },
    { "msec", get_msec, .help = "Seconds since 1970, with milliseconds." },
    { "time_local", get_time_local, .help = "Local time as access logs have it." },
    { "time_iso8601", get_time_iso, .help = "Local time as in ISO 8601." },
    { "time_iso8601_ms", get_time_iso_ms, .help = "The same with milliseconds." },
    /* the server itself */
    { "hostname", get_hostname, .help = "The name of this machine." },
    { "pid", get_pid, .help = "The number of the worker process." },
    { "nginx_version", get_text, TEXT(NGINX_LANGUAGE),
      .help = "The nginx whose configuration language weir speaks." },
    { "weir_version", get_text, TEXT(WEIR_VERSION), .help = "The version of weir." },
};

static struct slice read_hostname(struct arena *arena)
{
    char name[256];

    if (gethostname(name, sizeof name) != 0)
        return (struct slice){ 0 };
    name[sizeof name - 1] = '\0';
    for (char *c = name; *c != '\0'; c++)
        *c = (char)byte_lower((unsigned char)*c);
    return arena_copy(arena, slice_str(name));
}

static bool vars_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    struct vars_conf *conf = own;

    (void)scope;
    conf->hostname = parent != NULL ? ((const struct vars_conf *)parent)->hostname
                                    : read_hostname(conf_arena(load));
    return true;
}

const struct feature feature_vars = {
    .name = "variables",
    .size = sizeof(struct vars_conf),
    .vars = variables,
    .var_count = COUNT_OF(variables),
    .merge = vars_merge,
    .about = "What a request, its answer, its connection and the server can be asked for.",
    .index = &vars_index,
};
