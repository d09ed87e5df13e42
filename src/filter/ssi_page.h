/* ssi_page.h - what the commands of one page, and of all that it includes, know in common:
 * variables, blocks, the format of dates, the text of errors. */
#ifndef FILTER_SSI_PAGE_H
#define FILTER_SSI_PAGE_H

#include "http/request.h"

struct conf_load;

enum { SSI_CAPTURES = 10, SSI_VALUE_MAX = 64 * 1024, SSI_CONDITIONS_MAX = 16 };

struct ssi_name {
    struct slice name, text;
    struct ssi_name *next;
};

/* Of the client's request, in its arena. */
struct ssi_page {
    const struct conf_load *load; /* where the configuration's variables are found            */
    struct ssi_name *variables, *blocks;
    struct slice date_format, error_text;
    size_t encoding; /* of echo: what the last one that named one said                */
    struct slice captures[SSI_CAPTURES]; /* of the last regular expression that matched   */
};

/* The page r is a part of, made at first use; NULL: no memory. */
struct ssi_page *ssi_page(struct request *r, const struct conf_load *);

/* Appends the variable's value: one that a command made, a capture, or one of the configuration.
 * False: it has no value. */
bool ssi_get(struct request *, const struct ssi_page *, struct slice name, struct gather *);

/* Copies both; false: no memory. list: &page->variables or &page->blocks. */
bool ssi_put(struct request *, struct ssi_name **list, struct slice name,
             struct slice text) MUST_USE;
const struct ssi_name *ssi_find(const struct ssi_name *list, struct slice name);

/* text with $name and ${name} replaced; \$ is a dollar. False: longer than `most`, a broken name,
 * or no memory. *ret is in the arena. */
bool ssi_evaluate(struct request *, const struct ssi_page *, struct slice text, size_t most,
                  struct arena *, struct slice *ret) MUST_USE;

/* "$name", "$name = text", "$name != text", "$name = /regex/", "$name != /regex/". False: it is
 * none of these. */
bool ssi_test(struct request *, struct ssi_page *, struct slice expression, bool *ret) MUST_USE;

#endif
