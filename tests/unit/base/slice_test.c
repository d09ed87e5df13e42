/* slice_test.c - comparing, searching, cutting, numbers and hashes of slices. */
#include "base_test.h"

static const struct slice NOTHING = { NULL, 0 };

static void equality_looks_at_every_byte(void **state)
{
    (void)state;
    assert_true(slice_eq(SLICE("abc"), SLICE("abc")));
    assert_false(slice_eq(SLICE("abc"), SLICE("abC")));
    assert_false(slice_eq(SLICE("abc"), SLICE("ab")));
    assert_true(slice_eq(NOTHING, SLICE("")));
    assert_true(slice_eq(SLICE("a\0b"), SLICE("a\0b")));
    assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
}

static void case_is_ignored_for_letters_only(void **state)
{
    (void)state;
    assert_true(slice_eq_nocase(SLICE("Host"), SLICE("hOST")));
    assert_false(slice_eq_nocase(SLICE("@"), SLICE("`")));
    assert_false(slice_eq_nocase(SLICE("["), SLICE("{")));
    assert_false(slice_eq_nocase(SLICE("\r"), SLICE("-")));
    assert_false(slice_eq_nocase(SLICE("\xc3\x89"), SLICE("\xc3\xa9")));
    assert_true(slice_eq_nocase(SLICE("Content-LENGTH: aZ"), SLICE("cONTENT-length: Az")));
    assert_false(slice_eq_nocase(SLICE("Content-Length"), SLICE("Content\rLength")));
    assert_false(slice_eq_nocase(SLICE("Content-Length@"), SLICE("Content-Length`")));
    assert_false(slice_eq_nocase(SLICE("[bcdefghijk"), SLICE("{bcdefghijk")));
    assert_false(slice_eq_nocase(SLICE("abcdefghijk"), SLICE("abcdefgiijk")));
    for (int c = 0; c < 256; c++)
        assert_int_equal(byte_lower((unsigned char)c), c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static void starts_and_ends(void **state)
{
    (void)state;
    assert_true(slice_starts(SLICE("/static/x"), SLICE("/static")));
    assert_false(slice_starts(SLICE("/st"), SLICE("/static")));
    assert_true(slice_starts(SLICE("x"), NOTHING));
    assert_true(slice_ends(SLICE("a.html"), SLICE(".html")));
    assert_false(slice_ends(SLICE("l"), SLICE(".html")));
    assert_true(slice_ends(NOTHING, NOTHING));
}

static void order_is_by_bytes_then_by_size(void **state)
{
    (void)state;
    assert_true(slice_cmp(SLICE("a"), SLICE("b")) < 0);
    assert_true(slice_cmp(SLICE("ab"), SLICE("a")) > 0);
    assert_true(slice_cmp(SLICE("\xff"), SLICE("a")) > 0);
    assert_int_equal(slice_cmp(SLICE("ab"), SLICE("ab")), 0);
    assert_int_equal(slice_cmp(NOTHING, NOTHING), 0);
}

static void finding(void **state)
{
    (void)state;
    assert_int_equal(slice_find(SLICE("a:b:c"), ':'), 1);
    assert_int_equal(slice_find(SLICE("abc"), ':'), 3);
    assert_int_equal(slice_find(NOTHING, ':'), 0);
    assert_int_equal(slice_search(SLICE("abcabd"), SLICE("abd")), 3);
    assert_int_equal(slice_search(SLICE("ab"), SLICE("abc")), 2);
    assert_int_equal(slice_search(SLICE("ab"), NOTHING), 0);
}

static void cutting(void **state)
{
    struct slice s = SLICE("a,,b");
    (void)state;
    assert_slice(slice_cut(&s, ','), "a");
    assert_slice(slice_cut(&s, ','), "");
    assert_slice(slice_cut(&s, ','), "b");
    assert_int_equal(s.size, 0);
    assert_slice(slice_cut(&s, ','), "");
}

static void trimming_takes_blanks_from_both_ends(void **state)
{
    (void)state;
    assert_slice(slice_trim(SLICE(" \t a b\t ")), "a b");
    assert_slice(slice_trim(SLICE(" \t ")), "");
    assert_slice(slice_trim(SLICE("\ra\n")), "\ra\n");
}

static void numbers_are_digits_and_nothing_else(void **state)
{
    static const char *const bad[] = { "",
                                       "+1",
                                       "-1",
                                       " 1",
                                       "1 ",
                                       "1a",
                                       "0x1",
                                       "1.0",
                                       "18446744073709551616",
                                       "99999999999999999999999" };
    uint64_t value = 77;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(slice_to_u64(slice_str(bad[i]), UINT64_MAX, &value));
    assert_false(slice_to_u64(SLICE("101"), 100, &value));
    assert_int_equal(value, 77);
    assert_true(slice_to_u64(SLICE("100"), 100, &value));
    assert_int_equal(value, 100);
    assert_true(slice_to_u64(SLICE("000018446744073709551615"), UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
}

static void hexadecimal_numbers(void **state)
{
    uint64_t value = 77;
    (void)state;
    assert_true(slice_hex_to_u64(SLICE("fFfFfFfFfFfFfFfF"), UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
    assert_false(slice_hex_to_u64(SLICE("10000000000000000"), UINT64_MAX, &value));
    assert_false(slice_hex_to_u64(SLICE("0x1"), UINT64_MAX, &value));
    assert_false(slice_hex_to_u64(SLICE("g"), UINT64_MAX, &value));
    for (int c = 0; c < 256; c++) {
        const char digits[] = "0123456789abcdef";
        const char *at = c != 0 ? strchr(digits, byte_lower((unsigned char)c)) : NULL;
        assert_int_equal(hex_value((char)c), at != NULL ? at - digits : -1);
    }
}

static void hashes_follow_equality(void **state)
{
    char upper[1000], lower[1000];
    (void)state;
    for (size_t i = 0; i < sizeof upper; i++) {
        upper[i] = (char)('A' + i % 26);
        lower[i] = (char)('a' + i % 26);
    }
    for (size_t size = 0; size <= sizeof upper; size += size < 20 ? 1 : 49) {
        struct slice a = slice_of(upper, size), b = slice_of(lower, size);
        assert_true(slice_hash_nocase(a) == slice_hash_nocase(b));
        assert_true(size == 0 || slice_hash(a) != slice_hash(b));
        assert_true(slice_hash(a) == slice_hash(a));
    }
    assert_true(slice_hash(NOTHING) == slice_hash(SLICE("")));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_looks_at_every_byte),
        cmocka_unit_test(case_is_ignored_for_letters_only),
        cmocka_unit_test(starts_and_ends),
        cmocka_unit_test(order_is_by_bytes_then_by_size),
        cmocka_unit_test(finding),
        cmocka_unit_test(cutting),
        cmocka_unit_test(trimming_takes_blanks_from_both_ends),
        cmocka_unit_test(numbers_are_digits_and_nothing_else),
        cmocka_unit_test(hexadecimal_numbers),
        cmocka_unit_test(hashes_follow_equality),
    };
    return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
