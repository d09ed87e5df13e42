/* wire_bench.c - what the grammars cost, in nanoseconds a call. Not a test: it prints.
 *
 *   wire_bench [milliseconds a row [part of the rows' names]]
 */
#include "base/clock.h"
#include "wire/chunked.h"
#include "wire/date.h"
#include "wire/h1_head.h"
#include "wire/h1_write.h"
#include "wire/range.h"
#include "wire/uri.h"

#include <stdio.h>
#include <stdlib.h>

#define WRK "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
#define CURL                                                                          \
    "GET /index.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/7.88.1\r\n" \
    "Accept: */*\r\n\r\n"
#define BROWSER                                                                              \
    "GET /articles/2026/11/a-web-server-in-c?utm_source=feed&page=2 HTTP/1.1\r\n"            \
    "Host: www.example.org\r\n"                                                              \
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" \
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"            \
    "Accept-Language: en-US,en;q=0.5\r\n"                                                    \
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"                                           \
    "Connection: keep-alive\r\n"                                                             \
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n"          \
    "Upgrade-Insecure-Requests: 1\r\n"                                                       \
    "Sec-Fetch-Dest: document\r\n"                                                           \
    "Sec-Fetch-Mode: navigate\r\n"                                                           \
    "Sec-Fetch-Site: same-origin\r\n"                                                        \
    "Priority: u=0, i\r\n\r\n"
#define CHUNKS "1f40\r\n" /* 8000 bytes follow */

static const struct h1_limits LIMITS = { .line_max = 8192,
                                         .head_max = 32768,
                                         .fields_max = 100,
                                         .ignore_invalid = true,
                                         .first_size = 1024 };
static char lent[4096];
static char chunk_body[8000 + 64];
static volatile size_t sink;
#define keep(p) __asm__ volatile("" : : "r"(p) : "memory")

static void parse_head(struct slice bytes)
{
    struct arena arena;
    struct h1_head head;
    size_t taken;
    arena_init(&arena, lent, sizeof lent, 4096, 65536);
    h1_head_init(&head, &LIMITS, &arena);
    CHECK(h1_head_feed(&head, bytes.at, bytes.size, &taken) == H1_DONE);
    sink = taken;
    keep(&head);
    arena_done(&arena);
}

static void run_wrk(void)
{
    parse_head(SLICE(WRK));
}

static void run_curl(void)
{
    parse_head(SLICE(CURL));
}

static void run_browser(void)
{
    parse_head(SLICE(BROWSER));
}

static void run_pipeline(void)
{
    struct slice rest = SLICE(WRK WRK WRK WRK WRK WRK WRK WRK WRK WRK WRK WRK WRK WRK WRK WRK);
    while (rest.size > 0) {
        parse_head(rest);
        rest = slice_skip(rest, sink);
    }
}

static void run_path(struct slice raw)
{
    char into[256];
    struct slice path;
    keep(raw.at);
    CHECK(uri_normalise(raw, true, into, &path) == URI_OK);
    sink = path.size;
}

static void run_path_plain(void)
{
    run_path(SLICE("/articles/2026/11/a-web-server-in-c.html"));
}

static void run_path_dots(void)
{
    run_path(SLICE("/articles/./2026/../2026//11/%61-web-server-in-c.html"));
}

static void run_date_http(void)
{
    char text[DATE_HTTP_SIZE];
    date_http(1795408000 + (int64_t)(sink & 1), text);
    keep(text);
}

static void run_date_parse(void)
{
    int64_t sec;
    CHECK(date_parse(SLICE("Sun, 06 Nov 1994 08:49:37 GMT"), 1795408000, &sec));
    sink = (size_t)sec;
}

static void run_range(void)
{
    struct range ranges[RANGES_MAX];
    unsigned count;
    CHECK(range_parse(SLICE("bytes=0-499"), 100000, ranges, &count) == RANGE_OK);
    sink = (size_t)ranges[0].last;
}

static void run_response(void)
{
    char space[1024];
    struct gather g;
    gather_init(&g, space, sizeof space, NULL, 0);
    h1_status_line(&g, 200);
    bool ok = h1_field(&g, SLICE("Server"), SLICE("weir")) &&
              h1_field(&g, SLICE("Date"), SLICE("Sun, 06 Nov 1994 08:49:37 GMT")) &&
              h1_field(&g, SLICE("Content-Type"), SLICE("text/html")) &&
              h1_field(&g, SLICE("Content-Length"), SLICE("615")) &&
              h1_field(&g, SLICE("Last-Modified"), SLICE("Sun, 06 Nov 1994 08:49:37 GMT")) &&
              h1_field(&g, SLICE("Connection"), SLICE("keep-alive")) &&
              h1_field(&g, SLICE("ETag"), SLICE("\"2ebd6e91-267\"")) &&
              h1_field(&g, SLICE("Accept-Ranges"), SLICE("bytes"));
    gather_lit(&g, "\r\n");
    CHECK(ok && !g.full);
    keep(space);
}

static void run_chunk(void)
{
    struct chunked c;
    size_t at = 0, size = sizeof CHUNKS - 1 + 8000 + 2, taken;
    struct slice piece;
    chunked_init(&c, false, 4096);
    while (at < size) {
        CHECK(chunked_feed(&c, chunk_body + at, size - at, &taken, &piece) != CHUNKED_BAD);
        at += taken;
    }
    sink = (size_t)c.content;
}

static void run_hash(void)
{
    sink = (size_t)slice_hash_nocase(SLICE("www.example.org"));
}

static const struct row {
    const char *name;
    void (*run)(void);
    unsigned calls;
} ROWS[] = {
    { "head: wrk, 42 bytes", run_wrk, 1 },
    { "head: curl, 95 bytes", run_curl, 1 },
    { "head: browser, 12 fields", run_browser, 1 },
    { "head: wrk, 16 in a pipeline, each", run_pipeline, 16 },
    { "path: nothing to do", run_path_plain, 1 },
    { "path: dots and escapes", run_path_dots, 1 },
    { "date: http", run_date_http, 1 },
    { "date: parse", run_date_parse, 1 },
    { "range", run_range, 1 },
    { "response: status line and 8 fields", run_response, 1 },
    { "chunk of 8000 bytes", run_chunk, 1 },
    { "hash of a host", run_hash, 1 },
};

static double measure(const struct row *row, uint64_t budget_ns)
{
    enum { ROUND = 1000 };
    double best = 1e9;
    uint64_t end = clock_mono_ns() + budget_ns;
    do {
        uint64_t begin = clock_mono_ns();
        for (int i = 0; i < ROUND; i++)
            row->run();
        double each = (double)(clock_mono_ns() - begin) / ROUND / row->calls;
        best = each < best ? each : best;
    } while (clock_mono_ns() < end);
    return best;
}

int main(int argc, char **argv)
{
    uint64_t ms = 200;
    if (argc > 1 && !slice_to_u64(slice_str(argv[1]), 100000, &ms))
        return EXIT_FAILURE;
    memset(chunk_body, 'x', sizeof chunk_body);
    memcpy(chunk_body, CHUNKS, sizeof CHUNKS - 1);
    memcpy(chunk_body + sizeof CHUNKS - 1 + 8000, "\r\n", 2);
    struct slice wanted = slice_str(argc > 2 ? argv[2] : "");
    for (size_t i = 0; i < COUNT_OF(ROWS); i++)
        if (slice_search(slice_str(ROWS[i].name), wanted) < strlen(ROWS[i].name))
            printf("%-36s %8.1f ns\n", ROWS[i].name, measure(&ROWS[i], ms * NS_PER_MS));
    return EXIT_SUCCESS;
}
