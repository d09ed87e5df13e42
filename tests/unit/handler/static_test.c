/* static_test.c - files, index files, try_files and bodies: what each setting answers. */
#include "file_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGE = 300 * 1024 + 7 };

static void fill(char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 + i / 251);
}

static void put_large(struct site_test *t, char bytes[LARGE])
{
    fill(bytes, LARGE);
    put_bytes(t, "html/large", bytes, LARGE);
}

/* ---- bodies -------------------------------------------------------------------------- */

static void serve_large(const char *setting, unsigned file_chunks, unsigned memory_chunks)
{
    static char bytes[LARGE];
    struct site_test t;

    site_open(&t, setting);
    put_large(&t, bytes);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(&t, "GET /large", NULL), 200);
        assert_int_equal(t.end, BODY_END);
        assert_int_equal(t.body.size, LARGE);
        assert_memory_equal(t.body.at, bytes, LARGE);
        assert_int_equal(t.file_chunks, file_chunks);
        assert_int_equal(t.memory_chunks, memory_chunks);
    }
    assert_int_equal(ask(&t, "GET /large", "Range: bytes=70000-200000"), 206);
    assert_int_equal(t.body.size, 130001);
    assert_memory_equal(t.body.at, bytes + 70000, 130001);
    assert_int_equal(ask(&t, "GET /large", "Range: bytes=0-9,100000-299999,-5"), 206);
    assert_int_equal(t.end, BODY_END);
    struct slice middle = slice_of(bytes + 100000, 200000);

    assert_true(slice_search(t.body, middle) < t.body.size);
    assert_true(slice_search(t.body, slice_of(bytes + LARGE - 5, 5)) < t.body.size);
    site_close(&t);
}

static void test_sendfile(void **state)
{
    (void)state;
    serve_large("", 4, 0);
    serve_large("sendfile on; sendfile_max_chunk 64k;", 5, 0);
    serve_large("sendfile_max_chunk 0;", 4, 0);
}

static void test_sendfile_off(void **state)
{
    (void)state;
    serve_large("sendfile off;", 0, 5);
}

/* A promised length that does not come is a broken connection, never padding. */
static void test_a_file_shrinks(void **state)
{
    static char bytes[LARGE];
    struct site_test t;
    char path[PATH_MAX];

    (void)state;
    site_open(&t, "sendfile off;");
    put_large(&t, bytes);
    path_to(&t, "html/large", path);
    assert_int_equal(ask_head(&t, "GET /large", NULL), 200);
    assert_int_equal(truncate(path, 100000), 0);
    take_body(&t);
    assert_int_equal(t.end, BODY_FAILED);
    assert_int_equal(t.body.size, 100000);
    assert_memory_equal(t.body.at, bytes, 100000);
    assert_logged(&t, "became shorter while it was sent");
    site_close(&t);
}

static void test_a_file_grows(void **state)
{
    static char bytes[LARGE];
    static const char *const settings[] = { "", "sendfile off;" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        struct site_test t;

        site_open(&t, settings[i]);
        fill(bytes, LARGE);
        put_bytes(&t, "html/large", bytes, 100000);
        assert_int_equal(ask_head(&t, "GET /large", NULL), 200);
        put_bytes(&t, "html/large", bytes, LARGE);
        take_body(&t);
        assert_int_equal(t.end, BODY_END);
        assert_int_equal(t.body.size, 100000);
        site_close(&t);
    }
}

/* What a helper thread reads into outlives a client that does not. */
static void test_a_client_leaves_while_a_file_is_read(void **state)
{
    static char bytes[LARGE];
    struct site_test t;
    struct chunk k;

    (void)state;
    site_open(&t, "sendfile off;");
    put_large(&t, bytes);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ask_head(&t, "GET /large", NULL), 200);
        assert_int_equal(t.r->response.body->ops->pull(t.r->response.body, 1000, &k), BODY_LATER);
        assert_int_equal(t.r->response.body->ops->pull(t.r->response.body, 1000, &k), BODY_LATER);
        ask_end(&t);
    }
    assert_int_equal(cached(&t, "html/large")->refs, 1);
    site_close(&t);
}

