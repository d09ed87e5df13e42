/* vars_test.c - what each variable says about a request, and how the loop tells the time. */
#include "vars_fixture.h"

#include "base/clock.h"

#include <time.h>
#include <unistd.h>

static const char conf_head[] = "http {\nlog_format f escape=none '";
static const char conf_tail[] = "';\naccess_log /a f;\n"
                                "server { listen 80; server_name .example.test other;\n"
                                "root /srv/www; keepalive_timeout 75s 20s;\n"
                                "location / { } location /slow { limit_rate 4k; } } }";

/* The line that a log_format of that text makes. */
static struct slice logged(struct fixture *f, const char *format, const char *request,
                           void (*prepare)(struct fixture *))
{
    char text[2048];

    snprintf(text, sizeof text, "%s%s%s", conf_head, format, conf_tail);
    fixture_start(f, text, request);
    fixture_locate(f);
    f->r.response.status = 200;
    if (prepare != NULL)
        prepare(f);
    access_log_request(&f->r);
    assert_true(f->lines.used > 0 && f->lines.at[f->lines.used - 1] == '\n');
    return slice_head(gather_get(&f->lines), f->lines.used - 1);
}

static void with_fields(struct fixture *f)
{
    fixture_field(f, "Host", "WWW.Example.test:8080");
    fixture_field(f, "X-Token", "one");
    fixture_field(f, "Cookie", "a=1; Session=abc=; b = 2");
    fixture_field(f, "x-token", "two");
    fixture_field(f, "Cookie", "late=yes");
    fixture_field(f, "Authorization", "Basic YWxpY2U6c2VjcmV0");
    fixture_field(f, "Content-Length", "12");
    f->r.host = SLICE("www.example.test");
    f->r.host_port = 8080;
}

static void with_answer(struct fixture *f)
{
    struct response *a = &f->r.response;

    a->status = 206;
    a->content_type = SLICE("text/css");
    a->length = 1234;
    a->last_modified = 784111777;
    a->etag = SLICE("\"x\"");
    a->accept_ranges = true;
    assert_true(response_add(&f->r, SLICE("Cache-Control"), SLICE("no-cache")));
    assert_true(response_add(&f->r, SLICE("X-A"), SLICE("1")));
    assert_true(response_add(&f->r, SLICE("cache-control"), SLICE("private")));
    response_find(&f->r, SLICE("X-A"))->value = (struct slice){ 0 };
    f->r.head_sent_bytes = 200;
    f->r.body_sent = 1000;
    f->r.head_bytes = 77;
    f->r.number = 42;
    f->r.nth = 3;
    f->r.keep_alive = f->r.complete = f->r.pipelined = true;
    f->now_ns += 1234 * (uint64_t)NS_PER_MS;
}

static void with_bad_user(struct fixture *f)
{
    fixture_field(f, "Authorization", "Basic YWxp*");
}

static void with_no_name(struct fixture *f)
{
    fixture_field(f, "Authorization", "Basic OnNlY3JldA==");
}

