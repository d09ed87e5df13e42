/* head_test.c - what the corpus cannot say of the head reader: memory, early refusals, the two
 * readers against each other on mutated requests, and tables that must agree with each other. */
#include "unit/base/base_test.h"

#include "unit/wire/slow_head.h"
#include "unit/wire/outcome.h"

static const struct h1_limits LIMITS = {
    .line_max = 8192,
    .head_max = 32768,
    .fields_max = 100,
    .ignore_invalid = true,
    .first_size = 1024,
};

static enum h1_verdict feed(struct h1_head *h, struct slice bytes, size_t *taken)
{
    return h1_head_feed(h, bytes.at, bytes.size, taken);
}

static void nothing_is_taken_after_the_end(void **state)
{
    struct arena arena;
    struct h1_head h;
    size_t taken;
    (void)state;
    arena_init(&arena, NULL, 0, 4096, SIZE_MAX);
    h1_head_init(&h, &LIMITS, &arena);
    assert_int_equal(feed(&h, SLICE("GET / HTTP/1.0\r\n\r\nabc"), &taken), H1_DONE);
    assert_int_equal(taken, 18);
    assert_int_equal(feed(&h, SLICE("abc"), &taken), H1_DONE);
    assert_int_equal(taken, 0);
    h1_head_init(&h, &LIMITS, &arena);
    assert_int_equal(feed(&h, SLICE("{"), &taken), H1_BAD);
    assert_int_equal(feed(&h, SLICE("GET / HTTP/1.0\r\n\r\n"), &taken), H1_BAD);
    assert_int_equal(h.status, 400);
    arena_done(&arena);
}

static void slices_outlive_the_input(void **state)
{
    struct arena arena;
    struct h1_head h;
    size_t taken;
    (void)state;
    arena_init(&arena, NULL, 0, 4096, SIZE_MAX);
    h1_head_init(&h, &LIMITS, &arena);
    const char text[] = "GET /path?args HTTP/1.1\r\nHost: a.test\r\nX: y\r\n\r\n";
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        char byte = text[i];
        enum h1_verdict verdict = h1_head_feed(&h, &byte, 1, &taken);
        assert_int_equal(verdict, i + 2 < sizeof text ? H1_MORE : H1_DONE);
    }
    assert_slice(h.path, "/path");
    assert_slice(h.args, "args");
    assert_slice(h.known[FIELD_HOST]->value, "a.test");
    assert_slice(h.fields[1].name, "X");
    assert_slice(h.line, "GET /path?args HTTP/1.1");
    arena_done(&arena);
}

static void the_line_is_there_as_soon_as_it_is_whole(void **state)
{
    struct arena arena;
    struct h1_head h;
    size_t taken;
    (void)state;
    arena_init(&arena, NULL, 0, 4096, SIZE_MAX);
    h1_head_init(&h, &LIMITS, &arena);
    assert_int_equal(feed(&h, SLICE("GET / HTTP/1.1\r"), &taken), H1_MORE);
    assert_null(h.line.at);
    assert_true(h.line_seen);
    assert_int_equal(feed(&h, SLICE("\nHo"), &taken), H1_MORE);
    assert_slice(h.line, "GET / HTTP/1.1");
    arena_done(&arena);
}

static void memory_is_bounded_and_its_end_is_500(void **state)
{
    struct arena arena;
    struct h1_head h;
    size_t taken;
    enum h1_verdict verdict = H1_MORE;
    (void)state;
    arena_init(&arena, NULL, 0, 4096, 6000);
    h1_head_init(&h, &LIMITS, &arena);
    assert_int_equal(feed(&h, SLICE("GET / HTTP/1.1\r\nX: "), &taken), H1_MORE);
    for (int i = 0; i < 8000 && verdict == H1_MORE; i++)
        verdict = feed(&h, SLICE("x"), &taken);
    assert_int_equal(verdict, H1_BAD);
    assert_int_equal(h.status, 500);
    arena_done(&arena);
    arena_init(&arena, NULL, 0, 1024, 2500);
    h1_head_init(&h, &LIMITS, &arena);
    assert_int_equal(feed(&h, SLICE("GET / HTTP/1.1\r\n"), &taken), H1_MORE);
    verdict = H1_MORE;
    for (int i = 0; i < 90 && verdict == H1_MORE; i++)
        verdict = feed(&h, SLICE("A:b\r\n"), &taken);
    assert_int_equal(verdict, H1_BAD);
    assert_int_equal(h.status, 500);
    arena_done(&arena);
}

/* The largest head, byte by byte, must not use much more than its own size. */
static void a_large_head_uses_little_more_than_itself(void **state)
{
    struct arena arena;
    struct h1_head h;
    size_t taken;
    (void)state;
    arena_init(&arena, NULL, 0, 1024, 4 * 32768);
    h1_head_init(&h, &LIMITS, &arena);
    assert_int_equal(feed(&h, SLICE("GET / HTTP/1.1\r\nHost: a\r\n"), &taken), H1_MORE);
    for (int line = 0; line < 4; line++) {
        assert_int_equal(feed(&h, SLICE("X:"), &taken), H1_MORE);
        for (int i = 0; i < 8000; i++)
            assert_int_equal(feed(&h, SLICE("x"), &taken), H1_MORE);
        assert_int_equal(feed(&h, SLICE("\r\n"), &taken), H1_MORE);
    }
    assert_int_equal(feed(&h, SLICE("\r\n"), &taken), H1_DONE);
    assert_int_equal(h.field_count, 5);
    arena_done(&arena);
}

