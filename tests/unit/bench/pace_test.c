/* pace_test.c - the schedule of an open loop keeps its rate, whoever is late. */
#include "bench/pace.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void constant_gaps_add_up(void **state)
{
    struct pace p;
    uint64_t last = 1000;

    (void)state;
    pace_init(&p, 3, GAPS_CONSTANT, 1000, 1);
    for (int i = 0; i < 3000; i++) {
        uint64_t due = pace_due(&p);

        assert_true(pace_take(&p) == due && due > last);
        last = due;
    }
    assert_true(last >= 1000 + 999 * (uint64_t)NS_PER_SEC &&
                last <= 1001 + 1000 * (uint64_t)NS_PER_SEC);
}

/* The mean is one gap, and as many gaps are above it as an exponential has: 1 in e. */
static void exponential_gaps_have_their_mean(void **state)
{
    enum { COUNT = 200000, RATE = 1000 };
    const double gap = (double)NS_PER_SEC / RATE;
    struct pace p;
    uint64_t last = 0;
    int longer = 0;

    (void)state;
    pace_init(&p, RATE, GAPS_EXPONENTIAL, 0, 42);
    for (int i = 0; i < COUNT; i++) {
        uint64_t at = pace_take(&p);

        assert_true(at >= last);
        longer += (double)(at - last) > gap;
        last = at;
    }
    assert_true((double)last > 0.98 * COUNT * gap && (double)last < 1.02 * COUNT * gap);
    assert_in_range(longer, (int)(0.36 * COUNT), (int)(0.376 * COUNT));
}

static void loops_have_schedules_of_their_own(void **state)
{
    struct pace a, b;
    int same = 0;

    (void)state;
    pace_init(&a, 100, GAPS_EXPONENTIAL, 0, 7000);
    pace_init(&b, 100, GAPS_EXPONENTIAL, 0, 7002);
    for (int i = 0; i < 100; i++)
        same += pace_take(&a) == pace_take(&b);
    assert_true(same < 3);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_gaps_add_up),
        cmocka_unit_test(exponential_gaps_have_their_mean),
        cmocka_unit_test(loops_have_schedules_of_their_own),
    };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
