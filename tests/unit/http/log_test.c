/* log_test.c - access_log, log_format and error_log: what is written, where to, and what the
 * loader refuses. */
#include "vars_fixture.h"

#include <time.h>

static void log_with_fields(struct fixture *f, const char *agent)
{
    fixture_field(f, "User-Agent", agent);
    f->r.response.status = 200;
    f->r.body_sent = 5;
    access_log_request(&f->r);
}

/* A path that the program chose: below the prefix unless it is absolute. */
static void assert_default(struct slice found, const char *chosen)
{
    if (chosen[0] != '/') {
        assert_true(slice_starts(found, SLICE("/prefix/")));
        found = slice_skip(found, strlen("/prefix/"));
    }
    assert_text(found, chosen);
}

/* ---- formats ------------------------------------------------------------------------------- */

static void combined_is_nginx_s(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f, "http { server { listen 80; } }", "GET /x?y HTTP/1.1");
    fixture_field(&f, "Referer", "http://a.test/");
    log_with_fields(&f, "curl/8 \"quoted\"");
    assert_text(gather_get(&f.lines),
                "192.0.2.7 - - [23/Nov/2026:05:31:59 +0000] \"GET /x?y HTTP/1.1\" 200 5 "
                "\"http://a.test/\" \"curl/8 \\x22quoted\\x22\"\n");
    assert_default(gather_get(&f.places), LOG_ACCESS_DEFAULT "\n");
    fixture_close(&f);
}

static void json_needs_no_definition(void **state)
{
    struct fixture f;
    struct slice line, id = SLICE("\"request_id\":\"");
    size_t at;

    (void)state;
    fixture_start(&f, "http { access_log /a json; server { listen 80; server_name n; } }",
                  "GET /x HTTP/1.1");
    f.r.number = 17;
    f.r.head_bytes = 90;
    f.r.head_sent_bytes = 100;
    log_with_fields(&f, "say \"hi\"");
    line = gather_get(&f.lines);
    at = slice_search(line, id) + id.size;
    assert_text(slice_head(line, at),
                "{\"time\":\"2026-11-23T05:31:59.042+00:00\",\"remote_addr\":\"192.0.2.7\","
                "\"remote_user\":\"\",\"method\":\"GET\",\"uri\":\"/x\",\"protocol\":\"HTTP/1.1\","
                "\"status\":200,\"body_bytes_sent\":5,\"bytes_sent\":105,\"request_length\":90,"
                "\"request_time\":0.000,\"host\":\"n\",\"server_name\":\"n\",\"referer\":\"\","
                "\"user_agent\":\"say \\\"hi\\\"\",\"request_id\":\"");
    assert_text(slice_skip(line, at + 32), "\",\"connection\":17}\n");
    fixture_close(&f);
}

static void a_json_of_ones_own_is_meant_by_all(void **state)
{
    struct fixture f;

    (void)state;
    fixture_start(&f,
                  "http { access_log /a json; log_format json mine; access_log /b json;\n"
                  "server { listen 80; } }",
                  "GET / HTTP/1.1");
    log_with_fields(&f, "x");
    assert_text(gather_get(&f.lines), "mine\nmine\n");
    assert_int_equal(f.complaints.used, 0);
    fixture_close(&f);
}

static void escaping_is_chosen_by_the_format(void **state)
{
    static const char agent[] = "a\tb\"c\\d\x7f\xc3\xa4";
    static const struct {
        const char *escape, *expected;
    } table[] = {
        { "", "<a\\x09b\\x22c\\x5Cd\\x7F\\xC3\\xA4> <->\n" },
        { "escape=default", "<a\\x09b\\x22c\\x5Cd\\x7F\\xC3\\xA4> <->\n" },
        { "escape=none", "<a\tb\"c\\d\x7f\xc3\xa4> <>\n" },
        { "escape=json", "<a\\u0009b\\\"c\\\\d\\u007f\xc3\xa4> <>\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;
        char text[512];

        snprintf(text, sizeof text,
                 "http { log_format f %s '<$http_user_agent>' ' <$http_nope>';\n"
                 "access_log /a f; server { listen 80; } }",
                 table[i].escape);
        fixture_start(&f, text, "GET / HTTP/1.1");
        log_with_fields(&f, agent);
        assert_text(gather_get(&f.lines), table[i].expected);
        fixture_close(&f);
    }
}

/* A client cannot forge a second line, whatever it sends. */
static void a_line_stays_one_line(void **state)
{
    struct fixture f;
    size_t ends = 0;

    (void)state;
    fixture_start(&f, "http { server { listen 80; } }", "GET / HTTP/1.1");
    log_with_fields(&f, "x\n1.2.3.4 - - [now] \"GET /forged HTTP/1.1\" 200\r\n");
    for (size_t i = 0; i < f.lines.used; i++)
        ends += f.lines.at[i] == '\n' || f.lines.at[i] == '\r';
    assert_int_equal(ends, 1);
    fixture_close(&f);
}

static void long_lines_are_whole_and_longer_ones_end_like_lines(void **state)
{
    static const struct {
        size_t agent, line;
    } table[] = {
        { 4096 - 2, 4096 }, /* "<" and "\n" around it: exactly the room         */
        { 4096 - 1, 4097 },
        { 30000, 30002 },
        { LOG_RECORD_MAX - 2, LOG_RECORD_MAX },
        { LOG_RECORD_MAX - 1, LOG_RECORD_MAX },
        { LOG_RECORD_MAX + 100, 2 }, /* a variable that does not fit is left out         */
    };
    char *agent = test_malloc(2 * LOG_RECORD_MAX);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;

        memset(agent, 'a', table[i].agent);
        agent[table[i].agent] = '\0';
        fixture_start(&f,
                      "http { log_format f escape=none '<$http_user_agent'; access_log /a f;"
                      " server { listen 80; } }",
                      "GET / HTTP/1.1");
        log_with_fields(&f, agent);
        assert_int_equal(f.lines.used, table[i].line);
        assert_int_equal(f.lines.at[f.lines.used - 1], '\n');
        fixture_close(&f);
    }
    test_free(agent);
}

