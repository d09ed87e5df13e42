/* transform_test.c - a body whose bytes are changed: chunks of any size, waiting, the end, the
 * work of one pull, and compressors that are used again. */
#include "unit/handler/file_fixture.h"

#include "filter/transform.h"

#include <zlib.h>

/* ---- a body that does what a script says ---------------------------------------------- */

/* A letter: a chunk of that letter; '?': later; '!': failed; the end is the end. */
struct script_body {
    struct body body;
    const char *script;
    size_t size; /* of a chunk */
    char bytes[TRANSFORM_WORK];
    size_t asked, sent, dropped;
};

static enum body_status script_pull(struct body *b, size_t max, struct chunk *ret)
{
    struct script_body *s = container_of(b, struct script_body, body);

    if (*s->script == '\0')
        return BODY_END;
    if (*s->script == '!')
        return BODY_FAILED;
    if (*s->script == '?') {
        s->script++;
        return BODY_LATER;
    }
    assert_true(max > 0);
    *ret = (struct chunk){ .at = s->bytes, .size = s->size < max ? s->size : max, .file = -1 };
    memset(s->bytes, *s->script++, ret->size);
    s->asked += ret->size;
    return BODY_CHUNK;
}

static void script_sent(struct body *b, size_t size)
{
    container_of(b, struct script_body, body)->sent += size;
}

static void script_drop(struct body *b)
{
    container_of(b, struct script_body, body)->dropped++;
}

static const struct body_ops script_ops = {
    .name = "script", .pull = script_pull, .sent = script_sent, .drop = script_drop
};

/* ---- transforms ------------------------------------------------------------------------- */

/* Every byte twice; what was fed is held back until a flush if `holds`. */
struct doubler {
    bool holds;
    size_t held, flushes, done;
    char last;
};

static enum transform_status put(struct doubler *d, struct transform_room *out)
{
    for (; d->held > 0 && out->left > 0; d->held--, out->left--)
        *out->at++ = d->last;
    return d->held > 0 ? TRANSFORM_FULL : TRANSFORM_DONE;
}

static enum transform_status double_run(void *state, enum transform_op op, struct slice *in,
                                        struct transform_room *out)
{
    struct doubler *d = state;

    d->flushes += op == TRANSFORM_FLUSH;
    if (in->size > 0) {
        d->last = in->at[0];
        d->held += in->size * 2;
        *in = slice_skip(*in, in->size);
    }
    return d->holds && op == TRANSFORM_FEED ? TRANSFORM_DONE : put(d, out);
}

static void double_done(void *state)
{
    ((struct doubler *)state)->done++;
}

static const struct transform_ops double_ops = { "double", double_run, double_done };

/* ---- the tests -------------------------------------------------------------------------- */

struct transform_test {
    struct site_test site;
    struct script_body script;
    struct doubler doubler;
    struct body *body;
};

static void wrap(struct transform_test *t, const char *script, size_t size, bool holds)
{
    struct request *r;

    site_open(&t->site, "");
    ask(&t->site, "GET /", NULL);
    r = t->site.r;
    t->script = (struct script_body){ .script = script, .size = size };
    t->script.body = (struct body){ .ops = &script_ops, .request = r };
    t->doubler = (struct doubler){ .holds = holds };
    body_drop(r->response.body);
    r->response.body = &t->script.body;
    r->response.length = 5;
    r->response.accept_ranges = true;
    assert_true(transform_wrap(r, &double_ops, &t->doubler));
    assert_int_equal(r->response.length, -1);
    assert_false(r->response.accept_ranges);
    t->body = r->response.body;
}

static void unwrap(struct transform_test *t)
{
    site_close(&t->site);
    assert_int_equal(t->script.dropped, 1);
    assert_int_equal(t->doubler.done, 1);
}

static enum body_status pull(struct transform_test *t, size_t max, struct chunk *k)
{
    return t->body->ops->pull(t->body, max, k);
}

static void chunks_are_as_small_as_wanted(void **state)
{
    static struct transform_test t;
    struct chunk k;

    (void)state;
    wrap(&t, "ab", 3, false);
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(pull(&t, 1, &k), BODY_CHUNK);
        assert_int_equal(k.size, 1);
        assert_int_equal(k.at[0], i < 6 ? 'a' : 'b');
    }
    assert_int_equal(pull(&t, 1, &k), BODY_END);
    assert_int_equal(pull(&t, 1, &k), BODY_END);
    assert_int_equal(t.script.sent, 6);
    unwrap(&t);
}

