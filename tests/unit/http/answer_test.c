/* answer_test.c - what happens to an answer before it is sent: conditions, ranges, added fields,
 * redirects, and where a path leads. */
#include "unit/handler/file_fixture.h"

#include "http/map_path.h"
#include "wire/date.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

static const char ETAG[] = "\"3b9aca00-a\"";

/* html/file of ten bytes from 2001 */
static void put_old_file(struct site_test *t)
{
    struct timespec times[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
    char path[PATH_MAX];

    put_file(t, "html/file", "0123456789");
    path_to(t, "html/file", path);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

struct ask_row {
    const char *fields;
    unsigned status;
};

static void ask_rows(struct site_test *t, const char *line, const struct ask_row *rows)
{
    for (; rows->fields != NULL; rows++)
        if (ask(t, line, rows->fields) != rows->status)
            fail_msg("%s: %s: %u, not %u", line, rows->fields, t->r->response.status, rows->status);
}

/* ---- conditions (RFC 9110 §13) ------------------------------------------------------- */

static void test_conditions(void **state)
{
    static const struct ask_row rows[] = {
        { "If-None-Match: \"3b9aca00-a\"", 304 },
        { "If-None-Match: W/\"3b9aca00-a\"", 304 },
        { "If-None-Match: \"x\", \"3b9aca00-a\"", 304 },
        { "If-None-Match: \"x\"\nIf-None-Match: \"3b9aca00-a\"", 304 },
        { "If-None-Match: *", 304 },
        { "If-None-Match: \"x\"", 200 },
        { "If-None-Match: 3b9aca00-a", 200 },
        { "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT", 304 },
        { "If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT", 304 },
        { "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT", 200 },
        { "If-Modified-Since: Sun, 09 Sep 2001 01:46:41 GMT", 200 }, /* exact */
        { "If-Modified-Since: yesterday", 200 },
        /* the tag counts alone, whatever the date says */
        { "If-None-Match: \"x\"\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT", 200 },
        { "If-None-Match: \"3b9aca00-a\"\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT", 304 },
        { "If-Match: \"3b9aca00-a\"", 200 },
        { "If-Match: W/\"3b9aca00-a\"", 412 },
        { "If-Match: \"x\"", 412 },
        { "If-Match: *", 200 },
        { "If-Match: \"x\"\nIf-Match: \"3b9aca00-a\"", 200 },
        { "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:40 GMT", 200 },
        { "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT", 412 },
        { "If-Unmodified-Since: nonsense", 200 },
        { "If-Match: \"3b9aca00-a\"\nIf-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT", 200 },
        { "If-Match: \"x\"\nIf-None-Match: \"3b9aca00-a\"", 412 },
        { "If-None-Match: \"3b9aca00-a\"\nRange: bytes=0-1", 304 },
        { NULL, 0 },
    };
    struct site_test t;

    (void)state;
    site_open(&t, "add_header X-A a; expires 1h;");
    put_old_file(&t);
    ask_rows(&t, "GET /file", rows);
    ask_rows(&t, "HEAD /file", rows);
    assert_int_equal(ask(&t, "GET /file", "If-None-Match: *"), 304);
    assert_null(t.r->response.body);
    assert_text(t.r->response.etag, ETAG);
    assert_int_equal(t.r->response.last_modified, 1000000000);
    assert_string_equal(answer_field(&t, "Cache-Control"), "max-age=3600");
    assert_string_equal(answer_field(&t, "X-A"), "a");
    assert_int_equal(ask(&t, "GET /none", "If-Match: \"x\""), 404);
    site_close(&t);
}

static void test_how_dates_are_compared(void **state)
{
    static const struct ask_row before[] = {
        { "If-Modified-Since: Sun, 09 Sep 2001 01:46:41 GMT", 304 },
        { "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT", 200 },
        { NULL, 0 },
    };
    static const struct ask_row off[] = {
        { "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT", 200 },
        { "If-None-Match: \"3b9aca00-a\"", 304 },
        { NULL, 0 },
    };
    static const struct ask_row no_etag[] = {
        { "If-None-Match: \"3b9aca00-a\"", 200 },
        { "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT", 304 },
        { "If-Match: \"3b9aca00-a\"", 412 },
        { NULL, 0 },
    };
    struct site_test t;

    (void)state;
    site_open(&t, "location /before/ { alias html/; if_modified_since before; }\n"
                  "location /off/ { alias html/; if_modified_since off; }\n"
                  "location /no-etag/ { alias html/; etag off; }");
    put_old_file(&t);
    ask_rows(&t, "GET /before/file", before);
    ask_rows(&t, "GET /off/file", off);
    ask_rows(&t, "GET /no-etag/file", no_etag);
    assert_int_equal(t.r->response.etag.size, 0);
    site_close(&t);
}

/* ---- ranges (RFC 9110 §14) ----------------------------------------------------------- */

static void test_one_range(void **state)
{
    static const struct {
        const char *range;
        unsigned status;
        const char *body, *said;
    } rows[] = {
        { "bytes=0-4", 206, "01234", "bytes 0-4/10" },
        { "bytes=5-", 206, "56789", "bytes 5-9/10" },
        { "bytes=-3", 206, "789", "bytes 7-9/10" },
        { "bytes=0-18446744073709551616", 206, "0123456789", "bytes 0-9/10" },
        { "BYTES=9-9", 206, "9", "bytes 9-9/10" },
        { "bytes=10-", 416, NULL, "bytes */10" },
        { "bytes=18446744073709551616-", 416, NULL, "bytes */10" },
        { "bytes=-0", 416, NULL, "bytes */10" },
        { "bytes=5-2", 200, "0123456789", "" },
        { "bytes=--1", 200, "0123456789", "" },
        { "bytes 0-4", 200, "0123456789", "" },
        { "bytes=0-4,x", 200, "0123456789", "" },
        { "bytes=0-,0-,0-", 200, "0123456789", "" },
        { "bytes=10-,0-1", 206, "01", "bytes 0-1/10" },
        { "lines=0-4", 200, "0123456789", "" },
    };
    static const char *const lines[] = { "GET /file", "HEAD /file" };
    struct site_test t;
    char field[128];

    (void)state;
    site_open(&t, "");
    put_old_file(&t);
    for (size_t k = 0; k < COUNT_OF(lines); k++)
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            snprintf(field, sizeof field, "Range: %s", rows[i].range);
            if (ask(&t, lines[k], field) != rows[i].status)
                fail_msg("%s: %u", field, t.r->response.status);
            if (rows[i].body != NULL)
                assert_text(t.body, rows[i].body);
            assert_string_equal(answer_field(&t, "Content-Range"), rows[i].said);
            assert_int_equal(t.r->response.accept_ranges, rows[i].status == 200);
            let_settle(&t);
        }
    site_close(&t);
}

static void test_several_ranges(void **state)
{
    struct site_test t;
    char expected[1024];
    struct slice mark, type;

    (void)state;
    site_open(&t, "types { text/x-ten file; }");
    put_old_file(&t);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(&t, "GET /file", "Range: bytes=0-1,4-5,-1"), 206);
        type = t.r->response.content_type;
        assert_true(slice_starts(type, SLICE("multipart/byteranges; boundary=")));
        mark = slice_skip(type, 31);
        assert_int_equal(mark.size, 20);
        snprintf(expected, sizeof expected,
                 "\r\n--%.*s\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
                 "\r\n--%.*s\r\nContent-Type: text/plain\r\nContent-Range: bytes 4-5/10\r\n\r\n45"
                 "\r\n--%.*s\r\nContent-Type: text/plain\r\nContent-Range: bytes 9-9/10\r\n\r\n9"
                 "\r\n--%.*s--\r\n",
                 SLICE_FMT(mark), SLICE_FMT(mark), SLICE_FMT(mark), SLICE_FMT(mark));
        assert_text(t.body, expected);
        assert_string_equal(answer_field(&t, "Content-Range"), "");
        let_settle(&t);
    }
    site_close(&t);
}

