/* scan_test.c - the scanners against the obvious loop, for every byte at every place. */
#include "base_test.h"

#include "base/scan.h"

enum { ROOM = 70 };

/* Fills with a byte that is of no kind, puts c at `where`, and has all scanners look for it. */
static void try_byte(size_t size, size_t where, char c)
{
    char *exact = malloc(size + 1);
    char padded[ROOM + SCAN_PAD];
    assert_non_null(exact);
    memset(padded, 0, sizeof padded); /* behind the end: bytes that must not count */
    memset(padded, 'x', size);
    if (where < size)
        padded[where] = c;
    memcpy(exact, padded, size);
    assert_int_equal(scan_ctl_padded(padded, size), scan_is_ctl(c) ? where : size);
    assert_int_equal(scan_gap_padded(padded, size, '?'), scan_is_gap(c, '?') ? where : size);
    assert_int_equal(scan_byte_padded(padded, size, ':'), c == ':' ? where : size);
    assert_int_equal(scan_ctl(exact, size), scan_is_ctl(c) ? where : size);
    free(exact);
}

static void scanners_find_every_byte_everywhere(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++)
        for (size_t where = 0; where < ROOM; where += 3)
            try_byte(ROOM, where, (char)c);
    for (size_t size = 0; size <= ROOM; size++) {
        try_byte(size, size, '\0');
        if (size > 0) {
            try_byte(size, size - 1, '\0');
            try_byte(size, 0, '\r');
        }
    }
    assert_int_equal(scan_ctl(NULL, 0), 0);
}

static void the_kinds_are_what_they_say(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        assert_int_equal(scan_is_ctl((char)c), (c < 32 && c != '\t') || c == 127);
        assert_int_equal(scan_is_gap((char)c, '?'), c <= 32 || c == 127 || c == '#' || c == '?');
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(scanners_find_every_byte_everywhere),
        cmocka_unit_test(the_kinds_are_what_they_say),
    };
    return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
