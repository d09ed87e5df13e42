/* registry_private.h - what the registry works out once about its rows. */
#ifndef CONF_REGISTRY_PRIVATE_H
#define CONF_REGISTRY_PRIVATE_H

#include "base/map.h"
#include "conf/directive.h"
#include "conf/expr.h"

struct registry_entry {
    const struct directive *row;
    const struct feature *feature;
    struct registry_entry *next; /* another row of the same name                  */
};

/* One setting of a feature: bytes that a scope takes from the scope around it, or from the
 * defaults. Rows at the same offset are the same setting. */
struct merge_op {
    size_t offset, size;
    size_t row; /* the first row of the setting                  */
    bool inherit;
};

struct merge_plan {
    struct merge_op *ops; /* by offset                                     */
    size_t op_count;
    struct merge_op *runs; /* the same, neighbours joined: nothing is set   */
    size_t run_count;
    size_t *first_row; /* of row i: the first row of its setting        */
};

struct registry_names {
    struct map by_name;
    struct registry_entry *entries;
    struct merge_plan plans[FEATURES_MAX];
    size_t conf_sizes[FEATURES_MAX];  /* rounded up                                    */
    size_t conf_size;                 /* of all features together                      */
    struct map variables;             /* rows of features that are no prefixes         */
    const struct variable **prefixes; /* and those that are                            */
    size_t prefix_count;
    const struct variable *captures; /* the row with the empty prefix, or NULL        */
};

/* The rows of a name, or NULL. "*" gives the rows for any word. */
const struct registry_entry *registry_entries(const struct registry *, struct slice name);

#endif
