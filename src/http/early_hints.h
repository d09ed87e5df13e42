/* early_hints.h - may a 103 (Early Hints, RFC 8297) from an upstream go on to this client? */
#ifndef HTTP_EARLY_HINTS_H
#define HTTP_EARLY_HINTS_H

#include "http/request.h"

extern const struct feature feature_early_hints;

/* True if one of the strings of early_hints in force is neither empty nor "0". A string that is
 * longer than EXPR_MAX counts as empty. */
bool early_hints_wanted(struct request *);

#endif
