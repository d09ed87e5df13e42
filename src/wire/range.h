/* range.h - the Range field (RFC 9110 §14) and entity tags (§8.8.3, §13). */
#ifndef WIRE_RANGE_H
#define WIRE_RANGE_H

#include "base/slice.h"

enum { RANGES_MAX = 16 };

struct range {
    uint64_t first, last; /* inclusive, within the size */
};

/* RANGE_NONE: the field is invalid or to be ignored (also: more than RANGES_MAX members, or
 * together more than twice the size): send everything. RANGE_UNSATISFIABLE: 416. */
enum range_verdict { RANGE_NONE, RANGE_OK, RANGE_UNSATISFIABLE };

/* `size`: of the representation. *ret_count >= 1 when RANGE_OK; the order is the client's. */
enum range_verdict range_parse(struct slice value, uint64_t size, struct range ret[RANGES_MAX],
                               unsigned *ret_count);

/* Is `tag` (quoted, perhaps W/) in the list (or the list "*")? weak: W/ is ignored on both. */
bool etag_in_list(struct slice list, struct slice tag, bool weak);

#endif
