/* replace_test.c - texts in a stream: wherever chunks begin and end, and rooms are full. */
#include "unit/base/base_test.h"

#include "filter/replace.h"

enum { ROOM = 4096 };

struct replaced {
    char bytes[ROOM];
    size_t used;
};

static void feed(struct replacer *s, enum transform_op op, struct slice in, size_t room,
                 struct replaced *to)
{
    enum transform_status status;

    do {
        struct transform_room out = { to->bytes + to->used, room };

        assert_true(to->used + room <= ROOM);
        status = replacer_ops.run(s, op, &in, &out);
        to->used += room - out.left;
        assert_true(status != TRANSFORM_FULL || out.left == 0);
    } while (status == TRANSFORM_FULL);
    assert_int_equal(status, TRANSFORM_DONE);
    assert_int_equal(in.size, 0);
}

/* pairs: "match=with|match=with" */
static struct replacer *create(struct arena *a, const char *pairs, bool once)
{
    struct slice rest = slice_str(pairs);
    struct replace_pair *p = arena_zalloc(a, REPLACE_PAIRS_MAX * sizeof *p);
    unsigned count = 0;

    while (rest.size > 0) {
        p[count].with = slice_cut(&rest, '|');
        p[count].match = slice_cut(&p[count].with, '=');
        count++;
    }
    return replacer_create(a, p, count, once);
}

static void replaces(const char *pairs, bool once, const char *text, const char *expected)
{
    for (size_t cut = 1; cut <= strlen(text) + 1; cut++)
        for (size_t room = 1; room <= 7; room += 3)
            for (int flush = 0; flush <= 1; flush++) {
                static struct replaced got;
                struct arena a;
                struct replacer *s;
                struct slice rest = slice_str(text);

                arena_init(&a, NULL, 0, 4096, SIZE_MAX);
                s = create(&a, pairs, once);
                got.used = 0;
                while (rest.size > 0) {
                    struct slice piece = slice_head(rest, cut);

                    feed(s, TRANSFORM_FEED, piece, room, &got);
                    if (flush)
                        feed(s, TRANSFORM_FLUSH, (struct slice){ 0 }, room, &got);
                    rest = slice_skip(rest, piece.size);
                }
                feed(s, TRANSFORM_END, (struct slice){ 0 }, room, &got);
                if (!slice_eq(slice_of(got.bytes, got.used), slice_str(expected)))
                    fail_msg("%s in \"%s\" by %zu: \"%.*s\"", pairs, text, cut, (int)got.used,
                             got.bytes);
                arena_done(&a);
            }
}

static void texts_are_replaced(void **state)
{
    (void)state;
    replaces("a=b", false, "", "");
    replaces("a=b", false, "xyz", "xyz");
    replaces("a=b", false, "banana", "bbnbnb");
    replaces("a=b", true, "banana", "bbnana");
    replaces("an=", false, "banana", "ba");
    replaces("ana=X", false, "banana", "bXna");
    replaces("</head>=<x></head>", true, "<head></HEAD></head>", "<head><x></head></head>");
    replaces("aab=X", false, "aaaab aab", "aaX X");
    replaces("abc=X", false, "ab", "ab");
    replaces("abc=X", false, "ababc ab", "abX ab");
    replaces("a=aa", false, "aaa", "aaaaaa");
    replaces("\xc3\xa4=ae", false, "\xc3\xa4\xc3\x84", "ae\xc3\x84");
}

static void several_are_looked_for(void **state)
{
    (void)state;
    replaces("one=1|two=2", false, "two one two", "2 1 2");
    replaces("one=1|two=2", true, "two one two one", "2 1 two one");
    /* the one that begins first, then the earlier one */
    replaces("bcd=X|abc=Y", false, "abcd bcd", "Yd X");
    replaces("ab=1|abc=2", false, "abc", "1c");
    replaces("abc=2|ab=1", false, "abc ab", "2 1");
    replaces("abcd=2|ab=1", false, "abc", "1c");
    replaces("a=b|b=a", false, "abba", "baab");
}

static void what_cannot_match_is_not_held(void **state)
{
    struct arena a;
    struct replacer *s;
    static struct replaced got;

    (void)state;
    arena_init(&a, NULL, 0, 4096, SIZE_MAX);
    s = create(&a, "</body>=<p></body>", true);
    got.used = 0;
    feed(s, TRANSFORM_FEED, SLICE("data: 1\n\n</bod"), 64, &got);
    assert_slice(slice_of(got.bytes, got.used), "data: 1\n\n");
    feed(s, TRANSFORM_FEED, SLICE("ies> "), 64, &got);
    assert_slice(slice_of(got.bytes, got.used), "data: 1\n\n</bodies> ");
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_replaced),
        cmocka_unit_test(several_are_looked_for),
        cmocka_unit_test(what_cannot_match_is_not_held),
    };

    return cmocka_run_group_tests_name("replace", tests, NULL, NULL);
}
