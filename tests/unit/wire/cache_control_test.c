/* cache_control_test.c - Cache-Control of answers. */
#include "wire/cache_control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct cache_control read_all(const char *first, const char *second)
{
    struct cache_control c;

    cache_control_init(&c);
    cache_control_read(&c, slice_str(first));
    if (second != NULL)
        cache_control_read(&c, slice_str(second));
    return c;
}

static void test_nothing(void **state)
{
    struct cache_control c = read_all("", NULL);

    (void)state;
    assert_false(c.no_store || c.no_cache || c.is_private || c.is_public || c.must_revalidate);
    assert_int_equal(c.max_age, -1);
    assert_int_equal(c.s_maxage, -1);
    assert_int_equal(c.stale_if_error, -1);
}

static void test_directives(void **state)
{
    struct cache_control c = read_all("Public, MAX-AGE=30 , s-maxage=\"60\",, foo=\"a,no-store\"",
                                      "stale-while-revalidate=5, stale-if-error=7");

    (void)state;
    assert_true(c.is_public);
    assert_false(c.no_store);
    assert_int_equal(c.max_age, 30);
    assert_int_equal(c.s_maxage, 60);
    assert_int_equal(c.stale_while_revalidate, 5);
    assert_int_equal(c.stale_if_error, 7);
    c = read_all("no-store", "private=\"set-cookie, x\", no-cache=\"a\", proxy-revalidate");
    assert_true(c.no_store && c.is_private && c.no_cache && c.must_revalidate);
    c = read_all("no-storex, xprivate, no_cache", NULL);
    assert_false(c.no_store || c.is_private || c.no_cache);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t is;
    } cases[] = {
        { "max-age=0", 0 },
        { "max-age", 0 },
        { "max-age=", 0 },
        { "max-age=-1", 0 },
        { "max-age=1.5", 0 },
        { "max-age=ten", 0 },
        { "max-age= 10", 10 },
        { "max-age=2147483647", CACHE_SECONDS_MAX },
        { "max-age=2147483648", CACHE_SECONDS_MAX },
        { "max-age=99999999999999999999999999", CACHE_SECONDS_MAX },
        { "max-age=10, max-age=5", 5 },
        { "max-age=5, max-age=10", 5 },
        { "max-age=\"", 0 },
        { "max-age=\"\"", 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (read_all(cases[i].text, NULL).max_age != cases[i].is)
            fail_msg("%s", cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_directives),
        cmocka_unit_test(test_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
