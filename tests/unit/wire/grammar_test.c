/* grammar_test.c - names, lists, dates as written, escapes and the emitter. */
#include "unit/base/base_test.h"

#include "wire/date.h"
#include "wire/field.h"
#include "wire/h1_write.h"
#include "wire/method.h"
#include "wire/uri.h"

static void every_known_name_is_found_in_any_case(void **state)
{
    static const char *const names[FIELD_COUNT] = {
#define X(id, name) [FIELD_##id] = name,
        FIELDS(X)
#undef X
    };
    (void)state;
    for (int id = FIELD_OTHER + 1; id < FIELD_COUNT; id++) {
        char text[64];
        size_t size = strlen(names[id]);
        memcpy(text, names[id], size);
        assert_int_equal(field_from(slice_of(text, size)), id);
        for (size_t i = 0; i < size; i++) {
            char c = text[i];
            text[i] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
            assert_int_equal(field_from(slice_of(text, size)), id);
            for (int bit = 0; bit < 8; bit++) {
                char good = text[i];
                text[i] = (char)(good ^ (1 << bit));
                bool letter = good >= 'A' && good <= 'Z';
                if (!(letter && bit == 5))
                    assert_int_not_equal(field_from(slice_of(text, size)), id);
                text[i] = good;
            }
        }
        assert_int_not_equal(field_from(slice_of(text, size - 1)), id);
    }
    assert_int_equal(field_from(SLICE("")), FIELD_OTHER);
    assert_int_equal(field_from(SLICE("a-name-longer-than-any-known")), FIELD_OTHER);
}

static void every_method_is_found_in_its_case(void **state)
{
    (void)state;
    for (int m = METHOD_OTHER + 1; m < METHOD_COUNT; m++) {
        char text[16];
        size_t size = strlen(method_name((enum http_method)m));
        memcpy(text, method_name((enum http_method)m), size);
        assert_int_equal(method_from(slice_of(text, size)), m);
        assert_int_equal(method_from(slice_of(text, size - 1)), METHOD_OTHER);
        text[0] |= 0x20;
        assert_int_equal(method_from(slice_of(text, size)), METHOD_OTHER);
    }
    assert_int_equal(method_from((struct slice){ 0 }), METHOD_OTHER);
    assert_string_equal(method_name(METHOD_OTHER), "");
}

static void names_are_tokens_and_values_have_no_controls(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool letter = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        bool mark = c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
        assert_int_equal(field_name_ok(slice_of(&byte, 1)), letter || mark);
        assert_int_equal(field_value_ok(slice_of(&byte, 1)), c == '\t' || (c >= 32 && c != 127));
    }
    assert_false(field_name_ok(SLICE("")));
    assert_true(field_value_ok((struct slice){ 0 }));
}

static void lists_are_walked(void **state)
{
    struct slice rest = SLICE(" a , ,\"b,\\\"c\" ;q=1,, d,\"e,f"), member;
    (void)state;
    assert_true(field_list_next(&rest, &member));
    assert_slice(member, "a");
    assert_true(field_list_next(&rest, &member));
    assert_slice(member, "\"b,\\\"c\" ;q=1");
    assert_true(field_list_next(&rest, &member));
    assert_slice(member, "d");
    assert_true(field_list_next(&rest, &member));
    assert_slice(member, "\"e,f");
    assert_false(field_list_next(&rest, &member));
    rest = SLICE(", ,\t,");
    assert_false(field_list_next(&rest, &member));
}

static void dates_are_written(void **state)
{
    char text[DATE_HTTP_SIZE];
    (void)state;
    date_http(784111777, text);
    assert_slice(slice_of(text, DATE_HTTP_SIZE), "Sun, 06 Nov 1994 08:49:37 GMT");
    date_log(784111777, 0, text);
    assert_slice(slice_of(text, DATE_LOG_SIZE), "06/Nov/1994:08:49:37 +0000");
    date_log(784111777, -210, text);
    assert_slice(slice_of(text, DATE_LOG_SIZE), "06/Nov/1994:05:19:37 -0330");
    date_iso(784111777, 0, text);
    assert_slice(slice_of(text, DATE_ISO_SIZE), "1994-11-06T08:49:37+00:00");
    date_iso(784111777, 330, text);
    assert_slice(slice_of(text, DATE_ISO_SIZE), "1994-11-06T14:19:37+05:30");
    date_http(INT64_MAX, text);
    assert_slice(slice_of(text, DATE_HTTP_SIZE), "Fri, 31 Dec 9999 23:59:59 GMT");
    date_http(INT64_MIN, text);
    assert_slice(slice_of(text, DATE_HTTP_SIZE), "Sat, 01 Jan 0000 00:00:00 GMT");
}

static void every_day_of_a_thousand_years_reads_as_written(void **state)
{
    (void)state;
    for (int64_t sec = -400 * INT64_C(31557600); sec < 600 * INT64_C(31557600); sec += 86399) {
        char text[DATE_HTTP_SIZE];
        int64_t again;
        date_http(sec, text);
        assert_true(date_parse(slice_of(text, sizeof text), 0, &again));
        assert_true(again == sec);
    }
}

