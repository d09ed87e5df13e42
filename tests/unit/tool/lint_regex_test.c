/* lint_regex_test.c - what the lint tells of regular expressions. */
#include "tool/lint_regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include <cmocka.h>

static void risky_ones(void **state)
{
    static const struct {
        const char *pattern, *why;
    } cases[] = {
        { "^(a+)+$", "(a+)+" },
        { "(a*)*", "(a*)*" },
        { "x(.*)*", "(.*)*" },
        { "(?:.*,)+", "(?:.*,)+" },
        { "(a|a)*", "(a|a)*" },
        { "(\\w|\\d){1,}", "(\\w|\\d){1,}" },
        { "(a+|b)+", "(a+|b)+" },
        { "(\\w+\\s?)*$", "(\\w+\\s?)*" },
        { "((x)(a+))*", NULL },
        { "((a+))+", "((a+))+" },
        { "(a{2,}b?)*", "(a{2,}b?)*" },
        { "(?<n>[a-z]+[0-9a-f])+", "(?<n>[a-z]+[0-9a-f])+" },
        { "(a+b)+|(c|d)*|(?>a+)*|(a++)*|a+a+|(a+)?|(a+){2}", NULL },
        { "([^/]+/)*", NULL },
        { "(\\d+\\.)+[a-z]{2,}", NULL },
        { "([[:alpha:]]+[[:digit:]])*", NULL },
        { "(a|bc)*", NULL },
        { "(?=a+)*(?#x+)", NULL },
        { "(a+", NULL },
        { "[a", NULL },
        { "a)+(b+)+", NULL },
        { "\\", NULL },
        { "", NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct lint_regex r;
        lint_regex_read(&r, slice_str(cases[i].pattern), false);
        assert_int_equal(r.risky, cases[i].why != NULL);
        if (r.risky)
            assert_true(slice_eq(r.why, slice_str(cases[i].why)));
    }
}

static void case_counts(void **state)
{
    struct lint_regex r;
    (void)state;
    lint_regex_read(&r, SLICE("([a-z]+[A-Z])*"), false);
    assert_false(r.risky);
    lint_regex_read(&r, SLICE("([a-z]+[A-Z])*"), true);
    assert_true(r.risky);
}

static void groups_that_hold_line_feeds(void **state)
{
    struct lint_regex r;
    (void)state;
    lint_regex_read(&r, SLICE("(.*)([^/]*)(?:\\s)(?<ws>\\s)(\\S)([^\\s])(?P<x>\\x0a)(\\D)"), false);
    assert_int_equal(r.groups, 7);
    assert_int_equal(r.line_feeds, 1U << 2 | 1U << 3 | 1U << 6 | 1U << 7);
    assert_true(slice_eq(r.names[3], SLICE("ws")));
    assert_true(slice_eq(r.names[6], SLICE("x")));
    assert_int_equal(r.names[1].size, 0);
}

static void bounds(void **state)
{
    struct lint_regex r;
    char deep[400], wide[400], many[400];
    (void)state;
    memset(deep, '(', sizeof deep);
    lint_regex_read(&r, slice_of(deep, sizeof deep), false);
    assert_false(r.risky);
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = "()"[i % 2];
    lint_regex_read(&r, slice_of(many, sizeof many), false);
    assert_int_equal(r.groups, sizeof many / 2);
    memset(wide, 'a', sizeof wide);
    memcpy(wide, "(a+", 3);
    memcpy(wide + sizeof wide - 2, ")+", 2);
    lint_regex_read(&r, slice_of(wide, sizeof wide), false);
    assert_false(r.risky); /* too many pieces to tell */
}

static void dots(void **state)
{
    static const struct {
        const char *pattern;
        size_t host, suffix; /* index; SIZE_MAX: none */
    } cases[] = {
        { ".php$", SIZE_MAX, 0 },
        { "\\.php$", SIZE_MAX, SIZE_MAX },
        { "a.b", 1, 1 },
        { "^(.+)\\.a$", SIZE_MAX, SIZE_MAX },
        { "x.(js|css)$", 1, 1 },
        { "x.(?:js)", 1, 1 },
        { "[.]js$", SIZE_MAX, SIZE_MAX },
        { "^/.$", SIZE_MAX, SIZE_MAX },
        { "a.*b", SIZE_MAX, SIZE_MAX },
        { "", SIZE_MAX, SIZE_MAX },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct slice s = slice_str(cases[i].pattern);
        assert_int_equal(lint_regex_host_dot(s),
                         cases[i].host != SIZE_MAX ? cases[i].host : s.size);
        assert_int_equal(lint_regex_suffix_dot(s),
                         cases[i].suffix != SIZE_MAX ? cases[i].suffix : s.size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(risky_ones),
        cmocka_unit_test(case_counts),
        cmocka_unit_test(groups_that_hold_line_feeds),
        cmocka_unit_test(bounds),
        cmocka_unit_test(dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
