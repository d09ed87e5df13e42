/* cache_control.c - a list of directives, some with an argument. */
#include "wire/cache_control.h"

#include "wire/field.h"

#include <stddef.h>

enum kind { FLAG, SECONDS };

#define AT(member) offsetof(struct cache_control, member)

static const struct rule {
    struct slice name;
    enum kind kind;
    size_t at;
} rules[] = {
    { { "no-store", 8 }, FLAG, AT(no_store) },
    { { "no-cache", 8 }, FLAG, AT(no_cache) },
    { { "private", 7 }, FLAG, AT(is_private) },
    { { "public", 6 }, FLAG, AT(is_public) },
    { { "must-revalidate", 15 }, FLAG, AT(must_revalidate) },
    { { "proxy-revalidate", 16 }, FLAG, AT(must_revalidate) },
    { { "max-age", 7 }, SECONDS, AT(max_age) },
    { { "s-maxage", 8 }, SECONDS, AT(s_maxage) },
    { { "stale-while-revalidate", 22 }, SECONDS, AT(stale_while_revalidate) },
    { { "stale-if-error", 14 }, SECONDS, AT(stale_if_error) },
};

void cache_control_init(struct cache_control *c)
{
    *c = (struct cache_control){
        .max_age = -1, .s_maxage = -1, .stale_while_revalidate = -1, .stale_if_error = -1
    };
}

static bool all_digits(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
    return s.size > 0;
}

/* 30 or "30". */
static int64_t seconds(struct slice text)
{
    uint64_t n;

    text = slice_trim(text);
    if (text.size >= 2 && text.at[0] == '"' && text.at[text.size - 1] == '"')
        text = slice_of(text.at + 1, text.size - 2);
    if (slice_to_u64(text, CACHE_SECONDS_MAX, &n))
        return (int64_t)n;
    return all_digits(text) ? CACHE_SECONDS_MAX : 0;
}

static void apply(struct cache_control *c, const struct rule *rule, struct slice argument)
{
    void *member = (char *)c + rule->at;
    int64_t said, *n = member;

    if (rule->kind == FLAG) {
        *(bool *)member = true;
        return;
    }
    said = seconds(argument);
    *n = *n < 0 || said < *n ? said : *n;
}

void cache_control_read(struct cache_control *c, struct slice value)
{
    struct slice member;

    while (field_list_next(&value, &member)) {
        struct slice argument = member, name = slice_trim(slice_cut(&argument, '='));

        for (size_t i = 0; i < COUNT_OF(rules); i++)
            if (slice_eq_nocase(name, rules[i].name))
                apply(c, &rules[i], argument);
    }
}
