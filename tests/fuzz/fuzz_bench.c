/* fuzz_bench.c - any bytes as a server of HTTP/2 that the load generator asks. A request that was
 * asked ends once, and what was asked and not ended is in flight.
 *
 * Of each piece of the input, the first byte chooses a frame's type, the second its flags, the
 * third its stream and the fourth its size; a type of 255 takes the piece as it is, 254 asks first.
 */
#include "base/check.h"
#include "bench/protocol.h"
#include "wire/h2_frame.h"

#include <stdlib.h>

enum { KNOBS = 4, DEPTH = 8, FRAME_MAX = 256 + H2_FRAME_HEAD };

static bool flying[DEPTH];

static void ask(void *link)
{
    while (bench_http2.room(link) > 0) {
        unsigned slot = bench_http2.ask(link, 1);

        CHECK(slot < DEPTH && !flying[slot]);
        flying[slot] = true;
    }
    (void)bench_http2.write(link);
}

/* False: the connection has ended. */
static bool tell(void *link, const char *at, size_t size)
{
    struct bench_answer answer = { 0 };
    size_t taken;

    for (;;) {
        enum bench_read verdict = bench_http2.read(link, 1, at, size, &taken, &answer);

        CHECK(taken <= size);
        at += taken;
        size -= taken;
        if (verdict == BENCH_MORE)
            return true;
        if (verdict == BENCH_OVER || verdict == BENCH_BAD)
            return false;
        CHECK(answer.slot < DEPTH && flying[answer.slot]);
        flying[answer.slot] = false;
    }
}

static bool piece_on(void *link, const uint8_t *in, size_t body)
{
    static char frame[FRAME_MAX];
    size_t head = 0;

    if (in[0] == 254)
        ask(link);
    if (in[0] < 254) {
        h2_put_head((uint8_t *)frame, (uint32_t)body, (enum h2_type)(in[0] % 12), in[1], in[2]);
        head = H2_FRAME_HEAD;
    }
    if (body > 0)
        memcpy(frame + head, in + KNOBS, body);
    return tell(link, frame, head + body);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct bench_plan plan = { .depth = DEPTH,
                                            .keep_alive = true,
                                            .method = METHOD_GET,
                                            .block = { "\x20\x82\x86\x84", 4 },
                                            .payload = { "a body", 6 } };
    static const char settings[] = "\0\0\0\4\0\0\0\0\0";
    void *link = calloc(1, bench_http2.link_size(&plan));
    bool alive = bench_http2.begin(link, &plan) && tell(link, settings, sizeof settings - 1);

    memset(flying, 0, sizeof flying);
    ask(link);
    while (alive && size >= KNOBS) {
        size_t body = bytes[3] < size - KNOBS ? bytes[3] : size - KNOBS;

        alive = piece_on(link, bytes, body);
        bytes += KNOBS + body;
        size -= KNOBS + body;
    }
    bench_http2.done(link);
    free(link);
    return 0;
}
