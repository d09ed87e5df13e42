/* log_ring_test.c - lines kept in memory: the newest are there, whole, whoever writes meanwhile. */
#include "base_test.h"

#include "base/log.h"
#include "base/log_ring.h"

#include <pthread.h>
#include <stdatomic.h>

enum { WRITERS = 4, LINES = 50000 };

static char room[LOG_RING_LINE_MAX];

static struct log_ring *ring_of(size_t size)
{
    int fd = log_ring_file(size);
    assert_true(fd >= 0);
    struct log_ring *ring = log_ring_map(fd);
    close(fd);
    assert_non_null(ring);
    return ring;
}

static void add(struct log_ring *ring, unsigned n)
{
    char line[64];
    int size =
        snprintf(line, sizeof line, "line %u%.*s\n", n, (int)(n % 23), "......................");
    log_ring_add(ring, slice_of(line, (size_t)size));
}

static void lines_come_back_in_order(void **state)
{
    struct log_ring *ring = ring_of(LOG_RING_MIN);
    struct log_ring_cursor c;
    (void)state;
    log_ring_begin(ring, SIZE_MAX, &c);
    assert_int_equal(log_ring_next(ring, &c, room).size, 0);
    log_ring_add(ring, SLICE("one\n"));
    log_ring_add(ring, SLICE("eight by\n"));
    log_ring_begin(ring, SIZE_MAX, &c);
    log_ring_add(ring, SLICE("too late\n"));
    assert_slice(log_ring_next(ring, &c, room), "one\n");
    assert_slice(log_ring_next(ring, &c, room), "eight by\n");
    assert_int_equal(log_ring_next(ring, &c, room).size, 0);
    log_ring_unmap(ring);
}

static void the_newest_stay(void **state)
{
    struct log_ring *ring = ring_of(LOG_RING_MIN);
    struct log_ring_cursor c;
    struct slice line;
    unsigned n, first = 0, next = 0;
    size_t bytes = 0;
    (void)state;
    for (n = 0; n < 5000; n++)
        add(ring, n);
    log_ring_begin(ring, SIZE_MAX, &c);
    while ((line = log_ring_next(ring, &c, room)).size > 0) {
        room[line.size - 1] = '\0';
        n = (unsigned)strtoul(room + 5, NULL, 10);
        assert_true(first == 0 || n == next);
        first = first == 0 ? n : first;
        next = n + 1;
        bytes += line.size;
    }
    assert_int_equal(next, 5000);
    assert_true(first > 4000 && bytes > LOG_RING_MIN / 3 && bytes < LOG_RING_MIN);
    log_ring_begin(ring, 1024, &c);
    for (n = 0, bytes = 0; (line = log_ring_next(ring, &c, room)).size > 0; n++)
        bytes += line.size;
    assert_true(n > 5 && bytes <= 1024);
    log_ring_unmap(ring);
}

static void a_slow_reader_goes_on_with_what_there_is(void **state)
{
    struct log_ring *ring = ring_of(LOG_RING_MIN);
    struct log_ring_cursor c;
    struct slice line;
    unsigned n, seen = 0;
    (void)state;
    for (n = 0; n < 500; n++)
        add(ring, n);
    log_ring_begin(ring, SIZE_MAX, &c);
    assert_slice(log_ring_next(ring, &c, room), "line 0\n");
    for (; n < 1100; n++)
        add(ring, n);
    while ((line = log_ring_next(ring, &c, room)).size > 0) {
        assert_true(slice_starts(line, SLICE("line ")));
        seen++;
    }
    assert_true(seen > 0 && seen < 500);
    log_ring_unmap(ring);
}

static void long_lines_are_cut_and_empty_ones_are_none(void **state)
{
    static char text[2 * LOG_RING_LINE_MAX];
    struct log_ring *ring = ring_of(LOG_RING_MIN);
    struct log_ring_cursor c;
    (void)state;
    memset(text, 'x', sizeof text);
    log_ring_add(ring, SLICE(""));
    log_ring_add(ring, slice_of(text, sizeof text));
    log_ring_begin(ring, SIZE_MAX, &c);
    assert_int_equal(log_ring_next(ring, &c, room).size, LOG_RING_LINE_MAX);
    assert_int_equal(log_ring_next(ring, &c, room).size, 0);
    log_ring_unmap(ring);
}

