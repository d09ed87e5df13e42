/* open_test.c - opening paths by system calls: with openat2(2), and in a child process that a
 * filter has taken it from, with and without /proc. */
#include "handler/file_open.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants some of the headers above */
#include <cmocka.h>

static char top[PATH_MAX / 2];

static void path_to(const char *name, char into[PATH_MAX])
{
    snprintf(into, PATH_MAX, "%s/%s", top, name);
}

static void put_file(const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *f;

    path_to(name, path);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void put_link(const char *name, const char *target)
{
    char path[PATH_MAX];

    path_to(name, path);
    assert_int_equal(symlink(target, path), 0);
}

static void put_directory(const char *name)
{
    char path[PATH_MAX];

    path_to(name, path);
    assert_int_equal(mkdir(path, 0755), 0);
}

static int make_tree(void **state)
{
    char path[PATH_MAX];

    (void)state;
    snprintf(top, sizeof top, "/tmp/weir-open-XXXXXX");
    assert_non_null(mkdtemp(top));
    put_directory("root");
    put_directory("root/sub");
    put_directory("other");
    put_directory("root2");
    put_file("root/sub/file", "file");
    put_file("other/secret", "secret");
    put_file("root2/file", "beside");
    put_link("root/in", "sub/file");
    put_link("root/sub/up", "../sub/file");
    put_link("root/out", "../other/secret");
    put_link("root/beside", "../root2/file");
    put_link("root/loop", "loop");
    put_link("root/sub/dots", "../../root/sub/file");
    path_to("root/sub", path);
    put_link("root/absolute", path);
    path_to("other", path);
    put_link("root/away", path);
    put_link("root/self", "/proc/self");
    path_to("root/fifo", path);
    assert_int_equal(mkfifo(path, 0644), 0);
    return 0;
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    (void)s;
    (void)kind;
    (void)where;
    return remove(path);
}

static int remove_tree(void **state)
{
    (void)state;
    return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* 0, or the error. */
static int try_open(const char *below, enum links links, bool cached)
{
    char path[PATH_MAX], root[PATH_MAX];
    struct file_place p = { .links = links };
    struct stat s;
    int fd;

    path_to("root", root);
    snprintf(path, sizeof path, "%s/root%s%s", top, *below != '\0' ? "/" : "", below);
    p.path = slice_str(path);
    p.root_size = p.trusted_size = (uint32_t)strlen(root);
    fd = file_open_at(&p, cached, &s);
    if (fd < 0)
        return -fd;
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    close(fd);
    return 0;
}

static const struct {
    const char *below;
    int beneath, none;
} rows[] = {
    { "sub/file", 0, 0 },
    { "sub//file", 0, 0 },
    { "sub/", 0, 0 },
    { "", 0, 0 },
    { "in", 0, FILE_IS_LINKED },
    { "sub/up", 0, FILE_IS_LINKED },
    { "absolute/file", 0, FILE_IS_LINKED },
    { "absolute/up", 0, FILE_IS_LINKED },
    { "out", FILE_LEADS_OUT, FILE_IS_LINKED },
    { "beside", FILE_LEADS_OUT, FILE_IS_LINKED },
    { "away/secret", FILE_LEADS_OUT, FILE_IS_LINKED },
    { "../other/secret", FILE_LEADS_OUT, FILE_LEADS_OUT },
    { "../root2/file", FILE_LEADS_OUT, FILE_LEADS_OUT },
    { "loop", ELOOP, FILE_IS_LINKED },
    { "self/status", FILE_LEADS_OUT, FILE_IS_LINKED },
    { "none", ENOENT, ENOENT },
    { "sub/file/x", ENOTDIR, ENOTDIR },
    { "sub/file/", ENOTDIR, ENOTDIR },
    { "fifo", EACCES, EACCES },
};

/* The number of rows that are not as they should be. */
static int check_rows(bool with_proc)
{
    int wrong = 0;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int beneath = try_open(rows[i].below, LINKS_BENEATH, false);
        int none = try_open(rows[i].below, LINKS_NONE, false);
        bool good =
            with_proc ? beneath == rows[i].beneath : (beneath == 0) <= (rows[i].beneath == 0);

        if (good && none == rows[i].none)
            continue;
        fprintf(stderr, "\"%s\": beneath %d, none %d\n", rows[i].below, beneath, none);
        wrong++;
    }
    return wrong;
}

static void test_with_openat2(void **state)
{
    (void)state;
    assert_int_equal(check_rows(true), 0);
    assert_int_equal(try_open("out", LINKS_FREE, false), 0);
    assert_int_equal(try_open("away/secret", LINKS_FREE, false), 0);
    assert_int_equal(try_open("loop", LINKS_FREE, false), ELOOP);
    assert_int_equal(try_open("../other/secret", LINKS_FREE, false), FILE_LEADS_OUT);
}

/* The loop is told to ask a helper thread rather than to wait. */
static void test_what_the_loop_is_told(void **state)
{
    (void)state;
    assert_int_equal(try_open("sub/file", LINKS_BENEATH, true), 0);
    assert_int_equal(try_open("absolute/file", LINKS_BENEATH, true), EAGAIN);
    assert_int_equal(try_open("sub/file", LINKS_OWNED, true), EAGAIN);
    assert_int_equal(try_open("sub/file", LINKS_OWNED, false), 0);
    assert_int_equal(try_open("in", LINKS_OWNED, false), 0);
}

/* ---- without it ---------------------------------------------------------------------- */

/* openat2 answers `error`; if asked for, so does readlink, as where /proc is missing. */
static bool take_calls_away(unsigned error, bool readlink_too)
{
    unsigned link = readlink_too ? SYS_readlink : SYS_openat2;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, link, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { COUNT_OF(code), code };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum { NO_FILTERS = 77 };

static void in_a_child(unsigned error, bool with_proc)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        if (!take_calls_away(error, !with_proc))
            _exit(NO_FILTERS);
        int wrong = check_rows(with_proc);

        wrong += try_open("sub/file", LINKS_BENEATH, true) != EAGAIN;
        wrong += try_open("out", LINKS_FREE, false) != 0;
        wrong += try_open("sub/file", LINKS_BENEATH, false) != 0;
        _exit(wrong);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_FILTERS)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_without_openat2(void **state)
{
    (void)state;
    in_a_child(ENOSYS, true);
}

static void test_with_openat2_forbidden(void **state)
{
    (void)state;
    in_a_child(EPERM, true);
}

static void test_without_openat2_and_proc(void **state)
{
    (void)state;
    in_a_child(ENOSYS, false);
}

static void test_warming(void **state)
{
    char path[PATH_MAX];
    int fd;

    (void)state;
    path_to("root/sub/file", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_warm(fd, 0, 100), 0);
    assert_true(file_is_warm(fd, 0, 4));
    assert_true(file_is_warm(fd, 0, 1));
    assert_true(file_is_warm(fd, 100, 100)); /* behind the end there is nothing to wait for */
    close(fd);
    assert_int_equal(file_warm(fd, 0, 1), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_openat2),
        cmocka_unit_test(test_what_the_loop_is_told),
        cmocka_unit_test(test_without_openat2),
        cmocka_unit_test(test_with_openat2_forbidden),
        cmocka_unit_test(test_without_openat2_and_proc),
        cmocka_unit_test(test_warming),
    };

    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
