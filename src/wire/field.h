/* field.h - header fields, and the names that mean something to weir. */
#ifndef WIRE_FIELD_H
#define WIRE_FIELD_H

#include "base/slice.h"

/* clang-format off */
#define FIELDS(X) \
    X(HOST, "host") X(CONNECTION, "connection") X(CONTENT_LENGTH, "content-length") \
    X(TRANSFER_ENCODING, "transfer-encoding") X(EXPECT, "expect") X(UPGRADE, "upgrade") \
    X(USER_AGENT, "user-agent") X(REFERER, "referer") X(RANGE, "range") \
    X(IF_RANGE, "if-range") X(IF_MATCH, "if-match") X(IF_NONE_MATCH, "if-none-match") \
    X(IF_MODIFIED_SINCE, "if-modified-since") X(IF_UNMODIFIED_SINCE, "if-unmodified-since") \
    X(ACCEPT_ENCODING, "accept-encoding") X(AUTHORIZATION, "authorization") \
    X(COOKIE, "cookie") X(CONTENT_TYPE, "content-type") X(ACCEPT, "accept") \
    X(ACCEPT_LANGUAGE, "accept-language") X(X_FORWARDED_FOR, "x-forwarded-for") \
    X(X_REAL_IP, "x-real-ip") X(VIA, "via") X(KEEP_ALIVE, "keep-alive") X(TE, "te") \
    X(TRAILER, "trailer") X(DESTINATION, "destination") X(DEPTH, "depth") \
    X(OVERWRITE, "overwrite") X(DATE, "date") X(FORWARDED, "forwarded") \
    X(PROXY_CONNECTION, "proxy-connection")
/* clang-format on */

enum field_id {
    FIELD_OTHER,
#define X(id, name) FIELD_##id,
    FIELDS(X)
#undef X
        FIELD_COUNT
};

struct field {
    struct slice name;  /* as it came  */
    struct slice value; /* OWS cut off */
    enum field_id id;
};

/* Case-insensitive. */
enum field_id field_from(struct slice name);

/* In small letters; size 0 for FIELD_OTHER. */
struct slice field_text(enum field_id);

/* RFC 9110 §5.6.2 and §5.5: what a name and a value may consist of. */
bool field_name_ok(struct slice name);
bool field_value_ok(struct slice value); /* no control byte but HTAB */

/* Walks a comma-separated list (RFC 9110 §5.6.1; empty members are skipped, quoted strings
 * respected): cuts the next member off *rest; false at the end. */
bool field_list_next(struct slice *rest, struct slice *member);

#endif
