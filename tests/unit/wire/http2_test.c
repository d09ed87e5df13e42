/* http2_test.c - frames, header blocks both ways, and priorities. */
#include "unit/base/base_test.h"

#include "wire/h2_frame.h"
#include "wire/h2_headers.h"
#include "wire/hpack_write.h"
#include "wire/priority.h"

#include <nghttp2/nghttp2.h>

static const struct h1_limits LIMITS = {
    .line_max = 8192, .head_max = 32768, .fields_max = 100, .ignore_invalid = true
};

/* ---- frames ----------------------------------------------------------------------------- */

static void a_head_is_what_was_written(void **state)
{
    uint8_t bytes[H2_FRAME_HEAD];
    struct h2_frame f;

    (void)state;
    assert_ptr_equal(h2_put_head(bytes, 0x123456, H2_PING, 0xa5, 0x7fffffff), bytes + 9);
    h2_frame_read(bytes, &f);
    assert_int_equal(f.size, 0x123456);
    assert_int_equal(f.type, H2_PING);
    assert_int_equal(f.flags, 0xa5);
    assert_int_equal(f.stream, 0x7fffffff);
    bytes[5] |= 0x80; /* reserved */
    h2_frame_read(bytes, &f);
    assert_int_equal(f.stream, 0x7fffffff);
}

static void heads_are_judged(void **state)
{
    static const struct {
        struct h2_frame f;
        enum h2_error e;
    } CASES[] = {
        { { 16384, 1, H2_DATA, 0 }, H2_NO_ERROR },
        { { 16385, 1, H2_DATA, 0 }, H2_FRAME_SIZE_ERROR },
        { { 0, 0, H2_DATA, 0 }, H2_PROTOCOL_ERROR },
        { { 5, 1, H2_PRIORITY, 0 }, H2_NO_ERROR },
        { { 4, 1, H2_PRIORITY, 0 }, H2_FRAME_SIZE_ERROR },
        { { 4, 1, H2_RST_STREAM, 0 }, H2_NO_ERROR },
        { { 12, 0, H2_SETTINGS, 0 }, H2_NO_ERROR },
        { { 13, 0, H2_SETTINGS, 0 }, H2_FRAME_SIZE_ERROR },
        { { 6, 0, H2_SETTINGS, H2_ACK }, H2_FRAME_SIZE_ERROR },
        { { 6, 1, H2_SETTINGS, 0 }, H2_PROTOCOL_ERROR },
        { { 8, 0, H2_PING, 0 }, H2_NO_ERROR },
        { { 8, 3, H2_PING, 0 }, H2_PROTOCOL_ERROR },
        { { 4, 0, H2_WINDOW_UPDATE, 0 }, H2_NO_ERROR },
        { { 4, 9, H2_WINDOW_UPDATE, 0 }, H2_NO_ERROR },
        { { 3, 9, H2_WINDOW_UPDATE, 0 }, H2_FRAME_SIZE_ERROR },
        { { 4, 0, H2_PRIORITY_UPDATE, 0 }, H2_NO_ERROR },
        { { 4, 1, H2_PRIORITY_UPDATE, 0 }, H2_PROTOCOL_ERROR },
        { { 7, 0, H2_GOAWAY, 0 }, H2_FRAME_SIZE_ERROR },
        { { 7, 0, 0x77, 0 }, H2_NO_ERROR },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++)
        assert_int_equal(h2_frame_judge(&CASES[i].f, H2_FRAME_MAX_LEAST), CASES[i].e);
}

static void payloads_are_cut(void **state)
{
    static const char bytes[] = "\2\0\0\0\5\20ab\0\0";
    struct h2_frame f = { 10, 1, H2_HEADERS, H2_PADDED | H2_WITH_PRIORITY };
    struct slice payload = slice_of(bytes, 10);
    uint32_t depends;

    (void)state;
    assert_true(h2_payload_cut(&f, &payload, &depends));
    assert_true(slice_eq(payload, SLICE("ab")));
    assert_int_equal(depends, 5);
    payload = slice_of(bytes, 7); /* one byte, and two of padding */
    assert_false(h2_payload_cut(&f, &payload, &depends));
    payload = slice_of(bytes, 0);
    assert_false(h2_payload_cut(&f, &payload, &depends));
    f.flags = 0;
    payload = slice_of(bytes, 10);
    assert_true(h2_payload_cut(&f, &payload, &depends) && payload.size == 10);
}

