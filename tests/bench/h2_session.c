/* h2_session.c - what HTTP/2 costs without sockets and without a server: nanoseconds a request of
 * a session of nghttp2, and of weir's own framing, for the same bytes in and the same answers.
 * Not a test: it prints. See docs/decisions/0005-http2-framing-is-our-own.md.
 *
 *   h2_session [requests in thousands]
 *
 * 32 requests come in one piece, as h2load sends them; each gets a head of eight fields and a body
 * of 1 KiB, written into one buffer.
 */
#include "base/clock.h"
#include "wire/h2_frame.h"
#include "wire/h2_headers.h"
#include "wire/hpack_read.h"
#include "wire/hpack_write.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 32, BODY = 1024, BATCH_MAX = 16384, OUT_MAX = 128 * 1024 };

static const struct h1_limits LIMITS = {
    .line_max = 8192, .head_max = 32768, .fields_max = 100, .ignore_invalid = true
};
static char body[BODY];
static uint8_t in[BATCH_MAX], first[BATCH_MAX], out[OUT_MAX];
static size_t in_size, first_size, at_of[BATCH];
static uint32_t next_id = 1;
static size_t written;

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#define NV(name, value)                                                           \
    {                                                                             \
        (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, sizeof name - 1, \
            sizeof value - 1, NGHTTP2_NV_FLAG_NONE                                \
    }

/* ---- what comes in --------------------------------------------------------------------- */

static size_t one_request(nghttp2_hd_deflater *d, uint8_t *at)
{
    nghttp2_nv fields[] = { NV(":method", "GET"), NV(":scheme", "http"),
                            NV(":authority", "127.0.0.1:18080"), NV(":path", "/1k.txt"),
                            NV("user-agent", "h2load nghttp2/1.52.0") };
    ssize_t size = nghttp2_hd_deflate_hd(d, at + H2_FRAME_HEAD, 1024, fields, COUNT_OF(fields));

    CHECK(size > 0);
    h2_put_head(at, (uint32_t)size, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1);
    return H2_FRAME_HEAD + (size_t)size;
}

/* The first request fills the table; those of the batch use it. */
static void make_requests(void)
{
    nghttp2_hd_deflater *d;

    CHECK(nghttp2_hd_deflate_new(&d, 4096) == 0);
    memcpy(first, H2_PREFACE, H2_PREFACE_SIZE);
    first_size = H2_PREFACE_SIZE;
    h2_put_head(first + first_size, 0, H2_SETTINGS, 0, 0);
    first_size += H2_FRAME_HEAD;
    uint8_t *update = h2_put_head(first + first_size, 4, H2_WINDOW_UPDATE, 0, 0);
    h2_put_u32(update, 0x7fff0000u - 65535);
    first_size += H2_FRAME_HEAD + 4;
    first_size += one_request(d, first + first_size);
    for (unsigned i = 0; i < BATCH; i++) {
        at_of[i] = in_size;
        in_size += one_request(d, in + in_size);
    }
    nghttp2_hd_deflate_del(d);
}

static void number_requests(void)
{
    for (unsigned i = 0; i < BATCH; i++) {
        next_id += 2;
        h2_put_u32(in + at_of[i] + 5, next_id);
    }
}

/* ---- nghttp2 ----------------------------------------------------------------------------- */

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    (void)session;
    (void)id;
    (void)source;
    (void)arg;
    CHECK(size >= BODY);
    memcpy(buffer, body, BODY);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return BODY;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *arg)
{
    (void)session;
    (void)frame;
    (void)flags;
    (void)arg;
    __asm__ volatile("" : : "r"(name + name_size), "r"(value + value_size) : "memory");
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    nghttp2_nv fields[] = { NV(":status", "200"),
                            NV("server", "weir/0.1.0"),
                            NV("date", "Sat, 28 Nov 2026 15:02:56 GMT"),
                            NV("content-type", "text/plain"),
                            NV("content-length", "1024"),
                            NV("last-modified", "Sat, 28 Nov 2026 15:02:56 GMT"),
                            NV("etag", "\"6b0aed20-400\""),
                            NV("accept-ranges", "bytes") };
    nghttp2_data_provider provider = { .read_callback = read_body };

    (void)arg;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    return nghttp2_submit_response(session, frame->hd.stream_id, fields, COUNT_OF(fields),
                                   &provider);
}

static void drain(nghttp2_session *session)
{
    const uint8_t *piece;
    ssize_t size;

    written = 0;
    while ((size = nghttp2_session_mem_send(session, &piece)) > 0) {
        memcpy(out + written, piece, (size_t)size);
        written += (size_t)size;
    }
}

static uint64_t run_nghttp2(unsigned batches)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;

    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    CHECK(nghttp2_session_server_new(&session, callbacks, NULL) == 0);
    CHECK(nghttp2_submit_settings(session, 0, NULL, 0) == 0);
    CHECK(nghttp2_session_mem_recv(session, first, first_size) == (ssize_t)first_size);
    drain(session);
    uint64_t begin = cpu_ns();

    for (unsigned i = 0; i < batches; i++) {
        number_requests();
        CHECK(nghttp2_session_mem_recv(session, in, in_size) == (ssize_t)in_size);
        drain(session);
        CHECK(written > BATCH * BODY);
    }
    uint64_t spent = cpu_ns() - begin;

    nghttp2_session_del(session);
    nghttp2_session_callbacks_del(callbacks);
    return spent;
}

/* ---- ours --------------------------------------------------------------------------------- */

static struct hpack_reader *reader;
static char lent[8192];

static bool add_field(void *headers, struct slice name, struct slice value)
{
    return h2_headers_add(headers, name, value);
}

