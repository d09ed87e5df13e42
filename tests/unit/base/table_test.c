/* table_test.c - maps and lists against what they should hold. */
#include "base_test.h"

#include "base/list.h"
#include "base/map.h"

enum { KEYS = 3000 };

static char keys[KEYS][16];

static void a_map_holds_what_was_put(void **state)
{
    struct map m;
    (void)state;
    map_init(&m, MAP_CASE);
    assert_null(map_get(&m, SLICE("x")));
    assert_null(map_remove(&m, SLICE("x")));
    assert_null(map_next(&m, NULL));
    for (int i = 0; i < KEYS; i++)
        assert_true(map_put(&m, slice_str(keys[i]), keys[i]));
    assert_int_equal(m.live, KEYS);
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(&m, slice_str(keys[i])), keys[i]);
    assert_null(map_get(&m, SLICE("KEY1")));
    for (int i = 0; i < KEYS; i += 2)
        assert_ptr_equal(map_remove(&m, slice_str(keys[i])), keys[i]);
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(&m, slice_str(keys[i])), i % 2 == 0 ? NULL : keys[i]);
    unsigned seen = 0;
    for (struct map_slot *s = NULL; (s = map_next(&m, s)) != NULL;) {
        assert_ptr_equal(s->key.at, s->value);
        seen++;
    }
    assert_int_equal(seen, KEYS / 2);
    map_done(&m);
}

static void an_equal_key_replaces_the_value(void **state)
{
    struct map m;
    int one, two;
    (void)state;
    map_init(&m, MAP_NOCASE);
    assert_true(map_put(&m, SLICE("Example.com"), &one));
    assert_true(map_put(&m, SLICE("eXAMPLE.COM"), &two));
    assert_ptr_equal(map_get(&m, SLICE("example.com")), &two);
    assert_int_equal(m.live, 1);
    assert_true(map_put(&m, (struct slice){ 0 }, &one));
    assert_ptr_equal(map_get(&m, SLICE("")), &one);
    map_done(&m);
}

static void coming_and_going_does_not_make_it_grow(void **state)
{
    struct map m;
    (void)state;
    map_init(&m, MAP_CASE);
    for (int i = 0; i < 100000; i++) {
        char *key = keys[i % KEYS];
        assert_true(map_put(&m, slice_str(key), key));
        assert_ptr_equal(map_remove(&m, slice_str(key)), key);
    }
    assert_int_equal(m.live, 0);
    assert_true(m.mask < 64);
    map_done(&m);
}

struct item {
    int number;
    struct link link;
};

static void a_list_keeps_its_order(void **state)
{
    struct list l;
    struct item items[4] = { { .number = 0 }, { .number = 1 }, { .number = 2 }, { .number = 3 } };
    static const int order[] = { 3, 0, 2 };
    int at = 0;
    (void)state;
    list_init(&l);
    assert_null(list_first(&l));
    for (int i = 0; i < 3; i++)
        list_append(&l, &items[i].link);
    list_prepend(&l, &items[3].link);
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    assert_false(list_linked(&items[1].link));
    for (struct link *k = l.head.next; k != &l.head; k = k->next)
        assert_int_equal(container_of(k, struct item, link)->number, order[at++]);
    assert_int_equal(at, 3);
    while (list_first(&l) != NULL)
        list_remove(list_first(&l));
    assert_true(list_empty(&l));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_holds_what_was_put),
        cmocka_unit_test(an_equal_key_replaces_the_value),
        cmocka_unit_test(coming_and_going_does_not_make_it_grow),
        cmocka_unit_test(a_list_keeps_its_order),
    };
    for (int i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof keys[i], "key%d", i);
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
