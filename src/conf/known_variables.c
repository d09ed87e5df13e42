/* known_variables.c - made by tools/known_directives.py; see known.h. */
/* clang-format off */
#include "conf/known.h"

const char *const known_variables[] = {
    "acme_certificate", "acme_certificate_key", "arg_", "args", "binary_remote_addr",
    "body_bytes_sent", "bytes_received", "bytes_sent", "connection", "connection_requests",
    "connection_time", "connections_active", "connections_reading", "connections_waiting",
    "connections_writing", "content_length", "content_type", "cookie_", "date_gmt", "date_local",
    "document_root", "document_uri", "fastcgi_path_info", "fastcgi_script_name", "gzip_ratio",
    "host", "hostname", "http2", "http3", "http_", "https", "invalid_referer", "is_args",
    "is_request_port", "jwt_claim_", "jwt_header_", "jwt_payload", "limit_conn_status",
    "limit_rate", "limit_req_status", "memcached_key", "mqtt_preread_clientid",
    "mqtt_preread_username", "msec", "nginx_version", "oidc_access_token", "oidc_claim_",
    "oidc_id_token", "oidc_userinfo", "otel_parent_id", "otel_parent_sampled", "otel_span_id",
    "otel_trace_id", "pid", "pipe", "protocol", "proxy_add_x_forwarded_for", "proxy_host",
    "proxy_port", "proxy_protocol_addr", "proxy_protocol_port", "proxy_protocol_server_addr",
    "proxy_protocol_server_port", "proxy_protocol_tlv_", "proxy_protocol_tlv_aws_vpce_id",
    "proxy_protocol_tlv_azure_pel_id", "proxy_protocol_tlv_gcp_conn_id", "query_string",
    "realip_remote_addr", "realip_remote_port", "realpath_root", "remote_addr", "remote_port",
    "remote_user", "request", "request_body", "request_body_file", "request_completion",
    "request_filename", "request_id", "request_length", "request_method", "request_port",
    "request_time", "request_uri", "scheme", "secure_link", "secure_link_expires", "sent_http_",
    "sent_trailer_", "server_addr", "server_name", "server_port", "server_protocol",
    "session_log_binary_id", "session_log_id", "session_time", "slice_range", "ssl_alpn_protocol",
    "ssl_cipher", "ssl_ciphers", "ssl_client_cert", "ssl_client_escaped_cert",
    "ssl_client_fingerprint", "ssl_client_i_dn", "ssl_client_i_dn_legacy", "ssl_client_raw_cert",
    "ssl_client_s_dn", "ssl_client_s_dn_legacy", "ssl_client_serial", "ssl_client_sigalg",
    "ssl_client_v_end", "ssl_client_v_remain", "ssl_client_v_start", "ssl_client_verify",
    "ssl_curve", "ssl_curves", "ssl_early_data", "ssl_ech_outer_server_name", "ssl_ech_status",
    "ssl_preread_alpn_protocols", "ssl_preread_protocol", "ssl_preread_server_name",
    "ssl_protocol", "ssl_server_name", "ssl_session_id", "ssl_session_reused", "ssl_sigalg",
    "ssl_sigalgs", "status", "time_iso8601", "time_iso8601_ms", "time_local", "uid_got",
    "uid_reset", "uid_set", "upstream_addr", "upstream_bytes_received", "upstream_bytes_sent",
    "upstream_cache_status", "upstream_connect_time", "upstream_cookie_",
    "upstream_first_byte_time", "upstream_header_time", "upstream_http_", "upstream_last_addr",
    "upstream_last_server_name", "upstream_queue_time", "upstream_response_length",
    "upstream_response_time", "upstream_session_time", "upstream_status", "upstream_trailer_",
    "uri",
};

const size_t known_variable_count = sizeof known_variables / sizeof known_variables[0];