static void waiting_flushes_once(void **state)
{
    static struct transform_test t;
    struct chunk k;

    (void)state;
    wrap(&t, "?a????b", 3, true);
    assert_int_equal(pull(&t, 100, &k), BODY_LATER);
    assert_int_equal(t.doubler.flushes, 0);
    assert_int_equal(pull(&t, 100, &k), BODY_CHUNK); /* a, later, flush */
    assert_int_equal(k.size, 6);
    assert_int_equal(t.doubler.flushes, 1);
    assert_int_equal(pull(&t, 100, &k), BODY_LATER);
    assert_int_equal(pull(&t, 100, &k), BODY_LATER);
    assert_int_equal(pull(&t, 100, &k), BODY_LATER);
    assert_int_equal(t.doubler.flushes, 1);
    assert_int_equal(pull(&t, 100, &k), BODY_CHUNK);
    assert_int_equal(k.at[0], 'b');
    assert_int_equal(pull(&t, 100, &k), BODY_END);
    unwrap(&t);
}

static void one_pull_takes_no_more_than_its_work(void **state)
{
    static struct transform_test t;
    struct chunk k;

    (void)state;
    wrap(&t, "aaaaaaaaaaaaaaaaaaaa", 16 * 1024, true);
    assert_int_equal(pull(&t, SIZE_MAX, &k), BODY_CHUNK);
    assert_int_equal(t.script.asked, TRANSFORM_WORK);
    assert_int_equal(t.doubler.flushes, 1);
    assert_int_equal(k.size, TRANSFORM_ROOM);
    unwrap(&t);
}

static void a_body_that_fails_fails(void **state)
{
    static struct transform_test t;
    struct chunk k;

    (void)state;
    wrap(&t, "a?!", 3, false);
    assert_int_equal(pull(&t, 100, &k), BODY_CHUNK);
    assert_int_equal(pull(&t, 100, &k), BODY_FAILED);
    assert_int_equal(pull(&t, 100, &k), BODY_FAILED);
    unwrap(&t);
}

/* ---- gzip through the whole pipeline ------------------------------------------------------ */

static void unpacks_to(struct slice packed, const char *text, size_t size)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)packed.at, .avail_in = (uInt)packed.size };
    char *out = calloc(1, size + 1);

    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)size + 1;
    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, size);
    assert_memory_equal(out, text, size);
    inflateEnd(&z);
    free(out);
}

static void compressors_are_used_again(void **state)
{
    static struct site_test t;
    static char large[300000];

    (void)state;
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)('a' + i * i % 19);
    site_open(&t, "gzip on; location /9/ { gzip_comp_level 9; alias %s/html/; }");
    put_bytes(&t, "html/large.html", large, sizeof large);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(
            ask(&t, i % 2 ? "GET /9/large.html" : "GET /large.html", "Accept-Encoding: gzip"), 200);
        assert_string_equal(answer_field(&t, "Content-Encoding"), "gzip");
        unpacks_to(t.body, large, sizeof large);
        ask_end(&t);
        assert_int_equal(t.coders.count[CODING_GZIP], 1);
    }
    assert_int_equal(ask(&t, "HEAD /large.html", "Accept-Encoding: gzip"), 200);
    assert_string_equal(answer_field(&t, "Content-Encoding"), "gzip");
    assert_int_equal(t.r->response.length, -1);
    site_close(&t);
}

/* Whatever the level, no more is kept than is said. */
static void large_compressors_are_not_kept(void **state)
{
    static struct site_test t;

    (void)state;
    site_open(&t, "zstd on; zstd_comp_level 21; location /1/ { zstd_comp_level 1; alias "
                  "%s/html/; } location /br/ { brotli on; alias %s/html/; }");
    put_file(&t, "html/a.html", "a text that is long enough to be compressed");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(&t, "GET /1/a.html", "Accept-Encoding: zstd, gzip"), 200);
        assert_string_equal(answer_field(&t, "Content-Encoding"), "zstd");
        ask_end(&t);
        assert_int_equal(t.coders.count[CODING_ZSTD], 1);
    }
    assert_int_equal(ask(&t, "GET /br/a.html", "Accept-Encoding: br"), 200);
    assert_string_equal(answer_field(&t, "Content-Encoding"), "br");
    ask_end(&t);
    assert_int_equal(t.coders.count[CODING_BR], 0);
    site_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_as_small_as_wanted),
        cmocka_unit_test(waiting_flushes_once),
        cmocka_unit_test(one_pull_takes_no_more_than_its_work),
        cmocka_unit_test(a_body_that_fails_fails),
        cmocka_unit_test(compressors_are_used_again),
        cmocka_unit_test(large_compressors_are_not_kept),
    };

    return cmocka_run_group_tests_name("transform", tests, NULL, NULL);
}
