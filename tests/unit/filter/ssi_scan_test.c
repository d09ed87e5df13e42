/* ssi_scan_test.c - commands in a stream of bytes, wherever it is cut. */
#include "unit/base/base_test.h"

#include "base/gather.h"
#include "filter/ssi_scan.h"

/* What was found, written down: text as it is, a command as {name k=v …}, a broken one as {!}. */
static void note(struct ssi_scan *s, enum ssi_found found, struct slice text, struct gather *g)
{
    struct ssi_command c;

    if (found == SSI_TEXT) {
        gather_slice(g, text);
        return;
    }
    gather_byte(g, '{');
    if (found == SSI_BROKEN || !ssi_parse(s, &c)) {
        gather_lit(g, "!}");
        return;
    }
    gather_slice(g, c.name);
    for (unsigned i = 0; i < c.count; i++)
        gather_printf(g, " %.*s=%.*s", SLICE_FMT(c.params[i].name), SLICE_FMT(c.params[i].value));
    gather_byte(g, '}');
}

static void scan(const char *page, size_t step, char *into, size_t size)
{
    static struct ssi_scan s;
    struct slice rest = slice_str(page), held;
    struct gather g;
    bool unclosed;

    memset(&s, 0, sizeof s);
    gather_init(&g, into, size - 1, NULL, 0);
    while (rest.size > 0) {
        struct slice piece = slice_head(rest, step), text;
        enum ssi_found found;

        rest = slice_skip(rest, piece.size);
        while ((found = ssi_scan(&s, &piece, &text)) != SSI_MORE)
            note(&s, found, text, &g);
        assert_int_equal(piece.size, 0);
    }
    held = ssi_scan_end(&s, &unclosed);
    gather_slice(&g, held);
    if (unclosed)
        gather_lit(&g, "{?}");
    assert_false(g.full);
    into[g.used] = '\0';
}

static const struct {
    const char *page, *found;
} rows[] = {
    { "", "" },
    { "no commands < at <! all <!-- but <!--x-->", "no commands < at <! all <!-- but <!--x-->" },
    { "<!--#echo-->", "{echo}" },
    { "a<!--# echo var=\"x\" -->b", "a{echo var=x}b" },
    { "<!--# ECHO Var = 'x y' default=\"\" -->", "{echo var=x y default=}" },
    { "<<!--#a--><!<!--#b-->", "<{a}<!{b}" },
    { "<!--# a b=\"-->\" -->.", "{a b=-->}." },
    { "<!--# a b=\"x\\\"y\\$z\\\\\" -->", "{a b=x\"y\\$z\\\\}" },
    { "<!--# a ---->", "{!}" },
    { "<!--# a b -->", "{!}" },
    { "<!--# a b=c -->", "{!}" },
    { "<!--# -->", "{!}" },
    { "<!--# a b=\"c\"d=\"e\" -->", "{a b=c d=e}" },
    { "text<!--# a b=\"c -->", "text{?}" },
    { "text<!--", "text<!--" },
    { "1<!--#x-->2<!--#y z=\"1\"-->3", "1{x}2{y z=1}3" },
};

static void commands_are_found(void **state)
{
    char found[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t step = 1; step <= strlen(rows[i].page) + 1; step++) {
            scan(rows[i].page, step, found, sizeof found);
            assert_string_equal(found, rows[i].found);
        }
}

static void long_ones_are_broken(void **state)
{
    static char page[2 * SSI_COMMAND_MAX];
    char found[64];

    (void)state;
    memset(page, 'x', sizeof page - 1);
    memcpy(page, "<!--# a b=\"", 11);
    memcpy(page + sizeof page - 10, "-->after", 9);
    scan(page, 1000, found, sizeof found);
    assert_string_equal(found, "{!}after");
}

static void parameters_are_counted(void **state)
{
    char page[1024] = "<!--# a", found[512];

    (void)state;
    for (int i = 0; i <= SSI_PARAMS_MAX; i++)
        strcat(page, " p=''");
    strcat(page, " -->.");
    scan(page, 7, found, sizeof found);
    assert_string_equal(found, "{!}.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_found),
        cmocka_unit_test(long_ones_are_broken),
        cmocka_unit_test(parameters_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