static void each_variable_says_what_it_should(void **state)
{
    static const char get[] = "GET /a/b.html?x=1&page=2&X=3&flag HTTP/1.1";
    static const struct {
        const char *format, *expected, *request;
        void (*prepare)(struct fixture *);
    } table[] = {
        { "$uri $document_uri", "/a/b.html /a/b.html", get, NULL },
        { "$args|$query_string|$is_args", "x=1&page=2&X=3&flag|x=1&page=2&X=3&flag|?", get, NULL },
        { "$args|$is_args|$arg_x", "||", "GET / HTTP/1.1", NULL },
        { "$arg_x $arg_page $arg_flag.", "1 2 .", get, NULL },
        { "$request_uri", "/a/b.html?x=1&page=2&X=3&flag", get, NULL },
        { "$request_uri", "/?", "GET /? HTTP/1.1", NULL },
        { "$request|$request_method", "PUT / HTTP/1.1|PUT", "PUT / HTTP/1.1", NULL },
        { "$server_protocol", "HTTP/1.0", "GET / HTTP/1.0", NULL },
        { "$server_protocol", "HTTP/1.1", "GET / HTTP/1.1", NULL },
        { "$host $request_port $is_request_port", "example.test  ", get, NULL },
        { "$host $request_port $is_request_port", "www.example.test 8080 :", get, with_fields },
        { "$server_name", "example.test", get, NULL },
        { "$http_host $http_x_token $http_nope.", "WWW.Example.test:8080 one, two .", get,
          with_fields },
        { "$http_cookie", "a=1; Session=abc=; b = 2; late=yes", get, with_fields },
        { "$cookie_session $cookie_late $cookie_no.", "abc= yes .", get, with_fields },
        { "$content_length.$content_type", "12.", get, with_fields },
        { "$remote_user", "alice", get, with_fields },
        { "<$remote_user>", "<>", get, with_bad_user },
        { "<$remote_user>", "<>", get, with_no_name },
        { "$remote_addr $remote_port", "192.0.2.7 4711", get, NULL },
        { "$server_addr $server_port", "198.51.100.1 80", get, NULL },
        { "$scheme<$https>", "http<>", get, NULL },
        { "$status", "206", get, with_answer },
        { "$bytes_sent $body_bytes_sent $request_length", "1200 1000 77", get, with_answer },
        { "<$request_completion>", "<>", get, NULL },
        { "<$request_completion>", "<OK>", get, with_answer },
        { "$connection $connection_requests $pipe", "42 3 p", get, with_answer },
        { "$request_time $connection_time", "1.234 1.234", get, with_answer },
        { "$msec", "1795411919.042", get, NULL },
        { "$time_local", "23/Nov/2026:05:31:59 +0000", get, NULL },
        { "$time_iso8601", "2026-11-23T05:31:59+00:00", get, NULL },
        { "$time_iso8601_ms", "2026-11-23T05:31:59.042+00:00", get, NULL },
        { "$sent_http_content_type $sent_http_content_length", "text/css 1234", get, with_answer },
        { "$sent_http_last_modified", "Sun, 06 Nov 1994 08:49:37 GMT", get, with_answer },
        { "$sent_http_etag $sent_http_accept_ranges", "\"x\" bytes", get, with_answer },
        { "$sent_http_connection $sent_http_keep_alive", "keep-alive timeout=20", get,
          with_answer },
        { "$sent_http_connection<$sent_http_keep_alive>", "close<>", get, NULL },
        { "$sent_http_cache_control<$sent_http_x_a>", "no-cache, private<>", get, with_answer },
        { "<$sent_http_location$sent_http_transfer_encoding$sent_trailer_x>", "<>", get, NULL },
        { "$limit_rate", "0", get, NULL },
        { "$limit_rate", "4096", "GET /slow HTTP/1.1", NULL },
        { "<$tcpinfo_rtt$request_body$request_body_file>", "<>", get, NULL },
        { "<$proxy_protocol_addr$proxy_protocol_tlv_ssl>", "<>", get, NULL },
        { "$document_root $request_filename", "/srv/www /srv/www/a/b.html", get, NULL },
        { "$nginx_version", NGINX_LANGUAGE, get, NULL },
        { "$weir_version", WEIR_VERSION, get, NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;
        struct slice line = logged(&f, table[i].format, table[i].request, table[i].prepare);

        if (!slice_eq(line, slice_str(table[i].expected)))
            fail_msg("%s\nfound:    %.*s\nexpected: %s", table[i].format, SLICE_FMT(line),
                     table[i].expected);
        fixture_close(&f);
    }
}

static void a_request_has_one_id(void **state)
{
    struct fixture f;
    struct slice line;
    char first[32];

    (void)state;
    line = logged(&f, "$request_id$request_id", "GET / HTTP/1.1", NULL);
    assert_int_equal(line.size, 64);
    assert_memory_equal(line.at, line.at + 32, 32);
    for (size_t i = 0; i < line.size; i++)
        assert_true(hex_value(line.at[i]) >= 0);
    memcpy(first, line.at, sizeof first);
    fixture_close(&f);
    line = logged(&f, "$request_id", "GET / HTTP/1.1", NULL);
    assert_memory_not_equal(line.at, first, 32);
    fixture_close(&f);
}

static void the_process_is_known(void **state)
{
    struct fixture f;
    struct slice line, pid;
    char name[256], expected[300];

    (void)state;
    gethostname(name, sizeof name);
    for (char *c = name; *c != '\0'; c++)
        *c = (char)byte_lower((unsigned char)*c);
    snprintf(expected, sizeof expected, "%d %s", getpid(), name);
    line = logged(&f, "$pid $hostname", "GET / HTTP/1.1", NULL);
    assert_text(line, expected);
    pid = slice_cut(&line, ' ');
    assert_true(pid.size > 0);
    fixture_close(&f);
}

static void an_address_has_four_bytes(void **state)
{
    struct fixture f;
    struct slice line = logged(&f, "$binary_remote_addr", "GET / HTTP/1.1", NULL);

    (void)state;
    assert_int_equal(line.size, 4);
    assert_memory_equal(line.at, "\xc0\x00\x02\x07", 4);
    fixture_close(&f);
}

static void links_are_followed_for_the_real_root(void **state)
{
    static const char conf[] = "http { log_format f '$realpath_root'; access_log /a f;"
                               " server { listen 80; root /usr/../usr/%s; } }";
    static const struct {
        const char *below, *expected;
    } table[] = { { "", "/usr\n" }, { "no-such-directory", "-\n" } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;
        char text[256];

        snprintf(text, sizeof text, conf, table[i].below);
        fixture_start(&f, text, "GET / HTTP/1.1");
        f.loop.real_path = realpath;
        access_log_request(&f.r);
        assert_text(gather_get(&f.lines), table[i].expected);
        fixture_close(&f);
    }
}

static void undecided(struct fixture *f)
{
    f->r.response.status = 0;
}

static void an_abandoned_request_is_499(void **state)
{
    struct fixture f;

    (void)state;
    assert_text(logged(&f, "$status", "GET / HTTP/1.1", undecided), "499");
    fixture_close(&f);
}

static void a_unix_client_has_no_port(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f,
                  "http { log_format f '$remote_addr<$remote_port>'; access_log /a f;"
                  " server { listen 80; } }",
                  "GET / HTTP/1.1");
    f.peer = (struct addr){ .family = AF_UNIX };
    access_log_request(&f.r);
    assert_text(gather_get(&f.lines), "unix:<>\n");
    fixture_close(&f);
}

