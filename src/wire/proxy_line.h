/* proxy_line.h - the PROXY protocol, versions 1 and 2: who a connection really comes from, told by
 * a load balancer in front of the connection's first bytes (the specification: proxy-protocol.txt,
 * published with HAProxy).
 *
 *   struct proxy_line line;
 *   switch (proxy_line_read(bytes, &line)) {
 *   case PROXY_MORE: …wait for bytes, and come again with all of them
 *   case PROXY_DONE: line.size bytes were the header; line.source, line.tlvs are there
 *   case PROXY_BAD:  line.why says why: nothing that follows can be trusted
 *   }
 *
 * Pure functions of their bytes. Strict where a mistake could change who is believed: one blank
 * between the words of version 1, ports without leading zeros, CRLF; TLVs that fill the header
 * exactly; a checksum that is right, if there is one.
 */
#ifndef WIRE_PROXY_LINE_H
#define WIRE_PROXY_LINE_H

#include "base/gather.h"

enum {
    PROXY_V1_MAX = 107,    /* bytes of a header of version 1, with its CRLF    */
    PROXY_V2_HEAD = 16,    /* before the addresses of version 2                */
    PROXY_BODY_MAX = 4096, /* addresses and TLVs of version 2                  */
    PROXY_LINE_MAX = PROXY_V2_HEAD + PROXY_BODY_MAX,
    PROXY_UNIX_SIZE = 108, /* a path of version 2, filled up with NULs         */
};

/* PROXY_UNKNOWN: no addresses were told, or in a family that is neither of the others (datagrams
 * too): the connection's own count. */
enum proxy_family { PROXY_UNKNOWN, PROXY_TCP4, PROXY_TCP6, PROXY_UNIX };

enum proxy_verdict { PROXY_MORE, PROXY_DONE, PROXY_BAD };

/* What a TLV is about (§2.2). */
enum proxy_tlv {
    PROXY_TLV_ALPN = 0x01,
    PROXY_TLV_AUTHORITY = 0x02,
    PROXY_TLV_CRC32C = 0x03,
    PROXY_TLV_NOOP = 0x04,
    PROXY_TLV_UNIQUE_ID = 0x05,
    PROXY_TLV_SSL = 0x20,
    PROXY_TLV_SSL_VERSION = 0x21, /* these are inside PROXY_TLV_SSL */
    PROXY_TLV_SSL_CN = 0x22,
    PROXY_TLV_SSL_CIPHER = 0x23,
    PROXY_TLV_SSL_SIG_ALG = 0x24,
    PROXY_TLV_SSL_KEY_ALG = 0x25,
    PROXY_TLV_NETNS = 0x30,
};

struct proxy_end {
    uint8_t ip[16];    /* network order; IPv4 in the first four bytes */
    uint16_t port;     /* host order                                  */
    struct slice path; /* PROXY_UNIX: without the NULs behind it      */
};

struct proxy_line {
    uint8_t version; /* 1 or 2                                                     */
    bool local;      /* the balancer itself connects (a health check): no addresses */
    enum proxy_family family;
    struct proxy_end source, target;
    struct slice tlvs; /* whole and well formed: proxy_tlv_next(). Borrowed.         */
    size_t size;       /* of the header                                              */
    const char *why;   /* when PROXY_BAD: static text for the log                    */
};

/* Reads the header at the front of `bytes` (borrowed, as the slices in *ret). PROXY_MORE only
 * while what is there may still become one, and never with PROXY_LINE_MAX bytes. */
enum proxy_verdict proxy_line_read(struct slice bytes, struct proxy_line *ret);

/* Takes one TLV off the front of *tlvs. False: none is left, or what is left is no TLV (then
 * tlvs->size is not 0). */
bool proxy_tlv_next(struct slice *tlvs, uint8_t *ret_type, struct slice *ret_value);

/* The first TLV of that type; at == NULL: there is none. */
struct slice proxy_tlv_find(struct slice tlvs, uint8_t type);

/* PROXY_TLV_SSL's value (§2.2.6) is taken apart: the TLVs inside it, and what the balancer says of
 * the client's certificate (0: there is one and it was verified). False: too short for that. */
bool proxy_tlv_ssl(struct slice value, struct slice *ret_tlvs, uint32_t *ret_verify);

/* Write a header of that version for line's local, family, source and target (UNIX is written as
 * UNKNOWN by version 1, which has no word for it). False: no room in the gather. */
bool proxy_line_write_v1(struct gather *, const struct proxy_line *);
/* … and line's tlvs behind them, and a checksum if one is wanted; neither without addresses, for a
 * reader could not tell where they begin. False also when all is over PROXY_BODY_MAX. */
bool proxy_line_write_v2(struct gather *, const struct proxy_line *, bool checksum);

/* CRC-32C (RFC 3720 appendix B.4) of bytes; the four bytes from `hole` on count as zeros, if
 * it is within them. */
uint32_t proxy_crc32c(struct slice bytes, size_t hole);

#endif