static void other_protocols_are_refused_at_their_first_bytes(void **state)
{
    static const struct {
        struct slice bytes;
        size_t needed;
    } table[] = {
        { { "\x16\x03\x01\x02", 4 }, 1 }, /* TLS */
        { { "\0\0\0\0", 4 }, 1 },          { { "{\"a\":1}", 7 }, 1 },
        { { "\x80\x2e\x01", 3 }, 1 },      /* SSL 2 */
        { { "*1\r\n$4\r\nPING", 12 }, 3 }, /* redis */
        { { "EHLO a.test\r\n", 13 }, 12 }, { { "GET / XTTP", 10 }, 7 },
        { { "GET /\x01", 6 }, 6 },         { { "HTTP/1.1 200 OK", 15 }, 5 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena arena;
        struct h1_head h;
        size_t taken;
        arena_init(&arena, NULL, 0, 4096, SIZE_MAX);
        h1_head_init(&h, &LIMITS, &arena);
        if (table[i].needed > 1)
            assert_int_equal(feed(&h, slice_head(table[i].bytes, table[i].needed - 1), &taken),
                             H1_MORE);
        assert_int_equal(feed(&h, slice_of(table[i].bytes.at + table[i].needed - 1, 1), &taken),
                         H1_BAD);
        arena_done(&arena);
    }
}

/* A small generator of its own, so that a failure can be repeated. */
static uint32_t random_next(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static const char *const MODELS[] = {
    "GET /a/b?c=d HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, close\r\nX-A: b\r\n\r\n",
    "POST http://u.test:80/x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n",
    "\r\nPUT / HTTP/1.0\r\nContent-Length: 123\r\nExpect: 100-continue\r\nHost: [::1]:8\r\n\r\n",
    "OPTIONS * HTTP/1.1\nHost: a\nX_y: z\nUpgrade: h2c\nConnection: upgrade\n\n",
    "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n\r\n",
};

static size_t mutate(char *text, size_t size, uint32_t *seed)
{
    static const char bytes[] = "\r\n \t:,;#?/*0A_\0\x7f\x80.[]@\"";
    for (uint32_t n = random_next(seed) % 4; n-- > 0 && size > 1;) {
        size_t at = random_next(seed) % size;
        char byte = bytes[random_next(seed) % (sizeof bytes - 1)];
        switch (random_next(seed) % 3) {
        case 0:
            text[at] = byte;
            break;
        case 1:
            memmove(text + at, text + at + 1, --size - at);
            break;
        default:
            memmove(text + at + 1, text + at, size++ - at);
            text[at] = byte;
        }
    }
    return size;
}

static void both_readers_agree_on_mutated_requests(void **state)
{
    uint32_t seed = 20261123;
    static char a_text[8192], b_text[8192];
    (void)state;
    for (int round = 0; round < 60000; round++) {
        char text[256];
        uint32_t before = seed;
        const char *model = MODELS[random_next(&seed) % COUNT_OF(MODELS)];
        size_t size = strlen(model), fast_taken, slow_taken;
        memcpy(text, model, size);
        size = mutate(text, size, &seed);
        struct h1_limits limits = LIMITS;
        limits.allow_bare_lf = random_next(&seed) % 2;
        limits.ignore_invalid = random_next(&seed) % 2;
        struct arena arena;
        struct h1_head fast, slow;
        struct gather a, b;
        arena_init(&arena, NULL, 0, 8192, SIZE_MAX);
        gather_init(&a, a_text, sizeof a_text, NULL, 0);
        gather_init(&b, b_text, sizeof b_text, NULL, 0);
        h1_head_init(&fast, &limits, &arena);
        enum h1_verdict v = h1_head_feed(&fast, text, size, &fast_taken);
        outcome_head(&a, &fast, v);
        outcome_head(&b, &slow, slow_head(text, size, &limits, &arena, &slow, &slow_taken));
        if (!slice_eq(gather_get(&a), gather_get(&b)))
            fail_msg("seed %u: %.*s\nfast: %.*sslow: %.*s", before, (int)size, text,
                     SLICE_FMT(gather_get(&a)), SLICE_FMT(gather_get(&b)));
        if (v == H1_DONE)
            assert_int_equal(fast_taken, slow_taken);
        arena_done(&arena);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_taken_after_the_end),
        cmocka_unit_test(slices_outlive_the_input),
        cmocka_unit_test(the_line_is_there_as_soon_as_it_is_whole),
        cmocka_unit_test(memory_is_bounded_and_its_end_is_500),
        cmocka_unit_test(a_large_head_uses_little_more_than_itself),
        cmocka_unit_test(other_protocols_are_refused_at_their_first_bytes),
        cmocka_unit_test(both_readers_agree_on_mutated_requests),
    };
    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