static void captures_are_those_of_the_last_match(void **state)
{
    static const char conf[] = "http { log_format f '$1 $sub $name $2'; access_log /a f;\n"
                               "server { listen 80; server_name ~^(?<sub>[a-z]+)\\.test$;\n"
                               "location / { } location ~ ^/u/(?<name>[a-z]+)/(.*)$ { } } }";
    static const struct {
        const char *line, *expected;
    } table[] = {
        { "GET /u/eve/x HTTP/1.1", "eve www eve x\n" },
        { "GET /other HTTP/1.1", "www www - -\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;

        fixture_start(&f, conf, table[i].line);
        assert_ptr_equal(vhosts_find(f.site->addrs->vhosts, SLICE("www.test"), f.r.server_captures,
                                     &f.r.server_captures_of),
                         f.site->servers);
        assert_true(request_matched(&f.r, f.r.server_captures_of));
        fixture_locate(&f);
        f.r.response.status = 200;
        access_log_request(&f.r);
        assert_text(gather_get(&f.lines), table[i].expected);
        fixture_close(&f);
    }
}

/* ---- loop.c ---------------------------------------------------------------------------------- */

static void the_date_follows_the_loop(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, "http { server { listen 80; } }", "GET / HTTP/1.1");
    assert_true(loop_wall_ns(&f.loop) == WALL_NS);
    assert_text(loop_date(&f.loop), "Mon, 23 Nov 2026 05:31:59 GMT");
    f.now_ns += 957 * (uint64_t)NS_PER_MS;
    assert_text(loop_date(&f.loop), "Mon, 23 Nov 2026 05:31:59 GMT");
    f.now_ns += 1 * (uint64_t)NS_PER_MS;
    assert_text(loop_date(&f.loop), "Mon, 23 Nov 2026 05:32:00 GMT");
    fixture_close(&f);
}

static void a_set_clock_is_noticed_within_a_second(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, "http { server { listen 80; } }", "GET / HTTP/1.1");
    f.now_ns += NS_PER_SEC;
    int64_t wall = loop_wall_ns(&f.loop), real = clock_wall_ns();

    /* The offset was measured against the machine's clocks again. */
    wall += (int64_t)clock_mono_ns() - (int64_t)f.now_ns;
    assert_true(llabs(wall - real) < NS_PER_SEC);
    fixture_close(&f);
}

static void a_sleeping_home_loop_does_not_stop_the_clock(void **state)
{
    struct fixture f;
    struct fixture *branch = test_calloc(1, sizeof *branch);

    (void)state;
    fixture_start(&f, "http { server { listen 80; } }", "GET / HTTP/1.1");
    branch->now_ns = MONO_NS + 5 * (uint64_t)NS_PER_MS;
    loop_now_ns(&f.loop, (const struct io *)(const void *)branch);
    assert_true(loop_wall_ns(&f.loop) == WALL_NS + 5 * NS_PER_MS);
    test_free(branch);
    fixture_close(&f);
}

static int use_utc(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_variable_says_what_it_should),
        cmocka_unit_test(a_request_has_one_id),
        cmocka_unit_test(the_process_is_known),
        cmocka_unit_test(an_address_has_four_bytes),
        cmocka_unit_test(links_are_followed_for_the_real_root),
        cmocka_unit_test(an_abandoned_request_is_499),
        cmocka_unit_test(a_unix_client_has_no_port),
        cmocka_unit_test(captures_are_those_of_the_last_match),
        cmocka_unit_test(the_date_follows_the_loop),
        cmocka_unit_test(a_set_clock_is_noticed_within_a_second),
        cmocka_unit_test(a_sleeping_home_loop_does_not_stop_the_clock),
    };

    return cmocka_run_group_tests_name("variables", tests, use_utc, NULL);
}
