/* h2_frame.c - what the head of an HTTP/2 frame says, and what it may not say. */
#include "wire/h2_frame.h"

const char H2_PREFACE[H2_PREFACE_SIZE + 1] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static const char *const NAMES[H2_ERROR_COUNT] = {
#define X(name) [H2_##name] = #name,
    H2_ERRORS(X)
#undef X
};

const char *h2_error_name(enum h2_error e)
{
    return (unsigned)e < H2_ERROR_COUNT ? NAMES[e] : "an unknown error";
}

void h2_frame_read(const uint8_t at[H2_FRAME_HEAD], struct h2_frame *ret)
{
    ret->size = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
    ret->type = at[3];
    ret->flags = at[4];
    ret->stream = h2_u31(at + 5);
}

/* Which payload a type has: exactly `size` bytes, at least `least`, or a multiple; and whether it
 * belongs to a stream or to the connection. */
struct shape {
    enum { ANY, STREAM, CONNECTION } of;
    uint32_t least, most, multiple;
};

static const struct shape SHAPES[H2_TYPE_COUNT] = {
    [H2_DATA] = { STREAM, 0, UINT32_MAX, 1 },
    [H2_HEADERS] = { STREAM, 0, UINT32_MAX, 1 },
    [H2_PRIORITY] = { STREAM, 5, 5, 1 },
    [H2_RST_STREAM] = { STREAM, 4, 4, 1 },
    [H2_SETTINGS] = { CONNECTION, 0, UINT32_MAX, H2_SETTING_SIZE },
    [H2_PUSH_PROMISE] = { STREAM, 4, UINT32_MAX, 1 },
    [H2_PING] = { CONNECTION, 8, 8, 1 },
    [H2_GOAWAY] = { CONNECTION, 8, UINT32_MAX, 1 },
    [H2_WINDOW_UPDATE] = { ANY, 4, 4, 1 },
    [H2_CONTINUATION] = { STREAM, 0, UINT32_MAX, 1 },
};

static const struct shape UPDATE_SHAPE = { CONNECTION, 4, UINT32_MAX, 1 };

enum h2_error h2_frame_judge(const struct h2_frame *f, uint32_t largest)
{
    const struct shape *s = f->type < H2_TYPE_COUNT         ? &SHAPES[f->type]
                            : f->type == H2_PRIORITY_UPDATE ? &UPDATE_SHAPE
                                                            : NULL;

    if (f->size > largest)
        return H2_FRAME_SIZE_ERROR;
    if (s == NULL)
        return H2_NO_ERROR;
    if ((s->of == STREAM && f->stream == 0) || (s->of == CONNECTION && f->stream != 0))
        return H2_PROTOCOL_ERROR;
    if (f->size < s->least || f->size > s->most || f->size % s->multiple != 0)
        return H2_FRAME_SIZE_ERROR;
    if (f->type == H2_SETTINGS && (f->flags & H2_ACK) && f->size > 0)
        return H2_FRAME_SIZE_ERROR;
    return H2_NO_ERROR;
}

bool h2_payload_cut(const struct h2_frame *f, struct slice *payload, uint32_t *ret_depends)
{
    uint8_t padding = 0;

    *ret_depends = 0;
    if (f->flags & H2_PADDED) {
        if (payload->size < 1)
            return false;
        padding = (uint8_t)payload->at[0];
        *payload = slice_skip(*payload, 1);
    }
    if (f->type == H2_HEADERS && (f->flags & H2_WITH_PRIORITY)) {
        if (payload->size < 5)
            return false;
        *ret_depends = h2_u31((const uint8_t *)payload->at);
        *payload = slice_skip(*payload, 5);
    }
    if (padding > payload->size)
        return false;
    payload->size -= padding;
    return true;
}

enum h2_error h2_setting_judge(unsigned id, uint32_t value)
{
    switch (id) {
    case H2_ENABLE_PUSH:
    case H2_ENABLE_CONNECT_PROTOCOL:
    case H2_NO_RFC7540_PRIORITIES:
        return value <= 1 ? H2_NO_ERROR : H2_PROTOCOL_ERROR;
    case H2_INITIAL_WINDOW_SIZE:
        return value <= H2_WINDOW_MAX ? H2_NO_ERROR : H2_FLOW_CONTROL_ERROR;
    case H2_MAX_FRAME_SIZE:
        return value >= H2_FRAME_MAX_LEAST && value <= 0xffffff ? H2_NO_ERROR : H2_PROTOCOL_ERROR;
    default:
        return H2_NO_ERROR;
    }
}
