/* uri.h - request paths and hosts, decoded once and normalised (RFC 3986, RFC 9110 §4, §7.2). */
#ifndef WIRE_URI_H
#define WIRE_URI_H

#include "base/gather.h"

enum uri_verdict { URI_OK, URI_BAD };

/* Decodes %XX once, refuses NUL and broken escapes, removes "." and ".." segments (above the
 * root: BAD), and, with merge_slashes, merges runs of '/'. `into` needs room for raw.size
 * bytes; linear time. *ret borrows into. A raw path that needs nothing done is returned as it
 * is, without a copy. */
enum uri_verdict uri_normalise(struct slice raw_path, bool merge_slashes, char *into,
                               struct slice *ret);

/* "%2F" for '/' (RFC 3986 §2.1). */
void uri_encode_byte(struct gather *into, unsigned char);
/* Percent-encodes what may not stand in a path ("/", unreserved, sub-delims, ":" and "@" may):
 * for Location headers and listings. */
void uri_encode_path(struct gather *into, struct slice path);
void html_escape(struct gather *into, struct slice text);
void json_escape(struct gather *into, struct slice text);

/* The grammar of an authority, without a copy: *ret_host is as it came. Stricter than RFC 3986
 * §3.2.2: no percent-escapes, no empty labels but one final dot, no IPvFuture. Either pointer
 * may be NULL. */
enum uri_verdict uri_authority_split(struct slice authority, struct slice *ret_host,
                                     uint16_t *ret_port);

/* Lower-cases a host of uri_authority_split() into `into` (room for host.size bytes) and cuts one
 * final dot. The result is in `into`. */
struct slice uri_host_fold(struct slice host, char *into);

/* An authority: host [":" port]; no userinfo. Lower-cases the host into `into` (room for
 * authority.size bytes), cuts one final dot. BAD for empty hosts, bad literals, ports that are
 * not 0…65535. *ret_host without the port (IPv6 literals keep their brackets). *ret_port 0 if
 * none was given. */
enum uri_verdict uri_authority(struct slice authority, char *into, struct slice *ret_host,
                               uint16_t *ret_port);

#endif