/* ---- which logs ------------------------------------------------------------------------- */

static void logs_are_inherited_as_a_list(void **state)
{
    static const char conf[] =
        "http { access_log /one; access_log two combined;\n"
        "server { listen 80;\n"
        "location /same { } location /off { access_log off; }\n"
        "location /own { access_log /three; }\n"
        "location /if { access_log /yes combined if=$arg_v; access_log /always; } } }";
    static const struct {
        const char *line, *places;
    } table[] = {
        { "GET /same HTTP/1.1", "/one\n/prefix/two\n" },
        { "GET /off HTTP/1.1", "" },
        { "GET /own HTTP/1.1", "/three\n" },
        { "GET /if HTTP/1.1", "/always\n" },
        { "GET /if?v= HTTP/1.1", "/always\n" },
        { "GET /if?v=0 HTTP/1.1", "/always\n" },
        { "GET /if?v=1 HTTP/1.1", "/yes\n/always\n" },
        { "GET /if?v=00 HTTP/1.1", "/yes\n/always\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;

        fixture_start(&f, conf, table[i].line);
        fixture_locate(&f);
        log_with_fields(&f, "x");
        assert_text(gather_get(&f.places), table[i].places);
        fixture_close(&f);
    }
}

static void sub_requests_are_logged_if_wanted(void **state)
{
    static const char *const conf[] = {
        "http { access_log /a; server { listen 80; } }",
        "http { access_log /a; log_subrequest on; server { listen 80; } }",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(conf); i++) {
        struct fixture f;
        struct request parent = { 0 };

        fixture_start(&f, conf[i], "GET / HTTP/1.1");
        f.r.parent = &parent;
        log_with_fields(&f, "x");
        assert_text(gather_get(&f.places), i == 0 ? "" : "/a\n");
        fixture_close(&f);
    }
}

static void paths_may_have_variables_but_not_climb(void **state)
{
    static const struct {
        const char *path, *query, *places;
    } table[] = {
        { "/logs/$arg_v.log", "?v=a", "/logs/a.log\n" },
        { "/logs/$arg_v/x", "?v=..", "" },
        { "/logs/$arg_v.log", "?v=a/../../b", "" },
        { "/logs/$arg_v", "?v=a..b", "/logs/a..b\n" },
        { "/logs/$arg_v", "?v=a\tb", "" },
        { "logs/$server_name", "", "/prefix/logs/n\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;
        char text[256], line[256];

        snprintf(text, sizeof text, "http { access_log %s; server { listen 80; server_name n; } }",
                 table[i].path);
        snprintf(line, sizeof line, "GET /%s HTTP/1.1", table[i].query);
        fixture_start(&f, text, line);
        log_with_fields(&f, "x");
        assert_text(gather_get(&f.places), table[i].places);
        fixture_close(&f);
    }
}

static void one_path_is_one_target(void **state)
{
    struct fixture f;
    const struct log_targets *targets;

    (void)state;
    fixture_open(&f, "error_log /e; http { access_log /a; server { listen 80; access_log /a;\n"
                     "access_log syslog:server=unix:/dev/log,facility=daemon,tag=w; } }");
    assert_int_equal(f.errors, 0);
    targets = scope_conf(f.root, &feature_logs);
    assert_int_equal(targets->count, 3);
    for (const struct log_target *t = targets->first; t != NULL; t = t->next) {
        if (t->kind != LOG_TO_SYSLOG)
            continue;
        assert_text(t->syslog.server, "unix:/dev/log");
        assert_int_equal(t->sink.syslog_facility, 3);
        assert_string_equal(t->sink.syslog_tag, "w");
        assert_int_equal(t->syslog.severity, 6);
    }
    fixture_close(&f);
}

/* ---- error_log -------------------------------------------------------------------------- */

static void error_logs_are_chosen_by_scope(void **state)
{
    struct fixture f;
    const struct log *top, *same, *own;
    const struct log_targets *targets;

    (void)state;
    fixture_open(&f, "error_log /e warn; error_log stderr crit;\n"
                     "http { server { listen 80; server_name a; }\n"
                     "server { listen 80; server_name b; error_log /e warn;\n"
                     "  error_log stderr crit; }\n"
                     "server { listen 80; server_name c; error_log f debug; } }");
    assert_int_equal(f.errors, 0);
    top = log_of_scope(f.root);
    same = log_of_scope(f.site->servers->next->scope);
    own = log_of_scope(f.site->servers->next->next->scope);
    assert_ptr_equal(log_of_scope(f.site->servers->scope), top);
    assert_ptr_equal(same, top);
    assert_ptr_not_equal(own, top);
    assert_int_equal(top->level, LOG_WARN);
    assert_int_equal(top->sinks->level, LOG_WARN);
    assert_int_equal(top->sinks->next->level, LOG_CRIT);
    assert_null(top->sinks->next->next);
    assert_int_equal(own->level, LOG_DEBUG);
    targets = scope_conf(f.root, &feature_logs);
    assert_text(targets->first->path, "/e");
    fixture_close(&f);
}

static void there_is_always_an_error_log(void **state)
{
    struct fixture f;
    const struct log_targets *targets;

    (void)state;
    fixture_open(&f, "http { access_log off; server { listen 80; } }");
    targets = scope_conf(f.root, &feature_logs);
    assert_int_equal(targets->count, 1);
    assert_default(targets->first->path, LOG_ERROR_DEFAULT);
    assert_int_equal(log_of_scope(f.root)->level, LOG_ERROR);
    fixture_close(&f);
}

/* ---- complaints ----------------------------------------------------------------------- */

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *conf, *says;
    } table[] = {
        { "error_log /e loud;", "\"loud\" is not a log level" },
        { "error_log /e warm;", "did you mean \"warn\"?" },
        { "error_log memory:31k debug;", "from 32k to 64m" },
        { "error_log memory:65m debug;", "is not a size for a log in memory" },
        { "error_log memory: debug;", "from 32k to 64m" },
        { "http { access_log memory:32k; }", "an access log is not kept in memory" },
        { "error_log syslog:tag=x;", "the syslog server is missing" },
        { "error_log syslog:server=a,facility=locale0;", "did you mean \"local0\"?" },
        { "error_log syslog:server=a,tag=a-b;", "is not a syslog tag" },
        { "error_log syslog:server=a,colour=red;", "unknown syslog option" },
        { "http { access_log /a combine; }", "did you mean \"combined\"?" },
        { "http { access_log /a buffer=1k; }", "the format's name comes before the options" },
        { "http { access_log /a combined buffer=x; }", "expected: buffer=size" },
        { "http { access_log /a combined gzip=10; }", "from 1 to 9" },
        { "http { access_log /a combined flush=1s; }", "flush= needs buffer=" },
        { "http { access_log /a combined buffered; }", "unknown option" },
        { "http { access_log /a$host combined buffer=1k; }", "cannot be buffered" },
        { "http { access_log syslog:server=a combined gzip; }", "cannot be buffered" },
        { "http { access_log /a; access_log /a combined gzip; }", "with other options" },
        { "http { access_log off combined; }", "takes no options" },
        { "http { log_format combined x; }", "cannot be changed" },
        { "http { log_format a x; log_format a y; }", "defined twice" },
        { "http { log_format a escape=xml y; }", "expected: default, json or none" },
        { "http { log_format a escape=json; }", "has no text" },
        { "http { log_format a $no_such_thing; }", "no_such_thing" },
        { "http { open_log_file_cache inactive=1s; }", "max= is missing" },
        { "http { open_log_file_cache max=1 min=2; }", "invalid option" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;

        fixture_open(&f, table[i].conf);
        if (f.errors == 0)
            fail_msg("accepted: %s", table[i].conf);
        assert_says(&f, table[i].says);
        fixture_close(&f);
    }
}

static void words_that_are_files_are_worth_a_warning(void **state)
{
    static const char *const conf[] = {
        "error_log off; http { server { listen 80; } }",
        "http { access_log stderr; server { listen 80; } }",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(conf); i++) {
        struct fixture f;

        fixture_open(&f, conf[i]);
        assert_int_equal(f.errors, 0);
        assert_says(&f, "is the name of a file here");
        fixture_close(&f);
    }
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
        cmocka_unit_test(combined_is_nginx_s),
        cmocka_unit_test(json_needs_no_definition),
        cmocka_unit_test(a_json_of_ones_own_is_meant_by_all),
        cmocka_unit_test(escaping_is_chosen_by_the_format),
        cmocka_unit_test(a_line_stays_one_line),
        cmocka_unit_test(long_lines_are_whole_and_longer_ones_end_like_lines),
        cmocka_unit_test(logs_are_inherited_as_a_list),
        cmocka_unit_test(sub_requests_are_logged_if_wanted),
        cmocka_unit_test(paths_may_have_variables_but_not_climb),
        cmocka_unit_test(one_path_is_one_target),
        cmocka_unit_test(error_logs_are_chosen_by_scope),
        cmocka_unit_test(there_is_always_an_error_log),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(words_that_are_files_are_worth_a_warning),
    };

    return cmocka_run_group_tests_name("logs", tests, use_utc, NULL);
}
