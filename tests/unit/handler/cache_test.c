/* cache_test.c - open files: what is kept, what is seen of changes, which links are followed. */
#include "file_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void test_a_file_and_its_fields(void **state)
{
    struct site_test t;
    struct stat s;
    char path[PATH_MAX], etag[64];

    (void)state;
    site_open(&t, "types { text/x-one one; } default_type text/x-any;");
    put_file(&t, "html/a.one", "0123456789");
    path_to(&t, "html/a.one", path);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(ask(&t, "GET /a.one", NULL), 200);
    assert_text(t.body, "0123456789");
    assert_text(t.r->response.content_type, "text/x-one");
    assert_int_equal(t.r->response.length, 10);
    assert_int_equal(t.r->response.last_modified, s.st_mtim.tv_sec);
    snprintf(etag, sizeof etag, "\"%llx-a\"", (unsigned long long)s.st_mtim.tv_sec);
    assert_text(t.r->response.etag, etag);
    assert_true(t.r->response.accept_ranges);
    assert_int_equal(ask(&t, "GET /none", NULL), 404);
    assert_logged(&t, "html/none\" failed (2: No such file or directory)");
    site_close(&t);
}

/* ---- contents ------------------------------------------------------------------------ */

static void test_contents_come_with_use(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "");
    put_file(&t, "html/a", "hot");
    assert_int_equal(ask(&t, "GET /a", NULL), 200);
    assert_true(cached(&t, "html/a")->fd >= 0);
    assert_int_equal(t.files.descriptors, 1);
    assert_int_equal(ask(&t, "GET /a", NULL), 200);
    assert_null(cached(&t, "html/a")->content); /* it was written to just now */
    let_settle(&t);
    assert_int_equal(ask(&t, "GET /a", NULL), 200);
    assert_text(t.body, "hot");
    assert_int_equal(t.memory_chunks, 1);
    assert_non_null(cached(&t, "html/a")->content);
    assert_int_equal(cached(&t, "html/a")->fd, -1);
    assert_int_equal(t.files.descriptors, 0);
    assert_int_equal(t.files.bytes, 3);
    site_close(&t);
}

/* A request that sends from the descriptor keeps it, whatever happens to the entry. */
static void test_a_body_keeps_its_file(void **state)
{
    struct site_test t;
    struct file *f;

    (void)state;
    site_open(&t, "");
    put_file(&t, "html/a", "first");
    assert_int_equal(ask_head(&t, "GET /a", NULL), 200);
    f = cached(&t, "html/a");
    put_file(&t, "html/b", "other");
    path_to(&t, "html/b", t.text);
    char a[PATH_MAX];

    path_to(&t, "html/a", a);
    assert_int_equal(rename(t.text, a), 0);
    assert_int_equal(f->refs, 2);
    take_body(&t);
    assert_text(t.body, "first");
    assert_int_equal(ask(&t, "GET /a", NULL), 200);
    assert_text(t.body, "other");
    site_close(&t);
}

static void test_every_change_is_seen(void **state)
{
    struct site_test t;
    char path[PATH_MAX];
    struct timespec times[2] = { { 1000000000, 0 }, { 1000000000, 0 } };

    (void)state;
    site_open(&t, "");
    path_to(&t, "html/a", path);
    for (int n = 0; n < 20; n++) {
        char text[16];

        snprintf(text, sizeof text, "%06d", n);
        put_file(&t, "html/a", text);
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        for (int again = 0; again < 3; again++) {
            assert_int_equal(ask(&t, "GET /a", NULL), 200);
            assert_text(t.body, text);
            let_settle(&t);
        }
        assert_non_null(cached(&t, "html/a")->content);
        struct timespec tick = { 0, 20 * 1000 * 1000 };

        nanosleep(&tick, NULL); /* "settled" was a lie: the clock of the file system must move */
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ask(&t, "GET /a", NULL), 404);
    put_directory(&t, "html/a");
    assert_int_equal(ask(&t, "GET /a", NULL), 301);
    site_close(&t);
}

