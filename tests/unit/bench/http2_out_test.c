/* http2_out_test.c - what the load generator sends by HTTP/2, and how it keeps its streams. */
#include "unit/bench/http2_link.h"

#include <stdlib.h>

/* ---- what it sends -------------------------------------------------------------------------- */

static void a_connection_begins_as_it_must(void **state)
{
    struct http2 *h = begin("");

    (void)state;
    assert_int_equal(bench_http2.room(h), 1);
    assert_int_equal(bench_http2.ask(h, SECOND), 0);
    assert_int_equal(bench_http2.room(h), 0);
    struct slice bytes = bench_http2.write(h), payload;

    assert_true(slice_starts(bytes, slice_of(H2_PREFACE, H2_PREFACE_SIZE)));
    bytes = slice_skip(bytes, H2_PREFACE_SIZE);
    assert_int_equal(next_frame(&bytes, &payload).type, H2_SETTINGS);
    assert_true(slice_starts(payload, SLICE("\0\2\0\0\0\0")));
    sends(&bytes, H2_WINDOW_UPDATE, 0, 0, 4);
    sends(&bytes, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, 4);
    assert_int_equal(bytes.size, 0);
    assert_int_equal(bench_http2.write(h).size, 0);

    say_setting(H2_MAX_CONCURRENT_STREAMS, 3);
    SAY(H2_PING, 0, 0, "12345678");
    SAY(H2_PING, H2_ACK, 0, "12345678");
    assert_int_equal(hear(h), BENCH_MORE);
    assert_int_equal(bench_http2.room(h), 2);
    bytes = bench_http2.write(h);
    sends(&bytes, H2_SETTINGS, H2_ACK, 0, 0);
    sends(&bytes, H2_PING, H2_ACK, 0, 8);
    assert_int_equal(bytes.size, 0);
    say_setting(H2_MAX_CONCURRENT_STREAMS, 0);
    assert_int_equal(hear(h), BENCH_MORE);
    assert_int_equal(bench_http2.room(h), 0);
    say_setting(H2_MAX_CONCURRENT_STREAMS, 100);
    assert_int_equal(hear(h), BENCH_MORE);
    assert_int_equal(bench_http2.room(h), DEPTH - 1);
    end(h);
}

static void a_large_block_needs_several_frames(void **state)
{
    static char block[40000];
    struct http2 *h = begin("");

    (void)state;
    bench_http2.write(h);
    plan.block = slice_of(block, sizeof block);
    bench_http2.ask(h, SECOND);
    struct slice bytes = bench_http2.write(h);

    sends(&bytes, H2_HEADERS, H2_END_STREAM, 1, 16384);
    sends(&bytes, H2_CONTINUATION, 0, 1, 16384);
    sends(&bytes, H2_CONTINUATION, H2_END_HEADERS, 1, 40000 - 2 * 16384);
    assert_int_equal(bytes.size, 0);
    end(h);
}

static void bodies_stay_inside_windows(void **state)
{
    struct http2 *h = begin("0123456789");

    (void)state;
    bench_http2.write(h);
    say_setting(H2_INITIAL_WINDOW_SIZE, 4);
    assert_int_equal(hear(h), BENCH_MORE);
    bench_http2.ask(h, SECOND);
    bench_http2.ask(h, SECOND);
    struct slice bytes = bench_http2.write(h);

    sends(&bytes, H2_SETTINGS, H2_ACK, 0, 0);
    sends(&bytes, H2_HEADERS, H2_END_HEADERS, 1, 4);
    sends(&bytes, H2_HEADERS, H2_END_HEADERS, 3, 4);
    sends(&bytes, H2_DATA, 0, 1, 4);
    sends(&bytes, H2_DATA, 0, 3, 4);
    assert_int_equal(bytes.size, 0);

    say_setting(H2_INITIAL_WINDOW_SIZE, 1); /* three bytes were too many, now */
    say_number(H2_WINDOW_UPDATE, 1, 3);
    assert_int_equal(hear(h), BENCH_MORE);
    bytes = bench_http2.write(h);
    sends(&bytes, H2_SETTINGS, H2_ACK, 0, 0);
    assert_int_equal(bytes.size, 0);

    say_number(H2_WINDOW_UPDATE, 1, 5);
    say_setting(H2_INITIAL_WINDOW_SIZE, 4);
    assert_int_equal(hear(h), BENCH_MORE);
    bytes = bench_http2.write(h);
    sends(&bytes, H2_SETTINGS, H2_ACK, 0, 0);
    sends(&bytes, H2_DATA, H2_END_STREAM, 1, 6);
    assert_int_equal(bytes.size, 0);
    end(h);
}