static void test_how_many_ranges(void **state)
{
    static const struct ask_row two[] = { { "Range: bytes=0-0,2-2", 206 },
                                          { "Range: bytes=0-0,2-2,4-4", 200 },
                                          { NULL, 0 } };
    static const struct ask_row none[] = { { "Range: bytes=0-0", 200 },
                                           { "Range: bytes=99-", 200 },
                                           { NULL, 0 } };
    char many[256] = "Range: bytes=0-0";
    struct site_test t;

    (void)state;
    site_open(&t, "location /two/ { alias html/; max_ranges 2; }\n"
                  "location /none/ { alias html/; max_ranges 0; }");
    put_old_file(&t);
    ask_rows(&t, "GET /two/file", two);
    ask_rows(&t, "GET /none/file", none);
    assert_false(t.r->response.accept_ranges);
    for (int i = 0; i < 16; i++)
        strcat(many, ",1-1");
    assert_int_equal(ask(&t, "GET /file", many), 200);
    site_close(&t);
}

static void test_if_range(void **state)
{
    static const struct ask_row rows[] = {
        { "Range: bytes=0-4\nIf-Range: \"3b9aca00-a\"", 206 },
        { "Range: bytes=0-4\nIf-Range: W/\"3b9aca00-a\"", 200 },
        { "Range: bytes=0-4\nIf-Range: \"x\"", 200 },
        { "Range: bytes=0-4\nIf-Range: \"x\", \"3b9aca00-a\"", 200 },
        { "Range: bytes=0-4\nIf-Range: *", 200 },
        { "Range: bytes=0-4\nIf-Range: Sun, 09 Sep 2001 01:46:40 GMT", 206 },
        { "Range: bytes=0-4\nIf-Range: Sun, 09 Sep 2001 01:46:41 GMT", 200 },
        { "Range: bytes=0-4\nIf-Range: now", 200 },
        { "Range: bytes=99-\nIf-Range: \"x\"", 200 },
        { NULL, 0 },
    };
    struct site_test t;

    (void)state;
    site_open(&t, "");
    put_old_file(&t);
    ask_rows(&t, "GET /file", rows);
    site_close(&t);
}

