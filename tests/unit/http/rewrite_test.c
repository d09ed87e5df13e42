/* rewrite_test.c - set, if, rewrite and break: what is wrong with them is told at its place, and
 * what they make of a request. */
#include "vars_fixture.h"

/* ---- what is wrong -------------------------------------------------------------------------- */

/* The condition (or the whole directive), the words under which the caret stands, what is said. */
static const struct {
    const char *said, *marked, *why, *hint;
} mistakes[] = {
    { "if $a { }", "$a", "the parenthesis that begins the condition is missing",
      "expected: if (condition) { … }" },
    { "if \"($a)\" { }", "\"($a)\"", "the parenthesis that begins", "expected: if (condition)" },
    { "if ($a { }", "a { }", "the parenthesis that ends the condition is missing here",
      "expected: if (condition)" },
    { "if ($a = \"b)\" { }", ")\" { }", "the parenthesis that ends", "expected: if (condition)" },
    { "if ( { }", "( { }", "the parenthesis that ends", "expected: if (condition)" },
    { "if () { }", ") { }", "the condition is empty", "expected: a variable, a comparison" },
    { "if ( ) { }", ") { }", "the condition is empty", "expected: a variable, a comparison" },
    { "if ($a == b) { }", "== b", "\"==\" is not an operator of a condition", "did you mean `=`?" },
    { "if ($a < 5) { }", "< 5", "\"<\" is not an operator", "numbers cannot be compared" },
    { "if ($a is b) { }", "is b", "\"is\" is not an operator",
      "expected: =, !=, ~, ~*, !~ or !~*" },
    { "if ($a=b) { }", "=b", "white space is missing before \"=b\"",
      "expected: $variable operator value" },
    { "if ($a-b = c) { }", "-b", "\"-b\" does not belong to a variable's name",
      "expected: a variable alone" },
    { "if ($a =) { }", ") { }", "what the variable is compared with is missing",
      "an empty text is \"\"" },
    { "if ($a = ) { }", ") { }", "what the variable is compared with is missing",
      "expected: a text" },
    { "if ($a = b c) { }", "c) { }", "the condition should end before \"c\"", "needs quotes" },
    { "if ($a = b && $c = d) { }", "&& $c", "the condition should end before \"&&\"",
      "one `if` has one condition" },
    { "if ($a && $c) { }", "&& $c", "the condition should end before \"&&\"",
      "let the first set a variable" },
    { "if (!$a) { }", "!$a", "\"!$a\": `!` cannot stand before a variable", "if ($a = \"\")" },
    { "if (a = b) { }", "a = b", "\"a\" cannot begin a condition", "expected: a variable ($name" },
    { "if (-z $uri) { }", "-z", "\"-z\" is not a file test", "expected: -f, -d, -e or -x" },
    { "if (!-ff $uri) { }", "!-ff", "\"!-ff\" is not a file test", "expected: -f, -d" },
    { "if (-f) { }", ") { }", "the path to be looked at is missing", "expected: -f path" },
    { "if (-f $uri x) { }", "x) { }", "the condition should end before \"x\"", "needs quotes" },
    { "if ($a ~ ^/(b) { }", ") { }", "the regular expression is wrong here", NULL },
    { "if ($a ~ \"b[\") { }", "\") { }", "the regular expression is wrong here", NULL },
    { "if ($nobody) { }", "$nobody", "unknown variable `$nobody`", NULL },
    { "if ($uri = $nobody) { }", "$nobody", "unknown variable `$nobody`", NULL },
    { "set a b;", "a b", "\"a\" is not a variable that can be set", "did you mean `$a`?" },
    { "set $ b;", "$ b", "\"$\" is not a variable that can be set", "expected: $ and a name" },
    { "set $1 b;", "$1", "\"$1\" is not a variable that can be set", "begins with no digit" },
    { "set $a-b c;", "$a-b", "\"$a-b\" is not a variable", "expected: $ and a name" },
    { "set $uri /x;", "$uri", "`$uri` cannot be set", "rewrite ^ /new/path;" },
    { "set $HOST x;", "$HOST", "`$HOST` cannot be set", "expected: a name of your own" },
    { "set $query_string x;", "$query_string", "cannot be set", "did you mean `$args`?" },
    { "set $a $b$;", "$;", "a variable's name is missing", NULL },
    { "rewrite ^( /x;", " /x;", "the regular expression is wrong here", NULL },
    { "rewrite ^ \"\";", "\"\"", "the new path is empty", "expected: a path, or an address" },
    { "rewrite ^ ?;", "?;", "the new path is empty", "expected: a path" },
    { "rewrite ^ /x first;", "first", "\"first\" is not a flag of rewrite",
      "expected: last, break, redirect or permanent" },
    { "rewrite ^ /x?a=$nobody;", "$nobody", "unknown variable `$nobody`", NULL },
    { "rewrite ^ /$9x$;", "$;", "a variable's name is missing", NULL },
};

