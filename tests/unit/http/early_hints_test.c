/* early_hints_test.c - for which clients hints of an upstream are passed on. */
#include "vars_fixture.h"

static bool wanted(const char *conf, const char *target, const char *mode)
{
    struct fixture f;
    char line[128];

    snprintf(line, sizeof line, "GET %s HTTP/1.1", target);
    fixture_start(&f, conf, line);
    if (mode != NULL)
        fixture_field(&f, "Sec-Fetch-Mode", mode);
    fixture_locate(&f);
    bool answer = early_hints_wanted(&f.r);

    fixture_close(&f);
    return answer;
}

static void one_string_is_enough(void **state)
{
    static const char conf[] = "http { server { listen 80;\n"
                               "early_hints $http_sec_fetch_mode $arg_hints;\n"
                               "location /own { early_hints 0; } location /on { early_hints on; }\n"
                               "location /in { } } }";
    static const struct {
        const char *target, *mode;
        bool wanted;
    } table[] = {
        { "/", NULL, false },
        { "/", "navigate", true },
        { "/", "0", false },
        { "/", "00", true },
        { "/?hints=1", NULL, true },
        { "/?hints=0", "0", false },
        { "/?hints=0", "cors", true },
        { "/in", "navigate", true },
        { "/own", "navigate", false },
        { "/on", NULL, true },
        { "/own?hints=1", NULL, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (wanted(conf, table[i].target, table[i].mode) != table[i].wanted)
            fail_msg("%s %s", table[i].target, table[i].mode);
    assert_false(wanted("http { server { listen 80; } }", "/", "navigate"));
}

static void unknown_variables_are_named(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "http { early_hints $http_x $no_such; server { listen 80; } }");
    assert_int_not_equal(f.errors, 0);
    assert_says(&f, "no_such");
    fixture_close(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_string_is_enough),
        cmocka_unit_test(unknown_variables_are_named),
    };

    return cmocka_run_group_tests_name("early_hints", tests, NULL, NULL);
}