static void the_window_of_the_connection_holds_too(void **state)
{
    static char body[100001];
    struct slice payload;
    size_t sent = 0;

    (void)state;
    memset(body, 'b', 100000);
    struct http2 *h = begin(body);

    bench_http2.write(h);
    say_setting(H2_INITIAL_WINDOW_SIZE, 1000000);
    assert_int_equal(hear(h), BENCH_MORE);
    bench_http2.ask(h, SECOND);
    struct slice bytes = bench_http2.write(h);

    while (bytes.size > 0)
        if (next_frame(&bytes, &payload).type == H2_DATA)
            sent += payload.size;
    assert_int_equal(sent, H2_WINDOW_FIRST);
    say_number(H2_WINDOW_UPDATE, 0, 100000);
    assert_int_equal(hear(h), BENCH_MORE);
    bytes = bench_http2.write(h);
    while (bytes.size > 0)
        if (next_frame(&bytes, &payload).type == H2_DATA)
            sent += payload.size;
    assert_int_equal(sent, 100000);
    end(h);
}

static void windows_are_opened_again(void **state)
{
    static char piece[H2_FRAME_MAX_LEAST];
    struct http2 *h = asked("", 1);
    struct slice bytes, payload;
    uint32_t opened[2] = { 0, 0 };

    (void)state;
    SAY(H2_HEADERS, H2_END_HEADERS, 1, STATUS_200);
    for (int i = 0; i < 5000; i++) {
        say(H2_DATA, 0, 1, piece, sizeof piece);
        assert_int_equal(hear(h), BENCH_MORE);
        say_anew();
        for (bytes = bench_http2.write(h); bytes.size > 0;) {
            struct h2_frame f = next_frame(&bytes, &payload);

            assert_int_equal(f.type, H2_WINDOW_UPDATE);
            opened[f.stream] += h2_u31((const uint8_t *)payload.at);
        }
    }
    assert_true(opened[0] > 5000u * H2_FRAME_MAX_LEAST - H2_LINK_WINDOW / 2);
    assert_true(opened[1] > 5000u * H2_FRAME_MAX_LEAST - H2_STREAM_WINDOW / 2);
    end(h);
}

/* ---- the table ------------------------------------------------------------------------------ */

static void streams_are_found_whatever_the_order(void **state)
{
    enum { COUNT = 37, ROUNDS = 20000 };
    uint32_t open[COUNT] = { 0 }, id = 1, seed = 7;
    struct streams t;
    void *memory = calloc(1, streams_size(COUNT));

    (void)state;
    streams_init(&t, COUNT, memory);
    for (int i = 0; i < ROUNDS; i++) {
        seed = seed * 1664525 + 1013904223;
        unsigned at = (seed >> 16) % COUNT;

        if (open[at] != 0) {
            struct stream *s = streams_find(&t, open[at]);

            assert_non_null(s);
            assert_int_equal(s->id, open[at]);
            streams_remove(&t, s);
            assert_null(streams_find(&t, open[at]));
            open[at] = 0;
        } else {
            open[at] = id;
            assert_int_equal(streams_add(&t, id)->id, id);
            id += 2;
        }
    }
    for (unsigned i = 0; i < COUNT; i++)
        assert_true(open[i] == 0 || streams_find(&t, open[i])->id == open[i]);
    free(memory);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_begins_as_it_must),
        cmocka_unit_test(a_large_block_needs_several_frames),
        cmocka_unit_test(bodies_stay_inside_windows),
        cmocka_unit_test(the_window_of_the_connection_holds_too),
        cmocka_unit_test(windows_are_opened_again),
        cmocka_unit_test(streams_are_found_whatever_the_order),
    };
    return cmocka_run_group_tests_name("bench http2 out", tests, NULL, NULL);
}
