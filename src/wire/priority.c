/* priority.c - the two members of a priority that mean something; others are passed over. */
#include "wire/priority.h"

#include "wire/field.h"

static void take(struct slice member, struct priority *p)
{
    struct slice value = slice_trim(slice_head(member, slice_find(member, ';'))); /* parameters */
    struct slice key = slice_cut(&value, '=');

    if (slice_eq(key, SLICE("u")) && value.size == 1 && value.at[0] >= '0' && value.at[0] <= '7')
        p->urgency = (uint8_t)(value.at[0] - '0');
    else if (slice_eq(key, SLICE("i")))
        p->incremental = value.size == 0 || slice_eq(value, SLICE("?1"));
}

void priority_from(struct slice text, struct priority *p)
{
    struct slice member;

    while (field_list_next(&text, &member))
        take(member, p);
}
