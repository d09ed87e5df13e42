/* assign.h - "$name value": what set, auth_request_set and their kin are told. */
#ifndef HTTP_ASSIGN_H
#define HTTP_ASSIGN_H

#include "http/request.h"

struct assignment {
    const struct variable *row; /* what is set: ours, or one that has a set() of its own  */
    unsigned place;             /* of ours: see request_values()                          */
    struct expr *value;
};

/* Reads the first two arguments; the name is declared with it. False after complaining. */
bool assign_read(struct conf_load *, const struct conf_node *, struct assignment *) MUST_USE;

/* Gives the variable of `to` the value that the expression has for `of` (often the same one). NULL,
 * or why it cannot. */
const char *assign_run(struct request *to, struct request *of, const struct assignment *);

#endif
