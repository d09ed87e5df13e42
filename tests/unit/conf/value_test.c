/* value_test.c - sizes and times, and the nearest word. */
#include "conf_test.h"

enum { NOT = -1 };

static void sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {
        { "0", 0 },
        { "512", 512 },
        { "8k", 8192 },
        { "8K", 8192 },
        { "1m", 1 << 20 },
        { "2M", 2 << 20 },
        { "1g", 1 << 30 },
        { "9223372036854775807", INT64_MAX },
        { "8589934591g", INT64_C(8589934591) << 30 },
        { "8589934592g", NOT },
        { "9223372036854775808", NOT },
        { "99999999999999999999", NOT },
        { "", NOT },
        { "k", NOT },
        { "-1", NOT },
        { "+1", NOT },
        { "1kb", NOT },
        { "1 k", NOT },
        { "1.5k", NOT },
        { "0x10", NOT },
        { "1t", NOT },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t got = NOT;
        bool ok = conf_parse_size(slice_str(cases[i].text), &got);
        assert_int_equal(ok, cases[i].bytes != NOT);
        if (ok)
            assert_int_equal(got, cases[i].bytes);
    }
}

static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
        bool seconds; /* conf_parse_sec() takes it too */
    } cases[] = {
        { "0", 0, true },
        { "60", 60000, true },
        { "10s", 10000, true },
        { "500ms", 500, false },
        { "1h30m", 5400000, true },
        { "1h 30m", 5400000, true },
        { "1d", 86400000, true },
        { "1w", 604800000, true },
        { "1M", INT64_C(2592000000), true },
        { "1y", INT64_C(31536000000), true },
        { "1h30", 3630000, true },
        { "1s500ms", 1500, false },
        { "1m1s", 61000, true },
        { "292471208y", INT64_C(292471208) * 31536000000, true },
        { "292471209y", NOT, false },
        { "9223372036854775807", NOT, false },
        { "", NOT, false },
        { "s", NOT, false },
        { "1m1h", NOT, false },
        { "1s1s", NOT, false },
        { "1s1", NOT, false },
        { "-1", NOT, false },
        { "1x", NOT, false },
        { "1h,", NOT, false },
        { "1.5h", NOT, false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t ms = NOT, sec = NOT;
        assert_int_equal(conf_parse_msec(slice_str(cases[i].text), &ms), cases[i].ms != NOT);
        assert_int_equal(conf_parse_sec(slice_str(cases[i].text), &sec), cases[i].seconds);
        if (cases[i].ms != NOT)
            assert_int_equal(ms, cases[i].ms);
        if (cases[i].seconds)
            assert_int_equal(sec, cases[i].ms / 1000);
    }
}

static void nearest_words(void **state)
{
    static const char *const words[] = {
        "listen",     "location",          "root", "alias", "index",
        "proxy_pass", "proxy_pass_header", NULL,   "ON"
    };
    static const struct {
        const char *said, *near;
    } cases[] = {
        { "lisen", "listen" },
        { "lsiten", "listen" },
        { "Listen", "listen" },
        { "rot", "root" },
        { "rooot", "root" },
        { "on", NULL },
        { "indx", "index" },
        { "proxy_pas", "proxy_pass" },
        { "proxypass", "proxy_pass" },
        { "locatoin", "location" },
        { "gzip", NULL },
        { "x", NULL },
        { "", NULL },
        { "a_word_that_is_longer_than_any_name_that_could_ever_be_meant_by_it", NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *near = conf_nearest(slice_str(cases[i].said), words, COUNT_OF(words));
        if (cases[i].near == NULL)
            assert_null(near);
        else
            assert_string_equal(near, cases[i].near);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(times),
        cmocka_unit_test(nearest_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
