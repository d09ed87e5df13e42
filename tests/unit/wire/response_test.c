/* response_test.c - heads and bodies of HTTP/1 responses, whole and a byte at a time. */
#include "wire/h1_response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct h1_limits limits = {
    .line_max = 1024, .head_max = 4096, .fields_max = 20, .first_size = 64
};

enum { ENDED = 1, OPEN = 2, BAD = 3 };

/* step: bytes fed at once. What follows the response is in *left; the content is in body. */
static int read_all(struct slice text, size_t step, enum http_method method, bool fin,
                    struct h1_response *r, char *body, size_t *left)
{
    static char first[2048];
    static struct arena arena;
    size_t at = 0, size = 0;
    bool in_body = false;

    arena_init(&arena, first, sizeof first, 4096, 65536);
    h1_response_init(r, &limits, &arena, method);
    body[0] = '\0';
    for (;;) {
        struct slice piece = { 0 }, in = slice_head(slice_skip(text, at), step);
        size_t taken = 0;
        enum h1_verdict v = in_body ? h1_response_body(r, in.at, in.size, &taken, &piece)
                                    : h1_response_feed(r, in.at, in.size, &taken);

        at += taken;
        memcpy(body + size, piece.at != NULL ? piece.at : "", piece.size);
        size += piece.size;
        body[size] = '\0';
        *left = text.size - at;
        if (v == H1_BAD)
            return BAD;
        if (v == H1_DONE && in_body)
            return ENDED;
        if (v == H1_DONE && r->interim) {
            h1_response_init(r, &limits, &arena, method);
            continue;
        }
        if (v == H1_DONE)
            in_body = true;
        else if (at == text.size)
            break;
    }
    return !fin ? OPEN : h1_response_end(r) == H1_DONE ? ENDED : BAD;
}

static const struct {
    const char *text, *body;
    enum http_method method;
    bool fin, keep_alive;
    int end;
    uint16_t status;
    size_t left;
} cases[] = {
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", METHOD_GET, false, true, ENDED,
      200, 0 },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP", "hello", METHOD_GET, false, true,
      ENDED, 200, 4 },
    { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", METHOD_GET, false, true, ENDED, 200, 0 },
    { "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", "x", METHOD_GET, false, true, ENDED, 200, 0 },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: "
      "b\r\n"
      "\r\nHTTP",
      "abcde", METHOD_GET, false, true, ENDED, 200, 4 },
    { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 "
      "No\r\n"
      "\r\n",
      "", METHOD_POST, false, true, ENDED, 204, 0 },
    { "HTTP/1.1 304 Not\r\nContent-Length: 7\r\n\r\n", "", METHOD_GET, false, true, ENDED, 304, 0 },
    { "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "", METHOD_HEAD, false, true, ENDED, 200, 0 },
    { "HTTP/1.0 200 OK\r\n\r\nup to the end", "up to the end", METHOD_GET, true, false, ENDED, 200,
      0 },
    { "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", "x", METHOD_GET,
      false, true, ENDED, 200, 0 },
    { "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", "x", METHOD_GET, false,
      false, ENDED, 200, 0 },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "hel", METHOD_GET, true, true, BAD, 200,
      0 },
    { "HTTP/1.1 200 OK\r\nContent-Len", "", METHOD_GET, false, false, OPEN, 200, 0 },
    { "HTTP/1.1 200 OK\r\nContent-Len", "", METHOD_GET, true, false, BAD, 200, 0 },
};

static void responses(void **state)
{
    static const size_t steps[] = { 1, 2, 7, 4096 };
    struct h1_response r;
    char body[512];
    size_t left;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t s = 0; s < COUNT_OF(steps); s++) {
            int end = read_all(slice_str(cases[i].text), steps[s], cases[i].method, cases[i].fin,
                               &r, body, &left);

            assert_int_equal(end, cases[i].end);
            assert_string_equal(body, cases[i].body);
            assert_int_equal(r.status, cases[i].status);
            if (end != ENDED)
                continue;
            assert_int_equal(left, cases[i].left);
            assert_int_equal(r.keep_alive, cases[i].keep_alive);
        }
}

static void broken_ones(void **state)
{
    static const char *const heads[] = {
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTQ/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc",
    };
    struct h1_response r;
    char body[512];
    size_t left;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(heads); i++)
        for (size_t step = 1; step < 100; step += 50) {
            assert_int_equal(
                read_all(slice_str(heads[i]), step, METHOD_GET, false, &r, body, &left), BAD);
            assert_non_null(r.why);
        }
}

static void limits_hold(void **state)
{
    static char text[8192];
    struct h1_response r;
    char body[8];
    size_t left, size;

    (void)state;
    memcpy(text, "HTTP/1.1 200 OK\r\nA: ", 20);
    memset(text + 20, 'x', 2000);
    assert_int_equal(read_all(slice_of(text, 2020), 4096, METHOD_GET, false, &r, body, &left), BAD);
    size = (size_t)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 30; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "F%d: x\r\n", i);
    assert_int_equal(read_all(slice_of(text, size), 4096, METHOD_GET, false, &r, body, &left), BAD);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses),
        cmocka_unit_test(broken_ones),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests_name("response", tests, NULL, NULL);
}
