/* known.h - names of the nginx language that weir may or may not have. From them messages tell
 * "weir does not have it yet" from "no such thing". The table is made by
 * tools/known_directives.py from the published list of directives. */
#ifndef CONF_KNOWN_H
#define CONF_KNOWN_H

#include "base/slice.h"

struct known_directive {
    const char *name;
    uint8_t module;    /* index into known_modules                             */
    uint32_t contexts; /* CTX_ bits                                            */
};

/* Sorted by name; a name that several modules have stands several times. */
extern const struct known_directive known_directives[];
extern const size_t known_directive_count;
extern const char *const known_modules[];

/* Sorted; one that ends in "_" stands for all that begin so. */
extern const char *const known_variables[];
extern const size_t known_variable_count;

/* The row of that name; of several the one with a context in common with context, else the first.
 * NULL: nginx has no such directive. */
const struct known_directive *known_directive_find(struct slice name, uint32_t context);
bool known_variable_find(struct slice name);

#endif
