/* regex.h - PCRE2 with its JIT and with limits always set.
 *
 *   struct regex *re = regex_compile(load, node, arg, text, REGEX_NOCASE);
 *   switch (regex_match(re, subject, captures, CAPTURES_MAX)) { … }
 *
 * Matching allocates nothing: each thread has its own match block, made at first use.
 */
#ifndef CONF_REGEX_H
#define CONF_REGEX_H

#include "base/slice.h"

struct conf_load;
struct conf_node;
struct regex;

enum { REGEX_NOCASE = 1 };
enum { CAPTURES_MAX = 16 }; /* $0 … $15 */

enum regex_verdict { REGEX_NO = 0, REGEX_YES = 1, REGEX_LIMIT = -1 /* a match limit was hit */ };

/* NULL after a complaint that points at the argument ((unsigned)CONF_AT_NAME: at the directive's
 * name) and says what PCRE2 said and where.
 * Freed with the load's arena through regex_free_all() of the generation that owns it. */
struct regex *regex_compile(struct conf_load *, const struct conf_node *, unsigned arg,
                            struct slice pattern, unsigned flags);

/* Fills captures[0..max) (at == NULL: did not take part). The slices borrow from subject. */
enum regex_verdict regex_match(const struct regex *, struct slice subject, struct slice *captures,
                               unsigned max);

/* Compiles a pattern that comes at run time (in a page), matches once and forgets it, within the
 * same limits. False: the pattern is wrong. `named` (may be NULL) is told, after REGEX_YES, what
 * each named group matched. */
bool regex_match_once(struct slice pattern, struct slice subject, struct slice *captures,
                      unsigned max, enum regex_verdict *ret,
                      void (*named)(void *arg, struct slice name, struct slice value), void *arg);

/* Named groups: how many, and the name and number of the i-th. */
unsigned regex_name_count(const struct regex *);
struct slice regex_name(const struct regex *, unsigned i, unsigned *ret_number);

/* Puts what the named groups matched into values[conf_place() of the name]; a group that took no
 * part has an empty value. `captures` is what regex_match() filled, CAPTURES_MAX of them. */
void regex_keep_named(const struct regex *, const struct slice *captures, struct slice *values);

struct slice regex_pattern(const struct regex *);

/* Frees the compiled code of every regex compiled by that load (the list head is given out by
 * conf_regexes()). Call it when the generation's arena is about to go. */
struct regex *conf_regexes(struct conf_load *);
void regex_free_all(struct regex *head);

#endif
