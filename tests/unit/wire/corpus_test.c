/* corpus_test.c - every case of tests/corpus/wire: the outcome is as the case says, and the same
 * however the input is cut: byte by byte, and into two at every place.
 *
 *   corpus_test DIRECTORY            runs all
 *   corpus_test --show FILE          prints the outcome of one
 */
#include "unit/wire/case_file.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    OUTCOME_MAX = 4 << 20,
    CASES_MAX = 4096,
    ALL_CUTS_MAX = 2000, /* longer inputs are not cut everywhere */
    SOME_CUTS = 150,
};

static char *buffers[2];

static struct slice outcome_of(const struct wire_case *c, char *space, const size_t *cuts,
                               size_t cut_count)
{
    struct gather out;
    gather_init(&out, space, OUTCOME_MAX, NULL, 0);
    c->run(&out, &c->options, c->input, cuts, cut_count);
    assert_false(out.full);
    return gather_get(&out);
}

static bool has_line(struct slice text, struct slice line)
{
    while (text.size > 0)
        if (slice_eq(slice_cut(&text, '\n'), line))
            return true;
    return false;
}

static bool as_wanted(const struct wire_case *c, struct slice outcome)
{
    struct slice rest = outcome;
    bool ok = slice_eq(slice_cut(&rest, '\n'), c->wants[0]);
    for (unsigned i = 1; ok && i < c->want_count; i++)
        ok = has_line(outcome, c->wants[i]);
    if (!ok)
        print_error("%s: the outcome is\n%.*s", c->name, SLICE_FMT(outcome));
    return ok;
}

static bool same_cut(const struct wire_case *c, struct slice whole, const size_t *cuts,
                     size_t cut_count)
{
    struct slice cut = outcome_of(c, buffers[1], cuts, cut_count);
    if (slice_eq(whole, cut))
        return true;
    print_error("%s: with %zu cuts, the first at %zu, the outcome is\n%.*snot\n%.*s", c->name,
                cut_count, cuts[0], SLICE_FMT(cut), SLICE_FMT(whole));
    return false;
}

static bool same_when_cut(const struct wire_case *c, struct slice whole)
{
    size_t size = c->input.size;
    size_t step = size <= ALL_CUTS_MAX ? 1 : size / SOME_CUTS;
    bool ok = true;
    for (size_t cut = 1; ok && cut < size; cut += step)
        ok = same_cut(c, whole, &cut, 1);
    if (size < 2 || size > ALL_CUTS_MAX)
        return ok;
    size_t *each = malloc(size * sizeof *each);
    assert_non_null(each);
    for (size_t i = 0; i + 1 < size; i++)
        each[i] = i + 1;
    ok = ok && same_cut(c, whole, each, size - 1);
    free(each);
    return ok;
}

static void run_case(void **state)
{
    struct arena arena;
    struct wire_case c;
    const char *why, *path = *state;
    arena_init(&arena, NULL, 0, 1 << 16, SIZE_MAX);
    if (!case_read(&c, &arena, path, &why))
        fail_msg("%s: %s", path, why);
    struct slice whole = outcome_of(&c, buffers[0], NULL, 0);
    bool ok = as_wanted(&c, whole) && same_when_cut(&c, whole);
    arena_done(&arena);
    assert_true(ok);
}

static int show(const char *path)
{
    struct arena arena;
    struct wire_case c;
    const char *why;
    arena_init(&arena, NULL, 0, 1 << 16, SIZE_MAX);
    if (!case_read(&c, &arena, path, &why)) {
        fprintf(stderr, "%s: %s\n", path, why);
        return EXIT_FAILURE;
    }
    struct slice whole = outcome_of(&c, buffers[0], NULL, 0);
    printf("%.*s", SLICE_FMT(whole));
    arena_done(&arena);
    return EXIT_SUCCESS;
}

static int is_case(const struct dirent *entry)
{
    return slice_ends(slice_str(entry->d_name), SLICE(".case"));
}

static int run_all(const char *directory)
{
    static struct CMUnitTest tests[CASES_MAX];
    struct dirent **entries;
    struct arena names;
    int count = scandir(directory, &entries, is_case, alphasort);
    if (count <= 0 || count > CASES_MAX) {
        fprintf(stderr, "%s: no cases, or more than %d\n", directory, CASES_MAX);
        return EXIT_FAILURE;
    }
    arena_init(&names, NULL, 0, 1 << 16, SIZE_MAX);
    for (int i = 0; i < count; i++) {
        struct slice path = arena_printf(&names, "%s/%s", directory, entries[i]->d_name);
        tests[i] = (struct CMUnitTest){ .name = path.at, .test_func = run_case };
        memcpy(&tests[i].initial_state, &path.at, sizeof path.at);
        free(entries[i]);
    }
    free(entries);
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    int failed = _cmocka_run_group_tests("corpus", tests, (size_t)count, NULL, NULL);
    arena_done(&names);
    return failed;
}

int main(int argc, char **argv)
{
    buffers[0] = malloc(OUTCOME_MAX);
    buffers[1] = malloc(OUTCOME_MAX);
    int status = EXIT_FAILURE;
    if (argc == 2)
        status = run_all(argv[1]);
    else if (argc == 3 && strcmp(argv[1], "--show") == 0)
        status = show(argv[2]);
    else
        fprintf(stderr, "usage: corpus_test DIRECTORY | --show FILE\n");
    free(buffers[0]);
    free(buffers[1]);
    return status;
}
