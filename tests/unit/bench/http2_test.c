/* http2_test.c - what the load generator makes of what a server of HTTP/2 says. */
#include "unit/bench/http2_link.h"

/* ---- what it hears -------------------------------------------------------------------------- */

static void answers_end_in_any_order_however_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step < 40; step++) {
        struct http2 *h = asked("", 3);

        SAY(H2_HEADERS, H2_END_HEADERS, 5,
            "\x08\x03"
            "103");
        SAY(H2_HEADERS, H2_END_HEADERS | H2_PADDED, 5, "\3" STATUS_200 LENGTH_2 "\0\0\0");
        SAY(H2_HEADERS, H2_WITH_PRIORITY, 1,
            "\0\0\0\0\7\x08\x03"
            "4");
        SAY(H2_CONTINUATION, 0, 1, "0");
        SAY(H2_CONTINUATION, H2_END_HEADERS, 1, "1");
        SAY(H2_DATA, H2_PADDED, 5, "\4o\0\0\0\0");
        SAY(H2_DATA, 0, 1, "content without a length");
        SAY(H2_DATA, H2_PADDED, 1, "\0");
        SAY(0x77, 0, 99, "unknown");
        SAY(H2_PRIORITY, 0, 7, "\0\0\0\0\7");
        SAY(H2_DATA, H2_END_STREAM, 5, "k");
        SAY(H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, "\0\1a\1b");
        SAY(H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 3, "\x89");
        SAY(H2_RST_STREAM, 0, 3, "\0\0\0\0");
        assert_int_equal(hear_by(h, step), BENCH_ANSWER);
        assert_int_equal(answer.slot, 2);
        assert_int_equal(answer.status, 200);
        assert_int_equal(hear_by(h, step), BENCH_ANSWER);
        assert_int_equal(answer.slot, 0);
        assert_int_equal(answer.status, 401);
        assert_int_equal(hear_by(h, step), BENCH_ANSWER);
        assert_int_equal(answer.slot, 1);
        assert_int_equal(answer.status, 204);
        assert_int_equal(hear_by(h, step), BENCH_MORE);
        assert_int_equal(bench_http2.room(h), DEPTH);
        end(h);
    }
}

static void an_answer_before_the_body_is_out_ends_the_request(void **state)
{
    static char body[200001];

    (void)state;
    memset(body, 'b', 200000);
    struct http2 *h = asked(body, 1);

    SAY(H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, STATUS_200);
    SAY(H2_RST_STREAM, 0, 1, "\0\0\0\0");
    assert_int_equal(hear(h), BENCH_ANSWER);
    struct slice bytes = bench_http2.write(h);

    sends(&bytes, H2_RST_STREAM, 0, 1, 4);
    assert_int_equal(bytes.size, 0);
    assert_int_equal(hear(h), BENCH_MORE);
    assert_int_equal(h->bodies, 0);
    end(h);
}

static void one_request_is_lost_and_others_go_on(void **state)
{
    static const struct {
        enum h2_type type;
        unsigned flags;
        struct slice payload;
        enum bench_error error;
        const char *why;
        bool told; /* the server, by RST_STREAM */
    } CASES[] = {
        { H2_RST_STREAM, 0, { "\0\0\0\7", 4 }, BENCH_RESET, "REFUSED_STREAM", false },
        { H2_RST_STREAM, 0, { "\0\0\0\0", 4 }, BENCH_RESET, "NO_ERROR", false },
        { H2_HEADERS, 5, { STATUS_200 LENGTH_2, 5 }, BENCH_MALFORMED, "without a body", true },
        { H2_HEADERS, 4, { "\0\1a\1b", 5 }, BENCH_MALFORMED, "no :status", true },
        { H2_HEADERS,
          5,
          { "\x08\x03"
            "103",
            5 },
          BENCH_MALFORMED,
          "ends the stream",
          true },
        { H2_HEADERS, 4, { STATUS_200 "\0\1A\1b", 6 }, BENCH_MALFORMED, NULL, true },
        { H2_DATA, 0, { "x", 1 }, BENCH_MALFORMED, "before the head", true },
        { H2_WINDOW_UPDATE, 0, { "\0\0\0\0", 4 }, BENCH_MALFORMED, "by nothing", true },
        { H2_WINDOW_UPDATE, 0, { "\x7f\xff\xff\xff", 4 }, BENCH_MALFORMED, "too far", true },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        struct http2 *h = asked("", 2);

        say(CASES[i].type, CASES[i].flags, 1, CASES[i].payload.at, CASES[i].payload.size);
        assert_int_equal(hear(h), BENCH_LOST);
        assert_int_equal(answer.slot, 0);
        assert_int_equal(answer.error, CASES[i].error);
        assert_non_null(answer.why);
        if (CASES[i].why != NULL)
            assert_non_null(strstr(answer.why, CASES[i].why));
        struct slice bytes = bench_http2.write(h);

        if (CASES[i].told) {
            sends(&bytes, H2_RST_STREAM, 0, 1, 4);
            SAY(H2_HEADERS, H2_END_HEADERS, 1, STATUS_200); /* was on its way */
            SAY(H2_DATA, H2_END_STREAM, 1, "late");
        }
        assert_int_equal(bytes.size, 0);
        SAY(H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 3, STATUS_200);
        assert_int_equal(hear(h), BENCH_ANSWER);
        assert_int_equal(answer.slot, 1);
        assert_int_equal(bench_http2.room(h), DEPTH);
        end(h);
    }
}

