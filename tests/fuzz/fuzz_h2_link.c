/* fuzz_h2_link.c - any bytes as a server of HTTP/2, to a connection with several streams that come
 * and go.
 *
 * The input is pieces of four bytes and what belongs to them: the first chooses a frame's type, or
 * what this side does; the second its flags, the third its stream, the fourth its size. What is fed
 * is cut up by the first byte of all.
 */
#include "upstream/h2_link.h"

#include "base/arena.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

enum { KNOBS = 4, STREAMS = 8, TYPES = 12, MS = 1000000 };

static const struct h1_limits limits = { .head_max = 4096, .fields_max = 50 };

static struct {
    struct h2_link *link;
    struct arena arena;
    struct h2_stream streams[STREAMS];
    struct h1_response answers[STREAMS];
    uint64_t now;
    unsigned step;
    bool lost;
} side;

static struct h2_stream *stream_of(unsigned n)
{
    return &side.streams[n % STREAMS];
}

static void leave(struct h2_stream *s)
{
    h2_stream_leave(side.link, s);
    CHECK(s->id == 0);
    *s = (struct h2_stream){ 0 };
}

static void open_stream(struct h2_stream *s, bool ended)
{
    struct h1_response *a = &side.answers[s - side.streams];

    if (s->id != 0)
        leave(s);
    if (h2_link_most(side.link) <= side.link->count)
        return;
    h1_response_init(a, &limits, &side.arena, METHOD_GET);
    h2_stream_expect(s, false, a);
    h2_link_head(side.link, s,
                 SLICE("\x82\x84\x86\x41\x01"
                       "a"),
                 ended);
}

static void send_data(struct h2_stream *s, size_t size, bool ended)
{
    static const char bytes[256];
    size_t room = s->id != 0 && !s->sent_end ? h2_link_room(side.link, s) : 0;

    if (room == 0 || h2_link_is_full(side.link))
        return;
    size = size < room ? size : room;
    h2_link_data(side.link, s, size, ended);
    h2_link_copy(side.link, slice_of(bytes, size));
}

static void on_event(enum h2_link_event e, struct slice piece)
{
    struct h2_stream *s = side.link->at;

    switch (e) {
    case LINK_MORE:
    case LINK_GOAWAY:
        break;
    case LINK_BLOCK:
        CHECK(s->id != 0);
        if (h2_response_end(&s->block, s->ended) && s->answer->interim)
            h1_response_init(s->answer, &limits, &side.arena, METHOD_GET);
        else
            h2_stream_expect(s, true, s->answer);
        break;
    case LINK_DATA:
        CHECK(s->id != 0 && piece.size > 0);
        break;
    case LINK_END:
    case LINK_RESET:
        CHECK(s->id != 0 && (s->ended || s->why != NULL));
        break;
    case LINK_BAD:
        side.lost = true;
        break;
    }
}

static void feed(const uint8_t *at, size_t size)
{
    while (size > 0 && !side.lost) {
        size_t piece = size < side.step ? size : side.step, used = 0;
        enum h2_link_event e;

        do {
            struct slice content;
            size_t taken;

            e = h2_link_feed(side.link, side.now, (const char *)at + used, piece - used, &taken,
                             &content);
            used += taken;
            CHECK(used <= piece);
            on_event(e, content);
        } while (e != LINK_MORE && e != LINK_BAD);
        CHECK(side.lost || used == piece);
        at += piece;
        size -= piece;
    }
}

static void act(const uint8_t *knobs)
{
    struct h2_stream *s = stream_of(knobs[2]);

    switch (knobs[0] % TYPES) {
    case 0:
        open_stream(s, knobs[1] & 1);
        break;
    case 1:
        leave(s);
        break;
    case 2:
        send_data(s, knobs[3], knobs[1] & 1);
        break;
    case 3:
        h2_stream_waiting(side.link, s, knobs[3] * 1024u);
        break;
    case 4:
        side.now += knobs[3] * (uint64_t)MS;
        break;
    default:
        if (!side.link->flying && h2_link_fly(side.link).size > 0)
            h2_link_flown(side.link);
        break;
    }
}

static void frame(const uint8_t *knobs, const uint8_t *body, size_t size)
{
    uint8_t bytes[H2_FRAME_HEAD + 256];

    h2_put_head(bytes, (uint32_t)size, (enum h2_type)(knobs[0] % TYPES), knobs[1], knobs[2]);
    if (size > 0)
        memcpy(bytes + H2_FRAME_HEAD, body, size);
    feed(bytes, H2_FRAME_HEAD + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return 0;
    memset(&side, 0, sizeof side);
    side.link = h2_link_create();
    if (side.link == NULL)
        return 0;
    arena_init(&side.arena, NULL, 0, 4096, 4096 * 1024);
    side.step = 1 + bytes[0];
    open_stream(&side.streams[0], true);
    feed((const uint8_t *)"\0\0\0\4\0\0\0\0\0", H2_FRAME_HEAD);
    bytes++;
    size--;
    while (size >= KNOBS && !side.lost) {
        size_t body = bytes[3] < size - KNOBS ? bytes[3] : size - KNOBS;

        if (bytes[0] < 128) {
            act(bytes);
            body = 0;
        } else {
            frame(bytes, bytes + KNOBS, body);
        }
        bytes += KNOBS + body;
        size -= KNOBS + body;
    }
    for (unsigned i = 0; i < STREAMS; i++)
        leave(&side.streams[i]);
    h2_link_destroy(side.link);
    arena_done(&side.arena);
    return 0;
}
