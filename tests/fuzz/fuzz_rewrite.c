/* fuzz_rewrite.c - a server's instructions and a request for them: what they make of it stays
 * within bounds, whatever is captured.
 *
 * Four lines: a regular expression, a replacement, a condition's right side, a target. */
#include "../unit/http/vars_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* As a quoted word of the configuration. */
static void gather_word(struct gather *g, struct slice text)
{
    gather_byte(g, '"');
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[i];

        if (c == '"' || c == '\\')
            gather_byte(g, '\\');
        gather_byte(g, (unsigned char)c < ' ' ? ' ' : c);
    }
    gather_byte(g, '"');
}

static void write_conf(struct gather *g, struct slice *rest)
{
    struct slice regex = slice_cut(rest, '\n'), to = slice_cut(rest, '\n');

    gather_lit(g, "error_log /e crit; http { server { listen 80; server_name a; rewrite ");
    gather_word(g, regex);
    gather_byte(g, ' ');
    gather_word(g, to);
    gather_lit(g, "; set $a \"$1$uri$args\"; if ($args ~ ");
    gather_word(g, slice_cut(rest, '\n'));
    gather_lit(g, " ) { set $b \"$1$2$a\"; rewrite ^/(.*)$ /x/$b?y=$1$2; }\n"
                  "set $c \"$a$b$1\"; rewrite ^/x/(.*) http://b/$1?$1; } }");
    gather_byte(g, '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct fixture f;
    static char line[4096], conf[64 * 1024];
    struct slice rest = slice_of((const char *)bytes, size);
    struct gather g;

    if (size > 8192)
        return 0;
    gather_init(&g, conf, sizeof conf, NULL, 0);
    write_conf(&g, &rest);
    snprintf(line, sizeof line, "GET /%.*s HTTP/1.1", SLICE_FMT(rest));
    fixture_open(&f, conf);
    if (f.site != NULL) {
        fixture_request(&f, line);
        if (step_server_rewrite(&f.r) == NEXT)
            CHECK(f.r.uri.size > 0 && f.r.uri.size <= EXPR_MAX && f.r.args.size <= EXPR_MAX);
        else
            CHECK(f.r.response.status == 302 || f.r.response.status == 500);
    } else {
        CHECK(f.errors > 0 && f.complaints.used > 0);
    }
    fixture_close(&f);
    return 0;
}
