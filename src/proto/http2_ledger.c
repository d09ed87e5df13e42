/* http2_ledger.c - what a client may waste: two buckets of tokens, one for resets by either side
 * (of which ours are as dear as the client's: it makes us send them), one for frames that bring
 * nothing forward. Who empties one is told to calm down, and the connection ends.
 */
#include "proto/http2_private.h"

static void open_bucket(struct bucket *b, uint32_t burst, uint64_t now)
{
    b->left = burst;
    b->filled_ns = now;
}

static bool take(struct bucket *b, uint32_t burst, uint32_t per_sec, uint64_t now)
{
    uint64_t every = 1000000000u / per_sec, come = (now - b->filled_ns) / every;

    if (come > 0) {
        b->left = come >= burst - b->left ? burst : b->left + (uint32_t)come;
        b->filled_ns += come * every;
    }
    if (b->left == 0)
        return false;
    b->left--;
    return true;
}

void h2_ledger_open(struct h2 *h2)
{
    uint64_t now = io_now_ns(h2->conn->io);

    open_bucket(&h2->resets, RESETS_BURST, now);
    open_bucket(&h2->glitches, GLITCHES_BURST, now);
}

bool h2_glitch(struct h2 *h2)
{
    stat_add(&h2->conn->loop->stats.h2_glitches, 1);
    return take(&h2->glitches, GLITCHES_BURST, GLITCHES_PER_SEC, io_now_ns(h2->conn->io)) ||
           h2_fail(h2, H2_ENHANCE_YOUR_CALM, "too many frames that bring nothing forward");
}

/* A client may tell of every frame that it took, on its stream and on the connection, also when the
 * stream has ended meanwhile; and it may reset what has just been answered. */
void h2_earn(struct h2 *h2, unsigned frames)
{
    if (h2->earned < EARNED_MAX)
        h2->earned += frames;
}

bool h2_late_frame(struct h2 *h2)
{
    if (h2->earned == 0)
        return h2_glitch(h2);
    h2->earned--;
    return true;
}

bool h2_count_reset(struct h2 *h2)
{
    stat_add(&h2->conn->loop->stats.h2_resets, 1);
    return take(&h2->resets, RESETS_BURST, RESETS_PER_SEC, io_now_ns(h2->conn->io)) ||
           h2_fail(h2, H2_ENHANCE_YOUR_CALM, "too many streams were reset");
}
