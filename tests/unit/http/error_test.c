/* error_test.c - return, error_page and the default texts, run through the real pipeline. What
 * is expected here was compared with what nginx answers to the same configuration. */
#include "vars_fixture.h"

static void respond(struct request *r)
{
    (void)r;
}

static const struct step steps[] = {
    { "server rewrite", step_server_rewrite, NULL, false },
    { "find location", step_find_location, NULL, false },
    { "rewrite", step_rewrite, NULL, false },
    { "access", step_access, NULL, false },
};
static const struct filter filters[] = { { "error status", filter_error_status, NULL, false } };
static const struct pipeline pipeline = {
    .steps = steps,
    .step_count = COUNT_OF(steps),
    .reroute_step = 0,
    .relocate_step = 1,
    .filters = filters,
    .filter_count = COUNT_OF(filters),
};

/* Runs a request to its answer. */
static void answer(struct fixture *f, const char *conf, const char *line)
{
    static struct request_ops ops;

    ops = fixture_ops;
    ops.respond = respond;
    fixture_start(f, conf, line);
    f->loop.pipeline = &pipeline;
    f->r.ops = &ops;
    f->r.vhosts = f->site->addrs->vhosts;
    request_run(&f->r);
}

static const char conf[] =
    "error_log /e crit; http { server_tokens off; server { listen 80; server_name n;\n"
    "location /r301 { return 301; }\n"
    "location /r301u { return 301 /x?$args; }\n"
    "location /r303 { return 303 foo; }\n"
    "location /url { return https://$host/a; }\n"
    "location /r200 { return 200 h$args; }\n"
    "location /empty { return 200; }\n"
    "location /r204 { return 204; }\n"
    "location /r404 { return 404; }\n"
    "location /r404t { return 404 txt; }\n"
    "location /r599 { return 599; }\n"
    "location /r999 { return 999 hello; }\n"
    "location /gone { return 444; }\n"
    "location /first { return 200 one; return 200 two; }\n"
    "location /ec { error_page 404 =200 /r404t; return 404; }\n"
    "location /ec2 { error_page 404 = /r200; return 404; }\n"
    "location /ec3 { error_page 404 =503 http://foo/; return 404; }\n"
    "location /ec4 { error_page 404 foo.html; return 404; }\n"
    "location /ec5 { error_page 404 /r200?a=b; return 404; }\n"
    "location /ec6 { error_page 404 /nope; return 404; }\n"
    "location /ec7 { error_page 503 /nope; return 503; }\n"
    "location /ec8 { error_page 403 404 =307 https://$host/; return 404; }\n"
    "location /ec9 { error_page 500 /r200; return 404; }\n"
    "location /var { error_page 404 /r200?$arg_v; return 404; }\n"
    "location /named { error_page 404 @here; return 404; }\n"
    "location /named2 { error_page 404 = @here; return 404; }\n"
    "location /named3 { error_page 404 @nowhere; return 404; }\n"
    "location @here { return 200 $uri; }\n"
    "location /method { error_page 405 /m; return 405; }\n"
    "location /m { return 200 $request_method; }\n"
    "location /once { error_page 404 /e1; return 404; }\n"
    "location /e1 { error_page 403 /e2; return 403; }\n"
    "location /again { error_page 404 /e3; return 404; }\n"
    "location /both { recursive_error_pages on; error_page 404 /e1; return 404; }\n"
    "location /e3 { recursive_error_pages on; error_page 403 /e2; return 403; }\n"
    "location /e2 { return 200 deep; }\n"
    "location /round { recursive_error_pages on; error_page 404 /round; return 404; }\n"
    "} }";

