/* reasons.h - every way a connection can end. The counter, the log word and the dump text are
 * all made from this table; a lint test checks that each reason has a test that causes it. */
#ifndef HTTP_REASONS_H
#define HTTP_REASONS_H

/*    name            fault   text                                                          */
#define CLOSE_REASONS(X)                                                         \
    X(peer_closed, NONE, "the client closed")                                    \
    X(peer_reset, CLIENT, "the client reset the connection")                     \
    X(peer_broke_off, CLIENT, "the client closed in the middle of a request")    \
    X(peer_left, CLIENT, "the client closed before it had an answer")            \
    X(answered, NONE, "the last answer was sent")                                \
    X(keepalive_end, NONE, "idle for keepalive_timeout")                         \
    X(head_late, CLIENT, "no complete header within client_header_timeout")      \
    X(proxy_bad, CLIENT, "broken header while reading PROXY protocol")           \
    X(tls_bad, CLIENT, "the TLS handshake failed, or a record was broken")       \
    X(tls_late, CLIENT, "no complete TLS handshake in time")                     \
    X(head_bad, CLIENT, "the request head was refused")                          \
    X(body_late, CLIENT, "no body bytes for client_body_timeout, or too slow")   \
    X(body_bad, CLIENT, "the body's framing is broken")                          \
    X(preface_bad, CLIENT, "it did not begin as HTTP/2 begins")                  \
    X(protocol_error, CLIENT, "the client broke the rules of HTTP/2")            \
    X(calm_down, CLIENT, "more resets or frames for nothing than anybody needs") \
    X(send_late, CLIENT, "the client took no bytes for send_timeout")            \
    X(lingered, NONE, "lingering_time or lingering_timeout was reached")         \
    X(no_answer, NONE, "return 444")                                             \
    X(body_failed, US, "the answer's body ended before its length")              \
    X(reclaimed, NONE, "idle, and its descriptor was needed")                    \
    X(shutting_down, NONE, "the worker is leaving")                              \
    X(listener_gone, NONE, "its listener left the configuration")                \
    X(no_memory, US, "no memory for a request")

enum fault { NONE, CLIENT, PEER, US };

enum close_reason {
#define X(name, fault, text) CLOSE_##name,
    CLOSE_REASONS(X)
#undef X
        CLOSE_REASON_COUNT
};

struct reason {
    const char *name, *text;
    enum fault fault;
};

extern const struct reason close_reasons[CLOSE_REASON_COUNT];

#endif
