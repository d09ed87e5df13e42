/* fuzz_http2.c - any bytes as a client of HTTP/2: a whole session, with the server behind it, over
 * the simulated engine. Nothing may be left when the connection has ended.
 *
 * The first four bytes choose a seed and how the rest is cut up. What follows are frames: of each
 * piece of the input, the first byte chooses a type, the second the flags, the third the stream and
 * the fourth the size, so that most input is frames; a type of 255 takes the piece as it is.
 */
#include "sim/world.h"
#include "wire/h2_frame.h"

#include <stdio.h>
#include <stdlib.h>

enum { KNOBS = 4, OUT_MAX = 64 * 1024 };

static uint8_t out[OUT_MAX];

static size_t make_frames(const uint8_t *in, size_t size)
{
    size_t used = H2_PREFACE_SIZE + H2_FRAME_HEAD;

    memcpy(out, H2_PREFACE, H2_PREFACE_SIZE);
    h2_put_head(out + H2_PREFACE_SIZE, 0, H2_SETTINGS, 0, 0);
    while (size >= KNOBS) {
        size_t body = in[3] < size - KNOBS ? in[3] : size - KNOBS;

        if (used + H2_FRAME_HEAD + body > OUT_MAX)
            break;
        if (in[0] != 255) {
            h2_put_head(out + used, (uint32_t)body, (enum h2_type)(in[0] % 18), in[1], in[2]);
            used += H2_FRAME_HEAD;
        }
        if (body > 0)
            memcpy(out + used, in + KNOBS, body);
        used += body;
        in += KNOBS + body;
        size -= KNOBS + body;
    }
    return used;
}

static void feed(struct io *io, struct sim_peer *peer, size_t size, unsigned step)
{
    static uint8_t drain[65536];

    for (size_t at = 0, stuck = 0; at < size && stuck < 100; stuck++) {
        size_t left = size - at, piece = step < left ? step : left;
        size_t n = sim_peer_write(peer, out + at, piece);

        at += n;
        if (n > 0)
            stuck = 0;
        sim_step(io, 1000000);
        while (sim_peer_read(peer, drain, sizeof drain) > 0)
            continue;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct loop *loop; /* for all runs: making one takes longer than a run */
    int fd;

    if (size < KNOBS)
        return 0;
    if (loop == NULL) {
        world_load();
        loop = world_open(1);
        world.any_bodies = true;
    }
    struct io *io = loop->io;

    sim_seed(io, bytes[0] + 1u);
    struct sim_ledger before = sim_ledger(io);
    struct sim_peer *peer = sim_pair(io, &fd);
    struct sim_faults faults = {
        .short_io = bytes[1] % 90, .delay = bytes[2] % 60, .delay_max_us = 100, .queue_max = 4096
    };

    sim_faults(io, &faults);
    MUST(http1_open(loop, io, fd, 0));
    feed(io, peer, make_frames(bytes + KNOBS, size - KNOBS), 1 + bytes[3] * 16u);
    sim_step(io, 2000000000);
    if (bytes[1] & 1)
        sim_peer_reset(peer);
    else
        sim_peer_close(peer);
    sim_step(io, 600 * 1000000000ull);
    MUST(loop->conn_count == 0 && stage.uses[0].count == 0);
    MUST(loop->request_slab.taken == 0 && loop->out_slab.taken == 0);
    struct sim_ledger after = sim_ledger(io);

    MUST(memcmp(&before, &after, sizeof before) == 0);
    return 0;
}
