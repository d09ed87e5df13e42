/* range.c - which bytes a Range asks for, and whether an entity tag is in a list. Positions too
 * large for 64 bits are kept at the largest: they are behind the end of anything. */
#include "wire/range.h"

#include "wire/field.h"

enum { OVERSEND_FACTOR = 2 }; /* ranges may ask for the representation this many times */

/* 1*DIGIT, saturating. */
static bool position_from(struct slice s, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < s.size; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (unsigned)(s.at[i] - '0'), &value))
            value = UINT64_MAX;
    }
    *ret = value;
    return s.size > 0;
}

enum member { MEMBER_BAD, MEMBER_OUTSIDE, MEMBER_IN };

/* "-500": the last bytes. */
static enum member suffix_from(struct slice s, uint64_t size, struct range *ret)
{
    uint64_t count;
    if (!position_from(s, &count))
        return MEMBER_BAD;
    if (count == 0)
        return MEMBER_OUTSIDE;
    *ret = (struct range){ count < size ? size - count : 0, size - 1 };
    return MEMBER_IN;
}

static enum member member_from(struct slice s, uint64_t size, struct range *ret)
{
    uint64_t last = UINT64_MAX;
    struct slice first = slice_cut(&s, '-');
    if (first.size == 0)
        return suffix_from(s, size, ret);
    if (first.at + first.size == s.at) /* there was no '-' */
        return MEMBER_BAD;
    if (!position_from(first, &ret->first))
        return MEMBER_BAD;
    if (s.size > 0 && (!position_from(s, &last) || last < ret->first))
        return MEMBER_BAD;
    if (ret->first >= size)
        return MEMBER_OUTSIDE;
    ret->last = last < size ? last : size - 1;
    return MEMBER_IN;
}

static bool cut_unit(struct slice *s)
{
    struct slice unit = slice_cut(s, '=');
    return slice_eq_nocase(unit, SLICE("bytes"));
}

/* A representation of no bytes has no ranges: the field is ignored, as for the whole. */
enum range_verdict range_parse(struct slice value, uint64_t size, struct range ret[RANGES_MAX],
                               unsigned *ret_count)
{
    uint64_t sum = 0;
    unsigned members = 0, count = 0;
    struct slice member;
    if (size == 0 || !cut_unit(&value))
        return RANGE_NONE;
    while (field_list_next(&value, &member)) {
        if (members++ == RANGES_MAX)
            return RANGE_NONE;
        enum member kind = member_from(member, size, &ret[count]);
        if (kind == MEMBER_BAD)
            return RANGE_NONE;
        if (kind == MEMBER_OUTSIDE)
            continue;
        if (__builtin_add_overflow(sum, ret[count].last - ret[count].first + 1, &sum))
            return RANGE_NONE;
        count++;
    }
    if (members == 0 || sum / OVERSEND_FACTOR > size ||
        (sum / OVERSEND_FACTOR == size && sum % OVERSEND_FACTOR > 0))
        return RANGE_NONE;
    *ret_count = count;
    return count > 0 ? RANGE_OK : RANGE_UNSATISFIABLE;
}

/* An entity tag: [ "W/" ] DQUOTE *etagc DQUOTE (RFC 9110 §8.8.3). */
struct etag {
    struct slice opaque; /* with its quotes */
    bool weak;
};

/* Cuts one off the front. */
static bool cut_etag(struct slice *s, struct etag *ret)
{
    struct slice rest = *s;
    ret->weak = slice_starts(rest, SLICE("W/"));
    if (ret->weak)
        rest = slice_skip(rest, 2);
    if (rest.size < 2 || rest.at[0] != '"')
        return false;
    size_t end = slice_find(slice_skip(rest, 1), '"') + 1;
    if (end == rest.size)
        return false;
    ret->opaque = slice_head(rest, end + 1);
    *s = slice_skip(rest, end + 1);
    return true;
}

/* Skips blanks and commas; anything else that is no tag is skipped up to the next comma. */
static bool next_etag(struct slice *list, struct etag *ret)
{
    while (list->size > 0) {
        char c = list->at[0];
        if (c == ' ' || c == '\t' || c == ',')
            *list = slice_skip(*list, 1);
        else if (cut_etag(list, ret))
            return true;
        else
            slice_cut(list, ',');
    }
    return false;
}

bool etag_in_list(struct slice list, struct slice tag, bool weak)
{
    struct etag wanted, member;
    if (slice_eq(slice_trim(list), SLICE("*")))
        return true;
    if (!cut_etag(&tag, &wanted) || (wanted.weak && !weak))
        return false;
    while (next_etag(&list, &member))
        if (slice_eq(member.opaque, wanted.opaque) && (weak || !member.weak))
            return true;
    return false;
}
