/* timer.c - a heap of deadlines that learns late of those that moved later.
 *
 * A slot's at_ns is when the heap will look at the timer; the timer's own at_ns is when it shall
 * fire, and is never before that. A deadline that is pushed back with every request thus costs
 * two stores a request, and one re-sort each time the old deadline comes.
 */
#include "io/engine.h"

#include <errno.h>
#include <stdlib.h>

enum { HEAP_WAYS = 4, HEAP_ROOM_FIRST = 64 };

static void place(struct io_heap *h, uint32_t at, struct io_timer_slot s)
{
    h->slots[at] = s;
    s.timer->slot = at + 1;
}

static void sift_up(struct io_heap *h, uint32_t at, struct io_timer_slot s)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / HEAP_WAYS;

        if (h->slots[parent].at_ns <= s.at_ns)
            break;
        place(h, at, h->slots[parent]);
        at = parent;
    }
    place(h, at, s);
}

static void sift_down(struct io_heap *h, uint32_t at, struct io_timer_slot s)
{
    for (;;) {
        uint32_t child = at * HEAP_WAYS + 1, least = child;

        if (child >= h->count)
            break;
        for (uint32_t i = child + 1; i < child + HEAP_WAYS && i < h->count; i++)
            if (h->slots[i].at_ns < h->slots[least].at_ns)
                least = i;
        if (h->slots[least].at_ns >= s.at_ns)
            break;
        place(h, at, h->slots[least]);
        at = least;
    }
    place(h, at, s);
}

static void heap_add(struct io_heap *h, struct io_timer *t)
{
    if (h->count == h->room) {
        uint32_t room = h->room == 0 ? HEAP_ROOM_FIRST : h->room * 2;
        struct io_timer_slot *more = realloc(h->slots, room * sizeof *more);

        CHECK(more != NULL); /* a deadline that cannot be kept has no other way out */
        h->slots = more;
        h->room = room;
    }
    sift_up(h, h->count++, (struct io_timer_slot){ t->at_ns, t });
}

static void heap_remove(struct io_heap *h, struct io_timer *t)
{
    uint32_t at = t->slot - 1;
    struct io_timer_slot last = h->slots[--h->count];

    t->slot = 0;
    if (last.timer == t)
        return;
    if (at > 0 && h->slots[(at - 1) / HEAP_WAYS].at_ns > last.at_ns)
        sift_up(h, at, last);
    else
        sift_down(h, at, last);
}

void io_timer_set(struct io *io, struct io_timer *t, uint64_t after_ns, io_fire_fn *fire)
{
    uint64_t now = io_now_ns(io);
    struct io_heap *h = &io->timers;

    /* At least 1 ns: a timer that sets itself again must not fire twice in one turn. */
    if (__builtin_add_overflow(now, after_ns > 0 ? after_ns : 1, &t->at_ns))
        t->at_ns = UINT64_MAX;
    t->fire = fire;
    if (t->slot != 0) {
        DCHECK(h->slots[t->slot - 1].timer == t);
        if (t->at_ns >= h->slots[t->slot - 1].at_ns)
            return;
        sift_up(h, t->slot - 1, (struct io_timer_slot){ t->at_ns, t });
    } else {
        heap_add(h, t);
    }
    if (t->slot == 1)
        io_touch(io);
}

void io_timer_stop(struct io *io, struct io_timer *t)
{
    t->at_ns = 0;
    if (t->slot != 0)
        heap_remove(&io->timers, t);
}

uint64_t io_timers_next(const struct io *io)
{
    return io->timers.count > 0 ? io->timers.slots[0].at_ns : UINT64_MAX;
}

void io_timers_run(struct io *io)
{
    struct io_heap *h = &io->timers;

    while (h->count > 0 && h->slots[0].at_ns <= io->now_ns) {
        struct io_timer *t = h->slots[0].timer;

        if (t->at_ns > io->now_ns) { /* it moved later meanwhile */
            sift_down(h, 0, (struct io_timer_slot){ t->at_ns, t });
            continue;
        }
        heap_remove(h, t);
        t->at_ns = 0;
        io->ran++;
        t->fire(io, t);
    }
}

void io_timers_close(struct io *io)
{
    free(io->timers.slots);
    io->timers = (struct io_heap){ 0 };
}
