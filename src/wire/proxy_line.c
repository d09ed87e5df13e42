/* proxy_line.c - the PROXY protocol's headers, read and written. */
#include "wire/proxy_line.h"

#include <arpa/inet.h>

static const char signature[12] = {
    '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'
};

enum { ADDRESS_TEXT_MAX = 46, SIZE_TCP4 = 12, SIZE_TCP6 = 36, SIZE_UNIX = 2 * PROXY_UNIX_SIZE };

/* What each family is called in either version. Datagrams are no connection: unknown. */
struct family {
    const char *word;
    uint8_t code; /* family and transport, a nibble each */
    uint16_t size;
    int inet; /* 0: not an internet family */
};

static const struct family families[] = {
    [PROXY_UNKNOWN] = { "UNKNOWN", 0x00, 0, 0 },
    [PROXY_TCP4] = { "TCP4", 0x11, SIZE_TCP4, AF_INET },
    [PROXY_TCP6] = { "TCP6", 0x21, SIZE_TCP6, AF_INET6 },
    [PROXY_UNIX] = { "UNKNOWN", 0x31, SIZE_UNIX, 0 },
};

static enum proxy_verdict bad(struct proxy_line *line, const char *why)
{
    line->why = why;
    return PROXY_BAD;
}

static uint16_t get_u16(const char *at)
{
    return (uint16_t)((uint8_t)at[0] << 8 | (uint8_t)at[1]);
}

static uint32_t get_u32(const char *at)
{
    return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}

static void put_u16(char *at, uint16_t n)
{
    at[0] = (char)(n >> 8);
    at[1] = (char)n;
}

static void put_u32(char *at, uint32_t n)
{
    put_u16(at, (uint16_t)(n >> 16));
    put_u16(at + 2, (uint16_t)n);
}

/* ---- version 1: a line of text --------------------------------------------------------- */

static bool read_ip(int inet, struct slice word, uint8_t ip[16])
{
    char text[ADDRESS_TEXT_MAX + 1];

    if (word.size > ADDRESS_TEXT_MAX || memchr(word.at, 0, word.size) != NULL)
        return false;
    memcpy(text, word.at, word.size);
    text[word.size] = 0;
    return inet_pton(inet, text, ip) == 1;
}

static bool read_port(struct slice word, uint16_t *ret)
{
    uint64_t n;

    if ((word.size > 1 && word.at[0] == '0') || !slice_to_u64(word, 65535, &n))
        return false;
    *ret = (uint16_t)n;
    return true;
}

static enum proxy_verdict read_words(struct slice rest, struct proxy_line *line)
{
    struct slice word = slice_cut(&rest, ' ');

    if (slice_eq(word, SLICE("UNKNOWN")))
        return PROXY_DONE; /* what follows on the line is to be ignored */
    if (slice_eq(word, SLICE("TCP4")))
        line->family = PROXY_TCP4;
    else if (slice_eq(word, SLICE("TCP6")))
        line->family = PROXY_TCP6;
    else
        return bad(line, "the family is not TCP4, TCP6 or UNKNOWN");
    int inet = families[line->family].inet;

    if (!read_ip(inet, slice_cut(&rest, ' '), line->source.ip) ||
        !read_ip(inet, slice_cut(&rest, ' '), line->target.ip))
        return bad(line, "an address is none of that family");
    if (!read_port(slice_cut(&rest, ' '), &line->source.port))
        return bad(line, "the source port is not a number up to 65535");
    if (!read_port(rest, &line->target.port)) /* all the rest: no word may follow */
        return bad(line, "the destination port is not a number up to 65535");
    return PROXY_DONE;
}

static enum proxy_verdict read_v1(struct slice bytes, struct proxy_line *line)
{
    struct slice text = slice_head(bytes, PROXY_V1_MAX), start = SLICE("PROXY ");
    size_t end = slice_find(text, '\n');

