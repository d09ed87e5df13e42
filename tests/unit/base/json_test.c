/* json_test.c - JSON as it is written: escapes, commas, and members that are left out. */
#include "base_test.h"

#include "base/json.h"

struct text {
    char room[512];
    struct gather g;
    struct json j;
};

static void begin(struct text *t)
{
    gather_init(&t->g, t->room, sizeof t->room, NULL, 0);
    json_init(&t->j, &t->g);
}

static void is(struct text *t, const char *expected)
{
    assert_false(t->g.full);
    assert_int_equal(t->j.depth, 0);
    assert_int_equal(t->g.used, strlen(expected));
    assert_memory_equal(t->room, expected, t->g.used);
}

static void all_kinds_of_values(void **state)
{
    struct text t;

    (void)state;
    begin(&t);
    json_open(&t.j, NULL, '{');
    json_u64(&t.j, "a", UINT64_MAX);
    json_i64(&t.j, "b", INT64_MIN);
    json_bool(&t.j, "c", true);
    json_open(&t.j, "d", '[');
    json_bool(&t.j, NULL, false);
    json_text(&t.j, NULL, SLICE(""));
    json_open(&t.j, NULL, '{');
    json_shut(&t.j);
    json_shut(&t.j);
    json_time(&t.j, "e", 1700000000123456789);
    json_shut(&t.j);
    is(&t, "{\"a\":18446744073709551615,\"b\":-9223372036854775808,\"c\":true,"
           "\"d\":[false,\"\",{}],\"e\":\"2023-11-14T22:13:20.123Z\"}");
}

static void texts_are_escaped(void **state)
{
    struct text t;

    (void)state;
    begin(&t);
    json_text(&t.j, NULL, SLICE("a\"b\\c\n\0\x7f\xc3\xa9"));
    is(&t, "\"a\\\"b\\\\c\\u000a\\u0000\\u007f\xc3\xa9\"");
    begin(&t);
    json_open(&t.j, NULL, '{');
    json_open_named(&t.j, SLICE("a\"b"), '[');
    json_shut(&t.j);
    json_shut(&t.j);
    is(&t, "{\"a\\\"b\":[]}");
}

static void members_are_chosen_at_one_depth(void **state)
{
    struct slice only = SLICE("b,d");
    struct text t;

    (void)state;
    begin(&t);
    t.j.only = &only;
    t.j.only_at = 2;
    json_open(&t.j, NULL, '{');
    json_open(&t.j, "x", '{');
    json_u64(&t.j, "a", 1);
    json_u64(&t.j, "b", 2);
    json_open(&t.j, "c", '{'); /* with all that is inside */
    json_open(&t.j, "b", '[');
    json_u64(&t.j, NULL, 3);
    json_shut(&t.j);
    json_shut(&t.j);
    json_open(&t.j, "d", '{');
    json_u64(&t.j, "a", 4);
    json_shut(&t.j);
    json_shut(&t.j);
    json_shut(&t.j);
    is(&t, "{\"x\":{\"b\":2,\"d\":{\"a\":4}}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_of_values),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(members_are_chosen_at_one_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
