/* autoindex_test.c - listings: their four forms, their bounds, and what they do not show. */
#include "file_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void stamp(struct site_test *t, const char *name)
{
    struct timespec times[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
    char path[PATH_MAX];

    path_to(t, name, path);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void make_tree(struct site_test *t)
{
    put_directory(t, "html/d");
    put_directory(t, "html/d/zdir");
    put_file(t, "html/d/b.txt", "four");
    put_file(t, "html/d/A&B <1>\".txt", "x");
    put_file(t, "html/d/x:y", "");
    put_file(t, "html/d/.hidden", "");
    put_link(t, "html/d/gone", "nowhere");
    stamp(t, "html/d/zdir");
    stamp(t, "html/d/b.txt");
    stamp(t, "html/d/A&B <1>\".txt");
    stamp(t, "html/d/x:y");
}

static void test_html(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "autoindex on;");
    make_tree(&t);
    assert_int_equal(ask(&t, "GET /d/", NULL), 200);
    assert_text(t.r->response.content_type, "text/html");
    assert_text(t.body,
                "<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"><title>Index of "
                "/d/</title></head>\n<body>\n<h1>Index of /d/</h1><hr><pre><a "
                "href=\"../\">../</a>\n"
                "<a href=\"zdir/\">zdir/</a>                                              "
                "09-Sep-2001 01:46                   -\n"
                "<a href=\"A&B%20%3C1%3E%22.txt\">A&amp;B &lt;1&gt;&quot;.txt</a>"
                "                                       09-Sep-2001 01:46                   1\n"
                "<a href=\"b.txt\">b.txt</a>                                              "
                "09-Sep-2001 01:46                   4\n"
                "<a href=\"./x:y\">x:y</a>                                                "
                "09-Sep-2001 01:46                   0\n"
                "</pre><hr></body>\n</html>\n");
    assert_int_equal(ask(&t, "GET /d", NULL), 301);
    assert_int_equal(ask(&t, "GET /none/", NULL), 404);
    assert_int_equal(ask(&t, "GET /d/b.txt/", NULL), 404);
    site_close(&t);
}

static void test_names_are_cut_between_characters(void **state)
{
    struct site_test t;
    char name[300] = "html/d/", cut[200] = ">";

    (void)state;
    site_open(&t, "autoindex on;");
    put_directory(&t, "html/d");
    for (int i = 0; i < 51; i++) {
        memcpy(name + 7 + 2 * i, "\xc3\xa4", 3);
        if (i < 47)
            memcpy(cut + 1 + 2 * i, "\xc3\xa4", 3);
    }
    memcpy(cut + 1 + 2 * 47, "..&gt;</a> ", 12);
    put_file(&t, name, "");
    assert_int_equal(ask(&t, "GET /d/", NULL), 200);
    assert_true(slice_search(t.body, slice_str(cut)) < t.body.size);
    site_close(&t);
}

static void test_sizes(void **state)
{
    static const struct {
        off_t size;
        const char *shown;
    } rows[] = {
        { 999, "                999\n" },
        { 20480, "                20K\n" },
        { 5 << 20, "                 5M\n" },
        { (off_t)3 << 30, "                 3G\n" },
    };
    struct site_test t;
    char path[PATH_MAX];

    (void)state;
    site_open(&t, "autoindex on; autoindex_exact_size off;");
    put_directory(&t, "html/d");
    put_file(&t, "html/d/f", "");
    path_to(&t, "html/d/f", path);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(truncate(path, rows[i].size), 0);
        assert_int_equal(ask(&t, "GET /d/", NULL), 200);
        if (slice_search(t.body, slice_str(rows[i].shown)) == t.body.size)
            fail_msg("%s is not in %.*s", rows[i].shown, SLICE_FMT(t.body));
    }
    site_close(&t);
}

static void test_json(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "autoindex on; autoindex_format json;");
    make_tree(&t);
    assert_int_equal(ask(&t, "GET /d/", NULL), 200);
    assert_text(t.r->response.content_type, "application/json");
    assert_text(t.body, "[\n"
                        "{ \"name\":\"zdir\", \"type\":\"directory\", "
                        "\"mtime\":\"Sun, 09 Sep 2001 01:46:40 GMT\" },\n"
                        "{ \"name\":\"A&B <1>\\\".txt\", \"type\":\"file\", "
                        "\"mtime\":\"Sun, 09 Sep 2001 01:46:40 GMT\", \"size\":1 },\n"
                        "{ \"name\":\"b.txt\", \"type\":\"file\", "
                        "\"mtime\":\"Sun, 09 Sep 2001 01:46:40 GMT\", \"size\":4 },\n"
                        "{ \"name\":\"x:y\", \"type\":\"file\", "
                        "\"mtime\":\"Sun, 09 Sep 2001 01:46:40 GMT\", \"size\":0 }\n]");
    site_close(&t);
}

