/* expr_test.c - expressions: parts, captures, prefixes, declared names, bounds, escaping. */
#include "conf_test.h"

static struct fixture f;
static struct test_subject subject;

static int open_fixture(void **state)
{
    (void)state;
    fixture_open(&f);
    subject = (struct test_subject){
        .uri = SLICE("/u"),
        .captures = { [1] = SLICE("one"), [2] = SLICE("two"), [12] = SLICE("twelve") },
        .named = SLICE("name"),
        .named_value = SLICE("captured"),
    };
    return 0;
}

static int close_fixture(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

/* The expression of `answer`, in a server that also says `before`. */
static struct expr *compiled(const char *before, const char *answer)
{
    struct slice text =
        arena_printf(&f.arena, "http { server { %s answer \"%s\"; } }", before, answer);
    fixture_bytes(&f, "weir.conf", text);
    struct scope *root = fixture_load(&f);
    assert_string_equal(fixture_report(&f), "");
    const struct test_http *http =
        scope_conf(fixture_scope(root, CTX_SERVER, 0), &feature_test_http);
    return http->answer;
}

static const char *value(const struct expr *e)
{
    struct slice s;
    assert_true(expr_eval(e, &subject, &f.arena, EXPR_MAX, &s));
    return arena_copy(&f.arena, s).at;
}

static void parts_are_joined(void **state)
{
    (void)state;
    assert_string_equal(value(compiled("", "a $uri-${uri}b$URI")), "a /u-/ub/u");
}

static void prefixes_and_exact_names(void **state)
{
    (void)state;
    assert_string_equal(value(compiled("", "$http_host $http_X_y $sent_http_a $sent_b")),
                        "/u http_=x_y sent_http_=a sent_=b");
}

static void captures_by_number(void **state)
{
    (void)state;
    assert_string_equal(value(compiled("", "$1$2$3 $10 ${12}")), "onetwo one0 twelve");
}

static void constants_cost_nothing(void **state)
{
    struct slice s, again;
    (void)state;
    struct expr *e = compiled("", "plain text");
    assert_true(expr_constant(e, &s));
    assert_slice(s, "plain text");
    assert_true(expr_eval(e, NULL, NULL, 10, &again));
    assert_ptr_equal(again.at, s.at);
    assert_false(expr_eval(e, NULL, NULL, 9, &again));
}

static void empty_texts(void **state)
{
    struct slice s;
    (void)state;
    struct expr *e = compiled("", "");
    assert_true(expr_constant(e, &s));
    assert_int_equal(s.size, 0);
    subject.uri = (struct slice){ 0 };
    fixture_close(&f);
    fixture_open(&f);
    assert_string_equal(value(compiled("", "$uri")), "");
}

static void absent_values_leave_nothing(void **state)
{
    struct gather g;
    char room[64];
    (void)state;
    struct expr *e = compiled("", "[$absent]$1");
    assert_string_equal(value(e), "[]one");
    gather_init(&g, room, sizeof room, NULL, 0);
    expr_append(e, &subject, &g, SLICE("-"), NULL);
    assert_slice(gather_get(&g), "[-]one");
}

static void escape(struct gather *into, struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        gather_printf(into, "%%%02x", (unsigned char)text.at[i]);
}

static void values_are_escaped_and_texts_are_not(void **state)
{
    static char room[16 * 1024], large[3000];
    struct gather g;
    (void)state;
    struct expr *e = compiled("", "/$uri/$absent/$1");
    gather_init(&g, room, sizeof room, NULL, 0);
    expr_append(e, &subject, &g, SLICE("/"), escape);
    assert_slice(gather_get(&g), "/%2f%75///%6f%6e%65");
    memset(large, 'x', sizeof large);
    subject.uri = slice_of(large, sizeof large);
    gather_init(&g, room, sizeof room, NULL, 0);
    expr_append(e, &subject, &g, SLICE("/"), escape);
    assert_false(g.full);
    assert_int_equal(g.used, 1 + 3 * sizeof large + 3 + 9);
    assert_memory_equal(g.at, "/%78%78", 7);
    assert_memory_equal(g.at + g.used - 10, "/%6f%6e%65", 10);
}

static void the_bound_is_kept(void **state)
{
    struct slice s;
    (void)state;
    struct expr *e = compiled("", "ab$uri$uri");
    assert_true(expr_eval(e, &subject, &f.arena, 6, &s));
    assert_false(expr_eval(e, &subject, &f.arena, 5, &s));
    assert_false(expr_eval(e, &subject, &f.arena, 0, &s));
}

static void cycles_end(void **state)
{
    struct slice s;
    (void)state;
    subject.again = compiled("", "$again");
    assert_false(expr_eval(subject.again, &subject, &f.arena, EXPR_MAX, &s));
    fixture_close(&f);
    fixture_open(&f);
    subject.again = compiled("", "$twice");
    assert_false(expr_eval(subject.again, &subject, &f.arena, EXPR_MAX, &s));
    subject.again = NULL;
    assert_true(expr_eval(expr_compile_text(f.load, NULL, 0, SLICE("$uri")), &subject, &f.arena,
                          EXPR_MAX, &s));
    assert_slice(s, "/u");
}

static void declared_names(void **state)
{
    (void)state;
    assert_string_equal(value(compiled("rewrite ^/(?<name>x) /;", "$name")), "captured");
    const struct variable *uri = conf_find_variable(f.load, SLICE("uri"));
    assert_non_null(uri);
    assert_null(conf_find_variable(f.load, SLICE("http_x")));
    assert_null(conf_declare_variable(f.load, SLICE("uri"), uri->get, 1));
    assert_null(conf_declare_variable(f.load, SLICE("a-b"), uri->get, 1));
    assert_null(conf_declare_variable(f.load, SLICE("1"), uri->get, 1));
    assert_null(conf_declare_variable(f.load, SLICE(""), uri->get, 1));
    const struct variable *mine = conf_declare_variable(f.load, SLICE("Mine"), uri->get, 5);
    assert_ptr_equal(conf_find_variable(f.load, SLICE("mine")), mine);
    assert_ptr_equal(conf_declare_variable(f.load, SLICE("mine"), uri->get, 6), mine);
    assert_int_equal(mine->arg, 5);
    assert_null(conf_declare_variable(f.load, SLICE("mine"), (variable_get_fn *)NULL, 6));
}

/* Has a value for "/given" alone. */
static bool get_given(void *subject_at, const struct variable_use *use, struct gather *g)
{
    if (!slice_eq(((struct test_subject *)subject_at)->uri, SLICE("/given")))
        return false;
    gather_printf(g, "given %u", (unsigned)use->number);
    return true;
}

static bool get_computed(void *unused, const struct variable_use *use, struct gather *g)
{
    (void)unused;
    gather_printf(g, "computed %u", (unsigned)use->number);
    return true;
}

static void what_is_given_counts_before_what_is_computed(void **state)
{
    (void)state;
    struct expr *e = compiled("", "$uri");
    for (int turn = 0; turn < 2; turn++) {
        struct slice name = turn == 0 ? SLICE("first") : SLICE("second");
        if (turn == 0)
            assert_non_null(conf_declare_given(f.load, name, get_given, 7));
        assert_non_null(conf_declare_variable(f.load, name, get_computed, 5));
        if (turn == 1)
            assert_non_null(conf_declare_given(f.load, name, get_given, 7));
        assert_null(conf_declare_variable(f.load, name, get_given, 5));
        assert_null(conf_declare_given(f.load, name, get_computed, 5));
        e = expr_compile_text(f.load, NULL, 0, turn == 0 ? SLICE("$first") : SLICE("$second"));
        subject.uri = SLICE("/u");
        assert_string_equal(value(e), "computed 5");
        subject.uri = SLICE("/given");
        assert_string_equal(value(e), "given 7");
    }
    assert_null(conf_declare_given(f.load, SLICE("uri"), get_given, 7));
}

static void names_may_be_declared_after_their_use(void **state)
{
    (void)state;
    const char *first = value(compiled("set $one \"$two$one\"; set $two 1; set $one 2;", "$one"));
    assert_memory_equal(first, "set", 3);
    assert_string_equal(value(expr_compile_text(f.load, NULL, 0, SLICE("$one"))), first);
    assert_string_not_equal(value(expr_compile_text(f.load, NULL, 0, SLICE("$two"))), first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parts_are_joined),
        TEST(prefixes_and_exact_names),
        TEST(captures_by_number),
        TEST(constants_cost_nothing),
        TEST(empty_texts),
        TEST(absent_values_leave_nothing),
        TEST(values_are_escaped_and_texts_are_not),
        TEST(the_bound_is_kept),
        TEST(cycles_end),
        TEST(declared_names),
        TEST(what_is_given_counts_before_what_is_computed),
        TEST(names_may_be_declared_after_their_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