static void test_an_empty_file(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "");
    put_file(&t, "html/empty", "");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(&t, "GET /empty", NULL), 200);
        assert_int_equal(t.r->response.length, 0);
        assert_null(t.r->response.body);
    }
    assert_int_equal(ask(&t, "GET /empty", "Range: bytes=0-0"), 200);
    site_close(&t);
}

/* ---- methods, directories ------------------------------------------------------------ */

static void test_methods(void **state)
{
    static const struct {
        const char *line;
        unsigned status;
    } rows[] = {
        { "GET /a", 200 },     { "HEAD /a", 200 },   { "POST /a", 405 },      { "POST /none", 404 },
        { "PUT /a", 405 },     { "DELETE /a", 405 }, { "DELETE /none", 405 }, { "OPTIONS /a", 405 },
        { "POST /dir/", 405 }, { "POST /dir", 301 }, { "GET /a/", 404 },      { "GET /a/b", 404 },
    };
    struct site_test t;

    (void)state;
    site_open(&t, "");
    put_file(&t, "html/a", "a");
    put_directory(&t, "html/dir");
    put_file(&t, "html/dir/index.html", "i");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (ask(&t, rows[i].line, NULL) != rows[i].status)
            fail_msg("%s: %u", rows[i].line, t.r->response.status);
        if (rows[i].status == 405)
            assert_string_equal(answer_field(&t, "Allow"), "GET, HEAD");
    }
    site_close(&t);
}

static void test_directories(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "absolute_redirect off; location /al { alias \"%s/html/a b\"; }");
    put_directory(&t, "html/a b");
    assert_int_equal(ask(&t, "GET /a%20b?x=%41&y", NULL), 301);
    assert_text(t.r->response.location, "/a%20b/?x=%41&y");
    assert_int_equal(ask(&t, "GET //a%20b", NULL), 301);
    assert_text(t.r->response.location, "/a%20b/");
    assert_int_equal(ask(&t, "GET /a%20b/", NULL), 403);
    assert_logged(&t, "directory index of \"");
    assert_int_equal(ask(&t, "GET /none/", NULL), 404);
    assert_int_equal(ask(&t, "GET /al", NULL), 301);
    assert_text(t.r->response.location, "/al/");
    site_close(&t);
}

/* A browser takes "//name/" for another host. */
static void test_no_redirect_to_another_host(void **state)
{
    struct site_test t;

    (void)state;
    site_open_in(&t, "merge_slashes off;", "absolute_redirect off;");
    put_directory(&t, "html/evil.test");
    assert_int_equal(ask(&t, "GET /evil.test", NULL), 301);
    t.r->uri = SLICE("//evil.test");
    assert_text(t.r->response.location, "/evil.test/");
    put_directory(&t, "html/\\evil.test");
    assert_int_equal(ask(&t, "GET /%5cevil.test", NULL), 301);
    assert_text(t.r->response.location, "/%5Cevil.test/");
    site_close(&t);
}

static void test_index(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "index $arg_name.html second.html /last.html;\n"
                  "location /only/ { index none; }\n"
                  "location = /two/second.html { internal; }");
    put_directory(&t, "html/one");
    put_directory(&t, "html/two");
    put_directory(&t, "html/only");
    put_directory(&t, "html/second.html");
    put_file(&t, "html/one/x.html", "x");
    put_file(&t, "html/two/second.html", "second");
    put_file(&t, "html/last.html", "last");
    assert_int_equal(ask(&t, "GET /one/?name=x", NULL), 200);
    assert_text(t.body, "x");
    assert_int_equal(ask(&t, "GET /two/?name=x", NULL), 200);
    assert_text(t.body, "second");
    assert_text(t.r->args, "name=x");
    assert_int_equal(ask(&t, "GET /one/", NULL), 200);
    assert_text(t.body, "last");
    assert_int_equal(ask(&t, "GET /?name=none", NULL), 200); /* a directory is no index */
    assert_text(t.body, "last");
    assert_int_equal(ask(&t, "GET /only/", NULL), 403);
    site_close(&t);
}