/* Within a tick of the file system's clock two versions look the same: neither may stay. */
static void test_changes_within_a_tick(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "");
    for (int n = 0; n < 300; n++) {
        char text[16];

        snprintf(text, sizeof text, "%06d", n);
        put_file(&t, "html/a", text);
        for (int again = 0; again < 3; again++) {
            assert_int_equal(ask(&t, "GET /a", NULL), 200);
            assert_text(t.body, text);
        }
    }
    site_close(&t);
}

/* ---- bounds -------------------------------------------------------------------------- */

static void ask_many(struct site_test *t, unsigned count, const char *text)
{
    char name[64], line[64];

    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "html/n%u", i);
        snprintf(line, sizeof line, "GET /n%u", i);
        put_file(t, name, text);
        assert_int_equal(ask(t, line, NULL), 200);
        assert_text(t->body, text);
    }
}

static void test_entries_and_descriptors_are_bounded(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "");
    assert_true(t.files.descriptors_max >= FILE_DESCRIPTORS_MIN);
    assert_int_equal(t.files.count_max, FILE_ENTRIES_MAX);
    t.files.descriptors_max = 4;
    t.files.count_max = 6;
    ask_many(&t, 20, "x");
    assert_int_equal(t.files.descriptors, 4);
    assert_null(cached(&t, "html/n0"));
    assert_non_null(cached(&t, "html/n19"));
    ask_many(&t, 20, "");
    assert_int_equal(t.files.count, 6);
    site_close(&t);
}

static void test_contents_are_bounded(void **state)
{
    enum { SIZE = FILE_CONTENT_MAX, FILES = FILE_BYTES_MAX / SIZE + 3 };
    struct site_test t;
    char *bytes = test_calloc(1, SIZE + 1), name[64], line[64];

    (void)state;
    site_open(&t, "");
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "html/n%u", i);
        snprintf(line, sizeof line, "GET /n%u", i);
        put_bytes(&t, name, bytes, SIZE);
        assert_int_equal(ask(&t, line, NULL), 200);
        let_settle(&t);
        assert_int_equal(ask(&t, line, NULL), 200);
    }
    assert_true(t.files.bytes <= FILE_BYTES_MAX);
    assert_true(t.files.bytes > FILE_BYTES_MAX - 4 * SIZE);
    put_bytes(&t, "html/large", bytes, SIZE + 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(&t, "GET /large", NULL), 200);
        let_settle(&t);
    }
    assert_null(cached(&t, "html/large")->content);
    site_close(&t);
    test_free(bytes);
}

/* Takes every descriptor below the one it returns, which is free. */
static int fill_descriptors(int above)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
    } while (fd <= above);
    close(fd);
    return fd;
}

static void test_out_of_descriptors(void **state)
{
    struct site_test t;
    struct rlimit before, now;
    unsigned status;

    (void)state;
    site_open(&t, "");
    ask_many(&t, 10, "x");
    assert_int_equal(t.files.descriptors, 10);
    put_file(&t, "html/last", "last");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    now.rlim_cur = (rlim_t)fill_descriptors(cached(&t, "html/n9")->fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    status = ask(&t, "GET /last", NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, 200);
    assert_text(t.body, "last");
    assert_int_equal(t.files.descriptors, 1);
    site_close(&t);
}

static void test_idle_entries_go(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "");
    ask_many(&t, 3, "x");
    ask_end(&t);
    t.files.sweep.fire(t.loop.io, &t.files.sweep);
    assert_int_equal(t.files.count, 3);
    cached(&t, "html/n0")->used_ns -= (uint64_t)FILE_IDLE_MS * 1000000;
    t.files.sweep.fire(t.loop.io, &t.files.sweep);
    assert_int_equal(t.files.count, 2);
    assert_null(cached(&t, "html/n0"));
    assert_true(t.files.sweep.at_ns > 0);
    site_close(&t);
}

/* ---- open_file_cache ----------------------------------------------------------------- */

