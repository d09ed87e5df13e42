/* h2_frame.h - HTTP/2 frames (RFC 9113 §4, §6; RFC 9218 §7): heads and fixed payloads, read and
 * written. Pure functions of bytes; what a frame means in a connection is said in proto/.
 *
 *   struct h2_frame f;
 *   h2_frame_read(bytes, &f);                  H2_FRAME_HEAD bytes
 *   enum h2_error e = h2_frame_judge(&f, largest);
 */
#ifndef WIRE_H2_FRAME_H
#define WIRE_H2_FRAME_H

#include "base/slice.h"

#include <stdint.h>

enum { H2_FRAME_HEAD = 9, H2_PREFACE_SIZE = 24, H2_SETTING_SIZE = 6, H2_FRAME_MAX_LEAST = 16384 };

extern const char H2_PREFACE[H2_PREFACE_SIZE + 1];

enum h2_type {
    H2_DATA,
    H2_HEADERS,
    H2_PRIORITY,
    H2_RST_STREAM,
    H2_SETTINGS,
    H2_PUSH_PROMISE,
    H2_PING,
    H2_GOAWAY,
    H2_WINDOW_UPDATE,
    H2_CONTINUATION,
    H2_TYPE_COUNT,
    H2_PRIORITY_UPDATE = 0x10, /* RFC 9218 */
};

enum {
    H2_ACK = 0x1, /* SETTINGS, PING   */
    H2_END_STREAM = 0x1,
    H2_END_HEADERS = 0x4,
    H2_PADDED = 0x8,
    H2_WITH_PRIORITY = 0x20,
};

/* RFC 9113 §7; the words are those of the RFC. */
/* clang-format off */
#define H2_ERRORS(X) \
    X(NO_ERROR) X(PROTOCOL_ERROR) X(INTERNAL_ERROR) X(FLOW_CONTROL_ERROR) X(SETTINGS_TIMEOUT) \
    X(STREAM_CLOSED) X(FRAME_SIZE_ERROR) X(REFUSED_STREAM) X(CANCEL) X(COMPRESSION_ERROR) \
    X(CONNECT_ERROR) X(ENHANCE_YOUR_CALM) X(INADEQUATE_SECURITY) X(HTTP_1_1_REQUIRED)
/* clang-format on */

enum h2_error {
#define X(name) H2_##name,
    H2_ERRORS(X)
#undef X
        H2_ERROR_COUNT
};
const char *h2_error_name(enum h2_error);

enum h2_setting {
    H2_HEADER_TABLE_SIZE = 1,
    H2_ENABLE_PUSH = 2,
    H2_MAX_CONCURRENT_STREAMS = 3,
    H2_INITIAL_WINDOW_SIZE = 4,
    H2_MAX_FRAME_SIZE = 5,
    H2_MAX_HEADER_LIST_SIZE = 6,
    H2_ENABLE_CONNECT_PROTOCOL = 8, /* RFC 8441 */
    H2_NO_RFC7540_PRIORITIES = 9,   /* RFC 9218 */
};

enum { H2_WINDOW_MAX = 0x7fffffff, H2_WINDOW_FIRST = 65535, H2_STREAM_MAX = 0x7fffffff };

struct h2_frame {
    uint32_t size; /* of the payload           */
    uint32_t stream;
    uint8_t type, flags;
};

void h2_frame_read(const uint8_t at[H2_FRAME_HEAD], struct h2_frame *ret);

/* What can be said by the head alone: size and stream. NO_ERROR: go on; else the connection's
 * error. Types it does not know are fine. */
enum h2_error h2_frame_judge(const struct h2_frame *, uint32_t largest) MUST_USE;

/* Cuts padding and the old priority off a DATA or HEADERS payload. False: they are longer than
 * the payload (PROTOCOL_ERROR). *ret_depends: of a HEADERS frame with the flag; else 0. */
bool h2_payload_cut(const struct h2_frame *, struct slice *payload, uint32_t *ret_depends) MUST_USE;

static inline uint32_t h2_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* 31 bits: the highest is reserved. */
static inline uint32_t h2_u31(const uint8_t *at)
{
    return h2_u32(at) & 0x7fffffffu;
}

static inline uint8_t *h2_put_u32(uint8_t *at, uint32_t n)
{
    at[0] = (uint8_t)(n >> 24);
    at[1] = (uint8_t)(n >> 16);
    at[2] = (uint8_t)(n >> 8);
    at[3] = (uint8_t)n;
    return at + 4;
}

/* Writes a head; returns what is behind it. */
static inline uint8_t *h2_put_head(uint8_t *at, uint32_t size, enum h2_type type, unsigned flags,
                                   uint32_t stream)
{
    at[0] = (uint8_t)(size >> 16);
    at[1] = (uint8_t)(size >> 8);
    at[2] = (uint8_t)size;
    at[3] = (uint8_t)type;
    at[4] = (uint8_t)flags;
    return h2_put_u32(at + 5, stream);
}

static inline uint8_t *h2_put_setting(uint8_t *at, enum h2_setting id, uint32_t value)
{
    at[0] = (uint8_t)((unsigned)id >> 8);
    at[1] = (uint8_t)id;
    return h2_put_u32(at + 2, value);
}

/* A setting's value may be what it is: NO_ERROR, or the connection's error (RFC 9113 §6.5.2). */
enum h2_error h2_setting_judge(unsigned id, uint32_t value) MUST_USE;

#endif
