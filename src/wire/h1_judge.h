/* h1_judge.h - what a request line and fields mean for framing and routing. Only for h1_head.c,
 * h1_response.c and h2_headers.c: those find where things begin and end, this one says whether they
 * may be.
 *
 * Each returns true, or false after h1_refuse().
 */
#ifndef WIRE_H1_JUDGE_H
#define WIRE_H1_JUDGE_H

#include "wire/h1_head.h"

/* Sets status and why, the first time. Always false. */
bool h1_refuse(struct h1_head *, uint16_t status, const char *why);

/* method, method_text, target, args and version_minor are there: finds scheme, authority and
 * path by the target's form (RFC 9112 §3.2). */
bool h1_judge_target(struct h1_head *);

/* A field that will be kept: duplicates, Content-Length, Connection. Call before known[] is
 * set. */
bool h1_judge_field(struct h1_head *, const struct field *);

/* All fields are there: Host, Transfer-Encoding against Content-Length, Expect. */
bool h1_judge_head(struct h1_head *);

/* h1_head.c. May a field of this name (name_seen, field_id) be kept? Else it is left out. */
bool h1_name_wanted(const struct h1_head *);
/* h1_head.c. Room for more fields. False: no memory. */
bool h1_fields_grow(struct h1_head *);

/* Content-Length (RFC 9110 §8.6): 1*DIGIT of at most 63 bits, leading zeros allowed. False: it is
 * none, and *ret is 0. */
bool h1_length_from(struct slice value, uint64_t *ret) MUST_USE;

/* Adds what a Connection field says (RFC 9110 §7.6.1) to what is already known. */
struct h1_connection {
    bool close, keep_alive, upgrade;
};
void h1_connection_from(struct slice value, struct h1_connection *);

#endif