    line->version = 1;
    if (!slice_eq(slice_head(text, start.size), slice_head(start, text.size)))
        return bad(line, "it begins as neither version of the PROXY protocol");
    if (end == text.size)
        return text.size < PROXY_V1_MAX ? PROXY_MORE : bad(line, "no end of line in 107 bytes");
    if (text.at[end - 1] != '\r')
        return bad(line, "the line does not end with CR LF");
    line->size = end + 1;
    return read_words(slice_skip(slice_head(text, end - 1), start.size), line);
}

/* ---- version 2: binary ------------------------------------------------------------------- */

static struct slice read_path(const char *at)
{
    return slice_of(at, strnlen(at, PROXY_UNIX_SIZE));
}

static void read_addresses(const char *at, struct proxy_line *line)
{
    size_t size = line->family == PROXY_TCP4 ? 4 : 16;

    if (line->family == PROXY_UNIX) {
        line->source.path = read_path(at);
        line->target.path = read_path(at + PROXY_UNIX_SIZE);
        return;
    }
    memcpy(line->source.ip, at, size);
    memcpy(line->target.ip, at + size, size);
    line->source.port = get_u16(at + 2 * size);
    line->target.port = get_u16(at + 2 * size + 2);
}

static enum proxy_verdict check_tlvs(struct slice header, struct proxy_line *line)
{
    struct slice rest = line->tlvs, value;
    uint8_t type;

    while (proxy_tlv_next(&rest, &type, &value)) {
        if (type != PROXY_TLV_CRC32C)
            continue;
        if (value.size != 4)
            return bad(line, "the checksum has not 4 bytes");
        if (proxy_crc32c(header, (size_t)(value.at - header.at)) != get_u32(value.at))
            return bad(line, "the checksum is wrong");
    }
    return rest.size == 0 ? PROXY_DONE : bad(line, "a TLV is longer than what is left");
}

static enum proxy_verdict read_v2(struct slice bytes, struct proxy_line *line)
{
    line->version = 2;
    if (memcmp(bytes.at, signature, bytes.size < sizeof signature ? bytes.size : sizeof signature))
        return bad(line, "it begins as neither version of the PROXY protocol");
    if (bytes.size > 12 && (uint8_t)bytes.at[12] >> 4 != 2)
        return bad(line, "the binary header's version is not 2");
    if (bytes.size > 12 && (bytes.at[12] & 15) > 1)
        return bad(line, "the command is neither LOCAL nor PROXY");
    if (bytes.size < PROXY_V2_HEAD)
        return PROXY_MORE;
    size_t size = get_u16(bytes.at + 14);

    if (size > PROXY_BODY_MAX)
        return bad(line, "addresses and TLVs have over 4096 bytes");
    if (bytes.size < PROXY_V2_HEAD + size)
        return PROXY_MORE;
    struct slice header = slice_head(bytes, PROXY_V2_HEAD + size);

    line->size = header.size;
    line->local = (header.at[12] & 15) == 0;
    if (line->local)
        return PROXY_DONE;
    for (unsigned f = PROXY_TCP4; f <= PROXY_UNIX; f++)
        if (families[f].code == (uint8_t)header.at[13])
            line->family = (enum proxy_family)f;
    if (line->family == PROXY_UNKNOWN)
        return PROXY_DONE; /* how long its addresses are is not known either */
    if (size < families[line->family].size)
        return bad(line, "it is too short for its family's addresses");
    read_addresses(header.at + PROXY_V2_HEAD, line);
    line->tlvs = slice_skip(header, PROXY_V2_HEAD + families[line->family].size);
    return check_tlvs(header, line);
}

enum proxy_verdict proxy_line_read(struct slice bytes, struct proxy_line *ret)
{
    *ret = (struct proxy_line){ 0 };
    if (bytes.size == 0)
        return PROXY_MORE;
    return bytes.at[0] == signature[0] ? read_v2(bytes, ret) : read_v1(bytes, ret);
}

/* ---- TLVs -------------------------------------------------------------------------------- */