/* Column of `marked` in the line, as complaints count it. */
static void assert_place(const struct fixture *f, const char *line, const char *marked)
{
    const char *at = strstr(line, marked);
    char place[64];

    assert_non_null(at);
    snprintf(place, sizeof place, "weir.conf:2:%u: error", (unsigned)(at - line) + 1);
    assert_says(f, place);
}

static void mistakes_are_told(const char *before, const char *behind)
{
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        struct fixture f;
        char text[512];

        snprintf(text, sizeof text, "http { server { set $a 1; set $c 1; %s\n%s\n%s } }", before,
                 mistakes[i].said, behind);
        fixture_open(&f, text);
        assert_true(f.errors > 0);
        assert_place(&f, mistakes[i].said, mistakes[i].marked);
        assert_says(&f, mistakes[i].why);
        if (mistakes[i].hint != NULL)
            assert_says(&f, mistakes[i].hint);
        fixture_close(&f);
    }
}

static void mistakes_in_servers_and_locations(void **state)
{
    (void)state;
    mistakes_are_told("", "");
    mistakes_are_told("location / {", "}");
}

static void mistakes_inside_a_block_are_told_too(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, "http { server { if ($uri == x) { rewrite ^ /x first; retrun 1; } } }");
    assert_int_equal(f.errors, 3);
    assert_says(&f, "is not an operator");
    assert_says(&f, "is not a flag");
    assert_says(&f, "did you mean `return`?");
    fixture_close(&f);
}

static void what_cannot_stand_in_a_block(void **state)
{
    static const char *const lines[] = {
        "if ($uri) { if ($uri) { } }",
        "if ($uri) { root /x; }",
        "if ($uri) { location / { } }",
        "location / { if ($uri) { location /x { } } }",
        "location / { if ($uri) { alias /x; } }",
        "location / { if ($uri) { deny all; } }",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct fixture f;
        char text[512];

        snprintf(text, sizeof text, "http { server { %s } }", lines[i]);
        fixture_open(&f, text);
        assert_int_equal(f.errors, 1);
        assert_says(&f, "is allowed in");
        fixture_close(&f);
    }
}

