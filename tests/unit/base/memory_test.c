/* memory_test.c - arenas, gathered text and slabs: bounds, alignment, and giving back. */
#include "base_test.h"

#include "base/gather.h"
#include "base/slab.h"

static void small_uses_stay_in_the_lent_block(void **state)
{
    char first[512];
    struct arena a;
    (void)state;
    arena_init(&a, first, sizeof first, 4096, SIZE_MAX);
    for (int i = 0; i < 6; i++) {
        char *piece = arena_alloc(&a, 20);
        assert_true(piece >= first && piece + 20 <= first + sizeof first);
        assert_int_equal((uintptr_t)piece % 16, 0);
        memset(piece, i, 20);
    }
    assert_int_equal(a.used_blocks, 0);
    arena_reset(&a);
    assert_true((char *)arena_alloc(&a, 20) < first + 16);
    arena_done(&a);
}

static void pieces_do_not_overlap(void **state)
{
    struct arena a;
    unsigned char *pieces[200];
    (void)state;
    arena_init(&a, NULL, 0, 512, SIZE_MAX);
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        size_t size = 1 + i * 7 % 900;
        pieces[i] = i % 3 == 0 ? (void *)arena_bytes(&a, size) : arena_alloc(&a, size);
        memset(pieces[i], (int)i, size);
    }
    for (size_t i = 0; i < COUNT_OF(pieces); i++)
        for (size_t j = 0; j < 1 + i * 7 % 900; j++)
            assert_int_equal(pieces[i][j], (unsigned char)i);
    arena_done(&a);
}

static void the_ceiling_holds(void **state)
{
    struct arena a;
    size_t count = 0;
    (void)state;
    arena_init(&a, NULL, 0, 1024, 4096);
    while (arena_alloc(&a, 100) != NULL)
        count++;
    assert_in_range(count, 25, 40);
    assert_true(a.used_blocks <= 4096);
    assert_null(arena_alloc(&a, 5000));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_copy(&a, slice_of("x", SIZE_MAX)).at);
    arena_reset(&a);
    assert_int_equal(a.used_blocks, 0);
    assert_non_null(arena_alloc(&a, 3000));
    arena_done(&a);
}

static void a_large_piece_does_not_waste_the_current_block(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, NULL, 0, 1024, SIZE_MAX);
    assert_non_null(arena_alloc(&a, 100));
    char *at = a.at;
    assert_non_null(arena_alloc(&a, 10000));
    assert_ptr_equal(a.at, at);
    arena_done(&a);
}

static void no_bytes_are_still_a_piece(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, NULL, 0, 1024, SIZE_MAX);
    assert_non_null(arena_alloc(&a, 0));
    assert_non_null(arena_bytes(&a, 0));
    assert_slice(arena_copy(&a, (struct slice){ 0 }), "");
    arena_done(&a);
}