bool proxy_tlv_next(struct slice *tlvs, uint8_t *ret_type, struct slice *ret_value)
{
    if (tlvs->size < 3)
        return false;
    size_t size = get_u16(tlvs->at + 1);

    if (size > tlvs->size - 3)
        return false;
    *ret_type = (uint8_t)tlvs->at[0];
    *ret_value = slice_of(tlvs->at + 3, size);
    *tlvs = slice_skip(*tlvs, 3 + size);
    return true;
}

struct slice proxy_tlv_find(struct slice tlvs, uint8_t type)
{
    struct slice value;
    uint8_t found;

    while (proxy_tlv_next(&tlvs, &found, &value))
        if (found == type)
            return value;
    return (struct slice){ 0 };
}

bool proxy_tlv_ssl(struct slice value, struct slice *ret_tlvs, uint32_t *ret_verify)
{
    if (value.size < 5)
        return false;
    *ret_verify = get_u32(value.at + 1); /* behind a byte of flags */
    *ret_tlvs = slice_skip(value, 5);
    return true;
}

uint32_t proxy_crc32c(struct slice bytes, size_t hole)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= i >= hole && i - hole < 4 ? 0 : (uint8_t)bytes.at[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
    }
    return ~crc;
}

/* ---- written ----------------------------------------------------------------------------- */

static void write_ip(struct gather *g, int inet, const uint8_t ip[16])
{
    char text[ADDRESS_TEXT_MAX + 1];

    gather_byte(g, ' ');
    gather_str(g, inet_ntop(inet, ip, text, sizeof text));
}

bool proxy_line_write_v1(struct gather *g, const struct proxy_line *line)
{
    const struct family *f = &families[line->local ? PROXY_UNKNOWN : line->family];

    gather_lit(g, "PROXY ");
    gather_str(g, f->word);
    if (f->inet != 0) {
        write_ip(g, f->inet, line->source.ip);
        write_ip(g, f->inet, line->target.ip);
        gather_printf(g, " %u %u", line->source.port, line->target.port);
    }
    gather_lit(g, "\r\n");
    return !g->full;
}

static void write_path(char *at, struct slice path)
{
    if (path.size > 0)
        memcpy(at, path.at, path.size < PROXY_UNIX_SIZE ? path.size : PROXY_UNIX_SIZE);
}

static void write_addresses(char *at, const struct proxy_line *line)
{
    size_t size = line->family == PROXY_TCP4 ? 4 : 16;

    if (line->family == PROXY_UNIX) {
        write_path(at, line->source.path);
        write_path(at + PROXY_UNIX_SIZE, line->target.path);
        return;
    }
    memcpy(at, line->source.ip, size);
    memcpy(at + size, line->target.ip, size);
    put_u16(at + 2 * size, line->source.port);
    put_u16(at + 2 * size + 2, line->target.port);
}

bool proxy_line_write_v2(struct gather *g, const struct proxy_line *line, bool checksum)
{
    static const char no_checksum[7] = { PROXY_TLV_CRC32C, 0, 4 };
    const struct family *f = &families[line->local ? PROXY_UNKNOWN : line->family];
    bool bare = f->size == 0; /* a reader could not tell where TLVs begin */
    size_t start = g->used, sum = checksum && !bare ? sizeof no_checksum : 0;
    size_t size = f->size + (bare ? 0 : line->tlvs.size) + sum;
    char head[PROXY_V2_HEAD + SIZE_UNIX] = { 0 };

    if (size > PROXY_BODY_MAX)
        return false;
    memcpy(head, signature, sizeof signature);
    head[12] = line->local ? 0x20 : 0x21;
    head[13] = (char)f->code;
    put_u16(head + 14, (uint16_t)size);
    if (!bare)
        write_addresses(head + PROXY_V2_HEAD, line);
    gather_bytes(g, head, PROXY_V2_HEAD + f->size);
    if (!bare)
        gather_slice(g, line->tlvs);
    gather_bytes(g, no_checksum, sum);
    if (sum > 0 && !g->full) {
        struct slice header = slice_of(g->at + start, g->used - start);

        put_u32(g->at + g->used - 4, proxy_crc32c(header, header.size - 4));
    }
    return !g->full;
}
