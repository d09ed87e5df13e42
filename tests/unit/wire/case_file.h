/* case_file.h - reads one corpus case.
 *
 *   # any number of remarks
 *   chunked bare_lf trailer_max=100         the kind (outcome.h), then options
 *   < 5\r\nhello\r\n0\r\n                   the input: these lines joined
 *   < \r\n
 *   > done                                  the first line of the outcome
 *   > content hello                         further lines: each stands somewhere in it
 *
 * Escapes in input: \r \n \t \\ \xNN, and <<N*TEXT>> for N times TEXT, which nests. Options:
 * bare_lf underscores keep_invalid keep_slashes weak line_max= head_max= fields_max= first_size=
 * trailer_max= size= now= tag=
 */
#ifndef UNIT_WIRE_CASE_FILE_H
#define UNIT_WIRE_CASE_FILE_H

#include "unit/wire/outcome.h"

enum { CASE_WANTS_MAX = 32 };

struct wire_case {
    const char *name;
    outcome_fn *run;
    struct outcome_options options;
    struct slice input;
    struct slice wants[CASE_WANTS_MAX];
    unsigned want_count;
};

/* Everything lives in the arena. False: the file is broken; *why says how. */
bool case_read(struct wire_case *, struct arena *, const char *path, const char **why);

#endif