static void settings_are_judged(void **state)
{
    (void)state;
    assert_int_equal(h2_setting_judge(H2_ENABLE_PUSH, 1), H2_NO_ERROR);
    assert_int_equal(h2_setting_judge(H2_ENABLE_PUSH, 2), H2_PROTOCOL_ERROR);
    assert_int_equal(h2_setting_judge(H2_INITIAL_WINDOW_SIZE, 0x7fffffff), H2_NO_ERROR);
    assert_int_equal(h2_setting_judge(H2_INITIAL_WINDOW_SIZE, 0x80000000), H2_FLOW_CONTROL_ERROR);
    assert_int_equal(h2_setting_judge(H2_MAX_FRAME_SIZE, 16383), H2_PROTOCOL_ERROR);
    assert_int_equal(h2_setting_judge(H2_MAX_FRAME_SIZE, 16777215), H2_NO_ERROR);
    assert_int_equal(h2_setting_judge(0x4a4a, 7), H2_NO_ERROR);
    assert_string_equal(h2_error_name(H2_ENHANCE_YOUR_CALM), "ENHANCE_YOUR_CALM");
    assert_string_equal(h2_error_name((enum h2_error)99), "an unknown error");
}

/* ---- blocks that come in ------------------------------------------------------------------ */

struct pair {
    const char *name, *value;
};

static enum h2_block_verdict read_block(struct h2_headers *b, struct h1_head *h, struct arena *a,
                                        const struct pair *pairs, bool ended)
{
    h2_headers_begin(b, H2_REQUEST, h, &LIMITS, a);
    for (; pairs->name != NULL; pairs++)
        assert_true(h2_headers_add(b, slice_str(pairs->name), slice_str(pairs->value)));
    return h2_headers_end(b, ended, SLICE("AAAAAAAAAAAAAAAAAAAAAA=="));
}

#define GET                                       \
    { ":method", "GET" }, { ":scheme", "https" }, \
    {                                             \
        ":path", "/a?b=c"                         \
    }
#define END        \
    {              \
        NULL, NULL \
    }

static void a_request_is_read(void **state)
{
    static const struct pair pairs[] = { GET,
                                         { ":authority", "a.test:8443" },
                                         { "cookie", "a=1" },
                                         { "x-y", "z" },
                                         { "cookie", "b=2" },
                                         END };
    struct arena arena;
    struct h2_headers b;
    struct h1_head h;

    (void)state;
    arena_init(&arena, NULL, 0, 4096, SIZE_MAX);
    assert_int_equal(read_block(&b, &h, &arena, pairs, true), H2_BLOCK_DONE);
    assert_int_equal(h.method, METHOD_GET);
    assert_true(slice_eq(h.path, SLICE("/a")) && slice_eq(h.args, SLICE("b=c")));
    assert_true(slice_eq(h.line, SLICE("GET /a?b=c HTTP/2.0")));
    assert_true(slice_eq(h.host, SLICE("a.test")) && h.host_port == 8443);
    assert_true(slice_eq(h.known[FIELD_HOST]->value, SLICE("a.test:8443")));
    assert_true(slice_eq(h.known[FIELD_COOKIE]->value, SLICE("a=1; b=2")));
    assert_int_equal(h.field_count, 3);
    assert_true(h.keep_alive && !h.chunked && !h.has_length);
    assert_int_equal(read_block(&b, &h, &arena, pairs, false), H2_BLOCK_DONE);
    assert_true(h.chunked); /* a body of unknown length */
    arena_done(&arena);
}

