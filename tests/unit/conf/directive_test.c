/* directive_test.c - the registry: finding rows, contexts in words, names nginx knows. */
#include "conf/known.h"
#include "conf_test.h"

static struct registry *registry;

static int create(void **state)
{
    (void)state;
    registry = registry_create(fixture_features);
    return 0;
}

static int destroy(void **state)
{
    (void)state;
    registry_destroy(registry);
    return 0;
}

static void rows_are_found_by_name_and_context(void **state)
{
    const struct feature *feature;
    const struct directive *elsewhere, *row;
    (void)state;
    row = registry_find(registry, SLICE("root"), CTX_SERVER, &feature, &elsewhere);
    assert_string_equal(row->name, "root");
    assert_ptr_equal(feature, &feature_test_http);
    assert_null(elsewhere);
    assert_null(registry_find(registry, SLICE("root"), CTX_EVENTS, &feature, &elsewhere));
    assert_string_equal(elsewhere->name, "root");
    assert_null(registry_find(registry, SLICE("nothing"), CTX_HTTP, &feature, &elsewhere));
    assert_null(elsewhere);
    row = registry_find(registry, SLICE("text/html"), CTX_TYPES, &feature, NULL);
    assert_string_equal(row->name, "*");
    row = registry_find(registry, SLICE("root"), CTX_MAP, &feature, NULL);
    assert_string_equal(row->name, "*");
}

static void contexts_have_words(void **state)
{
    char words[64];
    (void)state;
    ctx_words(CTX_ANY_HTTP | CTX_IF_LOCATION, words, sizeof words);
    assert_string_equal(words, "http, server, location, if in location");
    ctx_words(0, words, sizeof words);
    assert_string_equal(words, "");
    ctx_words(UINT32_MAX, words, 8);
    assert_string_equal(words, "main, ");
}

static void the_table_of_known_names_is_sorted(void **state)
{
    (void)state;
    for (size_t i = 1; i < known_directive_count; i++)
        assert_true(strcmp(known_directives[i - 1].name, known_directives[i].name) <= 0);
    for (size_t i = 1; i < known_variable_count; i++)
        assert_true(strcmp(known_variables[i - 1], known_variables[i]) < 0);
}

static void known_names(void **state)
{
    const struct known_directive *row = known_directive_find(SLICE("proxy_pass"), CTX_LOCATION);
    (void)state;
    assert_string_equal(known_modules[row->module], "ngx_http_proxy_module");
    row = known_directive_find(SLICE("proxy_pass"), CTX_STREAM_SERVER);
    assert_string_equal(known_modules[row->module], "ngx_stream_proxy_module");
    assert_non_null(known_directive_find(SLICE("zone"), CTX_MAIN));
    assert_null(known_directive_find(SLICE("proxy_pas"), CTX_LOCATION));
    assert_null(known_directive_find(SLICE("zzzz"), 0));
    assert_true(known_variable_find(SLICE("ssl_cipher")));
    assert_true(known_variable_find(SLICE("upstream_http_x")));
    assert_false(known_variable_find(SLICE("upstream_http_")));
    assert_false(known_variable_find(SLICE("nothing")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_found_by_name_and_context, create, destroy),
        cmocka_unit_test(contexts_have_words),
        cmocka_unit_test(the_table_of_known_names_is_sorted),
        cmocka_unit_test(known_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
