/* relay_answer.h - from a peer's fields to the answer, for every protocol.
 *
 *   v = relay_fill(y, status, &rewrites);        y->fields, y->field_count are there
 *   if (v != NEXT) return v;                     X-Accel-Redirect, an error page, or no memory
 *   …r->response.length and body
 */
#ifndef UPSTREAM_RELAY_ANSWER_H
#define UPSTREAM_RELAY_ANSWER_H

#include "upstream/relay.h"

/* Each may be NULL. at == NULL: no memory. */
struct relay_rewrites {
    struct slice (*location)(struct relay *, struct slice, bool *changed);
    struct slice (*cookie)(struct relay *, struct slice);
};

enum verdict relay_fill(struct relay *, unsigned status, const struct relay_rewrites *);

/* Parts of the answer are cut out here, whatever the peer says of them. */
bool relay_does_ranges(const struct relay *);

/* Passes an answer 103 (RFC 8297) on at once, if early_hints says so: its fields without those
 * that mean more than their text. What the answer itself will be stays untouched. */
void relay_hints(struct relay *, const struct field *fields, uint32_t count);

/* Fields that an X-Accel-Redirect left for the answer that it led to. */
void filter_carried(struct request *);

#endif
