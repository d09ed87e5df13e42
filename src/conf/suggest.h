/* suggest.h - did you mean …? The nearest of many words by edit distance.
 *
 *   struct suggestion s;
 *   suggest_init(&s, word);
 *   for (…) suggest_consider(&s, name);
 *   if (s.best != NULL) …
 *
 * Swapped neighbours count as one mistake, so does a letter in the wrong case. How many
 * mistakes are near depends on the length of the word. The first of equals wins.
 */
#ifndef CONF_SUGGEST_H
#define CONF_SUGGEST_H

#include "base/slice.h"

enum { SUGGEST_SIZE_MAX = 64 }; /* longer words are like nothing */

struct suggestion {
    struct slice word;
    const char *best;
    unsigned distance; /* of best; at first: one more than is near */
};

void suggest_init(struct suggestion *, struct slice word);
void suggest_consider(struct suggestion *, const char *name);

#endif