static void test_trust(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "open_file_cache max=10 inactive=5s; open_file_cache_min_uses 2;\n"
                  "open_file_cache_errors on;");
    put_file(&t, "html/a", "old");
    assert_int_equal(ask(&t, "GET /a", NULL), 200);
    put_file(&t, "html/a", "newer");
    assert_int_equal(ask(&t, "GET /a", NULL), 200);
    assert_text(t.body, "newer"); /* one use is too few to trust */
    assert_int_equal(ask(&t, "GET /a", NULL), 200);
    assert_int_equal(cached(&t, "html/a")->idle_ns, 5000000000u);
    char path[PATH_MAX];

    path_to(&t, "html/a", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ask(&t, "GET /a", NULL), 200);
    assert_text(t.body, "newer");
    cached(&t, "html/a")->checked_ns -= 60000000000u;
    assert_int_equal(ask(&t, "GET /a", NULL), 404);
    assert_int_equal(ask(&t, "GET /a", NULL), 404);
    put_file(&t, "html/a", "back");
    assert_int_equal(ask(&t, "GET /a", NULL), 404);
    cached(&t, "html/a")->checked_ns -= 60000000000u;
    assert_int_equal(ask(&t, "GET /a", NULL), 200);
    site_close(&t);
}

static void test_settings_are_checked(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        { "open_file_cache inactive=1s;", "max= is missing" },
        { "open_file_cache max=0;", "is no parameter of open_file_cache" },
        { "open_file_cache max=10 size=1;", "\"size=1\" is no parameter" },
        { "disable_symlinks maybe;", "off, on or if_not_owner" },
        { "disable_symlinks off from=/srv;", "from=part, behind on or if_not_owner" },
        { "disable_symlinks on to=/srv;", "from=part" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct site_test t;

        assert_false(site_try(&t, "", rows[i].text));
        assert_says(&t, rows[i].says);
        site_close(&t);
    }
}

/* ---- links --------------------------------------------------------------------------- */

static void make_links(struct site_test *t)
{
    char inside[PATH_MAX], outside[PATH_MAX];

    put_directory(t, "other");
    put_directory(t, "html/sub");
    put_file(t, "other/secret", "secret");
    put_file(t, "html/sub/file", "file");
    path_to(t, "html/sub/file", inside);
    path_to(t, "other/secret", outside);
    put_link(t, "html/in", "sub/file");
    put_link(t, "html/in-absolute", inside);
    put_link(t, "html/in-directory", "sub");
    put_link(t, "html/out", "../other/secret");
    put_link(t, "html/out-absolute", outside);
    put_link(t, "html/out-directory", "../other");
    put_link(t, "html/gone", "nowhere");
}

static void test_links(void **state)
{
    static const struct {
        const char *path;
        unsigned plain, off, on;
    } rows[] = {
        { "sub/file", 200, 200, 200 },
        { "in", 200, 200, 403 },
        { "in-absolute", 200, 200, 403 },
        { "in-directory/file", 200, 200, 403 },
        { "out", 403, 200, 403 },
        { "out-absolute", 403, 200, 403 },
        { "out-directory/secret", 403, 200, 403 },
        { "gone", 404, 404, 403 },
        { "sub/../../other/secret", 0, 0, 0 },
    };
    static const char *const places[] = { "plain", "off", "on" };
    struct site_test t;
    char line[128];

    (void)state;
    site_open(&t, "location /plain/ { alias html/; }\n"
                  "location /off/ { alias html/; disable_symlinks off; }\n"
                  "location /on/ { alias html/; disable_symlinks on from=%s/html; }");
    make_links(&t);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; rows[i].plain != 0; i++)
            for (size_t p = 0; p < COUNT_OF(places); p++) {
                const unsigned expected[] = { rows[i].plain, rows[i].off, rows[i].on };

                snprintf(line, sizeof line, "GET /%s/%s", places[p], rows[i].path);
                if (ask(&t, line, NULL) != expected[p])
                    fail_msg("%s: %u, not %u", line, t.r->response.status, expected[p]);
                let_settle(&t);
            }
    assert_logged(&t, "disable_symlinks off;\" would allow the link");
    assert_logged(&t, "\"disable_symlinks\" forbids a symbolic link in");
    site_close(&t);
}