static void copies_and_formats_end_with_a_nul(void **state)
{
    struct arena a;
    char text[600];
    (void)state;
    arena_init(&a, NULL, 0, 256, SIZE_MAX);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_string_equal(arena_copy(&a, SLICE("abc")).at, "abc");
    assert_string_equal(arena_printf(&a, "%d-%s", 5, "y").at, "5-y");
    assert_slice(arena_printf(&a, "%s", text), text);
    const unsigned char *zeros = arena_zalloc(&a, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    arena_done(&a);
}

static void text_that_fits_exactly(void **state)
{
    char space[10];
    struct gather g;
    (void)state;
    gather_init(&g, space, sizeof space, NULL, 0);
    gather_str(&g, "01234");
    gather_printf(&g, "%d", 56789);
    assert_false(g.full);
    assert_slice(gather_get(&g), "0123456789");
    gather_byte(&g, 'x');
    assert_true(g.full);
    gather_bytes(&g, "", 0);
    assert_slice(gather_get(&g), "0123456789");
}

static void nothing_follows_what_did_not_fit(void **state)
{
    char space[10];
    struct gather g;
    (void)state;
    gather_init(&g, space, sizeof space, NULL, 0);
    gather_str(&g, "01234567");
    gather_str(&g, "too long");
    gather_byte(&g, 'x');
    assert_true(g.full);
    assert_slice(gather_get(&g), "01234567");
}

static void text_grows_in_an_arena_up_to_its_bound(void **state)
{
    char space[8];
    struct arena a;
    struct gather g;
    (void)state;
    arena_init(&a, NULL, 0, 256, SIZE_MAX);
    gather_init(&g, space, sizeof space, &a, 1000);
    for (int i = 0; i < 100; i++)
        gather_str(&g, "0123456789");
    assert_false(g.full);
    assert_int_equal(g.used, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(g.at[i], '0' + i % 10);
    gather_byte(&g, 'x');
    assert_true(g.full);
    arena_done(&a);
    arena_init(&a, NULL, 0, 256, 512);
    gather_init(&g, NULL, 0, &a, SIZE_MAX);
    while (!g.full)
        gather_lit(&g, "more than the arena may hold");
    assert_true(g.used <= 512);
    arena_done(&a);
}

static void numbers_as_text(void **state)
{
    char space[200];
    struct gather g;
    (void)state;
    gather_init(&g, space, sizeof space, NULL, 0);
    gather_u64(&g, 0);
    gather_lit(&g, " ");
    gather_u64(&g, UINT64_MAX);
    gather_lit(&g, " ");
    gather_i64(&g, INT64_MIN);
    gather_lit(&g, " ");
    gather_i64(&g, 7);
    gather_lit(&g, " ");
    gather_hex(&g, 0);
    gather_lit(&g, " ");
    gather_hex(&g, 0xDEADBEEF01234567);
    assert_slice(gather_get(&g),
                 "0 18446744073709551615 -9223372036854775808 7 0 deadbeef01234567");
    char wide[700];
    gather_init(&g, wide, sizeof wide, NULL, 0);
    gather_printf(&g, "%0600d", 5);
    assert_int_equal(g.used, 600);
    gather_printf(&g, "%0600d", 5);
    assert_true(g.full && g.used == 600);
}

static void slots_come_back(void **state)
{
    struct slab s;
    void *slots[10];
    (void)state;
    slab_init(&s, 24, 4);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(slots); i++) {
            slots[i] = slab_take(&s);
            assert_int_equal((uintptr_t)slots[i] % 16, 0);
            memset(slots[i], (int)i, 24);
        }
        for (size_t i = 0; i < COUNT_OF(slots); i++)
            for (size_t j = 0; j < 24; j++)
                assert_int_equal(((unsigned char *)slots[i])[j], i);
        assert_int_equal(s.taken, 10);
        assert_int_equal(s.total, 12);
        for (size_t i = 0; i < COUNT_OF(slots); i++)
            slab_give(&s, slots[i]);
    }
    slab_done(&s);
}

static void slots_of_pages_begin_at_one(void **state)
{
    struct slab s;
    void *slots[10];
    (void)state;
    slab_init(&s, 8192, 4);
    for (size_t i = 0; i < COUNT_OF(slots); i++) {
        slots[i] = slab_take(&s);
        assert_int_equal((uintptr_t)slots[i] % 4096, 0);
    }
    for (size_t i = 0; i < COUNT_OF(slots); i++)
        slab_give(&s, slots[i]);
    slab_done(&s);
}

static void lose_a_slot(void)
{
    struct slab s;
    slab_init(&s, 24, 4);
    if (slab_take(&s) != NULL)
        slab_done(&s);
}

static void a_lost_slot_is_noticed(void **state)
{
    char report[2000];
    (void)state;
    assert_true(panics(lose_a_slot, report, sizeof report));
    assert_non_null(strstr(report, "s->taken == 0"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_uses_stay_in_the_lent_block),
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(the_ceiling_holds),
        cmocka_unit_test(a_large_piece_does_not_waste_the_current_block),
        cmocka_unit_test(no_bytes_are_still_a_piece),
        cmocka_unit_test(copies_and_formats_end_with_a_nul),
        cmocka_unit_test(text_that_fits_exactly),
        cmocka_unit_test(nothing_follows_what_did_not_fit),
        cmocka_unit_test(text_grows_in_an_arena_up_to_its_bound),
        cmocka_unit_test(numbers_as_text),
        cmocka_unit_test(slots_come_back),
        cmocka_unit_test(slots_of_pages_begin_at_one),
        cmocka_unit_test(a_lost_slot_is_noticed),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
