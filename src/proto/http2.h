/* http2.h - HTTP/2 on one connection (RFC 9113), with priorities (RFC 9218) and WebSocket by
 * extended CONNECT (RFC 8441).
 *
 *   http2_begin(c);        from inside an event of the connection, or before its first
 *
 * Nothing is being sent on it, and it has no request. What it has received so far, in c->in, is
 * the client's preface or the beginning of it, behind the c->preface_seen bytes that were taken
 * off already. From then on it belongs to the state table of http2.c. A connection that there is
 * no memory for is closed.
 */
#ifndef PROTO_HTTP2_H
#define PROTO_HTTP2_H

#include "proto/conn.h"

void http2_begin(struct conn *);

#endif