/* Without from= the root's own path is looked at, too. */
static void test_a_linked_root(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "location /plain/ { alias %s/www/; }\n"
                  "location /on/ { alias %s/www/; disable_symlinks on; }\n"
                  "location /from/ { alias %s/www/; disable_symlinks on from=%s/www/; }");
    put_file(&t, "html/a", "a");
    put_link(&t, "www", "html");
    assert_int_equal(ask(&t, "GET /plain/a", NULL), 200);
    assert_int_equal(ask(&t, "GET /on/a", NULL), 403);
    assert_int_equal(ask(&t, "GET /from/a", NULL), 200);
    /* the root is turned to another release */
    put_directory(&t, "html2");
    put_file(&t, "html2/a", "b");
    put_link(&t, "www", "html2");
    assert_int_equal(ask(&t, "GET /plain/a", NULL), 200);
    assert_text(t.body, "b");
    site_close(&t);
}

static void test_links_of_others(void **state)
{
    struct site_test t;
    char path[PATH_MAX];

    (void)state;
    if (geteuid() != 0)
        skip();
    site_open(&t, "disable_symlinks if_not_owner from=$document_root;");
    make_links(&t);
    assert_int_equal(ask(&t, "GET /out", NULL), 200);
    assert_text(t.body, "secret");
    assert_int_equal(ask(&t, "GET /out-directory/secret", NULL), 200);
    path_to(&t, "html/out", path);
    assert_int_equal(lchown(path, 1, 1), 0);
    path_to(&t, "html/out-directory", path);
    assert_int_equal(lchown(path, 1, 1), 0);
    ask_end(&t);
    file_cache_done(&t.files);
    file_cache_init(&t.files);
    assert_int_equal(ask(&t, "GET /out", NULL), 403);
    assert_int_equal(ask(&t, "GET /out-directory/secret", NULL), 403);
    assert_int_equal(ask(&t, "GET /sub/file", NULL), 200);
    site_close(&t);
}

/* The same rules where the kernel has no openat2(2): see open_test.c for that. Here: what comes
 * out of a helper thread when nobody waits for it any more. */
static void test_a_client_leaves_while_a_file_is_opened(void **state)
{
    struct site_test t;
    int before, after;

    (void)state;
    site_open(&t, "disable_symlinks if_not_owner;");
    put_file(&t, "html/a", "a");
    before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    for (int i = 0; i < 20; i++) {
        ask_begin(&t, "GET /a", NULL);
        assert_false(t.answered);
        ask_end(&t);
    }
    after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    assert_int_equal(t.files.count, 0);
    assert_int_equal(before, after);
    assert_int_equal(ask(&t, "GET /a", NULL), 200);
    site_close(&t);
}

static void test_no_regular_file(void **state)
{
    struct site_test t;
    char path[PATH_MAX];

    (void)state;
    site_open(&t, "");
    path_to(&t, "html/fifo", path);
    assert_int_equal(mkfifo(path, 0644), 0);
    assert_int_equal(ask(&t, "GET /fifo", NULL), 403);
    put_link(&t, "html/device", "/dev/null");
    assert_int_equal(ask(&t, "GET /device", NULL), 403);
    assert_int_equal(ask(&t, "GET /fifo/", NULL), 404);
    site_close(&t);
}

static void test_what_errors_mean(void **state)
{
    static const struct {
        int error;
        unsigned status;
    } rows[] = {
        { ENOENT, 404 },         { ENOTDIR, 404 },
        { ENAMETOOLONG, 404 },   { ESTALE, 404 },
        { EACCES, 403 },         { FILE_LEADS_OUT, 403 },
        { FILE_IS_LINKED, 403 }, { EMFILE, 503 },
        { ENFILE, 503 },         { EIO, 500 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(file_status(rows[i].error), rows[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_and_its_fields),
        cmocka_unit_test(test_contents_come_with_use),
        cmocka_unit_test(test_a_body_keeps_its_file),
        cmocka_unit_test(test_every_change_is_seen),
        cmocka_unit_test(test_changes_within_a_tick),
        cmocka_unit_test(test_entries_and_descriptors_are_bounded),
        cmocka_unit_test(test_contents_are_bounded),
        cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_idle_entries_go),
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_settings_are_checked),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_a_linked_root),
        cmocka_unit_test(test_links_of_others),
        cmocka_unit_test(test_a_client_leaves_while_a_file_is_opened),
        cmocka_unit_test(test_no_regular_file),
        cmocka_unit_test(test_what_errors_mean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
