/* fuzz_expr.c - any text as an expression: compiled, and evaluated within every bound.
 *
 * The first byte is the bound of the evaluation, the rest the text. */
#include "fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void escape(struct gather *into, struct slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.at[i] == '/')
            gather_byte(into, '\\');
        gather_byte(into, value.at[i]);
    }
}

static void check_bounds(const struct expr *e, struct test_subject *subject, size_t max)
{
    struct arena arena;
    struct slice value, free_value;
    char room[256];
    struct gather g;
    arena_init(&arena, NULL, 0, 1024, 1024 * 1024);
    subject->again = (struct expr *)(uintptr_t)e;
    bool free_fits = expr_eval(e, subject, &arena, EXPR_MAX, &free_value);
    bool fits = expr_eval(e, subject, &arena, max, &value);
    CHECK(!fits || (value.size <= max && free_fits && slice_eq(value, free_value)));
    CHECK(fits || !free_fits || free_value.size > max);
    gather_init(&g, room, max, NULL, 0);
    expr_append(e, subject, &g, SLICE("-"), escape);
    CHECK(g.used <= max);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fixture f;
    struct test_subject subject = {
        .uri = SLICE("/a/path/of/some/length"),
        .captures = { [1] = SLICE("one"), [9] = SLICE("") },
        .named = SLICE("name"),
        .named_value = SLICE("value"),
    };
    if (size == 0)
        return 0;
    struct slice text = slice_of((const char *)bytes + 1, size - 1);
    struct conf_file file = { .path = "text", .text = text, .order = 1 };
    struct conf_arg arg = { text, 1, 1, false };
    struct conf_node node = {
        .name = SLICE("answer"), .args = &arg, .arg_count = 1, .line = 1, .column = 1, .file = &file
    };
    fixture_open(&f);
    fixture_file(&f, "weir.conf", "http { server { rewrite (?<name>x) y; set $mine 1; } }");
    fixture_load(&f);
    CHECK(conf_load_errors(f.load) == 0);
    struct expr *e = expr_compile(f.load, &node, 0);
    CHECK(e != NULL || conf_load_errors(f.load) > 0);
    if (conf_load_errors(f.load) == 0)
        check_bounds(e, &subject, bytes[0]);
    CHECK(fixture_report(&f)[0] == '\0' || conf_load_errors(f.load) > 0);
    fixture_close(&f);
    return 0;
}