static void a_websocket_becomes_an_upgrade(void **state)
{
    static const struct pair pairs[] = { { ":method", "CONNECT" }, { ":protocol", "websocket" },
                                         { ":scheme", "http" },    { ":path", "/chat" },
                                         { ":authority", "a" },    END };
    struct arena arena;
    struct h2_headers b;
    struct h1_head h;

    (void)state;
    arena_init(&arena, NULL, 0, 4096, SIZE_MAX);
    assert_int_equal(read_block(&b, &h, &arena, pairs, false), H2_BLOCK_DONE);
    assert_int_equal(h.method, METHOD_GET);
    assert_true(slice_eq(h.method_text, SLICE("GET")) && h.upgrade && !h.chunked);
    assert_true(slice_eq(h.line, SLICE("CONNECT /chat HTTP/2.0")));
    assert_true(slice_eq(h.known[FIELD_UPGRADE]->value, SLICE("websocket")));
    arena_done(&arena);
}

static void verdicts_on_requests(void **state)
{
    static const struct {
        enum h2_block_verdict verdict;
        unsigned status;
        struct pair pairs[8];
    } CASES[] = {
        { H2_BLOCK_REFUSED, 400, { GET, END } },
        { H2_BLOCK_REFUSED, 400, { GET, { ":authority", "a b" }, END } },
        { H2_BLOCK_REFUSED, 417, { GET, { ":authority", "a" }, { "expect", "x" }, END } },
        { H2_BLOCK_MALFORMED, 0, { GET, { ":authority", "a" }, { "host", "b" }, END } },
        { H2_BLOCK_DONE, 0, { GET, { ":authority", "a" }, { "host", "A" }, END } },
        { H2_BLOCK_DONE, 0, { GET, { "host", "a" }, { "te", "trailers" }, END } },
        { H2_BLOCK_MALFORMED, 0, { GET, { "host", "a" }, { "te", "gzip" }, END } },
        { H2_BLOCK_MALFORMED, 0, { GET, { "host", "a" }, { "content-length", "3" }, END } },
        { H2_BLOCK_MALFORMED, 0, { GET, { ":path", "/" }, { "host", "a" }, END } },
        { H2_BLOCK_MALFORMED, 0, { GET, { ":authority", "a" }, { "X", "a" }, END } },
        { H2_BLOCK_MALFORMED, 0, { GET, { ":authority", "a" }, { "x", " a" }, END } },
        { H2_BLOCK_MALFORMED, 0, { { ":method", "GET" }, { ":scheme", "http" }, END } },
    };
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0, 4096, SIZE_MAX);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        struct h2_headers b;
        struct h1_head h;

        assert_int_equal(read_block(&b, &h, &arena, CASES[i].pairs, true), CASES[i].verdict);
        if (CASES[i].status != 0)
            assert_int_equal(h.status, CASES[i].status);
        if (CASES[i].verdict == H2_BLOCK_MALFORMED)
            assert_non_null(b.why);
    }
    arena_done(&arena);
}

static void floods_are_seen(void **state)
{
    struct arena arena;
    struct h2_headers b;
    struct h1_head h;
    unsigned count = 0;

    (void)state;
    arena_init(&arena, NULL, 0, 4096, SIZE_MAX);
    h2_headers_begin(&b, H2_REQUEST, &h, &LIMITS, &arena);
    while (h2_headers_add(&b, SLICE("a"), SLICE("")))
        count++;
    assert_in_range(count, 200, 210);
    assert_true(h.status == 431 && h.field_count <= 100);
    h2_headers_begin(&b, H2_TRAILERS, NULL, &LIMITS, NULL);
    for (count = 0; h2_headers_add(&b, SLICE("a"), slice_of((const char *)&LIMITS, 4)); count++)
        continue;
    assert_in_range(count, 200, 210);
    arena_done(&arena);
}

/* ---- blocks that go out -------------------------------------------------------------------- */

