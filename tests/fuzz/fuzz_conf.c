/* fuzz_conf.c - any bytes as configuration files: lexed, parsed, loaded, complained about.
 *
 * The input is weir.conf; behind a byte 0xff, inc.conf begins, which the other may include. */
#include "fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct fixture f;

static void check_values(const struct scope *s)
{
    const struct test_http *http = scope_conf(s, &feature_test_http);
    CHECK(http->merges == 1);
    CHECK(http->header_size >= 256 && http->header_size <= 65536);
    CHECK(http->answer != NULL);
    for (const struct scope *k = s->children; k != NULL; k = k->next)
        check_values(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct slice rest = slice_of((const char *)bytes, size);
    fixture_open(&f);
    fixture_bytes(&f, "weir.conf", slice_cut(&rest, '\xff'));
    fixture_bytes(&f, "inc.conf", rest);
    struct scope *root = fixture_load(&f);
    const char *report = fixture_report(&f);
    CHECK(root != NULL && (conf_load_errors(f.load) == 0 || report[0] != '\0'));
    if (conf_load_errors(f.load) == 0)
        check_values(root);
    fixture_close(&f);
    return 0;
}
