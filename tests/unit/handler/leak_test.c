/* leak_test.c - what a leaky bucket counts, to the drop. */
#include "handler/leak.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants the headers above */
#include <cmocka.h>

static int64_t rate_of(const char *text)
{
    int64_t rate = -1;

    return leak_parse_rate(slice_str(text), &rate) ? rate : -1;
}

static void rates_are_read(void **state)
{
    static const char *const bad[] = { "",     "r/s",    "1",     "1r",    "1r/h",          "-1r/s",
                                       "0r/s", "1.5r/s", "1 r/s", "0r/m",  "1000000001r/s", "r/m",
                                       "1R/S", "1r/s ",  "+1r/s", "0x1r/s" };

    (void)state;
    assert_int_equal(rate_of("1r/m"), 1000);
    assert_int_equal(rate_of("60r/m"), rate_of("1r/s"));
    assert_int_equal(rate_of("30r/m"), 30000);
    assert_int_equal(rate_of("10r/s"), 600000);
    assert_int_equal(rate_of("1000000000r/s"), INT64_C(60000000000000));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(rate_of(bad[i]), -1);
}

static void every_request_adds_one(void **state)
{
    int64_t rate = rate_of("1r/s");
    struct leak l;

    (void)state;
    leak_first(&l, 1000);
    for (int i = 1; i <= 5; i++) {
        int64_t excess = leak_next(&l, rate, 1000);

        assert_int_equal(excess / LEAK_THOUSANDTH, i * 1000);
        leak_store(&l, excess, 1000);
    }
    assert_int_equal(leak_next(&l, rate, 1995) / LEAK_THOUSANDTH, 5005);
    assert_int_equal(leak_next(&l, rate, 2000) / LEAK_THOUSANDTH, 5000);
    assert_int_equal(leak_next(&l, rate, 7000), 0);
    assert_int_equal(leak_next(&l, rate, UINT64_MAX), 0);
}

static void what_is_not_stored_is_not_counted(void **state)
{
    int64_t rate = rate_of("1r/m");
    struct leak l;

    (void)state;
    leak_first(&l, 0);
    assert_int_equal(leak_next(&l, rate, 0), LEAK_REQUEST);
    assert_int_equal(leak_next(&l, rate, 59999), 1000);
    assert_int_equal(leak_next(&l, rate, 60000), 0);
}

/* A request a millisecond for ten minutes at one a minute: nothing is lost by rounding. */
static void nothing_is_lost(void **state)
{
    enum { REQUESTS = 600 * 1000 };
    int64_t rate = rate_of("1r/m");
    struct leak l;

    (void)state;
    leak_first(&l, 0);
    for (uint64_t now = 1; now <= REQUESTS; now++)
        leak_store(&l, leak_next(&l, rate, now), now);
    assert_true(l.excess == (int64_t)REQUESTS * LEAK_REQUEST - (int64_t)10 * LEAK_REQUEST);
}

static void time_does_not_run_backwards(void **state)
{
    int64_t rate = rate_of("1r/s"), excess;
    struct leak l;

    (void)state;
    leak_first(&l, 5000);
    excess = leak_next(&l, rate, 4000);
    assert_int_equal(excess, LEAK_REQUEST);
    leak_store(&l, excess, 4000);
    assert_int_equal(l.last_ms, 5000);
    assert_int_equal(leak_next(&l, rate, 5500) / LEAK_THOUSANDTH, 1500);
}

static void the_largest_numbers_fit(void **state)
{
    int64_t rate = rate_of("1000000000r/s"), most = (int64_t)LEAK_REQUESTS_MAX * LEAK_REQUEST;
    struct leak l;

    (void)state;
    leak_first(&l, 0);
    leak_store(&l, most, 0);
    assert_true(leak_next(&l, rate, 0) == most + LEAK_REQUEST);
    assert_true(leak_next(&l, rate, 1000) == LEAK_REQUEST);
    assert_true(leak_next(&l, rate, (uint64_t)1 << 62) == 0);
    assert_true(leak_next(&l, rate_of("1r/m"), (uint64_t)1 << 62) == 0);
}

static void waits_are_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(leak_wait_ms(LEAK_REQUEST, rate_of("1r/s")), 1000);
    assert_int_equal(leak_wait_ms(LEAK_REQUEST, rate_of("1r/m")), 60000);
    assert_int_equal(leak_wait_ms(1, rate_of("1r/m")), 1);
    assert_int_equal(leak_wait_ms(0, rate_of("1r/m")), 0);
    assert_int_equal(leak_wait_ms(-INT64_MAX, rate_of("1r/m")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_read),
        cmocka_unit_test(every_request_adds_one),
        cmocka_unit_test(what_is_not_stored_is_not_counted),
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(time_does_not_run_backwards),
        cmocka_unit_test(the_largest_numbers_fit),
        cmocka_unit_test(waits_are_rounded_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
