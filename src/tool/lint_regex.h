/* lint_regex.h - what can be told of a regular expression without running it.
 *
 *   struct lint_regex r;
 *   lint_regex_read(&r, pattern, nocase);
 *   if (r.risky) …
 *
 * The notation is that of PCRE. What the reader does not understand it takes for harmless.
 */
#ifndef TOOL_LINT_REGEX_H
#define TOOL_LINT_REGEX_H

#include "base/slice.h"

#include <stdint.h>

enum { LINT_GROUPS_MAX = 32 };

struct lint_regex {
    bool risky;          /* some text can be matched in exponentially many ways       */
    struct slice why;    /* the group at fault, with its quantifier                   */
    unsigned groups;     /* capturing ones                                            */
    uint32_t line_feeds; /* bit n: group n can hold a line feed                       */
    struct slice names[LINT_GROUPS_MAX]; /* of the groups; empty: it has none          */
};

/* Borrows the pattern. */
void lint_regex_read(struct lint_regex *, struct slice pattern, bool nocase);

/* The first dot that stands for any byte where a real one is meant: between a name and a name
 * (hosts), or before a file's suffix at the end. Its index, or pattern.size. */
size_t lint_regex_host_dot(struct slice pattern);
size_t lint_regex_suffix_dot(struct slice pattern);

#endif
