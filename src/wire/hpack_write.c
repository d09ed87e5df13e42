/* hpack_write.c - literal fields without indexing (RFC 7541 §6.2.2), strings without Huffman. */
#include "wire/hpack_write.h"

#include "wire/field.h"
#include "wire/h1_write.h"

enum { INTEGER_MAX = 6, STATUS_NAME = 8 };

static uint8_t *put_integer(uint8_t *at, unsigned prefix_bits, unsigned first, size_t n)
{
    size_t most = (1u << prefix_bits) - 1;

    if (n < most) {
        *at++ = (uint8_t)(first | n);
        return at;
    }
    *at++ = (uint8_t)(first | most);
    for (n -= most; n >= 128; n >>= 7)
        *at++ = (uint8_t)(n | 128);
    *at++ = (uint8_t)n;
    return at;
}

static uint8_t *put_bytes(uint8_t *at, struct slice s)
{
    at = put_integer(at, 7, 0, s.size);
    if (s.size > 0)
        memcpy(at, s.at, s.size);
    return at + s.size;
}

void hpack_status(struct gather *g, unsigned status)
{
    /* indexed, where the static table has it whole */
    static const struct {
        uint16_t status;
        uint8_t index;
    } WHOLE[] = { { 200, 8 },  { 204, 9 },  { 206, 10 }, { 304, 11 },
                  { 400, 12 }, { 404, 13 }, { 500, 14 } };

    for (size_t i = 0; i < COUNT_OF(WHOLE); i++) {
        if (WHOLE[i].status != status)
            continue;
        gather_byte(g, (char)(0x80 | WHOLE[i].index));
        return;
    }
    gather_byte(g, STATUS_NAME);
    gather_byte(g, 3);
    gather_u64(g, status);
}

void hpack_own(struct gather *g, enum hpack_name name, struct slice value)
{
    if (!gather_room(g, 2 * INTEGER_MAX + value.size))
        return;
    uint8_t *from = (uint8_t *)g->at + g->used;
    uint8_t *at = put_bytes(put_integer(from, 4, 0, name), value);

    g->used += (size_t)(at - from);
}

bool hpack_known(struct gather *g, enum hpack_name name, struct slice value)
{
    if (!h1_value_safe(value))
        return false;
    hpack_own(g, name, value);
    return true;
}

/* Names that have a place in the static table, by size. */
static const struct known {
    struct slice name;
    uint8_t index;
} KNOWN[] = {
    { { "age", 3 }, 21 },
    { { "link", 4 }, 45 },
    { { "vary", 4 }, 59 },
    { { "allow", 5 }, 22 },
    { { "expires", 7 }, 36 },
    { { "refresh", 7 }, 52 },
    { { "set-cookie", 10 }, 55 },
    { { "retry-after", 11 }, 53 },
    { { "cache-control", 13 }, 24 },
    { { "content-range", 13 }, 30 },
    { { "content-encoding", 16 }, 26 },
    { { "content-language", 16 }, 27 },
    { { "www-authenticate", 16 }, 61 },
    { { "content-disposition", 19 }, 25 },
    { { "strict-transport-security", 25 }, 56 },
    { { "access-control-allow-origin", 27 }, 20 },
};

static unsigned static_index(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(KNOWN) && KNOWN[i].name.size <= name.size; i++)
        if (KNOWN[i].name.size == name.size && slice_eq_nocase(name, KNOWN[i].name))
            return KNOWN[i].index;
    return 0;
}

bool hpack_field(struct gather *g, struct slice name, struct slice value)
{
    unsigned index;

    value = slice_trim(value); /* blanks around it are an error here (RFC 9113 §8.2.1) */
    if (!field_name_ok(name) || !h1_value_safe(value))
        return false;
    if (!gather_room(g, 3 * INTEGER_MAX + name.size + value.size))
        return true;
    index = static_index(name);
    uint8_t *from = (uint8_t *)g->at + g->used, *at = put_integer(from, 4, 0, index);

    if (index == 0) {
        at = put_integer(at, 7, 0, name.size);
        for (size_t i = 0; i < name.size; i++)
            *at++ = byte_lower((unsigned char)name.at[i]);
    }
    at = put_bytes(at, value);
    g->used += (size_t)(at - from);
    return true;
}
