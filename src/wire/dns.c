/* dns.c - DNS messages, written and read. */
#include "wire/dns.h"

enum {
    HEADER_SIZE = 12,
    LABEL_MAX = 63,
    POINTER = 0xc0,
    CLASS_IN = 1,
    TYPE_OPT = 41,
    FLAG_RESPONSE = 0x8000,
    FLAG_TRUNCATED = 0x0200,
    FLAG_RECURSION = 0x0100,
    OPCODE = 0x7800,
};

/* ---- writing ------------------------------------------------------------------------------- */

static uint8_t *put16(uint8_t *at, unsigned value)
{
    *at++ = (uint8_t)(value >> 8);
    *at++ = (uint8_t)value;
    return at;
}

/* NULL: it is no name. A dot at the end means nothing. */
static uint8_t *put_name(uint8_t *at, struct slice name)
{
    if (slice_ends(name, SLICE(".")))
        name.size--;
    if (name.size == 0 || name.size > DNS_NAME_MAX || name.at[name.size - 1] == '.')
        return NULL;
    while (name.size > 0) {
        struct slice label = slice_cut(&name, '.');

        if (label.size == 0 || label.size > LABEL_MAX)
            return NULL;
        *at++ = (uint8_t)label.size;
        memcpy(at, label.at, label.size);
        at += label.size;
    }
    *at++ = 0;
    return at;
}

size_t dns_write_query(uint8_t into[DNS_QUERY_MAX], uint16_t id, struct slice name,
                       enum dns_type type, bool room)
{
    uint8_t *at = into;

    at = put16(at, id);
    at = put16(at, FLAG_RECURSION);
    at = put16(at, 1); /* questions */
    at = put16(at, 0);
    at = put16(at, 0);
    at = put16(at, room); /* additional: RFC 6891 §6.1.2 */
    at = put_name(at, name);
    if (at == NULL)
        return 0;
    at = put16(at, type);
    at = put16(at, CLASS_IN);
    if (!room)
        return (size_t)(at - into);
    *at++ = 0; /* the root */
    at = put16(at, TYPE_OPT);
    at = put16(at, DNS_UDP_MAX);
    at = put16(at, 0);
    at = put16(at, 0);
    at = put16(at, 0);
    return (size_t)(at - into);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* False, and broken, when the message has not so many bytes left. */
static bool has(struct dns_message *m, size_t size)
{
    if (m->size - m->at >= size)
        return true;
    m->broken = true;
    return false;
}

static unsigned get16(struct dns_message *m)
{
    unsigned value = (unsigned)m->bytes[m->at] << 8 | m->bytes[m->at + 1];

    m->at += 2;
    return value;
}

static uint32_t get32(struct dns_message *m)
{
    uint32_t high = get16(m);

    return high << 16 | get16(m);
}

/* What could not be told from another name as text is refused: a dot or a NUL in a label. */
static bool add_label(struct dns_name *n, const uint8_t *at, size_t size)
{
    if (n->size + (n->size > 0) + size > DNS_NAME_MAX)
        return false;
    if (n->size > 0)
        n->text[n->size++] = '.';
    for (size_t i = 0; i < size; i++) {
        if (at[i] == '.' || at[i] == '\0')
            return false;
        n->text[n->size++] = (char)byte_lower(at[i]);
    }
    return true;
}

/* The name at *place, which moves behind it. */
static bool read_name_at(const struct dns_message *m, size_t *place, struct dns_name *n)
{
    size_t at = *place, before = *place;
    unsigned jumps = 0;

    for (n->size = 0; at < m->size;) {
        unsigned size = m->bytes[at++];

        if (size == 0) {
            if (jumps == 0)
                *place = at;
            return true;
        }
        if ((size & POINTER) == POINTER) {
            if (at == m->size || ++jumps > DNS_JUMPS_MAX)
                return false;
            if (jumps == 1)
                *place = at + 1;
            at = (size & ~(unsigned)POINTER) << 8 | m->bytes[at];
            if (at >= before)
                return false;
            before = at;
            continue;
        }
        if (size > LABEL_MAX || m->size - at < size || !add_label(n, m->bytes + at, size))
            return false;
        at += size;
    }
    return false;
}

static bool read_name(struct dns_message *m, struct dns_name *n)
{
    if (read_name_at(m, &m->at, n))
        return true;
    m->broken = true;
    return false;
}

bool dns_open(struct dns_message *m, const uint8_t *bytes, size_t size)
{
    unsigned flags;

    *m = (struct dns_message){ .bytes = bytes, .size = size };
    if (!has(m, HEADER_SIZE))
        return false;
    m->id = (uint16_t)get16(m);
    flags = get16(m);
    m->response = (flags & FLAG_RESPONSE) != 0;
    m->truncated = (flags & FLAG_TRUNCATED) != 0;
    m->rcode = flags & 15;
    m->questions = (uint16_t)get16(m);
    m->answers = (uint16_t)get16(m);
    m->at = HEADER_SIZE;
    if ((flags & OPCODE) != 0 || m->questions != 1 || !read_name(m, &m->question) || !has(m, 4))
        return false;
    m->question_type = (uint16_t)get16(m);
    return get16(m) == CLASS_IN;
}

bool dns_answers(const struct dns_message *m, struct slice name, enum dns_type type)
{
    if (slice_ends(name, SLICE(".")))
        name.size--;
    return m->response && m->question_type == type &&
           slice_eq_nocase(dns_name_text(&m->question), name);
}

static bool read_ip(struct dns_message *m, struct dns_record *r, size_t size)
{
    size_t expected = r->type == DNS_A ? 4 : 16;

    memcpy(r->ip, m->bytes + m->at, size == expected ? size : 0);
    return size == expected;
}

static bool read_target(struct dns_message *m, struct dns_record *r, size_t end)
{
    return read_name(m, &r->target) && m->at == end;
}

static bool read_service(struct dns_message *m, struct dns_record *r, size_t end)
{
    if (end - m->at < 6)
        return false;
    r->priority = (uint16_t)get16(m);
    r->weight = (uint16_t)get16(m);
    r->port = (uint16_t)get16(m);
    return read_target(m, r, end);
}

static bool read_data(struct dns_message *m, struct dns_record *r, size_t end)
{
    switch (r->type) {
    case DNS_A:
    case DNS_AAAA:
        return read_ip(m, r, end - m->at);
    case DNS_CNAME:
        return read_target(m, r, end);
    case DNS_SRV:
        return read_service(m, r, end);
    default:
        return true; /* RRSIG and whatever comes along */
    }
}

bool dns_next(struct dns_message *m, struct dns_record *r)
{
    while (m->answers > 0 && !m->broken) {
        unsigned class;
        size_t end;

        m->answers--;
        *r = (struct dns_record){ 0 };
        if (!read_name(m, &r->name) || !has(m, 10))
            return false;
        r->type = (uint16_t)get16(m);
        class = get16(m);
        r->ttl_s = get32(m);
        end = get16(m);
        if (!has(m, end))
            return false;
        end += m->at;
        if (class == CLASS_IN && !read_data(m, r, end)) {
            m->broken = true;
            return false;
        }
        m->at = end;
        if (class == CLASS_IN)
            return true;
    }
    return false;
}