/* ---- added fields -------------------------------------------------------------------- */

static void test_add_header(void **state)
{
    struct site_test t;

    (void)state;
    site_open_in(&t, "add_header X-Out out;",
                 "add_header X-Uri $uri; add_header X-Always a always; add_header X-Empty \"\";\n"
                 "location /in/ { alias html/; add_header X-In in; }\n"
                 "location /merge/ { alias html/; add_header X-In in; add_header_inherit merge; }\n"
                 "location /off/ { alias html/; add_header_inherit off; }\n"
                 "location /own/ { alias html/; add_header ETag '\"mine\"';\n"
                 "  add_header Content-Type text/x-mine; add_header last-modified '';\n"
                 "  add_header Last-Modified 'Sun, 06 Nov 1994 08:49:37 GMT'; }");
    put_old_file(&t);
    assert_int_equal(ask(&t, "GET /file", NULL), 200);
    assert_string_equal(answer_field(&t, "X-Uri"), "/file");
    assert_string_equal(answer_field(&t, "X-Always"), "a");
    assert_string_equal(answer_field(&t, "X-Out"), "");
    assert_null(response_find(t.r, SLICE("X-Empty")));
    assert_int_equal(ask(&t, "GET /none", NULL), 404);
    assert_string_equal(answer_field(&t, "X-Uri"), "");
    assert_string_equal(answer_field(&t, "X-Always"), "a");
    assert_int_equal(ask(&t, "GET /in/file", NULL), 200);
    assert_string_equal(answer_field(&t, "X-In"), "in");
    assert_string_equal(answer_field(&t, "X-Always"), "");
    assert_int_equal(ask(&t, "GET /merge/file", NULL), 200);
    assert_string_equal(answer_field(&t, "X-In"), "in");
    assert_string_equal(answer_field(&t, "X-Always"), "a");
    assert_int_equal(ask(&t, "GET /off/file", NULL), 200);
    assert_string_equal(answer_field(&t, "X-Always"), "");
    assert_int_equal(ask(&t, "GET /own/file", NULL), 200);
    assert_text(t.r->response.etag, "\"mine\"");
    assert_text(t.r->response.content_type, "text/x-mine");
    assert_int_equal(t.r->response.last_modified, 784111777);
    assert_int_equal(t.r->response.header_count, 0);
    site_close(&t);
}

