/* log_test.c - the lines of the error log, to files and to syslog; panic reports and traces. */
#include "base_test.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"

#include <errno.h>
#include <regex.h>
#include <stdatomic.h>
#include <fcntl.h>
#include <sys/socket.h>

#define DATE "^[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} "

static char text[3 * LOG_LINE_MAX];

/* What is in the pipe or socket now. */
static const char *written(int fd)
{
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void assert_like(const char *line, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int match = regexec(&regex, line, 0, NULL, 0);
    regfree(&regex);
    if (match != 0)
        fail_msg("\"%s\" is not like \"%s\"", line, pattern);
}

static void open_sink(int fds[2], int type, struct log_sink *sink, enum log_level level,
                      struct log *log)
{
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds), 0);
    log_sink_init(sink, fds[1], level);
    log_add_sink(log, sink);
}

static void lines_have_nginxs_form(void **state)
{
    struct log log = { 0 };
    struct log_sink sink;
    int fds[2];
    (void)state;
    open_sink(fds, SOCK_DGRAM, &sink, LOG_NOTICE, &log);
    log_write(&log, LOG_ERROR, ENOENT, "open() \"%s\" failed", "/x");
    assert_like(written(fds[0]), DATE "\\[error\\] [0-9]+#[0-9]+: open\\(\\) \"/x\" failed "
                                      "\\(2: No such file or directory\\)\n$");
    log_about(&log, LOG_WARN, 0, SLICE("*5, client: 1.2.3.4, request: \"GET / HTTP/1.1\""), "hm");
    assert_like(written(fds[0]), DATE "\\[warn\\] [0-9]+#[0-9]+: \\*5 hm, client: 1.2.3.4, "
                                      "request: \"GET / HTTP/1.1\"\n$");
    log_about(&log, LOG_NOTICE, 0, SLICE("client: 1.2.3.4"), "hm");
    assert_like(written(fds[0]), ": hm, client: 1.2.3.4\n$");
    log_about(&log, LOG_NOTICE, 0, SLICE("*77"), "hm");
    assert_like(written(fds[0]), ": \\*77 hm\n$");
    log_write(&log, LOG_INFO, 0, "not wanted");
    assert_string_equal(written(fds[0]), "");
    close(fds[0]);
    close(fds[1]);
}

static void nobody_can_forge_a_line(void **state)
{
    struct log log = { 0 };
    struct log_sink sink;
    int fds[2];
    (void)state;
    open_sink(fds, SOCK_DGRAM, &sink, LOG_NOTICE, &log);
    log_about(&log, LOG_ERROR, 0, SLICE("request: \"\x1b[31m\""), "a\nb\r\x7f\xc3\xa9");
    assert_like(written(fds[0]),
                ": a\\\\x0Ab\\\\x0D\\\\x7F\xc3\xa9, request: \"\\\\x1B\\[31m\"\n$");
    close(fds[0]);
    close(fds[1]);
}

static void long_lines_are_cut_and_end(void **state)
{
    struct log log = { 0 };
    struct log_sink sink;
    int fds[2];
    static char wide[3 * LOG_LINE_MAX];
    (void)state;
    memset(wide, '\n', sizeof wide - 1);
    open_sink(fds, SOCK_DGRAM, &sink, LOG_NOTICE, &log);
    log_about(&log, LOG_ERROR, EINVAL, slice_str(wide), "%s", wide);
    size_t size = strlen(written(fds[0]));
    assert_in_range(size, LOG_LINE_MAX - 8, LOG_LINE_MAX);
    assert_int_equal(text[size - 1], '\n');
    close(fds[0]);
    close(fds[1]);
}

static void each_sink_takes_its_levels(void **state)
{
    struct log log = { 0 };
    struct log_sink errors, all;
    int a[2], b[2];
    (void)state;
    open_sink(a, SOCK_DGRAM, &errors, LOG_ERROR, &log);
    open_sink(b, SOCK_DGRAM, &all, LOG_DEBUG, &log);
    assert_true(log_wants(&log, LOG_DEBUG));
    log_write(&log, LOG_DEBUG, 0, "detail");
    assert_string_equal(written(a[0]), "");
    assert_like(written(b[0]), "\\[debug\\] .*: detail\n$");
    log_write(&log, LOG_EMERG, 0, "end");
    assert_like(written(a[0]), "\\[emerg\\] .*: end\n$");
    assert_like(written(b[0]), "\\[emerg\\] .*: end\n$");
    atomic_store(&errors.fd, -1);
    log_write(&log, LOG_EMERG, 0, "end");
    assert_string_equal(written(a[0]), "");
    assert_int_equal(errors.dropped, 0);
    close(a[0]), close(a[1]), close(b[0]), close(b[1]);
}

