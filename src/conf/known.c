/* known.c - looks names up in the sorted tables of known.h. */
#include "conf/known.h"

/* The first row that is not before name. */
static size_t lower_bound(struct slice name)
{
    size_t low = 0, high = known_directive_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (slice_cmp(slice_str(known_directives[middle].name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct known_directive *known_directive_find(struct slice name, uint32_t context)
{
    const struct known_directive *first = NULL;
    for (size_t i = lower_bound(name); i < known_directive_count; i++) {
        const struct known_directive *row = &known_directives[i];
        if (!slice_eq(slice_str(row->name), name))
            break;
        if ((row->contexts & context) != 0)
            return row;
        if (first == NULL)
            first = row;
    }
    return first;
}

bool known_variable_find(struct slice name)
{
    for (size_t i = 0; i < known_variable_count; i++) {
        struct slice known = slice_str(known_variables[i]);
        bool prefix = known.at[known.size - 1] == '_';
        if (prefix ? slice_starts(name, known) && name.size > known.size : slice_eq(name, known))
            return true;
    }
    return false;
}