static void test_add_header_is_checked(void **state)
{
    struct site_test t;

    (void)state;
    assert_false(site_try(&t, "", "add_header \"X Y\" a;"));
    assert_says(&t, "cannot be a field's name");
    site_close(&t);
    assert_false(site_try(&t, "", "add_header X a sometimes;"));
    assert_says(&t, "is not a parameter of add_header");
    site_close(&t);
    assert_false(site_try(&t, "", "expires sometimes;"));
    assert_says(&t, "is not a time for expires");
    site_close(&t);
    assert_false(site_try(&t, "", "expires @25h;"));
    site_close(&t);
    /* as many pages about CORS have it */
    assert_true(site_try(&t, "", "add_header Content-Length 0;"));
    assert_says(&t, "weir itself says how long an answer is");
    site_close(&t);
}

static void test_expires(void **state)
{
    static const struct {
        const char *path, *control;
        int64_t after; /* now; or INT64_MIN: as said */
        const char *said;
    } rows[] = {
        { "h", "max-age=3600", 3600, NULL },
        { "minus", "no-cache", -60, NULL },
        { "zero", "max-age=0", 0, NULL },
        { "epoch", "no-cache", INT64_MIN, "Thu, 01 Jan 1970 00:00:01 GMT" },
        { "max", "max-age=315360000", INT64_MIN, "Thu, 31 Dec 2037 23:55:55 GMT" },
        { "modified", "no-cache", INT64_MIN, "Sun, 09 Sep 2001 02:46:40 GMT" },
        { "off", "", INT64_MIN, "" },
        { "var", "max-age=120", 120, NULL },
        { "bad", "", INT64_MIN, "" },
    };
    struct site_test t;
    char line[64];

    (void)state;
    site_open(&t, "expires 1h;\n"
                  "location /minus/ { alias html/; expires -1m; }\n"
                  "location /zero/ { alias html/; expires 0; }\n"
                  "location /epoch/ { alias html/; expires epoch; }\n"
                  "location /max/ { alias html/; expires max; }\n"
                  "location /modified/ { alias html/; expires modified +1h; }\n"
                  "location /off/ { alias html/; expires off; }\n"
                  "location /var/ { alias html/; expires $arg_t; }\n"
                  "location /bad/ { alias html/; expires $arg_x; }\n"
                  "location /h/ { alias html/; }");
    put_old_file(&t);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char date[DATE_HTTP_SIZE + 1] = "";

        snprintf(line, sizeof line, "GET /%s/file?t=2m&x=no", rows[i].path);
        assert_int_equal(ask(&t, line, NULL), 200);
        if (rows[i].after != INT64_MIN)
            date_http(loop_wall_ns(&t.loop) / 1000000000 + rows[i].after, date);
        assert_string_equal(answer_field(&t, "Expires"),
                            rows[i].said != NULL ? rows[i].said : date);
        assert_string_equal(answer_field(&t, "Cache-Control"), rows[i].control);
    }
    assert_int_equal(ask(&t, "GET /none", NULL), 404);
    assert_string_equal(answer_field(&t, "Expires"), "");
    site_close(&t);
}