static void decode(struct slice block, struct h2_headers *b)
{
    CHECK(hpack_read(reader, block, true, add_field, b) == HPACK_FINE);
}

static size_t write_head(struct gather *g)
{
    bool ok;

    hpack_status(g, 200);
    ok = hpack_known(g, HPACK_SERVER, SLICE("weir/0.1.0")) &&
         hpack_known(g, HPACK_DATE, SLICE("Sat, 28 Nov 2026 15:02:56 GMT")) &&
         hpack_known(g, HPACK_CONTENT_TYPE, SLICE("text/plain")) &&
         hpack_known(g, HPACK_CONTENT_LENGTH, SLICE("1024")) &&
         hpack_known(g, HPACK_LAST_MODIFIED, SLICE("Sat, 28 Nov 2026 15:02:56 GMT")) &&
         hpack_known(g, HPACK_ETAG, SLICE("\"6b0aed20-400\"")) &&
         hpack_known(g, HPACK_ACCEPT_RANGES, SLICE("bytes"));
    CHECK(ok && !g->full);
    return g->used;
}

static void answer(uint32_t id)
{
    struct gather g;

    gather_init(&g, (char *)out + written + H2_FRAME_HEAD, 4096, NULL, 0);
    write_head(&g);
    h2_put_head(out + written, (uint32_t)g.used, H2_HEADERS, H2_END_HEADERS, id);
    written += H2_FRAME_HEAD + g.used;
    memcpy(h2_put_head(out + written, BODY, H2_DATA, H2_END_STREAM, id), body, BODY);
    written += H2_FRAME_HEAD + BODY;
}

static void take(const uint8_t *bytes, size_t size)
{
    struct arena arena;

    written = 0;
    arena_init(&arena, lent, sizeof lent, 4096, 65536);
    while (size > 0) {
        struct h2_frame f;
        struct h1_head head;
        struct h2_headers b;

        h2_frame_read(bytes, &f);
        CHECK(h2_frame_judge(&f, H2_FRAME_MAX_LEAST) == H2_NO_ERROR);
        h2_headers_begin(&b, H2_REQUEST, &head, &LIMITS, &arena);
        decode(slice_of((const char *)bytes + H2_FRAME_HEAD, f.size), &b);
        CHECK(h2_headers_end(&b, true, (struct slice){ 0 }) == H2_BLOCK_DONE);
        arena_reset(&arena);
        answer(f.stream);
        bytes += H2_FRAME_HEAD + f.size;
        size -= H2_FRAME_HEAD + f.size;
    }
    arena_done(&arena);
}

static uint64_t run_ours(unsigned batches)
{
    size_t skip = H2_PREFACE_SIZE + 2 * H2_FRAME_HEAD + 4;

    reader = hpack_reader_create();
    CHECK(reader != NULL);
    take(first + skip, first_size - skip);
    uint64_t begin = cpu_ns();

    for (unsigned i = 0; i < batches; i++) {
        number_requests();
        take(in, in_size);
        CHECK(written > BATCH * BODY);
    }
    uint64_t spent = cpu_ns() - begin;

    hpack_reader_destroy(reader);
    return spent;
}

/* ---- what encoding a head costs alone ---------------------------------------------------- */

static uint64_t run_deflate(unsigned batches, size_t table)
{
    nghttp2_nv fields[] = { NV(":status", "200"),
                            NV("server", "weir/0.1.0"),
                            NV("date", "Sat, 28 Nov 2026 15:02:56 GMT"),
                            NV("content-type", "text/plain"),
                            NV("content-length", "1024"),
                            NV("last-modified", "Sat, 28 Nov 2026 15:02:56 GMT"),
                            NV("etag", "\"6b0aed20-400\""),
                            NV("accept-ranges", "bytes") };
    nghttp2_hd_deflater *d;
    uint64_t begin;

    CHECK(nghttp2_hd_deflate_new(&d, table) == 0);
    begin = cpu_ns();
    for (unsigned i = 0; i < batches * BATCH; i++) {
        ssize_t size = nghttp2_hd_deflate_hd(d, out, 1024, fields, COUNT_OF(fields));

        CHECK(size > 0);
        written = (size_t)size;
    }
    begin = cpu_ns() - begin;
    nghttp2_hd_deflate_del(d);
    return begin;
}

static uint64_t run_write(unsigned batches)
{
    uint64_t begin = cpu_ns();

    for (unsigned i = 0; i < batches * BATCH; i++) {
        struct gather g;

        gather_init(&g, (char *)out, 4096, NULL, 0);
        written = write_head(&g);
        __asm__ volatile("" : : "r"(out) : "memory");
    }
    return cpu_ns() - begin;
}

static void print(const char *what, uint64_t ns, double count)
{
    printf("%-34s %6.0f ns", what, (double)ns / count);
    if (written < 1024)
        printf(", %zu bytes", written);
    printf("\n");
}

int main(int argc, char **argv)
{
    unsigned batches = (argc > 1 ? (unsigned)atoi(argv[1]) : 1000) * 1000 / BATCH;
    double count = (double)batches * BATCH;

    make_requests();
    for (int round = 0; round < 3; round++) {
        next_id = 1;
        print("a request, nghttp2's session", run_nghttp2(batches), count);
        next_id = 1;
        print("a request, own framing", run_ours(batches), count);
        print("a head, nghttp2, table of 4096", run_deflate(batches, 4096), count);
        print("a head, nghttp2, no table", run_deflate(batches, 0), count);
        print("a head, own writer", run_write(batches), count);
    }
    return 0;
}