static void test_index_warns(void **state)
{
    struct site_test t;

    (void)state;
    assert_true(site_try(&t, "", "index /a.html b.html;"));
    assert_says(&t, "what follows it is never tried");
    site_close(&t);
}

/* ---- try_files ----------------------------------------------------------------------- */

static const char try_text[] = "location / { try_files $uri $uri/ /page.html?from=$uri&$args; }\n"
                               "location /plain/ { try_files $uri /page.html; }\n"
                               "location /code/ { try_files $uri =410; }\n"
                               "location /named/ { try_files $uri @other; }\n"
                               "location /climb/ { try_files /$arg_file /$arg_file/ =404; }\n"
                               "location @other { return 202 other; }";

static void test_try_files(void **state)
{
    static const struct {
        const char *line;
        unsigned status;
        const char *body, *args;
    } rows[] = {
        { "GET /a?q", 200, "a", "q" },
        { "GET /dir?q", 301, NULL, "q" },
        { "GET /dir/?q", 200, "i", "q" },
        { "GET /none?q", 200, "page", "from=/none&q" },
        { "GET /plain/none?q", 200, "page", "" },
        { "GET /code/none", 410, NULL, NULL },
        { "GET /named/none?q", 202, "other", "q" },
        { "GET /climb/?file=../outside", 404, NULL, NULL },
        { "GET /climb/?file=dir/../a", 200, "a", NULL },
        { "GET /climb/?file=dir/../../outside", 404, NULL, NULL },
    };
    struct site_test t;

    (void)state;
    site_open(&t, try_text);
    put_file(&t, "html/a", "a");
    put_file(&t, "outside", "outside");
    put_file(&t, "html/page.html", "page");
    put_directory(&t, "html/dir");
    put_file(&t, "html/dir/index.html", "i");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (ask(&t, rows[i].line, NULL) != rows[i].status)
            fail_msg("%s: %u", rows[i].line, t.r->response.status);
        if (rows[i].body != NULL)
            assert_text(t.body, rows[i].body);
        if (rows[i].args != NULL)
            assert_text(t.r->args, rows[i].args);
    }
    site_close(&t);
}

/* Each name may need a helper thread: the step goes on where it was. */
static void test_waiting_for_each_name(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "disable_symlinks if_not_owner from=$document_root;\n"
                  "location / { index none.html $arg_i.html;\n"
                  "    try_files /x$uri /y$uri $uri $uri/ =404; }");
    put_file(&t, "html/a", "a");
    put_directory(&t, "html/dir");
    put_file(&t, "html/dir/i.html", "index");
    assert_int_equal(ask(&t, "GET /a", NULL), 200);
    assert_text(t.body, "a");
    assert_int_equal(ask(&t, "GET /dir/?i=i", NULL), 200);
    assert_text(t.body, "index");
    assert_int_equal(ask(&t, "GET /b", NULL), 404);
    site_close(&t);
}

static void test_try_files_is_checked(void **state)
{
    static const char *const wrong[] = { "try_files $uri =abc;", "try_files $uri =99;",
                                         "try_files $uri =1000;", "try_files $uri;" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct site_test t;

        assert_false(site_try(&t, "", wrong[i]));
        site_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sendfile),
        cmocka_unit_test(test_sendfile_off),
        cmocka_unit_test(test_a_file_shrinks),
        cmocka_unit_test(test_a_file_grows),
        cmocka_unit_test(test_a_client_leaves_while_a_file_is_read),
        cmocka_unit_test(test_an_empty_file),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_no_redirect_to_another_host),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_index_warns),
        cmocka_unit_test(test_try_files),
        cmocka_unit_test(test_waiting_for_each_name),
        cmocka_unit_test(test_try_files_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