/* "@15h30m" is a time of day where the server is. */
static void test_expires_daily(void **state)
{
    static const char *const zones[] = { "UTC0", "<+0530>-5:30", "<-11>11", "<+14>-14" };
    struct site_test t;

    (void)state;
    site_open(&t, "expires @15h30m;");
    put_old_file(&t);
    for (size_t i = 0; i < COUNT_OF(zones); i++) {
        int64_t when, now;
        struct tm tm;
        time_t sec;

        assert_int_equal(setenv("TZ", zones[i], 1), 0);
        tzset();
        assert_int_equal(ask(&t, "GET /file", NULL), 200);
        now = loop_wall_ns(&t.loop) / 1000000000;
        assert_true(date_parse(slice_str(answer_field(&t, "Expires")), now, &when));
        assert_true(when > now - 2 && when <= now + 86400);
        sec = (time_t)when;
        assert_non_null(localtime_r(&sec, &tm));
        assert_int_equal(tm.tm_hour * 60 + tm.tm_min, 15 * 60 + 30);
        assert_int_equal(tm.tm_sec, 0);
    }
    unsetenv("TZ");
    tzset();
    site_close(&t);
}

/* ---- redirects ----------------------------------------------------------------------- */

static void test_redirects(void **state)
{
    static const struct {
        const char *setting, *host, *local, *location;
        bool tls;
    } rows[] = {
        { "", "Host: a.test", "1.2.3.4:80", "http://a.test/d/", false },
        { "", "Host: a.test", "1.2.3.4:8080", "http://a.test:8080/d/", false },
        { "", "Host: a.test", "1.2.3.4:443", "https://a.test/d/", true },
        { "", "Host: a.test", "1.2.3.4:80", "https://a.test:80/d/", true },
        { "port_in_redirect off;", "Host: a.test", "1.2.3.4:8080", "http://a.test/d/", false },
        { "absolute_redirect off;", "Host: a.test", "1.2.3.4:80", "/d/", false },
        { "server_name own.test b;", "Host: a.test", "1.2.3.4:80", "http://a.test/d/", false },
        { "server_name own.test b;", NULL, "1.2.3.4:80", "http://own.test/d/", false },
        { "server_name own.test b; server_name_in_redirect on;", "Host: a.test", "1.2.3.4:80",
          "http://own.test/d/", false },
        { "server_name .own.test; server_name_in_redirect on;", "Host: a.test", "1.2.3.4:80",
          "http://own.test/d/", false },
        { "server_name _; server_name_in_redirect on;", "Host: a.test", "1.2.3.4:80",
          "http://a.test/d/", false },
        { "server_name *.own.test;", NULL, "1.2.3.4:80", "http://1.2.3.4/d/", false },
        { "", NULL, "[::1]:8080", "http://[::1]:8080/d/", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct site_test t;

        site_open(&t, rows[i].setting);
        put_directory(&t, "html/d");
        assert_true(addr_parse(slice_str(rows[i].local), 0, &t.local));
        t.tls = rows[i].tls;
        assert_int_equal(ask(&t, "GET /d", rows[i].host), 301);
        assert_text(t.r->response.location, rows[i].location);
        site_close(&t);
    }
}

/* ---- types --------------------------------------------------------------------------- */

static void test_types(void **state)
{
    static const struct {
        const char *path, *type;
    } rows[] = {
        { "/x.HTML", "text/html" },    { "/x.any", "text/plain" }, { "/.html", "text/plain" },
        { "/a.html/x", "text/plain" }, { "/two/x.one", "text/1" }, { "/two/x.two", "text/2" },
        { "/two/x.html", "text/x" },   { "/none/x.html", "" },
    };
    struct site_test t;
    char line[64];

    (void)state;
    site_open(&t, "location /two/ { types { text/1 one; text/0 two; } types { text/2 two; }\n"
                  "                 default_type text/x; }\n"
                  "location /none/ { types { } default_type \"\"; }");
    assert_says(&t, "the extension \"two\" was \"text/0\"");
    put_directory(&t, "html/two");
    put_directory(&t, "html/none");
    put_directory(&t, "html/a.html");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(line, sizeof line, "html%s", rows[i].path);
        put_file(&t, line, "");
        snprintf(line, sizeof line, "GET %s", rows[i].path);
        assert_int_equal(ask(&t, line, NULL), 200);
        assert_text(t.r->response.content_type, rows[i].type);
    }
    site_close(&t);
}