static void check_read_back(nghttp2_hd_inflater *d, const char *at, size_t size,
                            const struct pair *pairs)
{
    for (;;) {
        nghttp2_nv f;
        int flags = 0;
        ssize_t taken = nghttp2_hd_inflate_hd2(d, &f, &flags, (const uint8_t *)at, size, 1);

        assert_true(taken >= 0);
        at += taken;
        size -= (size_t)taken;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            assert_true(slice_eq(slice_of((char *)f.name, f.namelen), slice_str(pairs->name)));
            assert_true(slice_eq(slice_of((char *)f.value, f.valuelen), slice_str(pairs->value)));
            pairs++;
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(d);
    assert_null(pairs->name);
}

static void what_is_written_is_read(void **state)
{
    static char room[8192], longest[4000];
    static const struct pair expected[] = { { ":status", "200" },      { ":status", "418" },
                                            { "etag", "\"x\"" },       { "x-mixed", "a b" },
                                            { "cache-control", "no" }, { "x-long", longest },
                                            { "x-empty", "" },         END };
    nghttp2_hd_inflater *d;
    struct gather g;

    (void)state;
    memset(longest, 'l', sizeof longest - 1);
    assert_int_equal(nghttp2_hd_inflate_new(&d), 0);
    gather_init(&g, room, sizeof room, NULL, 0);
    hpack_status(&g, 200);
    hpack_status(&g, 418);
    assert_true(hpack_known(&g, HPACK_ETAG, SLICE("\"x\"")));
    assert_true(hpack_field(&g, SLICE("X-Mixed"), SLICE(" a b\t")));
    assert_true(hpack_field(&g, SLICE("Cache-Control"), SLICE("no")));
    assert_true(hpack_field(&g, SLICE("X-Long"), slice_str(longest)));
    assert_true(hpack_field(&g, SLICE("X-Empty"), SLICE("")));
    size_t before = g.used;

    assert_false(hpack_field(&g, SLICE("X"), SLICE("a\nb")));
    assert_false(hpack_field(&g, SLICE("X Y"), SLICE("a")));
    assert_false(hpack_field(&g, SLICE(""), SLICE("a")));
    assert_false(hpack_known(&g, HPACK_ETAG, slice_of("a\0b", 3)));
    assert_true(g.used == before && !g.full);
    check_read_back(d, room, g.used, expected);
    nghttp2_hd_inflate_del(d);
}

static void no_room_is_told(void **state)
{
    char room[32];
    struct gather g;

    (void)state;
    gather_init(&g, room, sizeof room, NULL, 0);
    assert_true(hpack_field(&g, SLICE("x-name"), SLICE("a value that is too long for it")));
    assert_true(g.full && g.used == 0);
}

/* ---- priorities ----------------------------------------------------------------------------- */

static void priorities_are_read(void **state)
{
    static const struct {
        const char *text;
        unsigned urgency;
        bool incremental;
    } CASES[] = {
        { "", 3, false },        { "u=0", 0, false },       { "i", 3, true },
        { "u=7, i", 7, true },   { "i=?1,u=2", 2, true },   { "u=8", 3, false },
        { "u=1;x=y", 1, false }, { "i=?0, u=4", 4, false }, { "x, u=5, y=(a b)", 5, false },
        { "U=1", 3, false },     { "u = 1", 3, false },     { "u=1, u=2", 2, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        struct priority p = PRIORITY_DEFAULT;

        priority_from(slice_str(CASES[i].text), &p);
        assert_int_equal(p.urgency, CASES[i].urgency);
        assert_int_equal(p.incremental, CASES[i].incremental);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_what_was_written),
        cmocka_unit_test(heads_are_judged),
        cmocka_unit_test(payloads_are_cut),
        cmocka_unit_test(settings_are_judged),
        cmocka_unit_test(a_request_is_read),
        cmocka_unit_test(a_websocket_becomes_an_upgrade),
        cmocka_unit_test(verdicts_on_requests),
        cmocka_unit_test(floods_are_seen),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(no_room_is_told),
        cmocka_unit_test(priorities_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
