/* zone_test.c - states by key in bounded memory: found again, in order of use, never too many. */
#include "base_test.h"

#include "base/zone.h"

#include <pthread.h>

enum { SMALL = ZONE_SIZE_MIN, LARGE = 4 * ZONE_PART_SIZE, THREADS = 4, ROUNDS = 20000 };

struct number {
    uint64_t n, m;
};

static struct slice key_of(uint32_t i, char into[16])
{
    snprintf(into, 16, "key%u", i);
    return slice_str(into);
}

static bool put(struct zone *z, struct slice key, enum zone_full full, uint64_t n)
{
    struct zone_spot spot;

    if (!zone_enter(z, key, full, &spot))
        return false;
    *(struct number *)spot.value = (struct number){ n, ~n };
    zone_leave(&spot);
    return true;
}

/* UINT64_MAX: not there. */
static uint64_t get(struct zone *z, struct slice key)
{
    struct zone_spot spot;
    struct number found;

    if (!zone_find(z, key, &spot))
        return UINT64_MAX;
    found = *(struct number *)spot.value;
    zone_leave(&spot);
    assert_true(found.m == ~found.n);
    return found.n;
}

static void forget(struct zone *z, struct slice key)
{
    struct zone_spot spot;

    assert_true(zone_find(z, key, &spot));
    zone_remove(&spot);
}

static void a_state_is_found_again(void **state)
{
    struct zone *z = zone_create(SMALL, sizeof(struct number));
    struct zone_spot spot;

    (void)state;
    assert_true(get(z, SLICE("a")) == UINT64_MAX);
    assert_true(zone_enter(z, SLICE("a"), ZONE_REFUSE, &spot));
    assert_true(spot.fresh && ((struct number *)spot.value)->n == 0);
    assert_int_equal((uintptr_t)spot.value % 8, 0);
    zone_leave(&spot);
    assert_true(zone_enter(z, SLICE("a"), ZONE_REFUSE, &spot));
    assert_false(spot.fresh);
    zone_leave(&spot);
    assert_true(put(z, SLICE("a"), ZONE_REFUSE, 7) && put(z, SLICE("b"), ZONE_REFUSE, 8));
    assert_true(put(z, (struct slice){ 0 }, ZONE_REFUSE, 9));
    assert_int_equal(get(z, SLICE("a")), 7);
    assert_int_equal(get(z, SLICE("b")), 8);
    assert_int_equal(get(z, SLICE("")), 9);
    assert_int_equal(zone_count(z), 3);
    forget(z, SLICE("a"));
    assert_true(get(z, SLICE("a")) == UINT64_MAX);
    assert_int_equal(zone_count(z), 2);
    assert_true(zone_enter(z, SLICE("a"), ZONE_REFUSE, &spot));
    assert_true(spot.fresh && ((struct number *)spot.value)->n == 0);
    zone_leave(&spot);
    zone_drop(z);
}

/* Keys of every length around the ends of cells, that differ in their last byte alone. */
static void long_keys_take_several_cells(void **state)
{
    static char key[1024];
    struct zone *z = zone_create(LARGE, sizeof(struct number));

    (void)state;
    memset(key, 'x', sizeof key);
    for (uint32_t size = 1; size < sizeof key; size += size < 200 ? 1 : 97) {
        for (char last = 'a'; last < 'd'; last++) {
            key[size - 1] = last;
            assert_true(
                put(z, slice_of(key, size), ZONE_REFUSE, size * 256u + (unsigned char)last));
        }
        key[size - 1] = 'x';
    }
    for (uint32_t size = 1; size < sizeof key; size += size < 200 ? 1 : 97) {
        for (char last = 'a'; last < 'd'; last++) {
            key[size - 1] = last;
            assert_int_equal(get(z, slice_of(key, size)), size * 256u + (unsigned char)last);
            forget(z, slice_of(key, size));
        }
        key[size - 1] = 'x';
    }
    assert_int_equal(zone_count(z), 0);
    zone_drop(z);
}

static void a_full_zone_refuses(void **state)
{
    struct zone *z = zone_create(SMALL, sizeof(struct number));
    uint32_t capacity = (uint32_t)zone_capacity(z);
    char key[16];

    (void)state;
    assert_in_range(capacity, SMALL / 68 - 2, SMALL / 68);
    for (uint32_t i = 0; i < capacity; i++)
        assert_true(put(z, key_of(i, key), ZONE_REFUSE, i));
    assert_false(put(z, SLICE("one more"), ZONE_REFUSE, 0));
    assert_int_equal(zone_count(z), capacity);
    forget(z, key_of(5, key));
    assert_true(put(z, SLICE("one more"), ZONE_REFUSE, 77));
    for (uint32_t i = 0; i < capacity; i++)
        assert_true(get(z, key_of(i, key)) == (i == 5 ? UINT64_MAX : i));
    assert_int_equal(get(z, SLICE("one more")), 77);
    zone_drop(z);
}

static void the_oldest_makes_room(void **state)
{
    struct zone *z = zone_create(SMALL, sizeof(struct number));
    uint32_t capacity = (uint32_t)zone_capacity(z);
    char key[16];

    (void)state;
    for (uint32_t i = 0; i < capacity; i++)
        assert_true(put(z, key_of(i, key), ZONE_EVICT, i));
    assert_true(put(z, key_of(0, key), ZONE_EVICT, 0)); /* used again: now the newest */
    assert_int_equal(get(z, key_of(1, key)), 1);        /* looked at: still the oldest */
    for (uint32_t i = 0; i < 3; i++)
        assert_true(put(z, key_of(capacity + i, key), ZONE_EVICT, capacity + i));
    assert_int_equal(zone_count(z), capacity);
    for (uint32_t i = 0; i < capacity + 3; i++)
        assert_true(get(z, key_of(i, key)) == (i >= 1 && i <= 3 ? UINT64_MAX : i));
    zone_drop(z);
}