/* ---- paths --------------------------------------------------------------------------- */

static void test_paths(void **state)
{
    static const struct {
        const char *line, *path, *below; /* below the directory; NULL: there is none */
    } rows[] = {
        { "/a/b", "/html/a/b", "a/b" },
        { "/", "/html", "" },
        { "/dir/", "/html/dir/", "dir/" },
        { "/slash/x", "/to/x", "x" },
        { "/slash/", "/to", "" },
        { "/noslash/x", "/to/x", "x" },
        { "/noslash", "/to", "" },
        { "/noslash../secret", NULL, NULL },
        { "/noslashx", NULL, NULL },
        { "/own.txt", "/to/own", "" },
        { "/re/x.png", "/images/x.png", "x.png" },
        { "/re/a/b.png", "/images/a/b.png", "a/b.png" },
        { "/dots..%2fx", NULL, NULL },
        { "/dots../x", NULL, NULL },
        { "/fixed/x", "/one", "" },
        { "/root/x?site=a", "/sites/a/root/x", "root/x" },
        { "/root/x?site=..", NULL, NULL },
        { "/root/x?site=a/../../b", NULL, NULL },
        { "/up/x", "/html/../up/x", "x" },
    };
    struct site_test t;
    char line[128];

    (void)state;
    site_open(&t, "location /slash/ { alias to/; }\n"
                  "location /noslash { alias to/; }\n"
                  "location = /own.txt { alias to/own; }\n"
                  "location ~ ^/re/(.*)$ { alias images/$1; }\n"
                  "location ~ ^/dots(.*)$ { alias images/$1; }\n"
                  "location ~ ^/fixed { alias %s/one; }\n"
                  "location /root/ { root sites/$arg_site; }\n"
                  "location /up/ { alias html/../up/; }");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct slice path, below;
        bool found;

        snprintf(line, sizeof line, "GET %s", rows[i].line);
        (void)ask(&t, line, NULL);
        t.r->root_path = (struct slice){ 0 };
        found = map_path(t.r, t.r->uri, &path, &below);
        if (found != (rows[i].path != NULL))
            fail_msg("%s: %d", line, found);
        if (!found)
            continue;
        assert_int_equal(path.at[path.size], '\0');
        assert_text(slice_skip(path, strlen(t.dir)), rows[i].path);
        assert_text(below, rows[i].below);
    }
    assert_logged(&t, "has \"..\" from a variable in it");
    site_close(&t);
}

static void test_a_capture_cannot_leave_its_alias(void **state)
{
    struct site_test t;

    (void)state;
    site_open(&t, "location ~ ^/re/(.*)$ { alias html/in/$1; }");
    put_directory(&t, "html/in");
    put_file(&t, "html/in/a", "a");
    put_file(&t, "html/secret", "secret");
    put_link(&t, "html/in/out", "../secret");
    put_link(&t, "html/in/near", "a");
    assert_int_equal(ask(&t, "GET /re/a", NULL), 200);
    assert_int_equal(ask(&t, "GET /re/near", NULL), 200);
    assert_int_equal(ask(&t, "GET /re/out", NULL), 403);
    site_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_how_dates_are_compared),
        cmocka_unit_test(test_one_range),
        cmocka_unit_test(test_several_ranges),
        cmocka_unit_test(test_how_many_ranges),
        cmocka_unit_test(test_if_range),
        cmocka_unit_test(test_add_header),
        cmocka_unit_test(test_add_header_is_checked),
        cmocka_unit_test(test_expires),
        cmocka_unit_test(test_expires_daily),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_a_capture_cannot_leave_its_alias),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
