/* load_test.c - from files to scopes: values, defaults, inheritance, hooks, includes. */
#include "conf_test.h"

#include <stdio.h>

static struct fixture f;

static struct scope *load(const char *text)
{
    fixture_file(&f, "weir.conf", text);
    struct scope *root = fixture_load(&f);
    assert_string_equal(fixture_report(&f), "");
    assert_int_equal(conf_load_errors(f.load), 0);
    return root;
}

static int open_fixture(void **state)
{
    (void)state;
    fixture_open(&f);
    return 0;
}

static int close_fixture(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static const struct test_http *http_of(const struct scope *root, uint32_t context, unsigned n)
{
    const struct scope *s = context == CTX_MAIN ? root : fixture_scope(root, context, n);
    assert_non_null(s);
    return scope_conf(s, &feature_test_http);
}

/* ---- values -------------------------------------------------------------------------- */

static void defaults_are_parsed_once_and_reach_every_scope(void **state)
{
    (void)state;
    struct scope *root = load("http { server { location / { } } }");
    const uint32_t contexts[] = { CTX_MAIN, CTX_HTTP, CTX_SERVER, CTX_LOCATION };
    const struct test_main *top = scope_conf(root, &feature_test_main);
    assert_int_equal(top->workers, 1);
    assert_int_equal(top->limit, -1);
    assert_slice(top->user, "nobody");
    assert_slice(top->pid, "/srv/weir/logs/weir.pid");
    for (size_t i = 0; i < COUNT_OF(contexts); i++) {
        const struct test_http *http = http_of(root, contexts[i], 0);
        struct slice text;
        assert_false(http->sendfile);
        assert_int_equal(http->body_size, 1 << 20);
        assert_int_equal(http->timeout_ms, 60000);
        assert_int_equal(http->cache_sec, 3600);
        assert_int_equal(http->tokens, 1);
        assert_int_equal(http->header_buffers, 4);
        assert_slice(http->root, "/srv/weir/html");
        assert_slice(http->certificate, "/etc/weir/cert.pem");
        assert_slice(http->type, "text/plain");
        assert_true(expr_constant(http->answer, &text));
        assert_slice(text, "none");
    }
}

static void every_type_is_stored(void **state)
{
    (void)state;
    struct scope *root =
        load("user www; worker_processes 16; pid /run/w.pid; worker_rlimit_nofile -1;\n"
             "events { use EPOLL; }\n"
             "http { sendfile On; client_max_body_size 2g; send_timeout 1m30s; expires 1d;\n"
             "  server_tokens build; root www; default_type \"a b\"; ssl_certificate tls/a.pem;\n"
             "  answer \"$uri!\"; large_client_header_buffers 2 16k; }");
    const struct test_main *top = scope_conf(root, &feature_test_main);
    const struct test_main *events =
        scope_conf(fixture_scope(root, CTX_EVENTS, 0), &feature_test_main);
    const struct test_http *http = http_of(root, CTX_HTTP, 0);
    assert_int_equal(top->workers, 16);
    assert_slice(top->user, "www");
    assert_slice(top->pid, "/run/w.pid");
    assert_int_equal(events->engine, 2);
    assert_true(http->sendfile);
    assert_int_equal(http->body_size, INT64_C(2) << 30);
    assert_int_equal(http->timeout_ms, 90000);
    assert_int_equal(http->cache_sec, 86400);
    assert_int_equal(http->tokens, 2);
    assert_int_equal(http->header_buffers, 2);
    assert_slice(http->root, "/srv/weir/www");
    assert_slice(http->certificate, "/etc/weir/tls/a.pem");
    assert_slice(http->type, "a b");
    assert_slice(expr_text(http->answer), "$uri!");
}

/* ---- inheritance --------------------------------------------------------------------- */

static void values_come_from_the_enclosing_scope(void **state)
{
    (void)state;
    struct scope *root = load(
        "http { server { location /a/ { root /a; location /a/b { sendfile off; if ($uri) { } } }\n"
        "                sendfile on; }\n"
        "       server { root /two; max_ranges 3; location / { } }\n"
        "       root /one; expires 5s; large_client_header_buffers 8 1k; }");
    const struct test_http *a = http_of(root, CTX_LOCATION, 0);
    const struct test_http *b = http_of(root, CTX_LOCATION, 1);
    const struct test_http *branch = http_of(root, CTX_IF_LOCATION, 0);
    const struct test_http *two = http_of(root, CTX_SERVER, 1);
    assert_slice(http_of(root, CTX_SERVER, 0)->root, "/one");
    assert_slice(a->root, "/a");
    assert_true(a->sendfile);
    assert_slice(b->root, "/a");
    assert_false(b->sendfile);
    assert_slice(branch->root, "/a");
    assert_false(branch->sendfile);
    assert_int_equal(branch->cache_sec, 5);
    assert_int_equal(branch->header_buffers, 8);
    assert_slice(two->root, "/two");
    assert_int_equal(two->not_inherited, 3);
    assert_int_equal(http_of(root, CTX_LOCATION, 2)->not_inherited, 7);
    assert_slice(http_of(root, CTX_MAIN, 0)->root, "/srv/weir/html");
}

static void names_of_one_setting_are_one(void **state)
{
    (void)state;
    struct scope *root = load("http { root /one; server { document_root /two; } server { } }");
    assert_slice(http_of(root, CTX_SERVER, 0)->root, "/two");
    assert_slice(http_of(root, CTX_SERVER, 1)->root, "/one");
    const struct scope *s = fixture_scope(root, CTX_SERVER, 0);
    assert_true(scope_is_set(s, &feature_test_http, "document_root"));
    assert_false(scope_is_set(s, &feature_test_http, "root"));
    assert_false(scope_is_set(fixture_scope(root, CTX_SERVER, 1), &feature_test_http, "root"));
}

static void hooks_run_once_a_scope_parents_first(void **state)
{
    (void)state;
    struct scope *root = load("http { server { server_name a; location / { location /x { } } } }");
    const uint32_t contexts[] = { CTX_HTTP, CTX_SERVER, CTX_LOCATION };
    const void *parent = http_of(root, CTX_MAIN, 0);
    assert_null(http_of(root, CTX_MAIN, 0)->merge_parent);
    for (size_t i = 0; i < COUNT_OF(contexts); i++) {
        const struct test_http *http = http_of(root, contexts[i], 0);
        assert_int_equal(http->merges, 1);
        assert_ptr_equal(http->merge_parent, parent);
        parent = http;
    }
    assert_slice(http_of(root, CTX_LOCATION, 1)->first_name, "a");
}

static void nothing_is_merged_after_errors(void **state)
{
    (void)state;
    fixture_file(&f, "weir.conf", "http { sendfile maybe; }");
    struct scope *root = fixture_load(&f);
    assert_int_equal(conf_load_errors(f.load), 1);
    assert_int_equal(http_of(root, CTX_HTTP, 0)->merges, 0);
}

/* ---- files --------------------------------------------------------------------------- */

static void files_are_listed_once_in_order(void **state)
{
    static const char *const paths[] = { "weir.conf", "mime", "sites/a.conf", "snip.conf",
                                         "sites/b.conf" };
    const struct conf_file *file;
    size_t i = 0;
    (void)state;
    fixture_file(&f, "sites/b.conf", "server { root /b; include snip.conf; }");
    fixture_file(&f, "sites/a.conf", "server { root /a; include snip.conf; }");
    fixture_file(&f, "mime", "text/html html; include x;");
    fixture_file(&f, "x", "");
    fixture_file(&f, "snip.conf", "sendfile on;");
    struct scope *root =
        load("http { types { include mime; } include sites/*.conf; include none/*; }");
    assert_slice(http_of(root, CTX_SERVER, 0)->root, "/a");
    assert_slice(http_of(root, CTX_SERVER, 1)->root, "/b");
    assert_true(http_of(root, CTX_SERVER, 1)->sendfile);
    assert_int_equal(f.reads, 6);
    for (file = conf_load_files(f.load); file != NULL; file = file->next) {
        if (strcmp(file->path, FIXTURE_DIR "x") == 0)
            continue;
        assert_true(i < COUNT_OF(paths));
        assert_string_equal(file->path + strlen(FIXTURE_DIR), paths[i++]);
    }
    assert_int_equal(i, COUNT_OF(paths));
}

static void globals_come_first(void **state)
{
    (void)state;
    conf_load_globals(f.load, "user fromthere; worker_processes 3;");
    struct scope *root = load("pid p;");
    const struct test_main *top = scope_conf(root, &feature_test_main);
    assert_slice(top->user, "fromthere");
    assert_int_equal(top->workers, 3);
    assert_ptr_equal(conf_load_files(f.load)->next, NULL);
}

static void a_file_that_is_missing_is_an_error(void **state)
{
    (void)state;
    fixture_load(&f);
    assert_string_equal(fixture_report(&f),
                        "weir.conf: error: cannot be read: No such file or directory\n");
}

/* ---- arguments ----------------------------------------------------------------------- */

static void options_among_arguments(void **state)
{
    unsigned at = 0;
    (void)state;
    struct conf_arg args[] = { { SLICE("path"), 1, 1, false },
                               { SLICE("keys"), 1, 1, false },
                               { SLICE("keys=a:1m"), 1, 1, false },
                               { SLICE("x="), 1, 1, false } };
    struct conf_node node = { .args = args, .arg_count = 4 };
    assert_slice(conf_option(&node, 1, "keys", &at), "a:1m");
    assert_int_equal(at, 2);
    assert_slice(conf_option(&node, 0, "x", NULL), "");
    assert_non_null(conf_option(&node, 0, "x", NULL).at);
    assert_null(conf_option(&node, 0, "key", NULL).at);
    assert_slice(conf_arg(&node, 0), "path");
    assert_slice(conf_arg(&node, 4), "");
}

/* ---- bounds -------------------------------------------------------------------------- */

static void complaints_are_bounded_and_errors_win(void **state)
{
    struct gather g;
    (void)state;
    gather_init(&g, NULL, 0, &f.arena, SIZE_MAX);
    for (int i = 0; i < 300; i++)
        gather_lit(&g, "events { accept_mutex on; }\n");
    for (int i = 0; i < 300; i++)
        gather_lit(&g, "nothing;\n");
    fixture_bytes(&f, "weir.conf", gather_get(&g));
    fixture_load(&f);
    const char *report = fixture_report(&f);
    assert_true(conf_load_errors(f.load) >= CONF_COMPLAINTS_MAX);
    assert_non_null(strstr(report, "\nand "));
    assert_null(strstr(report, "notice"));
}

static void depth_is_bounded(void **state)
{
    struct gather g;
    (void)state;
    gather_init(&g, NULL, 0, &f.arena, SIZE_MAX);
    gather_lit(&g, "http { server { ");
    for (int i = 0; i < 100; i++)
        gather_lit(&g, "location / { ");
    fixture_bytes(&f, "weir.conf", gather_get(&g));
    fixture_load(&f);
    assert_non_null(strstr(fixture_report(&f), "nested too deeply"));
    assert_int_equal(conf_load_errors(f.load), 1);
}

static void includes_are_bounded(void **state)
{
    (void)state;
    static char names[CONF_INCLUDE_DEPTH_MAX + 2][16], texts[CONF_INCLUDE_DEPTH_MAX + 2][32];
    for (int i = 0; i < CONF_INCLUDE_DEPTH_MAX + 2; i++) {
        snprintf(names[i], sizeof names[i], "n%d", i);
        snprintf(texts[i], sizeof texts[i], "include n%d;", i + 1);
        fixture_file(&f, names[i], texts[i]);
    }
    fixture_file(&f, "weir.conf", "include n0;");
    fixture_load(&f);
    assert_non_null(strstr(fixture_report(&f), "more than 16 files include one another"));
    assert_int_equal(conf_load_errors(f.load), 1);
}

static void sixteen_times_two_includes_are_not_followed(void **state)
{
    (void)state;
    static char names[15][16], texts[15][64];
    for (int i = 0; i < 15; i++) {
        snprintf(names[i], sizeof names[i], "n%d", i);
        snprintf(texts[i], sizeof texts[i], "include n%d;include n%d;include n%d;", i + 1, i + 1,
                 i + 1);
        fixture_file(&f, names[i], texts[i]);
    }
    fixture_file(&f, "n15", "");
    fixture_file(&f, "weir.conf", "include n0;");
    fixture_load(&f);
    assert_non_null(strstr(fixture_report(&f), "more than 20000 files are included"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_parsed_once_and_reach_every_scope),
        TEST(every_type_is_stored),
        TEST(values_come_from_the_enclosing_scope),
        TEST(names_of_one_setting_are_one),
        TEST(hooks_run_once_a_scope_parents_first),
        TEST(nothing_is_merged_after_errors),
        TEST(files_are_listed_once_in_order),
        TEST(globals_come_first),
        TEST(a_file_that_is_missing_is_an_error),
        TEST(options_among_arguments),
        TEST(complaints_are_bounded_and_errors_win),
        TEST(depth_is_bounded),
        TEST(includes_are_bounded),
        TEST(sixteen_times_two_includes_are_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
