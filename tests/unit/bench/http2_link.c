/* http2_link.c - a scripted server of HTTP/2, and the connection that hears it. */
#include "unit/bench/http2_link.h"

#include <stdlib.h>

enum { BYTES_MAX = 1024 * 1024 };

/* ---- a server's bytes ----------------------------------------------------------------------- */

static struct {
    char at[BYTES_MAX];
    size_t size;
} said;
static size_t eaten;

void say(enum h2_type type, unsigned flags, uint32_t stream, const char *payload, size_t size)
{
    uint8_t *at = (uint8_t *)said.at + said.size;

    at = h2_put_head(at, (uint32_t)size, type, flags, stream);
    if (size > 0)
        memcpy(at, payload, size);
    said.size += H2_FRAME_HEAD + size;
}

void say_number(enum h2_type type, uint32_t stream, uint32_t number)
{
    uint8_t payload[4];

    h2_put_u32(payload, number);
    say(type, 0, stream, (const char *)payload, 4);
}

void say_setting(enum h2_setting id, uint32_t value)
{
    uint8_t payload[H2_SETTING_SIZE];

    h2_put_setting(payload, id, value);
    say(H2_SETTINGS, 0, 0, (const char *)payload, sizeof payload);
}

void say_goaway(uint32_t last, enum h2_error code)
{
    uint8_t payload[8];

    h2_put_u32(h2_put_u32(payload, last), code);
    say(H2_GOAWAY, 0, 0, (const char *)payload, sizeof payload);
}

void say_bytes(const char *at, size_t size)
{
    memcpy(said.at + said.size, at, size);
    said.size += size;
}

void say_anew(void)
{
    said.size = eaten = 0;
}

/* ---- a connection --------------------------------------------------------------------------- */

struct bench_plan plan;
struct bench_answer answer;

struct http2 *begin(const char *payload)
{
    plan = (struct bench_plan){ .protocol = &bench_http2,
                                .depth = DEPTH,
                                .keep_alive = true,
                                .method = METHOD_GET,
                                .block = SLICE("\x20\x82\x86\x84"),
                                .payload = slice_str(payload) };
    struct http2 *h = calloc(1, bench_http2.link_size(&plan));

    assert_true(bench_http2.begin(h, &plan));
    said.size = eaten = 0;
    return h;
}

void end(struct http2 *h)
{
    bench_http2.done(h);
    free(h);
}

enum bench_read hear_by(struct http2 *h, size_t step)
{
    enum bench_read verdict = BENCH_MORE;
    size_t taken;

    answer = (struct bench_answer){ 0 };
    do {
        size_t left = said.size - eaten, size = left < step ? left : step;

        verdict = bench_http2.read(h, SECOND, said.at + eaten, size, &taken, &answer);
        assert_true(taken <= size);
        eaten += taken;
    } while (verdict == BENCH_MORE && eaten < said.size);
    return verdict;
}

enum bench_read hear(struct http2 *h)
{
    return hear_by(h, BYTES_MAX);
}

struct h2_frame next_frame(struct slice *bytes, struct slice *payload)
{
    struct h2_frame f;

    assert_true(bytes->size >= H2_FRAME_HEAD);
    h2_frame_read((const uint8_t *)bytes->at, &f);
    *payload = slice_head(slice_skip(*bytes, H2_FRAME_HEAD), f.size);
    *bytes = slice_skip(*bytes, H2_FRAME_HEAD + f.size);
    return f;
}

void sends(struct slice *bytes, enum h2_type type, unsigned flags, uint32_t stream, size_t size)
{
    struct slice payload;
    struct h2_frame f = next_frame(bytes, &payload);

    assert_int_equal(f.type, type);
    assert_int_equal(f.flags, flags);
    assert_int_equal(f.stream, stream);
    assert_int_equal(f.size, size);
}

struct http2 *asked(const char *payload, unsigned count)
{
    struct http2 *h = begin(payload);

    SETTINGS_EMPTY;
    assert_int_equal(hear(h), BENCH_MORE);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(bench_http2.ask(h, SECOND), i);
    bench_http2.write(h);
    return h;
}