static void answers_are_nginx_s(void **state)
{
    static const struct {
        const char *line;
        unsigned status;
        const char *location, *body; /* body NULL: the default page */
    } table[] = {
        { "GET /r301 HTTP/1.1", 301, "", NULL },
        { "GET /r301u?q HTTP/1.1", 301, "/x?q", NULL },
        { "GET /r303 HTTP/1.1", 303, "foo", NULL },
        { "GET /url HTTP/1.1", 302, "https://n/a", NULL },
        { "GET /r200?x HTTP/1.1", 200, "", "hx" },
        { "GET /empty HTTP/1.1", 200, "", "" },
        { "GET /r204 HTTP/1.1", 204, "", "" },
        { "GET /r404 HTTP/1.1", 404, "", NULL },
        { "GET /r404t HTTP/1.1", 404, "", "txt" },
        { "GET /r599 HTTP/1.1", 599, "", "" },
        { "GET /r999 HTTP/1.1", 999, "", "hello" },
        { "GET /first HTTP/1.1", 200, "", "one" },
        { "GET /ec HTTP/1.1", 200, "", "txt" },
        { "GET /ec2 HTTP/1.1", 200, "", "h" },
        { "GET /ec3 HTTP/1.1", 302, "http://foo/", NULL },
        { "GET /ec4 HTTP/1.1", 302, "foo.html", NULL },
        { "GET /ec5 HTTP/1.1", 404, "", "ha=b" },
        { "GET /ec6 HTTP/1.1", 404, "", NULL },
        { "GET /ec7 HTTP/1.1", 404, "", NULL },
        { "GET /ec8 HTTP/1.1", 307, "https://n/", NULL },
        { "GET /ec9 HTTP/1.1", 404, "", NULL },
        { "GET /var?v=1 HTTP/1.1", 404, "", "h1" },
        { "GET /named HTTP/1.1", 404, "", "/named" },
        { "GET /named2 HTTP/1.1", 200, "", "/named2" },
        { "GET /named3 HTTP/1.1", 500, "", NULL },
        { "POST /method HTTP/1.1", 405, "", "GET" },
        { "HEAD /method HTTP/1.1", 405, "", "HEAD" },
        { "GET /once HTTP/1.1", 403, "", NULL },
        { "GET /again HTTP/1.1", 403, "", NULL },
        { "GET /both HTTP/1.1", 403, "", "deep" },
        { "GET /round HTTP/1.1", 500, "", NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;
        struct slice body;

        answer(&f, conf, table[i].line);
        if (f.r.response.status != table[i].status)
            fail_msg("%s: %u, not %u", table[i].line, f.r.response.status, table[i].status);
        assert_text(f.r.response.location, table[i].location);
        body = fixture_body(&f);
        assert_int_equal(f.r.response.length, body.size);
        if (table[i].body != NULL)
            assert_text(body, table[i].body);
        else
            assert_true(slice_starts(body, SLICE("<!DOCTYPE html>")));
        fixture_close(&f);
    }
}

static void a_text_has_the_type_of_its_uri(void **state)
{
    static const struct {
        const char *line, *type;
    } table[] = {
        { "GET /a HTTP/1.1", "text/x-other" },
        { "GET /a.html HTTP/1.1", "text/html" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;

        answer(&f, "http { default_type text/x-other; server { listen 80; return 200 x; } }",
               table[i].line);
        assert_text(f.r.response.content_type, table[i].type);
        fixture_close(&f);
    }
}

static void no_answer_is_given_to_444(void **state)
{
    struct fixture f;

    (void)state;
    answer(&f, conf, "GET /gone HTTP/1.1");
    assert_true(f.r.response.no_answer);
    assert_int_equal(f.r.response.status, 444);
    assert_null(f.r.response.body);
    fixture_close(&f);
}

static void a_server_may_return_for_all_its_locations(void **state)
{
    struct fixture f;

    (void)state;
    answer(&f,
           "http { server { listen 80; return 301 https://a.test$request_uri;\n"
           "location / { return 200 never; } } }",
           "GET /x?y HTTP/1.1");
    assert_int_equal(f.r.response.status, 301);
    assert_text(f.r.response.location, "https://a.test/x?y");
    fixture_close(&f);
}

static void a_page_does_not_keep_a_broken_connection(void **state)
{
    struct fixture f;

    (void)state;
    answer(&f,
           "http { server { listen 80; error_page 400 413 /p; location / { return 413; }\n"
           "location /p { return 200 page; } } }",
           "GET / HTTP/1.1");
    assert_int_equal(f.r.response.status, 413);
    assert_text(fixture_body(&f), "page");
    assert_true(f.r.response.close);
    fixture_close(&f);
}

static void a_refused_head_has_its_page(void **state)
{
    struct fixture f;
    static struct request_ops ops;

    (void)state;
    ops = fixture_ops;
    ops.respond = respond;
    fixture_start(&f,
                  "http { server { listen 80; error_page 400 /p;\n"
                  "location /p { return 200 page; } } }",
                  "GET / HTTP/1.1");
    f.loop.pipeline = &pipeline;
    f.r.ops = &ops;
    request_start_refused(&f.r, f.site->addrs->vhosts, 400);
    assert_int_equal(f.r.response.status, 400);
    assert_text(fixture_body(&f), "page");
    fixture_close(&f);
}

static void the_default_page_is_small_and_says_what_is_wrong(void **state)
{
    static const char *const tokens[] = { "off", "on" };
    static const char *const signed_as[] = { "weir", "weir/" WEIR_VERSION };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        struct fixture f;
        char text[256], page[512];

        snprintf(text, sizeof text, "http { server_tokens %s; server { listen 80; return 404; } }",
                 tokens[i]);
        snprintf(page, sizeof page,
                 "<!DOCTYPE html>\n<html lang=\"en\">\n"
                 "<head><title>404 Not Found</title></head>\n<body>\n<h1>404 Not Found</h1>\n"
                 "<p>There is nothing at this address.</p>\n<hr><p>%s</p>\n</body>\n</html>\n",
                 signed_as[i]);
        answer(&f, text, "GET / HTTP/1.1");
        assert_text(f.r.response.content_type, "text/html");
        assert_text(fixture_body(&f), page);
        fixture_close(&f);
    }
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *conf, *says;
        unsigned errors;
    } table[] = {
        { "http { error_page 200 /x; }", "\"200\" cannot have an error page", 1 },
        { "http { error_page 499 /x; }", "\"499\" cannot have an error page", 1 },
        { "http { error_page four /x; }", "\"four\" cannot have an error page", 1 },
        { "http { error_page = /x; }", "no status is named", 1 },
        { "http { error_page 404 =x /x; }", "is not an answer's status", 1 },
        { "http { error_page 404 404.html; server { listen 80; } }", "begins with \"/\"", 0 },
        { "http { server { return /x; } }", "return 302 /x;", 1 },
        { "http { server { return 1000; } }", "not a status that can be returned", 1 },
        { "http { server { return 100; } }", "not a status that can be returned", 1 },
        { "http { server { return 200 $nobody_knows; } }", "nobody_knows", 1 },
        { "http { server { listen 80; return 200; return 404; } }", "never reached", 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;

        fixture_open(&f, table[i].conf);
        if (f.errors != table[i].errors)
            fail_msg("%s: %u errors", table[i].conf, f.errors);
        assert_says(&f, table[i].says);
        fixture_close(&f);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_nginx_s),
        cmocka_unit_test(a_text_has_the_type_of_its_uri),
        cmocka_unit_test(no_answer_is_given_to_444),
        cmocka_unit_test(a_server_may_return_for_all_its_locations),
        cmocka_unit_test(a_page_does_not_keep_a_broken_connection),
        cmocka_unit_test(a_refused_head_has_its_page),
        cmocka_unit_test(the_default_page_is_small_and_says_what_is_wrong),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
