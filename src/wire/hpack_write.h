/* hpack_write.h - writes header blocks (RFC 7541) that need no memory on either side: names from
 * the static table where they stand there, values as they are, nothing entered into a table.
 *
 *   hpack_status(&g, 200);
 *   if (!hpack_field(&g, name, value))          false: a byte that may not be sent
 *
 * As h1_write.h, it is the only place where bytes of such a block are put together.
 */
#ifndef WIRE_HPACK_WRITE_H
#define WIRE_HPACK_WRITE_H

#include "base/gather.h"

/* Names of the static table that weir sends. */
enum hpack_name {
    HPACK_AUTHORITY = 1,
    HPACK_METHOD = 2,
    HPACK_PATH = 4,
    HPACK_SCHEME = 6,
    HPACK_ACCEPT_RANGES = 18,
    HPACK_CONTENT_LENGTH = 28,
    HPACK_CONTENT_TYPE = 31,
    HPACK_DATE = 33,
    HPACK_ETAG = 34,
    HPACK_LAST_MODIFIED = 44,
    HPACK_LOCATION = 46,
    HPACK_SERVER = 54,
};

void hpack_status(struct gather *, unsigned status);

/* A value of our own, which is not looked at. */
void hpack_own(struct gather *, enum hpack_name, struct slice value);

/* False, and nothing written: the value has CR, LF or NUL. */
bool hpack_known(struct gather *, enum hpack_name, struct slice value) MUST_USE;

/* The name goes out in lower case. False, and nothing written: the name is no token, or the value
 * as above. */
bool hpack_field(struct gather *, struct slice name, struct slice value) MUST_USE;

#endif