static void mappings_of_one_file_are_one_ring(void **state)
{
    int fd = log_ring_file(LOG_RING_MIN);
    struct log_ring *a = log_ring_map(fd), *b = log_ring_map(fd);
    struct log_ring_cursor c;
    (void)state;
    log_ring_add(a, SLICE("from a\n"));
    log_ring_add(b, SLICE("from b\n"));
    log_ring_unmap(a);
    log_ring_begin(b, SIZE_MAX, &c);
    assert_slice(log_ring_next(b, &c, room), "from a\n");
    assert_slice(log_ring_next(b, &c, room), "from b\n");
    log_ring_unmap(b);
    assert_int_equal(ftruncate(fd, 0), -1); /* nobody can pull it away from the others */
    close(fd);
    assert_null(log_ring_map(-1));
}

/* ---- threads ----------------------------------------------------------------------------- */

static _Atomic unsigned writing;

static void *write_lines(void *arg)
{
    for (unsigned n = 0; n < LINES; n++)
        add(arg, n);
    atomic_fetch_sub(&writing, 1);
    return NULL;
}

/* Every line is one that somebody wrote, from its first byte to its last. */
static unsigned read_all(const struct log_ring *ring)
{
    struct log_ring_cursor c;
    struct slice line;
    unsigned seen = 0;
    log_ring_begin(ring, SIZE_MAX, &c);
    while ((line = log_ring_next(ring, &c, room)).size > 0) {
        char *end;
        assert_true(slice_starts(line, SLICE("line ")));
        room[line.size - 1] = '\0';
        unsigned long n = strtoul(room + 5, &end, 10);
        assert_true(n < LINES);
        assert_int_equal(strspn(end, "."), n % 23);
        assert_int_equal(strlen(end), n % 23);
        seen++;
    }
    return seen;
}

static void readers_see_whole_lines_while_others_write(void **state)
{
    struct log_ring *ring = ring_of(LOG_RING_MIN);
    pthread_t threads[WRITERS];
    unsigned long seen = 0;
    (void)state;
    atomic_store(&writing, WRITERS);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, ring), 0);
    do
        seen += read_all(ring);
    while (atomic_load(&writing) > 0);
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(seen > 0 && read_all(ring) > 100);
    log_ring_unmap(ring);
}

static void a_log_writes_to_it(void **state)
{
    struct log log = { 0 };
    struct log_sink sink;
    struct log_ring_cursor c;
    (void)state;
    assert_null(log_ring_of(&log));
    log_sink_init(&sink, -1, LOG_INFO);
    sink.ring = ring_of(LOG_RING_MIN);
    log_add_sink(&log, &sink);
    assert_ptr_equal(log_ring_of(&log), sink.ring);
    log_write(&log, LOG_INFO, 0, "wanted");
    log_write(&log, LOG_DEBUG, 0, "not wanted");
    log_ring_begin(sink.ring, SIZE_MAX, &c);
    assert_true(slice_ends(log_ring_next(sink.ring, &c, room), SLICE(": wanted\n")));
    assert_int_equal(log_ring_next(sink.ring, &c, room).size, 0);
    log_ring_unmap(sink.ring);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_back_in_order),
        cmocka_unit_test(the_newest_stay),
        cmocka_unit_test(a_slow_reader_goes_on_with_what_there_is),
        cmocka_unit_test(long_lines_are_cut_and_empty_ones_are_none),
        cmocka_unit_test(mappings_of_one_file_are_one_ring),
        cmocka_unit_test(readers_see_whole_lines_while_others_write),
        cmocka_unit_test(a_log_writes_to_it),
    };
    return cmocka_run_group_tests_name("log_ring", tests, NULL, NULL);
}
