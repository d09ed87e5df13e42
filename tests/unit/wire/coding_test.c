/* coding_test.c - what an Accept-Encoding accepts, and which coding is the best for it. */
#include "unit/base/base_test.h"

#include "wire/coding.h"

enum { ALL = 1 << CODING_BR | 1 << CODING_ZSTD | 1 << CODING_GZIP, GZIP = 1 << CODING_GZIP };

static struct coding_accept read_one(const char *text)
{
    struct coding_accept a;

    coding_accept_init(&a);
    coding_accept_read(&a, slice_str(text));
    return a;
}

static void weights_are_read(void **state)
{
    static const struct {
        const char *text;
        int gzip, br, identity;
    } rows[] = {
        { "gzip", 1000, 0, 1 },
        { "gzip;q=0.5", 500, 0, 1 },
        { "gzip ; q=0.125 , br;Q=1.000", 125, 1000, 1 },
        { "gzip;q=1.", 1000, 0, 1 },
        { "gzip;q=0.", 0, 0, 1 },
        { "gzip;q=.5", 0, 0, 1 },
        { "gzip;q=1.001", 0, 0, 1 },
        { "gzip;q=0.1234", 0, 0, 1 },
        { "gzip;q=-1", 0, 0, 1 },
        { "gzip;q=", 0, 0, 1 },
        { "gzip;x=1", 0, 0, 1 },
        { "gzip;q=0, *", 0, 1000, 1 },
        { "*;q=0", 0, 0, 0 },
        { "*;q=0, identity;q=0.3", 0, 0, 300 },
        { "identity;q=0", 0, 0, 0 },
        { "gzip;q=0.2, gzip;q=0.9", 200, 0, 1 },
        { "X-GZIP, Br", 1000, 1000, 1 },
        { ",, gzip ,", 1000, 0, 1 },
        { "", 0, 0, 1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct coding_accept a = read_one(rows[i].text);

        if (coding_weight(&a, CODING_GZIP) != rows[i].gzip ||
            coding_weight(&a, CODING_BR) != rows[i].br ||
            coding_weight(&a, CODING_IDENTITY) != rows[i].identity)
            fail_msg("%s: gzip %d, br %d, identity %d", rows[i].text,
                     coding_weight(&a, CODING_GZIP), coding_weight(&a, CODING_BR),
                     coding_weight(&a, CODING_IDENTITY));
    }
}

static void the_best_is_the_clients_then_the_servers(void **state)
{
    static const struct {
        const char *text;
        unsigned offered;
        enum coding best;
    } rows[] = {
        { "gzip, deflate, br, zstd", ALL, CODING_BR },
        { "gzip, zstd", ALL, CODING_ZSTD },
        { "gzip, deflate, br, zstd", GZIP, CODING_GZIP },
        { "gzip, br;q=0.9", ALL, CODING_GZIP },
        { "*", ALL, CODING_BR },
        { "br;q=0, *", ALL, CODING_ZSTD },
        { "deflate", ALL, CODING_IDENTITY },
        { "gzip", 0, CODING_IDENTITY },
        { "identity, gzip", ALL, CODING_GZIP },
        { "identity, gzip;q=0.9", ALL, CODING_IDENTITY },
        { "identity;q=0.5, gzip;q=0.5", ALL, CODING_GZIP },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct coding_accept a = read_one(rows[i].text);

        if (coding_best(&a, rows[i].offered) != rows[i].best)
            fail_msg("%s: %.*s", rows[i].text,
                     SLICE_FMT(coding_name(coding_best(&a, rows[i].offered))));
    }
}

static void several_fields_are_one_list(void **state)
{
    struct coding_accept a = read_one("br");

    (void)state;
    coding_accept_read(&a, SLICE("gzip;q=0.5, br;q=0"));
    assert_int_equal(coding_weight(&a, CODING_BR), 1000);
    assert_int_equal(coding_weight(&a, CODING_GZIP), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_read),
        cmocka_unit_test(the_best_is_the_clients_then_the_servers),
        cmocka_unit_test(several_fields_are_one_list),
    };

    return cmocka_run_group_tests_name("codings", tests, NULL, NULL);
}