static void content_has_the_length_that_was_said(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        struct http2 *h = asked("", 1);

        SAY(H2_HEADERS, H2_END_HEADERS, 1, STATUS_200 LENGTH_2);
        if (more)
            SAY(H2_DATA, 0, 1, "abc");
        else
            SAY(H2_DATA, H2_END_STREAM, 1, "a");
        assert_int_equal(hear(h), BENCH_LOST);
        assert_non_null(strstr(answer.why, more ? "more content" : "less content"));
        end(h);
    }
}

static void what_breaks_a_connection(void **state)
{
    static const struct {
        struct h2_frame f;
        const char *payload, *why;
    } CASES[] = {
        { { 16385, 1, H2_DATA, 0 }, "", "size or stream" },
        { { 0, 0, H2_HEADERS, 4 }, "", "size or stream" },
        { { 1, 3, H2_HEADERS, 4 }, STATUS_200, "there is none of" },
        { { 1, 2, H2_HEADERS, 4 }, STATUS_200, "there is none of" },
        { { 1, 1, H2_HEADERS, 4 }, "\xff", "cannot be decoded" },
        { { 1, 1, H2_HEADERS, 4 }, "\xfe", "cannot be decoded" },
        { { 1, 1, H2_HEADERS, 12 }, "\1", "padding" },
        { { 1, 3, H2_DATA, 0 }, "x", "there is none of" },
        { { 0, 1, H2_DATA, H2_PADDED }, "", "padding" },
        { { 2, 1, H2_DATA, H2_PADDED }, "\2x", "padding" },
        { { 0, 1, H2_CONTINUATION, 4 }, "", "CONTINUATION" },
        { { 4, 3, H2_RST_STREAM, 0 }, "\0\0\0\0", "there is none of" },
        { { 4, 3, H2_WINDOW_UPDATE, 0 }, "\0\0\0\1", "of no request" },
        { { 4, 0, H2_WINDOW_UPDATE, 0 }, "\0\0\0\0", "by nothing" },
        { { 4, 0, H2_WINDOW_UPDATE, 0 }, "\x7f\xff\xff\xff", "too far" },
        { { 6, 0, H2_SETTINGS, 0 }, "\0\5\0\0\0\1", "cannot be" },
        { { 6, 0, H2_SETTINGS, 0 }, "\0\2\0\0\0\1", "ENABLE_PUSH" },
        { { 6, 0, H2_SETTINGS, 0 }, "\0\4\x80\0\0\0", "cannot be" },
        { { 5, 1, H2_PUSH_PROMISE, 4 }, "\0\0\0\2\x88", "PUSH_PROMISE" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        struct http2 *h = asked("", 1);
        struct h2_frame f = CASES[i].f;
        uint8_t head[H2_FRAME_HEAD];

        h2_put_head(head, f.size, f.type, f.flags, f.stream);
        say_bytes((const char *)head, sizeof head);
        say_bytes(CASES[i].payload, f.size < 100 ? f.size : 0);
        assert_int_equal(hear(h), BENCH_BAD);
        assert_non_null(strstr(answer.why, CASES[i].why));
        end(h);
    }
}

static void a_window_that_grows_too_far_with_the_settings(void **state)
{
    struct http2 *h = asked("", 1);

    (void)state;
    say_number(H2_WINDOW_UPDATE, 1, H2_WINDOW_MAX - H2_WINDOW_FIRST);
    assert_int_equal(hear(h), BENCH_MORE);
    say_setting(H2_INITIAL_WINDOW_SIZE, H2_WINDOW_FIRST + 1);
    assert_int_equal(hear(h), BENCH_BAD);
    end(h);
}

static void who_does_not_begin_with_settings_speaks_something_else(void **state)
{
    static const char other[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    struct http2 *h = begin("");

    (void)state;
    say_bytes(other, sizeof other);
    assert_int_equal(hear(h), BENCH_BAD);
    assert_non_null(strstr(answer.why, "does not speak HTTP/2"));
    end(h);
}

static void floods_end(void **state)
{
    struct http2 *h = asked("", 1);
    int count = 0;

    (void)state;
    do {
        SAY(H2_PING, 0, 0, "12345678");
        count++;
    } while (hear(h) == BENCH_MORE && count < 50000);
    assert_in_range(count, 100, 49999);
    end(h);
    h = asked("", 1);
    SAY(H2_HEADERS, 0, 1, STATUS_200);
    for (count = 0; hear(h) == BENCH_MORE && count < 5000; count++)
        SAY(H2_CONTINUATION, 0, 1, "");
    assert_in_range(count, 8, 4999);
    end(h);
}

/* ---- the end of a connection ---------------------------------------------------------------- */

static void goodbye_leaves_what_was_begun(void **state)
{
    struct http2 *h = asked("", 3);

    (void)state;
    say_goaway(H2_STREAM_MAX, H2_NO_ERROR);
    assert_int_equal(hear(h), BENCH_MORE);
    assert_int_equal(bench_http2.room(h), 0);
    say_goaway(1, H2_NO_ERROR);
    SAY(H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, STATUS_200);
    assert_int_equal(hear(h), BENCH_AGAIN);
    assert_int_equal(answer.slot, 1);
    assert_int_equal(hear(h), BENCH_AGAIN);
    assert_int_equal(answer.slot, 2);
    assert_int_equal(hear(h), BENCH_ANSWER);
    assert_int_equal(hear(h), BENCH_OVER);
    end(h);
}

static void goodbye_with_an_error_is_one(void **state)
{
    struct http2 *h = asked("", 2);

    (void)state;
    say_goaway(1, H2_ENHANCE_YOUR_CALM);
    assert_int_equal(hear(h), BENCH_LOST);
    assert_int_equal(answer.slot, 1);
    assert_string_equal(answer.why, "ENHANCE_YOUR_CALM");
    assert_int_equal(hear(h), BENCH_MORE);
    end(h);
}

static void numbers_of_streams_run_out(void **state)
{
    struct http2 *h = asked("", 0);

    (void)state;
    h->next_id = H2_STREAM_MAX - 4;
    bench_http2.ask(h, SECOND);
    assert_int_equal(bench_http2.room(h), DEPTH - 1);
    bench_http2.ask(h, SECOND);
    assert_int_equal(bench_http2.room(h), 0);
    SAY(H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, H2_STREAM_MAX - 4, STATUS_200);
    SAY(H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, H2_STREAM_MAX - 2, STATUS_200);
    assert_int_equal(hear(h), BENCH_ANSWER);
    assert_int_equal(hear(h), BENCH_ANSWER);
    assert_int_equal(hear(h), BENCH_OVER);
    end(h);
}

static void without_keep_alive_one_request_is_all(void **state)
{
    struct http2 *h = begin("");

    (void)state;
    plan.keep_alive = false;
    bench_http2.ask(h, SECOND);
    SETTINGS_EMPTY;
    SAY(H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, STATUS_200);
    assert_int_equal(hear(h), BENCH_ANSWER);
    assert_int_equal(hear(h), BENCH_OVER);
    end(h);
}

static void a_request_that_hangs_is_given_up_alone(void **state)
{
    struct http2 *h = asked("", 2);

    (void)state;
    h->streams.all[1].progress_ns = 4ull * SECOND;
    assert_int_equal(bench_http2.give_up(h, 2ull * SECOND, 3ull * SECOND), BENCH_NO_SLOT);
    assert_int_equal(bench_http2.give_up(h, 4ull * SECOND, 3ull * SECOND), 0);
    assert_int_equal(bench_http2.give_up(h, 4ull * SECOND, 3ull * SECOND), BENCH_NO_SLOT);
    struct slice bytes = bench_http2.write(h);

    sends(&bytes, H2_RST_STREAM, 0, 1, 4);
    assert_int_equal(bench_http2.give_up(h, 7ull * SECOND, 3ull * SECOND), 1);
    assert_int_equal(bench_http2.give_up(h, 70ull * SECOND, 3ull * SECOND), BENCH_NO_SLOT);
    end(h);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_end_in_any_order_however_cut),
        cmocka_unit_test(an_answer_before_the_body_is_out_ends_the_request),
        cmocka_unit_test(one_request_is_lost_and_others_go_on),
        cmocka_unit_test(content_has_the_length_that_was_said),
        cmocka_unit_test(what_breaks_a_connection),
        cmocka_unit_test(a_window_that_grows_too_far_with_the_settings),
        cmocka_unit_test(who_does_not_begin_with_settings_speaks_something_else),
        cmocka_unit_test(floods_end),
        cmocka_unit_test(goodbye_leaves_what_was_begun),
        cmocka_unit_test(goodbye_with_an_error_is_one),
        cmocka_unit_test(numbers_of_streams_run_out),
        cmocka_unit_test(without_keep_alive_one_request_is_all),
        cmocka_unit_test(a_request_that_hangs_is_given_up_alone),
    };
    return cmocka_run_group_tests_name("bench http2", tests, NULL, NULL);
}
