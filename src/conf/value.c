/* value.c - sizes and times in the language's notation, checked for overflow. */
#include "conf/load.h"

/* Reads digits off *s. False if there are none, or too many. */
static bool take_number(struct slice *s, int64_t *ret)
{
    int64_t value = 0;
    size_t i = 0;
    for (; i < s->size && s->at[i] >= '0' && s->at[i] <= '9'; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, s->at[i] - '0', &value))
            return false;
    *s = slice_skip(*s, i);
    *ret = value;
    return i > 0;
}

bool conf_parse_size(struct slice s, int64_t *ret_bytes)
{
    int64_t value;
    unsigned shift = 0;
    if (!take_number(&s, &value) || s.size > 1)
        return false;
    if (s.size == 1) {
        switch (s.at[0]) {
        case 'k':
        case 'K':
            shift = 10;
            break;
        case 'm':
        case 'M':
            shift = 20;
            break;
        case 'g':
        case 'G':
            shift = 30;
            break;
        default:
            return false;
        }
    }
    return !__builtin_mul_overflow(value, INT64_C(1) << shift, ret_bytes);
}

/* From the largest to the smallest: in a time they must come in this order. "ms" is before "m"
 * in the looking up only. */
static const struct {
    struct slice name;
    unsigned rank;
    int64_t ms;
} units[] = {
    { { "ms", 2 }, 8, 1 },
    { { "y", 1 }, 1, INT64_C(365) * 86400 * 1000 },
    { { "M", 1 }, 2, INT64_C(30) * 86400 * 1000 },
    { { "w", 1 }, 3, INT64_C(7) * 86400 * 1000 },
    { { "d", 1 }, 4, INT64_C(86400) * 1000 },
    { { "h", 1 }, 5, INT64_C(3600) * 1000 },
    { { "m", 1 }, 6, INT64_C(60) * 1000 },
    { { "s", 1 }, 7, 1000 },
};
enum { RANK_SECOND = 7 };

/* Reads a unit off *s: its index in units. Nothing at all means seconds. */
static bool take_unit(struct slice *s, unsigned *rank, int64_t *ms)
{
    if (s->size == 0) {
        *rank = RANK_SECOND;
        *ms = 1000;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (!slice_starts(*s, units[i].name))
            continue;
        *s = slice_skip(*s, units[i].name.size);
        *rank = units[i].rank;
        *ms = units[i].ms;
        return true;
    }
    return false;
}

bool conf_parse_msec(struct slice s, int64_t *ret_ms)
{
    int64_t total = 0;
    unsigned last = 0;
    do {
        int64_t value, ms;
        unsigned rank;
        if (!take_number(&s, &value) || !take_unit(&s, &rank, &ms) || rank <= last ||
            __builtin_mul_overflow(value, ms, &value) ||
            __builtin_add_overflow(total, value, &total))
            return false;
        last = rank;
        while (s.size > 0 && s.at[0] == ' ')
            s = slice_skip(s, 1);
    } while (s.size > 0);
    *ret_ms = total;
    return true;
}

bool conf_parse_sec(struct slice s, int64_t *ret_sec)
{
    int64_t ms;
    if (slice_ends(s, SLICE("ms")) || !conf_parse_msec(s, &ms))
        return false;
    *ret_sec = ms / 1000;
    return true;
}
