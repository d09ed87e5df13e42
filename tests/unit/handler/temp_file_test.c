/* temp_file_test.c - temporary files where nothing is prepared, and where names are short. */
#include "handler/temp_file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[] = "/tmp/weir-temp-XXXXXX", inside[PATH_MAX];

static int make_base(void **state)
{
    (void)state;
    if (mkdtemp(base) == NULL)
        return -1;
    snprintf(inside, sizeof inside, "%s/new", base);
    return 0;
}

static int drop_base(void **state)
{
    char command[PATH_MAX + 16];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

static nlink_t names_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_nlink;
}

/* The first of them finds no directory, as who has no O_TMPFILE finds none that knows it. */
static void nameless_files_need_no_room_for_a_name(void **state)
{
    struct temp_place p = { .directory = inside, .levels = { 1, 2 } };

    (void)state;
    for (int i = 0; i < 2; i++) {
        int fd = temp_file_open(&p, NULL, 0);

        assert_true(fd >= 0);
        assert_int_equal(names_of(fd), 0);
        assert_int_equal(temp_file_write(fd, "text", 4, 0), 0);
        close(fd);
    }
}

static void named_files_say_their_name(void **state)
{
    struct temp_place p = { .directory = inside, .levels = { 1, 2 }, .named = true };
    char name[PATH_MAX], little[8];
    int fd = temp_file_open(&p, name, sizeof name);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(names_of(fd), 1);
    assert_int_equal(access(name, R_OK | W_OK), 0);
    close(fd);
    assert_int_equal(temp_file_open(&p, little, sizeof little), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nameless_files_need_no_room_for_a_name),
        cmocka_unit_test(named_files_say_their_name),
    };
    return cmocka_run_group_tests(tests, make_base, drop_base);
}
