/* h1_write.h - the one emitter of HTTP/1 heads. Refuses CR, LF and NUL always: nothing built
 * from input can split a response (RFC 9112 §4, RFC 9110 §5.5).
 *
 *   h1_status_line(&g, 1, 200);
 *   if (!h1_field(&g, name, value)) …       the field is refused: 500, and the log says why
 *   gather_lit(&g, "\r\n");
 */
#ifndef WIRE_H1_WRITE_H
#define WIRE_H1_WRITE_H

#include "base/gather.h"

/* "HTTP/1.1 200 OK\r\n"; a status without a known phrase gets an empty one. The version is
 * always 1.1, whatever the request's (RFC 9110 §2.5). */
void h1_status_line(struct gather *, unsigned status);

/* nginx's reason phrases. "" if unknown. */
struct slice status_phrase(unsigned status);

/* "name: value\r\n". False, and nothing appended, if name is no token or value has CR, LF or
 * NUL. */
bool h1_field(struct gather *, struct slice name, struct slice value) MUST_USE;

/* The same for a name that is a literal: only the value is looked at. */
#define h1_field_lit(g, name, value) h1_field_known((g), SLICE(name ": "), (value))
bool h1_field_known(struct gather *, struct slice line_begin, struct slice value) MUST_USE;

/* No CR, LF or NUL in it. */
bool h1_value_safe(struct slice value) MUST_USE;

/* The size line of one chunk: "1f\r\n". The data and "\r\n" follow; the last is "0\r\n\r\n". */
void h1_chunk_size(struct gather *, uint64_t size);

#endif
