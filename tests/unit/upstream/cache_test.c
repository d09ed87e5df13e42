/* cache_test.c - heads of a cache's files, and its index. */
#include "upstream/cache_file.h"
#include "upstream/cache_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct field fields[] = {
    { { "Content-Type", 12 }, { "text/plain", 10 }, 0 },
    { { "X-Empty", 7 }, { "", 0 }, 0 },
};

static struct cache_head sample(void)
{
    return (struct cache_head){ .body_size = 1u << 20,
                                .stored = 1700000000,
                                .fresh_until = 1700000060,
                                .last_modified = -1,
                                .status = 200,
                                .flags = CACHE_OF_POST,
                                .epoch = UINT64_MAX - 5,
                                .variant = "0123456789abcde",
                                .key = SLICE("http://a/b?c"),
                                .vary = SLICE("Accept"),
                                .etag = SLICE("\"e\""),
                                .fields = fields,
                                .field_count = COUNT_OF(fields) };
}

static void test_written_and_read(void **state)
{
    struct cache_head head = sample(), ret;
    char bytes[1024], store[1024];
    struct arena arena;
    size_t size = cache_head_size(&head);

    (void)state;
    arena_init(&arena, store, sizeof store, 4096, 1 << 16);
    assert_in_range(size, CACHE_FIXED_SIZE + 1, sizeof bytes);
    cache_head_write(&head, bytes);
    assert_int_equal(cache_head_peek(bytes), size);
    assert_true(cache_head_read(slice_of(bytes, size), &arena, &ret));
    assert_int_equal(ret.body_size, head.body_size);
    assert_int_equal(ret.fresh_until, head.fresh_until);
    assert_int_equal(ret.last_modified, -1);
    assert_int_equal(ret.flags, CACHE_OF_POST);
    assert_true(ret.epoch == head.epoch);
    assert_memory_equal(ret.variant, head.variant, CACHE_VARIANT_SIZE);
    assert_true(slice_eq(ret.key, head.key) && slice_eq(ret.vary, head.vary));
    assert_int_equal(ret.field_count, 2);
    assert_true(slice_eq(ret.fields[0].value, SLICE("text/plain")));
    assert_int_equal(ret.fields[0].id, FIELD_CONTENT_TYPE);
    arena_done(&arena);
}

/* Each single byte counts. */
static void test_damage(void **state)
{
    struct cache_head head = sample(), ret;
    char bytes[1024];
    size_t size = cache_head_size(&head);
    struct arena arena;

    (void)state;
    cache_head_write(&head, bytes);
    for (size_t i = 0; i < size; i++) {
        arena_init(&arena, NULL, 0, 4096, 1 << 16);
        bytes[i] ^= 0x20;
        assert_false(cache_head_read(slice_of(bytes, size), &arena, &ret));
        bytes[i] ^= 0x20;
        assert_false(cache_head_read(slice_of(bytes, i), &arena, &ret));
        arena_done(&arena);
    }
}

static void test_bounds(void **state)
{
    struct cache_head head = sample();
    char *large = calloc(1, CACHE_HEAD_MAX);

    (void)state;
    head.key = slice_of(large, CACHE_HEAD_MAX);
    assert_int_equal(cache_head_size(&head), 0);
    head = sample();
    head.field_count = CACHE_FIELDS_MAX + 1;
    head.fields = (struct field *)calloc(head.field_count, sizeof *head.fields);
    assert_int_equal(cache_head_size(&head), 0);
    free((void *)(uintptr_t)head.fields);
    free(large);
}

/* ---- the index --------------------------------------------------------------------------- */

static const struct cache_place place = { .path = "/none", .levels = { 1, 2, 0 } };

static struct cache_name name_of(const char *key)
{
    struct cache_name name;

    assert_true(cache_name_of(slice_str(key), &name));
    return name;
}