static void syslog_lines_are_framed(void **state)
{
    struct log log = { 0 };
    struct log_sink sink;
    int fds[2];
    (void)state;
    open_sink(fds, SOCK_DGRAM, &sink, LOG_ERROR, &log);
    sink.syslog_facility = 23; /* local7 */
    memcpy(sink.syslog_tag, "weir", 5);
    log_write(&log, LOG_ERROR, 0, "text");
    assert_like(written(fds[0]), "^<187>[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} "
                                 "[^ ]* weir: [0-9/]+ [0-9:]+ \\[error\\] [0-9#]+: text$");
    close(fds[0]);
    close(fds[1]);
}

static void lost_lines_are_counted(void **state)
{
    struct log log = { 0 };
    struct log_sink sink;
    int fd = open("/dev/full", O_WRONLY);
    (void)state;
    assert_true(fd >= 0);
    log_sink_init(&sink, fd, LOG_ERROR);
    log_add_sink(&log, &sink);
    errno = 7;
    log_write(&log, LOG_ERROR, 0, "text");
    log_write(&log, LOG_ERROR, 0, "text");
    assert_int_equal(errno, 7);
    assert_int_equal(sink.dropped, 2);
    close(fd);
}

static void levels_by_name(void **state)
{
    (void)state;
    assert_int_equal(log_level_from(SLICE("error")), LOG_ERROR);
    assert_int_equal(log_level_from(SLICE("debug")), LOG_DEBUG);
    assert_int_equal(log_level_from(SLICE("ERROR")), -1);
    assert_int_equal(log_level_from(SLICE("")), -1);
    assert_string_equal(log_level_name(LOG_CRIT), "crit");
}

static void a_limiter_counts_what_it_holds_back(void **state)
{
    struct log_limit limit = { 0 };
    uint32_t held = 9;
    (void)state;
    assert_true(log_limit_pass(&limit, &held));
    assert_int_equal(held, 0);
    for (int i = 0; i < 5; i++)
        assert_false(log_limit_pass(&limit, &held));
    atomic_store(&limit.next_ns, (int64_t)clock_mono_ns());
    assert_true(log_limit_pass(&limit, &held));
    assert_int_equal(held, 5);
}

static void hook(int fd)
{
    if (write(fd, "what the hook knows\n", 20) != 20)
        abort();
}

static void fail_a_check(void)
{
    for (uint64_t i = 0; i < TRACE_RECORDS + 10; i++)
        trace_put("conn", i, "head", "run");
    check_on_panic(hook);
    CHECK(1 + 1 == 3);
}

static void a_panic_says_what_it_can(void **state)
{
    static char report[1 << 16];
    (void)state;
    assert_true(panics(fail_a_check, report, sizeof report));
    assert_non_null(strstr(report, "1 + 1 == 3"));
    assert_non_null(strstr(report, "fail_a_check(), "));
    assert_non_null(strstr(report, "build "));
    assert_non_null(strstr(report, "what the hook knows\n"));
    assert_null(strstr(report, "trace: conn 9 "));
    assert_non_null(strstr(report, "trace: conn 10 head -> run\ntrace: conn 11 head"));
    assert_non_null(strstr(report, "trace: conn 265 head -> run\n"));
}

static void fail_in_the_hook(int fd)
{
    (void)fd;
    NEVER("the report fails too");
}

static void fail_twice(void)
{
    check_on_panic(fail_in_the_hook);
    NEVER("first");
}

static void a_panic_in_a_panic_ends(void **state)
{
    char report[4096];
    (void)state;
    assert_true(panics(fail_twice, report, sizeof report));
    assert_non_null(strstr(report, "never: first"));
}

static void clocks_run(void **state)
{
    uint64_t mono = clock_mono_ns();
    (void)state;
    assert_true(clock_mono_ns() >= mono);
    assert_true(clock_wall_ns() > INT64_C(1700000000) * NS_PER_SEC);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_nginxs_form),
        cmocka_unit_test(nobody_can_forge_a_line),
        cmocka_unit_test(long_lines_are_cut_and_end),
        cmocka_unit_test(each_sink_takes_its_levels),
        cmocka_unit_test(syslog_lines_are_framed),
        cmocka_unit_test(lost_lines_are_counted),
        cmocka_unit_test(levels_by_name),
        cmocka_unit_test(a_limiter_counts_what_it_holds_back),
        cmocka_unit_test(a_panic_says_what_it_can),
        cmocka_unit_test(a_panic_in_a_panic_ends),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