static void test_jsonp(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "autoindex on; autoindex_format jsonp;");
    put_directory(&t, "html/d");
    assert_int_equal(ask(&t, "GET /d/?a&callback=App.show_1", NULL), 200);
    assert_text(t.body, "/* callback */\nApp.show_1([\n\n]);\n");
    assert_int_equal(ask(&t, "GET /d/?callback=alert(1)", NULL), 200);
    assert_text(t.body, "[\n\n]");
    assert_int_equal(ask(&t, "GET /d/", NULL), 200);
    assert_text(t.body, "[\n\n]");
    site_close(&t);
}

static void test_xml(void **state)
{
    struct site_test t;
    char path[PATH_MAX];

    (void)state;
    site_open(&t, "autoindex on; autoindex_format xml;");
    put_directory(&t, "html/d");
    put_file(&t, "html/d/<a\001>", "");
    stamp(&t, "html/d/<a\001>");
    path_to(&t, "html/d/pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    stamp(&t, "html/d/pipe");
    assert_int_equal(ask(&t, "GET /d/", NULL), 200);
    assert_text(t.r->response.content_type, "text/xml");
    assert_text(t.body, "<?xml version=\"1.0\"?>\n<list>\n"
                        "<file mtime=\"2001-09-09T01:46:40Z\" size=\"0\">&lt;a?&gt;</file>\n"
                        "<other mtime=\"2001-09-09T01:46:40Z\">pipe</other>\n</list>\n");
    site_close(&t);
}

/* A listing obeys the same rule about links as the files in it. */
static void test_links(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "autoindex on; location /off/ { alias html/; disable_symlinks off; }");
    put_directory(&t, "other");
    put_file(&t, "other/secret", "");
    put_directory(&t, "html/real");
    put_file(&t, "html/real/open", "");
    put_link(&t, "html/out", "../other");
    put_link(&t, "html/in", "real");
    assert_int_equal(ask(&t, "GET /in/", NULL), 200);
    assert_true(slice_search(t.body, SLICE("open")) < t.body.size);
    assert_int_equal(ask(&t, "GET /out/", NULL), 403);
    assert_logged(&t, "leads out of its root");
    assert_int_equal(ask(&t, "GET /off/out/", NULL), 200);
    assert_true(slice_search(t.body, SLICE("secret")) < t.body.size);
    site_close(&t);
}

static void test_more_than_a_listing_holds(void **state)
{
    enum { MANY = 10050 };
    struct site_test t;
    char name[300];

    (void)state;
    site_open(&t, "autoindex on;");
    put_directory(&t, "html/d");
    for (int i = 0; i < MANY; i++) {
        /* names that need the most room: four letters of text, twelve of address, a byte */
        int size = snprintf(name, sizeof name, "html/d/%05d", i);

        memset(name + size, '<', 240);
        name[size + 240] = '\0';
        put_file(&t, name, "");
    }
    assert_int_equal(ask(&t, "GET /d/", NULL), 200);
    assert_true(t.body.size < 4 * 1024 * 1024);
    assert_true(slice_ends(t.body, SLICE("</html>\n")));
    assert_logged(&t, "does not show all its entries");
    site_close(&t);
}

static void test_a_client_leaves_meanwhile(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "autoindex on;");
    make_tree(&t);
    for (int i = 0; i < 10; i++) {
        ask_begin(&t, "GET /d/", NULL);
        while (!t.r->waiting || t.r->slots[SLOT_LISTING] == NULL)
            (void)io_turn(t.loop.io, UINT64_MAX);
        ask_end(&t);
    }
    assert_int_equal(ask(&t, "HEAD /d/", NULL), 200);
    assert_int_equal(ask(&t, "POST /d/", NULL), 403);
    site_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_html),
        cmocka_unit_test(test_names_are_cut_between_characters),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_jsonp),
        cmocka_unit_test(test_xml),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_more_than_a_listing_holds),
        cmocka_unit_test(test_a_client_leaves_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