static void test_names(void **state)
{
    struct cache_name name = name_of("hello"), again;
    char path[PATH_MAX];

    (void)state;
    cache_path_of(&place, &name, path);
    assert_string_equal(path, "/none/2/59/5d41402abc4b2a76b9719d911017c592");
    assert_true(cache_name_read(slice_str(path + 11), &again));
    assert_memory_equal(name.bytes, again.bytes, sizeof name.bytes);
    assert_false(cache_name_read(SLICE("5d41402abc4b2a76b9719d911017c59"), &again));
    assert_false(cache_name_read(SLICE("5d41402abc4b2a76b9719d911017c59g"), &again));
    assert_false(cache_name_read(SLICE("5d41402abc4b2a76b9719d911017c592.0000000001"), &again));
}

static void test_tickets(void **state)
{
    struct zone *z = zone_create(1 << 20, sizeof(struct cache_node));
    struct cache_name name = name_of("a");
    struct cache_node n;
    uint32_t ticket;

    (void)state;
    assert_true(cache_index_ask(z, &place, &name, 1, true, &n));
    assert_int_equal(n.uses, 1);
    ticket = cache_index_lock(z, &name, 1, 5, &n);
    assert_int_not_equal(ticket, 0);
    assert_int_equal(cache_index_lock(z, &name, 2, 5, &n), 0);
    cache_index_unlock(z, &name, ticket + 1); /* somebody else's */
    assert_int_equal(cache_index_lock(z, &name, 2, 5, &n), 0);
    cache_index_unlock(z, &name, ticket);
    ticket = cache_index_lock(z, &name, 2, 5, &n);
    assert_int_not_equal(ticket, 0);
    assert_int_not_equal(cache_index_lock(z, &name, 2 + 5000002, 5, &n), 0); /* it took too long */
    cache_index_stored(z, &place, &name, 3, 100);
    assert_int_equal(cache_index_lock(z, &name, UINT64_MAX / 2, 5, &n), 0); /* it is there now */
    assert_int_equal(atomic_load(&cache_totals(z)->bytes), 100);
    cache_index_stored(z, &place, &name, 3, 70);
    assert_int_equal(atomic_load(&cache_totals(z)->bytes), 70);
    assert_true(cache_index_gone(z, &name));
    assert_false(cache_index_gone(z, &name));
    assert_int_equal(atomic_load(&cache_totals(z)->bytes), 0);
    zone_drop(z);
}

static void test_oldest(void **state)
{
    struct zone *z = zone_create(1 << 20, sizeof(struct cache_node));
    struct cache_name a = name_of("a"), b = name_of("b"), ret;
    struct cache_node n;
    uint64_t size;

    (void)state;
    cache_index_stored(z, &place, &a, 10, 1);
    cache_index_stored(z, &place, &b, 20, 2);
    assert_true(cache_index_ask(z, &place, &a, 30, true, &n));
    assert_false(cache_index_oldest(z, 15, &ret, &size));
    assert_true(cache_index_oldest(z, 25, &ret, &size));
    assert_memory_equal(ret.bytes, b.bytes, sizeof b.bytes);
    assert_int_equal(size, 2);
    assert_false(cache_index_oldest(z, 25, &ret, &size));
    assert_true(cache_index_oldest(z, UINT64_MAX, &ret, &size));
    assert_false(cache_index_oldest(z, UINT64_MAX, &ret, &size));
    zone_drop(z);
}

/* States of names that nobody keeps make room. */
static void test_full(void **state)
{
    struct zone *z = zone_create(ZONE_SIZE_MIN, sizeof(struct cache_node));
    struct cache_node n;
    char key[32];

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "%u", i);
        struct cache_name name = name_of(key);

        assert_true(cache_index_ask(z, &place, &name, i, true, &n));
        assert_int_equal(n.uses, 1);
    }
    assert_in_range(zone_count(z), 50, zone_capacity(z));
    zone_drop(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_and_read),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_tickets),
        cmocka_unit_test(test_oldest),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
