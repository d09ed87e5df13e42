/* recode_test.c - text from one character set into another, however it is cut up. */
#include "unit/base/base_test.h"

#include "filter/recode.h"

enum { ROOM = 1024 };

static void make(struct recode_map *m, const char *to, const char *codes)
{
    struct slice rest = slice_str(codes);

    *m = (struct recode_map){ .from = SLICE("one"), .to = slice_str(to) };
    m->utf8 = strcmp(to, "utf-8") == 0;
    while (rest.size > 0) {
        struct slice code = slice_cut(&rest, ' ');

        assert_true(recode_map_add(m, (unsigned char)code.at[0], slice_skip(code, 1)));
    }
    recode_map_done(m);
}

static void gives(const struct recode_map *m, bool back, const char *text, const char *expected)
{
    for (size_t cut = 1; cut <= strlen(text) + 1; cut++)
        for (size_t room = 1; room <= 9; room += 4) {
            char got[ROOM];
            size_t used = 0;
            struct slice rest = slice_str(text), piece;
            struct arena a;
            struct recoder *s;
            enum transform_op op = TRANSFORM_FEED;

            arena_init(&a, NULL, 0, 4096, SIZE_MAX);
            s = recode_create(&a, m, back);
            piece = slice_head(rest, cut);
            rest = slice_skip(rest, piece.size);
            for (;;) {
                struct transform_room out = { got + used, room };
                enum transform_status status = recode_ops.run(s, op, &piece, &out);

                assert_true(used + room < ROOM);
                used += room - out.left;
                if (status == TRANSFORM_FULL)
                    continue;
                assert_int_equal(status, TRANSFORM_DONE);
                assert_int_equal(piece.size, 0);
                if (op == TRANSFORM_END)
                    break;
                op = rest.size > 0 ? TRANSFORM_FEED : TRANSFORM_END;
                piece = slice_head(rest, cut);
                rest = slice_skip(rest, piece.size);
            }
            if (!slice_eq(slice_of(got, used), slice_str(expected)))
                fail_msg("\"%s\" by %zu: \"%.*s\", not \"%s\"", text, cut, (int)used, got,
                         expected);
            arena_done(&a);
        }
}

static void between_bytes(void **state)
{
    static struct recode_map m;

    (void)state;
    make(&m, "two", "\xc0\xfe \xc1\xe0");
    gives(&m, false, "a\xc0\xc1\xc2z", "a\xfe\xe0?z");
    gives(&m, true, "a\xfe\xe0\xe1z", "a\xc0\xc1?z");
    gives(&m, false, "", "");
}

static void from_and_to_utf8(void **state)
{
    static struct recode_map m;

    (void)state;
    make(&m, "utf-8", "\x80\xe2\x82\xac \xe4\xc3\xa4 \x90\xf0\x9f\x98\x80");
    gives(&m, false, "5\x80 \xe4\xe5\x90", "5\xe2\x82\xac \xc3\xa4?\xf0\x9f\x98\x80");
    gives(&m, true, "5\xe2\x82\xac \xc3\xa4\xf0\x9f\x98\x80", "5\x80 \xe4\x90");
    gives(&m, true, "\xc3\xb6 \xf0\x9f\x98\x81", "&#246; &#128513;");
    gives(&m, true,
          "a\xff"
          "b",
          "a?b");
    gives(&m, true, "a\xc3", "a?");
    gives(&m, true, "\xc3x\xc3\xa4", "?x\xe4");
    gives(&m, true, "\xe2\x82x", "?x");
}

static void sequences_are_checked(void **state)
{
    static const struct {
        const char *bytes;
        int size;
        uint32_t point;
    } rows[] = {
        { "a", 1, 'a' },
        { "\xc3\xa4", 2, 0xe4 },
        { "\xef\xbf\xbd", 3, 0xfffd },
        { "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
        { "", 0, 0 },
        { "\xe2\x82", 0, 0 },
        { "\xc0\x80", -1, 0 },
        { "\xe0\x80\x80", -1, 0 },
        { "\xed\xa0\x80", -1, 0 },
        { "\xf4\x90\x80\x80", -1, 0 },
        { "\xf8\x88\x80\x80\x80", -1, 0 },
        { "\x80", -1, 0 },
        { "\xe2x", -1, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint32_t point = 0;

        assert_int_equal(utf8_read(slice_str(rows[i].bytes), &point), rows[i].size);
        assert_int_equal(point, rows[i].point);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_bytes),
        cmocka_unit_test(from_and_to_utf8),
        cmocka_unit_test(sequences_are_checked),
    };

    return cmocka_run_group_tests_name("character sets", tests, NULL, NULL);
}
