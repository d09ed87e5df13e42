/* conf_test.c - configurations of filters that are wrong, and what is said about them. */
#include "unit/handler/file_fixture.h"

struct wrong {
    const char *http, *server, *says;
};

static const struct wrong rows[] = {
    { "", "gzip maybe;", "expected: on or off" },
    { "", "gzip_comp_level 10;", "expected: 1 to 9" },
    { "", "gzip_comp_level 0;", "expected: 1 to 9" },
    { "", "gzip_types text;", "\"text\" is not a media type" },
    { "", "gzip_types text/css text/;", "\"text/\" is not a media type" },
    { "", "gzip_types;", "takes at least 1 argument" },
    { "", "gzip_proxied any never;", "\"never\" is not a parameter of gzip_proxied" },
    { "", "gzip_http_version 2;", "expected: 1.0 or 1.1" },
    { "", "gzip_disable \"(\";", "gzip_disable \"(\";" },
    { "", "gzip_buffers 16;", "takes 2 arguments" },
    { "", "gzip_min_length -1;", "\"-1\" is not a size" },
    { "", "gzip_vary 1;", "expected: on or off" },
    { "", "gzip_static yes;", "expected: off, on or always" },
    { "", "brotli_static 1;", "expected: off, on or always" },
    { "zstd_static;", "", "takes 1 argument" },
    { "", "brotli_comp_level 12;", "expected: 0 to 11" },
    { "", "brotli_window 32m;", "expected: 1k to 16m" },
    { "", "brotli_types html;", "\"html\" is not a media type" },
    { "", "zstd_comp_level 23;", "expected: 1 to 22" },
    { "", "gunzip always;", "expected: on or off" },
    { "", "sub_filter '' x;", "there is no text to look for" },
    { "", "sub_filter x;", "takes 2 arguments" },
    { "", "sub_filter_types css;", "\"css\" is not a media type" },
    { "", "sub_filter_once 1;", "expected: on or off" },
    { "", "charset utf-8; source_charset koi8-r;",
      "there is no charset_map between \"koi8-r\" and \"utf-8\"" },
    { "charset_map a b { C0 XX; }", "", "\"XX\" is not a character of b" },
    { "charset_map a b { C0 FEFE; }", "", "\"FEFE\" is not a character of b" },
    { "charset_map a utf-8 { C0 C3; }", "", "the bytes of one UTF-8 sequence" },
    { "charset_map a b { C0 FE 00; }", "", "this is not a line of a charset_map" },
    { "charset_map a b { XX FE; }", "", "this is not a line of a charset_map" },
    { "charset_map a A { }", "", "a charset_map cannot begin with \"a\"" },
    { "charset_map utf-8 a { }", "", "a charset_map cannot begin with \"utf-8\"" },
    { "charset_map a b { } charset_map b a { }", "", "of these two already" },
    { "", "charset_types html;", "\"html\" is not a media type" },
    { "", "location / { empty_gif; stub_status; }", "another directive answers" },
    { "", "location / { empty_gif on; }", "takes no arguments" },
    { "stub_status;", "", "is allowed in server, location" },
    { "", "location / { random_index 1; }", "expected: on or off" },
    { "", "random_index on;", "is allowed in location" },
    { "zstd_dict_file x;", "", "weir compresses without dictionaries" },
};

static void mistakes_are_told(void **state)
{
    static struct site_test t;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (site_try(&t, rows[i].http, rows[i].server))
            fail_msg("%s %s: nothing was complained about", rows[i].http, rows[i].server);
        assert_says(&t, rows[i].says);
        site_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(mistakes_are_told) };

    return cmocka_run_group_tests_name("configurations of filters", tests, NULL, NULL);
}
