/* access_test.c - allow, deny, satisfy and limit_except: tables of rules and clients. */
#include "vars_fixture.h"

/* The status that the access steps decide, 0 if it lets the request in. */
static unsigned asked(const char *rules, const char *client, const char *method)
{
    struct fixture f;
    char text[512], line[64];
    unsigned status;

    snprintf(text, sizeof text,
             "error_log /e crit; http { server { listen 80; location / { %s } } }", rules);
    snprintf(line, sizeof line, "%s / HTTP/1.1", method);
    fixture_start(&f, text, line);
    if (strcmp(client, "unix:") == 0)
        f.peer = (struct addr){ .family = AF_UNIX };
    else if (strcmp(client, "gone") == 0)
        f.peer = (struct addr){ .family = AF_UNSPEC };
    else
        assert_true(addr_parse(slice_str(client), 0, &f.peer));
    fixture_locate(&f);
    assert_int_equal(step_access(&f.r), NEXT);
    status = step_access_verdict(&f.r) == DONE ? f.r.response.status : 0;
    fixture_close(&f);
    return status;
}

static void the_first_rule_that_fits_decides(void **state)
{
    static const char lists[] = "deny 192.0.2.1; allow 192.0.2.0/24;"
                                "allow 2001:db8::/32; deny all;";
    static const struct {
        const char *rules, *client;
        unsigned status;
    } table[] = {
        { "", "192.0.2.1", 0 },
        { lists, "192.0.2.1", 403 },
        { lists, "192.0.2.2", 0 },
        { lists, "[2001:db8::1]", 0 },
        { lists, "[2001:db9::1]", 403 },
        { lists, "[::ffff:192.0.2.2]", 0 },
        { lists, "unix:", 403 },
        { lists, "gone", 403 },
        { "deny 10.0.0.0/8;", "192.0.2.1", 0 },
        { "deny 10.0.0.0/8;", "10.1.2.3", 403 },
        { "deny 10.0.0.0/8;", "unix:", 0 },
        { "allow 10.0.0.0/8;", "192.0.2.1", 0 },
        { "allow 10.0.0.0/8;", "gone", 0 },
        { "deny 10.0.0.0/8;", "gone", 403 },
        { "allow unix:; deny all;", "unix:", 0 },
        { "allow unix:; deny all;", "127.0.0.1", 403 },
        { "allow all; deny all;", "192.0.2.1", 0 },
        { "satisfy any; deny all;", "192.0.2.1", 403 },
        { "satisfy any; allow 192.0.2.1; deny all;", "192.0.2.1", 0 },
        { "satisfy any;", "192.0.2.1", 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (asked(table[i].rules, table[i].client, "GET") != table[i].status)
            fail_msg("\"%s\" and %s: not %u", table[i].rules, table[i].client, table[i].status);
}

static void other_methods_have_their_own_rules(void **state)
{
    static const struct {
        const char *rules, *method;
        unsigned status;
    } table[] = {
        { "limit_except GET { deny all; }", "GET", 0 },
        { "limit_except GET { deny all; }", "HEAD", 0 },
        { "limit_except GET { deny all; }", "POST", 403 },
        { "limit_except GET { deny all; }", "BREW", 403 },
        { "limit_except get post { deny all; }", "POST", 0 },
        { "limit_except HEAD { deny all; }", "GET", 403 },
        { "deny all; limit_except GET { allow all; }", "GET", 403 },
        { "deny all; limit_except GET { allow all; }", "PUT", 0 },
        { "deny all; limit_except GET { }", "PUT", 403 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (asked(table[i].rules, "192.0.2.1", table[i].method) != table[i].status)
            fail_msg("\"%s\" and %s: not %u", table[i].rules, table[i].method, table[i].status);
}

static void rules_are_inherited_unless_there_are_new_ones(void **state)
{
    static const char conf[] =
        "error_log /e crit; http { deny all; server { listen 80; location /a { }\n"
        "location /b { allow 192.0.2.7; } location /b/c { satisfy all; } } }";
    static const struct {
        const char *line;
        enum verdict verdict;
    } table[] = {
        { "GET /a HTTP/1.1", DONE },
        { "GET /b HTTP/1.1", NEXT },
        { "GET /b/c HTTP/1.1", DONE },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;

        fixture_start(&f, conf, table[i].line);
        fixture_locate(&f);
        assert_int_equal(step_access(&f.r), NEXT);
        assert_int_equal(step_access_verdict(&f.r), table[i].verdict);
        fixture_close(&f);
    }
}

/* 'g' and a digit are what steps think one after the other: granted, or refused with 401 or 403. */
static void several_steps_decide_together(void **state)
{
    static const struct {
        const char *satisfy, *opinions;
        unsigned status;
        bool challenged;
    } table[] = {
        { "all", "gg", 0, false },   { "all", "g1", 401, true },  { "all", "3", 403, false },
        { "all", "31", 403, false }, { "all", "13", 401, true },  { "all", "", 0, false },
        { "any", "3g", 0, false },   { "any", "g3", 0, false },   { "any", "31", 401, true },
        { "any", "13", 401, true },  { "any", "33", 403, false }, { "any", "1g", 0, false },
        { "any", "", 0, false },     { "any", "g1", 0, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;
        char text[256];
        unsigned status;

        snprintf(text, sizeof text, "error_log /e crit; http { satisfy %s; server { listen 80; } }",
                 table[i].satisfy);
        fixture_start(&f, text, "GET / HTTP/1.1");
        assert_int_equal(step_access(&f.r), NEXT);
        for (const char *o = table[i].opinions; *o != '\0' && !access_settled(&f.r); o++) {
            if (*o == '1')
                assert_true(access_challenge(&f.r, SLICE("Basic realm=\"x\"")));
            assert_int_equal(
                *o == 'g' ? access_grant(&f.r) : access_refuse(&f.r, *o == '1' ? 401 : 403), NEXT);
        }
        status = step_access_verdict(&f.r) == DONE ? f.r.response.status : 0;
        filter_challenge(&f.r);
        if (status != table[i].status ||
            (response_find(&f.r, SLICE("WWW-Authenticate")) != NULL) != table[i].challenged)
            fail_msg("satisfy %s, \"%s\": %u", table[i].satisfy, table[i].opinions, status);
        fixture_close(&f);
    }
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *conf, *says;
        unsigned errors;
    } table[] = {
        { "http { allow example.test; }", "\"example.test\" is not an address", 1 },
        { "http { deny 10.0.0.0/33; }", "is not an address", 1 },
        { "http { deny 10.0.0.1/8; server { listen 80; } }", "beyond the net's mask", 0 },
        { "http { server { listen 80; location / { limit_except FETCH { } } } }",
          "\"FETCH\" is not a method", 1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;

        fixture_open(&f, table[i].conf);
        assert_int_equal(f.errors, table[i].errors);
        assert_says(&f, table[i].says);
        fixture_close(&f);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_fits_decides),
        cmocka_unit_test(other_methods_have_their_own_rules),
        cmocka_unit_test(rules_are_inherited_unless_there_are_new_ones),
        cmocka_unit_test(several_steps_decide_together),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