static void a_long_key_drives_out_several(void **state)
{
    static char bytes[16 * 1024], all[SMALL];
    struct zone *z = zone_create(SMALL, sizeof(struct number));
    uint32_t capacity = (uint32_t)zone_capacity(z), cells = 1 + (sizeof bytes - 24 + 59) / 60;
    char key[16];

    (void)state;
    for (uint32_t i = 0; i < capacity; i++)
        assert_true(put(z, key_of(i, key), ZONE_EVICT, i));
    assert_false(put(z, slice_of(bytes, sizeof bytes), ZONE_REFUSE, 1));
    assert_true(put(z, slice_of(bytes, sizeof bytes), ZONE_EVICT, 1));
    assert_int_equal(zone_count(z), capacity - cells + 1);
    assert_int_equal(get(z, slice_of(bytes, sizeof bytes)), 1);
    assert_false(put(z, slice_of(all, sizeof all), ZONE_EVICT, 1)); /* it never fits */
    assert_int_equal(zone_count(z), capacity - cells + 1);
    forget(z, slice_of(bytes, sizeof bytes));
    for (uint32_t i = 0; i < cells; i++)
        assert_true(put(z, key_of(i, key), ZONE_REFUSE, i));
    assert_false(put(z, SLICE("one more"), ZONE_REFUSE, 0));
    zone_drop(z);
}

/* Ten times as many keys as there is room for, in a zone of several parts. */
static void a_crowd_stays_within_bounds(void **state)
{
    struct zone *z = zone_create(LARGE, sizeof(struct number));
    uint64_t capacity = zone_capacity(z);
    char key[16];

    (void)state;
    assert_in_range(capacity, LARGE / 68 - 20, LARGE / 68);
    for (uint32_t i = 0; i < 10 * capacity; i++)
        assert_true(put(z, key_of(i, key), ZONE_EVICT, i));
    assert_int_equal(zone_count(z), capacity);
    assert_int_equal(get(z, key_of((uint32_t)(10 * capacity) - 1, key)), 10 * capacity - 1);
    zone_drop(z);
}

static void larger_values_have_larger_cells(void **state)
{
    enum { VALUE = 1001, COUNT = 20 };
    struct zone *z = zone_create(SMALL, VALUE);
    char key[16];

    (void)state;
    assert_in_range(zone_capacity(z), COUNT, SMALL / VALUE);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct zone_spot spot;

        assert_true(zone_enter(z, key_of(i, key), ZONE_REFUSE, &spot));
        memset(spot.value, (int)i, VALUE);
        zone_leave(&spot);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        struct zone_spot spot;

        assert_true(zone_find(z, key_of(i, key), &spot));
        for (uint32_t k = 0; k < VALUE; k++)
            assert_int_equal(((unsigned char *)spot.value)[k], i);
        zone_leave(&spot);
    }
    zone_drop(z);
}

/* Sizes that are no round numbers: the last cell of the last part ends within the block (ASan and
 * the kernel would say so). */
static void any_size_will_do(void **state)
{
    char key[16];

    (void)state;
    for (uint64_t size = 3 * ZONE_PART_SIZE - 4096 - 9; size < 3 * ZONE_PART_SIZE - 4096; size++) {
        struct zone *z = zone_create(size, sizeof(uint32_t));

        for (uint32_t i = 0; i < 2 * zone_capacity(z); i++) {
            struct zone_spot spot;

            assert_true(zone_enter(z, key_of(i, key), ZONE_EVICT, &spot));
            assert_int_equal((uintptr_t)spot.value % 8, 0);
            zone_leave(&spot);
        }
        assert_int_equal(zone_count(z), zone_capacity(z));
        zone_drop(z);
    }
}

static void *count_up(void *arg)
{
    struct zone *z = arg;
    char key[16];

    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct zone_spot spot;

        if (!zone_enter(z, key_of(i % 1000, key), ZONE_EVICT, &spot))
            return NULL;
        ((struct number *)spot.value)->n++;
        zone_leave(&spot);
    }
    return arg;
}

static void threads_share_it(void **state)
{
    struct zone *z = zone_create(LARGE, sizeof(struct number));
    pthread_t threads[THREADS];
    void *good;
    char key[16];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, zone_hold(z)), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_ptr_equal(good, z);
        zone_drop(z);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        struct zone_spot spot;

        assert_true(zone_find(z, key_of(i, key), &spot));
        assert_int_equal(((struct number *)spot.value)->n, THREADS * ROUNDS / 1000);
        zone_leave(&spot);
    }
    zone_drop(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_is_found_again),
        cmocka_unit_test(long_keys_take_several_cells),
        cmocka_unit_test(a_full_zone_refuses),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(a_long_key_drives_out_several),
        cmocka_unit_test(a_crowd_stays_within_bounds),
        cmocka_unit_test(larger_values_have_larger_cells),
        cmocka_unit_test(any_size_will_do),
        cmocka_unit_test(threads_share_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