static void two_digit_years_near_the_ends_of_time(void **state)
{
    static const int64_t nows[] = { INT64_MIN, -62167219200, 0, 253402300799, INT64_MAX };
    int64_t sec;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(nows); i++)
        for (int year = 0; year < 100; year++) {
            char text[40];
            int size = snprintf(text, sizeof text, "Sunday, 01-Jan-%02d 00:00:00 GMT", year);
            assert_true(date_parse(slice_of(text, (size_t)size), nows[i], &sec));
            assert_true(sec >= -62167219200 && sec <= 253402300799);
        }
}

static struct slice escaped(void (*escape)(struct gather *, struct slice), struct slice text)
{
    static char space[256];
    struct gather g;
    gather_init(&g, space, sizeof space, NULL, 0);
    escape(&g, text);
    assert_false(g.full);
    return gather_get(&g);
}

static void texts_are_escaped(void **state)
{
    (void)state;
    assert_slice(escaped(uri_encode_path, SLICE("/a b?#%\"\xc3\xa9:@!$&'()*+,;=-._~")),
                 "/a%20b%3F%23%25%22%C3%A9:@!$&'()*+,;=-._~");
    assert_slice(escaped(uri_encode_path, SLICE("\r\n")), "%0D%0A");
    assert_slice(escaped(html_escape, SLICE("<a href=\"x\">'&'</a>")),
                 "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    assert_slice(escaped(json_escape, SLICE("a\"\\\n\x1f\x7f\xc3\xa9")),
                 "a\\\"\\\\\\u000a\\u001f\\u007f\xc3\xa9");
    assert_slice(escaped(json_escape, SLICE("\xff|\xc0\xaf|\xed\xa0\x80|\xe2\x82")),
                 "\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd");
    assert_slice(escaped(json_escape, SLICE("\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x90\x80\x80")),
                 "\xe2\x82\xac\xf0\x9f\x98\x80\\ufffd\\ufffd\\ufffd\\ufffd");
}

static void status_lines_have_nginxs_phrases(void **state)
{
    char space[256];
    struct gather g;
    (void)state;
    gather_init(&g, space, sizeof space, NULL, 0);
    h1_status_line(&g, 200);
    h1_status_line(&g, 302);
    h1_status_line(&g, 299);
    h1_status_line(&g, 999);
    assert_slice(gather_get(&g), "HTTP/1.1 200 OK\r\nHTTP/1.1 302 Moved Temporarily\r\n"
                                 "HTTP/1.1 299 \r\nHTTP/1.1 999 \r\n");
    assert_slice(status_phrase(503), "Service Temporarily Unavailable");
    assert_slice(status_phrase(405), "Not Allowed");
    assert_slice(status_phrase(299), "");
    assert_slice(status_phrase(0), "");
}

static void no_field_can_split_a_head(void **state)
{
    static const char bad_values[][4] = { "a\rb", "a\nb", "\n", "\r" };
    char space[64], wide[100];
    struct gather g;
    (void)state;
    gather_init(&g, space, sizeof space, NULL, 0);
    for (size_t i = 0; i < COUNT_OF(bad_values); i++)
        assert_false(h1_field(&g, SLICE("X"), slice_str(bad_values[i])));
    assert_false(h1_field(&g, SLICE("X"), SLICE("a\0b")));
    assert_false(h1_field(&g, SLICE(""), SLICE("a")));
    assert_false(h1_field(&g, SLICE("X:"), SLICE("a")));
    assert_false(h1_field(&g, SLICE("X\r\nY"), SLICE("a")));
    memset(wide, 'x', sizeof wide);
    for (size_t i = 0; i < sizeof wide; i++) {
        wide[i] = i % 2 == 0 ? '\n' : '\0';
        assert_false(h1_field(&g, SLICE("X"), slice_of(wide, sizeof wide)));
        wide[i] = '\x01';
    }
    assert_int_equal(g.used, 0);
    assert_true(h1_field(&g, SLICE("X"), SLICE("a\tb\x01\xff")));
    assert_true(h1_field(&g, SLICE("Y"), (struct slice){ 0 }));
    assert_slice(gather_get(&g), "X: a\tb\x01\xff\r\nY: \r\n");
    assert_true(h1_field(&g, SLICE("Z"), slice_of(wide, sizeof wide)));
    assert_true(g.full);
    assert_slice(gather_get(&g), "X: a\tb\x01\xff\r\nY: \r\n");
}

static void chunk_sizes(void **state)
{
    char space[64];
    struct gather g;
    (void)state;
    gather_init(&g, space, sizeof space, NULL, 0);
    h1_chunk_size(&g, 31);
    h1_chunk_size(&g, 0);
    assert_slice(gather_get(&g), "1f\r\n0\r\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_name_is_found_in_any_case),
        cmocka_unit_test(every_method_is_found_in_its_case),
        cmocka_unit_test(names_are_tokens_and_values_have_no_controls),
        cmocka_unit_test(lists_are_walked),
        cmocka_unit_test(dates_are_written),
        cmocka_unit_test(every_day_of_a_thousand_years_reads_as_written),
        cmocka_unit_test(two_digit_years_near_the_ends_of_time),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(status_lines_have_nginxs_phrases),
        cmocka_unit_test(no_field_can_split_a_head),
        cmocka_unit_test(chunk_sizes),
    };
    return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
