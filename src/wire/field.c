/* field.c - field names: validity and meaning; values: validity and lists. */
#include "wire/field.h"

#include "base/scan.h"
#include "wire/token.h"

enum { NAME_SIZE_MAX = 19, NAMES_OF_A_SIZE = 4, NAME_ROOM = 24, WORD = 8 };

const unsigned char TOKEN_CLASS[256] = {
    ['0' ... '9'] = TOKEN_PLAIN, ['a' ... 'z'] = TOKEN_PLAIN, ['A' ... 'Z'] = TOKEN_PLAIN,
    ['-'] = TOKEN_PLAIN,         ['_'] = TOKEN_UNDERSCORE,    ['!'] = TOKEN_ODD,
    ['#'] = TOKEN_ODD,           ['$'] = TOKEN_ODD,           ['%'] = TOKEN_ODD,
    ['&'] = TOKEN_ODD,           ['\''] = TOKEN_ODD,          ['*'] = TOKEN_ODD,
    ['+'] = TOKEN_ODD,           ['.'] = TOKEN_ODD,           ['^'] = TOKEN_ODD,
    ['`'] = TOKEN_ODD,           ['|'] = TOKEN_ODD,           ['~'] = TOKEN_ODD,
};

static const char NAMES[FIELD_COUNT][NAME_ROOM] = {
#define X(id, name) [FIELD_##id] = name,
    FIELDS(X)
#undef X
};

/* Which names have this many bytes; the rest of a row is FIELD_OTHER. A test proves that each
 * name of FIELDS stands in its row. */
static const unsigned char OF_SIZE[NAME_SIZE_MAX + 1][NAMES_OF_A_SIZE] = {
    [2] = { FIELD_TE },
    [3] = { FIELD_VIA },
    [4] = { FIELD_HOST, FIELD_DATE },
    [5] = { FIELD_RANGE, FIELD_DEPTH },
    [6] = { FIELD_ACCEPT, FIELD_COOKIE, FIELD_EXPECT },
    [7] = { FIELD_REFERER, FIELD_UPGRADE, FIELD_TRAILER },
    [8] = { FIELD_IF_RANGE, FIELD_IF_MATCH },
    [9] = { FIELD_X_REAL_IP, FIELD_FORWARDED, FIELD_OVERWRITE },
    [10] = { FIELD_USER_AGENT, FIELD_CONNECTION, FIELD_KEEP_ALIVE },
    [11] = { FIELD_DESTINATION },
    [12] = { FIELD_CONTENT_TYPE },
    [13] = { FIELD_IF_NONE_MATCH, FIELD_AUTHORIZATION },
    [14] = { FIELD_CONTENT_LENGTH },
    [15] = { FIELD_ACCEPT_ENCODING, FIELD_ACCEPT_LANGUAGE, FIELD_X_FORWARDED_FOR },
    [16] = { FIELD_PROXY_CONNECTION },
    [17] = { FIELD_TRANSFER_ENCODING, FIELD_IF_MODIFIED_SINCE },
    [19] = { FIELD_IF_UNMODIFIED_SINCE },
};

/* Eight bytes at once: upper case is folded where `name` has a letter, so that only the two
 * cases of that letter compare equal. ('-' has no bit 0x40, letters have.) */
static bool word_eq(const char *text, const char *name)
{
    uint64_t a, b;
    memcpy(&a, text, WORD);
    memcpy(&b, name, WORD);
    return (a | (b & UINT64_C(0x4040404040404040)) >> 1) == b;
}

static bool name_eq(struct slice text, const char *name)
{
    size_t i = 0;
    if (text.size < WORD) {
        while (i < text.size && byte_lower((unsigned char)text.at[i]) == (unsigned char)name[i])
            i++;
        return i == text.size;
    }
    for (; i + WORD < text.size; i += WORD)
        if (!word_eq(text.at + i, name + i))
            return false;
    return word_eq(text.at + text.size - WORD, name + text.size - WORD);
}

enum field_id field_from(struct slice name)
{
    if (name.size > NAME_SIZE_MAX)
        return FIELD_OTHER;
    const unsigned char *row = OF_SIZE[name.size];
    for (int i = 0; i < NAMES_OF_A_SIZE && row[i] != FIELD_OTHER; i++)
        if (name_eq(name, NAMES[row[i]]))
            return (enum field_id)row[i];
    return FIELD_OTHER;
}

struct slice field_text(enum field_id id)
{
    static const unsigned char SIZES[FIELD_COUNT] = {
#define X(id, name) [FIELD_##id] = sizeof name - 1,
        FIELDS(X)
#undef X
    };

    return slice_of(NAMES[id], SIZES[id]);
}

bool field_name_ok(struct slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if (token_class(name.at[i]) == 0)
            return false;
    return name.size > 0;
}

bool field_value_ok(struct slice value)
{
    return scan_ctl(value.at, value.size) == value.size;
}

/* Where the member that begins at s.at ends: at a ',' outside quotes, or at the end. */
static size_t member_end(struct slice s)
{
    bool quoted = false;
    for (size_t i = 0; i < s.size; i++) {
        if (s.at[i] == '"')
            quoted = !quoted;
        else if (quoted && s.at[i] == '\\' && i + 1 < s.size)
            i++;
        else if (!quoted && s.at[i] == ',')
            return i;
    }
    return s.size;
}

bool field_list_next(struct slice *rest, struct slice *member)
{
    while (rest->size > 0) {
        size_t end = member_end(*rest);
        *member = slice_trim(slice_head(*rest, end));
        *rest = slice_skip(*rest, end < rest->size ? end + 1 : end);
        if (member->size > 0)
            return true;
    }
    return false;
}
