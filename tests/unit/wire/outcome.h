/* outcome.h - runs a grammar over bytes that come in pieces, and says what came of it as text:
 * the same text for the same bytes, however they are cut. Used by the corpus and by fuzzing. */
#ifndef UNIT_WIRE_OUTCOME_H
#define UNIT_WIRE_OUTCOME_H

#include "base/gather.h"
#include "wire/h1_head.h"

struct outcome_options {
    struct h1_limits limits;
    uint32_t trailer_max;
    uint64_t size; /* of the representation, for ranges */
    int64_t now;
    bool keep_slashes, weak;
    struct slice tag;
};

extern const struct outcome_options OUTCOME_DEFAULTS;

/* The bytes come up to each of cuts[0..cut_count), ascending, and then to the end. */
typedef void outcome_fn(struct gather *out, const struct outcome_options *, struct slice input,
                        const size_t *cuts, size_t cut_count);

/* head, stream, chunked, path, authority, range, date, etags, proxy; NULL if there is no such kind.
 * A stream is requests one behind the other with their bodies: "ok", "other" (an unknown
 * method), a status, or "more" for each. */
outcome_fn *outcome_from(struct slice kind);

/* What users of h1_head see, as text. */
void outcome_head(struct gather *out, const struct h1_head *, enum h1_verdict);

#endif
