/* replace.h - texts in a stream of bytes replaced by others: what sub_filter does.
 *
 *   struct replacer *s = replacer_create(&r->arena, pairs, count, once);
 *   transform_wrap(r, &replacer_ops, s);
 *
 * A text is found wherever chunks begin and end. What may be the beginning of one is held back,
 * which is less than the longest text; everything else goes through at once.
 */
#ifndef FILTER_REPLACE_H
#define FILTER_REPLACE_H

#include "base/arena.h"
#include "filter/transform.h"

enum { REPLACE_PAIRS_MAX = 64 };

struct replace_pair {
    struct slice match; /* not empty, in lower case; ASCII's case is ignored                */
    struct slice with;
    bool done; /* looked for no more                                                */
};

/* Borrows the pairs and their texts, and changes `done`. Where several match, the one that begins
 * first counts, then the earlier in pairs[]. once: each is replaced once. NULL: no memory. */
struct replacer;
struct replacer *replacer_create(struct arena *, struct replace_pair *pairs, unsigned count,
                                 bool once) MUST_USE;

extern const struct transform_ops replacer_ops;

extern const struct feature feature_sub_filter;
void filter_sub(struct request *);
bool sub_idle(const struct scope *);

#endif
