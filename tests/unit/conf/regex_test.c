/* regex_test.c - regular expressions: captures, names, limits, what `$` and `.` mean. */
#include "conf_test.h"

#include <pthread.h>

static struct fixture f;

static int open_fixture(void **state)
{
    (void)state;
    fixture_open(&f);
    fixture_file(&f, "weir.conf", "");
    fixture_load(&f);
    return 0;
}

static int close_fixture(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static struct regex *compiled(const char *pattern, unsigned flags)
{
    struct regex *re = regex_compile(f.load, NULL, 0, slice_str(pattern), flags);
    assert_non_null(re);
    return re;
}

static void captures_borrow_from_the_subject(void **state)
{
    struct slice c[4], subject = SLICE("/img/a.png");
    (void)state;
    struct regex *re = compiled("^/(img|css)/(x)?(.*)$", 0);
    assert_int_equal(regex_match(re, subject, c, 4), REGEX_YES);
    assert_ptr_equal(c[0].at, subject.at);
    assert_slice(c[1], "img");
    assert_null(c[2].at);
    assert_slice(c[3], "a.png");
    assert_int_equal(regex_match(re, SLICE("/js/a"), c, 4), REGEX_NO);
    assert_int_equal(regex_match(re, subject, NULL, 0), REGEX_YES);
    assert_int_equal(regex_match(compiled("^$", 0), (struct slice){ 0 }, c, 4), REGEX_YES);
    assert_slice(regex_pattern(re), "^/(img|css)/(x)?(.*)$");
}

static void more_groups_than_captures(void **state)
{
    struct slice c[CAPTURES_MAX];
    (void)state;
    struct regex *re = compiled("(1)(2)(3)(4)(5)(6)(7)(8)(9)(a)(b)(c)(d)(e)(f)(g)(h)", 0);
    assert_int_equal(regex_match(re, SLICE("123456789abcdefgh"), c, CAPTURES_MAX), REGEX_YES);
    assert_slice(c[15], "f");
}

static void case_counts_unless_told(void **state)
{
    struct slice c[1];
    (void)state;
    assert_int_equal(regex_match(compiled("\\.php$", 0), SLICE("/A.PHP"), c, 1), REGEX_NO);
    assert_int_equal(regex_match(compiled("\\.php$", REGEX_NOCASE), SLICE("/A.PHP"), c, 1),
                     REGEX_YES);
}

static void a_line_feed_is_a_byte_like_others(void **state)
{
    struct slice c[1];
    (void)state;
    assert_int_equal(regex_match(compiled("\\.php$", 0), SLICE("/a.php\n"), c, 1), REGEX_NO);
    assert_int_equal(regex_match(compiled("^/a.*b$", 0), SLICE("/a\nb"), c, 1), REGEX_YES);
}

static void groups_have_names(void **state)
{
    unsigned number = 0;
    (void)state;
    struct regex *re = compiled("(x)(?<second>y)(?<Third>z)", 0);
    assert_int_equal(regex_name_count(re), 2);
    assert_slice(regex_name(re, 1, &number), "second");
    assert_int_equal(number, 2);
    assert_slice(regex_name(re, 0, &number), "third");
    assert_int_equal(number, 3);
    assert_null(regex_compile(f.load, NULL, 0, SLICE("(?<uri>x)"), 0));
}

static void matching_gives_up(void **state)
{
    static char subject[20000];
    struct slice c[1];
    (void)state;
    memset(subject, 'a', sizeof subject);
    subject[sizeof subject - 1] = 'b';
    assert_int_equal(regex_match(compiled("^(a+)+$", 0), slice_of(subject, sizeof subject), c, 1),
                     REGEX_LIMIT);
    assert_int_equal(regex_match(compiled("^(a|b)*$", 0), slice_of(subject, 1000), c, 1),
                     REGEX_YES);
}

static void *match_often(void *arg)
{
    struct slice c[2];
    for (int i = 0; i < 1000; i++)
        if (regex_match(arg, SLICE("/a/b"), c, 2) != REGEX_YES || c[1].size != 1)
            return arg;
    return NULL;
}

static void threads_do_not_meet(void **state)
{
    pthread_t threads[4];
    (void)state;
    struct regex *re = compiled("^/(a)/", 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_often, re), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *failed = re;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(captures_borrow_from_the_subject),
        TEST(more_groups_than_captures),
        TEST(case_counts_unless_told),
        TEST(a_line_feed_is_a_byte_like_others),
        TEST(groups_have_names),
        TEST(matching_gives_up),
        TEST(threads_do_not_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
