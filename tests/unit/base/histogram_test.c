/* histogram_test.c - the error a bucket may have, percentiles, and that merging loses nothing. */
#include "base_test.h"

#include "base/histogram.h"

static struct histogram one, two, both;

static void buckets_follow_one_another(void **state)
{
    (void)state;
    uint64_t before = 0;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t top = histogram_bucket_top(i);

        assert_true(i == 0 || top > before);
        assert_true(histogram_bucket(top) == i);
        assert_true(i == 0 || histogram_bucket(before + 1) == i);
        assert_true((top - before) * HISTOGRAM_HALF <= top + HISTOGRAM_HALF); /* the error bound */
        before = top;
    }
    assert_true(before == HISTOGRAM_MAX);
}

static void percentiles_of_a_thousand(void **state)
{
    (void)state;
    one = (struct histogram){ 0 };
    assert_true(histogram_at(&one, 0.5) == 0 && histogram_mean(&one) == 0);
    for (uint64_t i = 1; i <= 1000; i++)
        histogram_add(&one, i * 1000);
    assert_true(one.count == 1000 && one.max == 1000000);
    assert_true(histogram_mean(&one) == 500500);
    for (unsigned i = 1; i <= 10; i++) {
        uint64_t exact = i * 100000, said = histogram_at(&one, i / 10.0);

        assert_true(said >= exact && said - exact <= exact / HISTOGRAM_HALF);
    }
    assert_true(histogram_at(&one, 0) >= 1000 && histogram_at(&one, 0) < 1100);
    assert_true(histogram_at(&one, 1) == 1000000);
}

static void extremes(void **state)
{
    (void)state;
    one = (struct histogram){ 0 };
    histogram_add(&one, 0);
    histogram_add(&one, UINT64_MAX);
    assert_true(one.count == 2 && one.max == HISTOGRAM_MAX);
    assert_true(histogram_at(&one, 0.5) == 0 && histogram_at(&one, 1) == HISTOGRAM_MAX);
}

static void merging_is_adding(void **state)
{
    (void)state;
    one = two = both = (struct histogram){ 0 };
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t value = i * i % 1000003;

        histogram_add(i % 3 ? &one : &two, value);
        histogram_add(&both, value);
    }
    histogram_merge(&one, &two);
    assert_true(one.count == both.count && one.max == both.max && one.sum == both.sum);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        assert_true(one.buckets[i] == both.buckets[i]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_follow_one_another),
        cmocka_unit_test(percentiles_of_a_thousand),
        cmocka_unit_test(extremes),
        cmocka_unit_test(merging_is_adding),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