static void warnings(void **state)
{
    static const char *const table[][2] = {
        { "rewrite ^ x.php last;", "the new path \"x.php\" does not begin with \"/\"" },
        { "break; set $a 1;", "this is never reached" },
        { "location / { return 204; rewrite ^ /x; }", "this is never reached" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;
        char text[256];

        snprintf(text, sizeof text, "http { server { listen 80; %s } }", table[i][0]);
        fixture_open(&f, text);
        assert_int_equal(f.errors, 0);
        assert_says(&f, table[i][1]);
        fixture_close(&f);
    }
}

/* ---- what they do ------------------------------------------------------------------------- */

/* Runs the server's instructions and gives what `shown` says then. */
static void assert_shown(const char *script, const char *target, const char *shown,
                         const char *expected)
{
    struct fixture f;
    char text[2048], line[1024], uri[1024];
    struct slice path;

    snprintf(text, sizeof text,
             "error_log /e crit; http { log_format f '%s'; access_log /a f;\n"
             "server { listen 80; %s } }",
             shown, script);
    snprintf(line, sizeof line, "GET %s HTTP/1.1", target);
    fixture_start(&f, text, line);
    assert_int_equal(uri_normalise(f.r.head.path, true, uri, &path), URI_OK);
    request_set_uri(&f.r, path);
    assert_int_equal(step_server_rewrite(&f.r), NEXT);
    f.r.response.status = 200;
    access_log_request(&f.r);
    f.lines.used -= f.lines.used > 0;
    assert_text(gather_get(&f.lines), expected);
    fixture_close(&f);
}

static void replacements(void **state)
{
    static const struct {
        const char *script, *target, *expected;
    } table[] = {
        { "rewrite ^/a/(.*)$ /x/$1;", "/a/b?c", "/x/b|c" },
        { "rewrite ^/a/(.*)$ /x/$1?;", "/a/b?c", "/x/b|-" },
        { "rewrite ^/a/(.*)$ /x?y=$1;", "/a/b?c", "/x|y=b&c" },
        { "rewrite ^/a/(.*)$ /x?y=$1;", "/a/b", "/x|y=b" },
        { "rewrite ^/a/(.*)$ /x?y=$1?;", "/a/b?c", "/x|y=b" },
        { "rewrite ^/a/(.*)$ /x?$1&$args?;", "/a/b?c", "/x|b&c" },
        { "rewrite ^/a/(.*)$ /x??;", "/a/b?c", "/x|" },
        { "rewrite ^/(.)/(.)$ /$2$1$3/${1}1;", "/a/b", "/ba/a1|-" },
        { "rewrite ^/b /x; rewrite ^/a /y; rewrite ^/y /z;", "/a", "/z|-" },
        { "rewrite ^/a /y last; rewrite ^/y /z;", "/a", "/y|-" },
        { "rewrite ^/a /y break; rewrite ^/y /z;", "/a", "/y|-" },
        { "rewrite ^/a /y; break; rewrite ^/y /z;", "/a", "/y|-" },
        { "if ($uri ~ ^/(.)) { rewrite b /y; }", "/a", "/a|-" },
        { "if ($uri ~ ^/(.)) { rewrite a /y last; } rewrite ^ /z;", "/a", "/y|-" },
        { "if ($uri = /b) { rewrite ^ /y; break; } rewrite ^ /z;", "/a", "/z|-" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_shown(table[i].script, table[i].target, "$uri|$args", table[i].expected);
}

/* What rewrite does to arguments is over when the next instruction runs. */
static void values(void **state)
{
    static const struct {
        const char *script, *target, *expected;
    } table[] = {
        { "rewrite ^/(.*)$ /x?y=$1; set $b $1;", "/%26%26?q", "&&" },
        { "rewrite ^/(.*)$ /x?y=$1; set $a $1$1; set $b \"$a|$args\";", "/%20+", " + +|y=%20%2B" },
        { "if ($args ~ (.*)) { set $b $1; }", "/?x", "x" },
        { "if ($args !~ (y)) { set $b \"[$1]\"; }", "/?x", "[]" },
        { "if ($uri ~ ^/(?<n>.)(.)) { } if ($args ~ (.)) { set $b $n$1$2; }", "/ab?x", "ax" },
        { "set $n 1; if ($uri ~ /(?<n>.)) { set $b $n; }", "/ab", "a" },
        { "if ($uri ~ /(?<n>.)) { set $n 2; } set $b $n;", "/ab", "2" },
        { "set $args a=1; set $b $arg_a$query_string;", "/?c", "1a=1" },
        { "set $b 1; set $B 2;", "/", "2" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char script[1024];

        snprintf(script, sizeof script, "set $b \"\"; %s", table[i].script);
        assert_shown(script, table[i].target, "$b", table[i].expected);
    }
}

static void redirects(void **state)
{
    static const struct {
        const char *script, *target, *expected;
    } table[] = {
        { "rewrite ^/(.*)$ http://b/$1;", "/a%20b%23%3f?c", "http://b/a%20b%23%3F?c" },
        { "rewrite ^/(.*)$ http://b/?$1?;", "/a%26+%0a?c", "http://b/?a%26%2B%0A" },
        { "rewrite ^/(.*)$ /x?$1 permanent;", "/a&b?c", "/x?a&b&c" },
        { "rewrite ^ /x? redirect;", "/a?c", "/x" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fixture f;
        char text[256], line[256], uri[256];
        struct slice path;

        snprintf(text, sizeof text, "http { server { listen 80; %s } }", table[i].script);
        snprintf(line, sizeof line, "GET %s HTTP/1.1", table[i].target);
        fixture_start(&f, text, line);
        assert_int_equal(uri_normalise(f.r.head.path, true, uri, &path), URI_OK);
        request_set_uri(&f.r, path);
        assert_int_equal(step_server_rewrite(&f.r), DONE);
        assert_text(f.r.response.location, table[i].expected);
        fixture_close(&f);
    }
}

/* ---- waiting for a file ------------------------------------------------------------------- */

static unsigned looks;

/* The first look waits; what is there is found the second time. */
static enum verdict look_twice(struct request *r, struct slice path, struct file_found *ret)
{
    (void)r;
    assert_text(path, "/srv/flag");
    *ret = (struct file_found){ .mode = 0100644 };
    return looks++ % 2 == 0 ? WAIT : NEXT;
}

static void a_look_that_waits_goes_on_where_it_was(void **state)
{
    static const struct pipeline pipeline = { .look = look_twice };
    struct fixture f;

    (void)state;
    looks = 0;
    fixture_start(&f,
                  "http { server { listen 80; location / { set $n \"\"; set $n ${n}1;\n"
                  "rewrite ^/a /b; if (-f /srv/flag) { set $n ${n}2; }\n"
                  "if (!-f /srv/flag) { set $n ${n}x; }\n"
                  "set $n ${n}3; if ($n = 123) { set $args $n; } } } }",
                  "GET /a HTTP/1.1");
    f.loop.pipeline = &pipeline;
    fixture_locate(&f);
    assert_int_equal(step_rewrite(&f.r), WAIT);
    assert_int_equal(step_rewrite(&f.r), WAIT);
    assert_int_equal(step_rewrite(&f.r), RELOCATE);
    assert_int_equal(looks, 4);
    assert_text(f.r.uri, "/b");
    assert_text(f.r.args, "123");
    assert_null(f.r.location);
    fixture_close(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(mistakes_in_servers_and_locations),
    cmocka_unit_test(mistakes_inside_a_block_are_told_too),
    cmocka_unit_test(what_cannot_stand_in_a_block),
    cmocka_unit_test(warnings),
    cmocka_unit_test(replacements),
    cmocka_unit_test(values),
    cmocka_unit_test(redirects),
    cmocka_unit_test(a_look_that_waits_goes_on_where_it_was),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
