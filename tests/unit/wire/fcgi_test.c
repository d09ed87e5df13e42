/* fcgi_test.c - FastCGI records, written and read. */
#include "unit/base/base_test.h"

#include "wire/fcgi.h"

enum { ROOM = 300 * 1024 };

static char room[ROOM];

static void a_request_is_written(void **state)
{
    static const char expected[] = "\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0"
                                   "\1\4\0\1\0\5\0\0\1\2abc"
                                   "\1\4\0\1\0\0\0\0";
    struct fcgi_params p;
    struct gather g;

    (void)state;
    gather_init(&g, room, sizeof room, NULL, 0);
    fcgi_begin(&g, true);
    fcgi_params_open(&p, &g);
    fcgi_param(&p, SLICE("a"), SLICE("bc"));
    fcgi_params_close(&p);
    assert_true(slice_eq(gather_get(&g), slice_of(expected, sizeof expected - 1)));
    assert_false(p.failed);
}

/* Long values have long lengths, and what does not fit into a record goes on in the next. */
static void parameters_are_cut(void **state)
{
    static char value[200 * 1024];
    struct fcgi_params p;
    struct gather g;
    size_t content = 0, at = 0, records = 0;

    (void)state;
    memset(value, 'v', sizeof value);
    gather_init(&g, room, sizeof room, NULL, 0);
    fcgi_params_open(&p, &g);
    fcgi_param(&p, SLICE("n"), slice_of(value, sizeof value));
    fcgi_params_close(&p);
    assert_false(g.full);
    while (at < g.used) {
        const unsigned char *head = (const unsigned char *)room + at;
        size_t size = (size_t)head[4] << 8 | head[5];

        assert_int_equal(head[1], FCGI_PARAMS);
        content += size;
        records++;
        at += FCGI_HEADER_SIZE + size;
        assert_true(size > 0 || at == g.used);
    }
    assert_int_equal(content, 1 + 4 + 1 + sizeof value);
    assert_int_equal(records, 5);
}

static void answers_are_read(void **state)
{
    static const char bytes[] = "\1\7\0\1\0\3\5\0err12345"
                                "\1\6\0\1\0\2\0\0hi"
                                "\1\6\0\1\0\0\0\0"
                                "\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0\0";
    struct slice input = slice_of(bytes, sizeof bytes - 1), piece;
    struct fcgi f = { 0 };
    size_t taken, at = 0;

    (void)state;
    assert_int_equal(fcgi_feed(&f, input.at, input.size, &taken, &piece), FCGI_ERR);
    assert_true(slice_eq(piece, SLICE("err")));
    at += taken;
    assert_int_equal(fcgi_feed(&f, input.at + at, input.size - at, &taken, &piece), FCGI_OUT);
    assert_true(slice_eq(piece, SLICE("hi")));
    fcgi_untake(&f, 1);
    at += taken - 1;
    assert_int_equal(fcgi_feed(&f, input.at + at, input.size - at, &taken, &piece), FCGI_OUT);
    assert_true(slice_eq(piece, SLICE("i")));
    at += taken;
    assert_false(f.out_ended);
    assert_int_equal(fcgi_feed(&f, input.at + at, input.size - at, &taken, &piece), FCGI_END);
    assert_true(f.out_ended && f.ended && at + taken == input.size);
}

static void nonsense_is_refused(void **state)
{
    static const struct slice rows[] = {
        { "\2\6\0\1\0\0\0\0", 8 },                   /* version   */
        { "\1\6\0\2\0\0\0\0", 8 },                   /* number    */
        { "\1\1\0\1\0\0\0\0", 8 },                   /* type      */
        { "\1\3\0\1\0\7\0\0", 8 },                   /* size      */
        { "\1\3\0\1\0\10\0\0\0\0\0\0\2\0\0\0", 16 }, /* overloaded */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fcgi f = { 0 };
        struct slice piece;
        size_t taken;

        assert_int_equal(fcgi_feed(&f, rows[i].at, rows[i].size, &taken, &piece), FCGI_BAD);
        assert_non_null(f.why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_written),
        cmocka_unit_test(parameters_are_cut),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
