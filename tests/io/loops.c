/* loops.c - time, waking, turns, and what a loop says about itself. */
#include "fixture.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- timers ------------------------------------------------------------------------------ */

struct alarm_clock {
    struct io_timer timer;
    int fired;
    uint64_t at_ns, due_ns;
    const struct seen *watch;
    bool watched_first;
};

static void on_alarm(struct io *io, struct io_timer *timer)
{
    struct alarm_clock *a = container_of(timer, struct alarm_clock, timer);

    MUST(timer->at_ns == 0);
    a->fired++;
    a->at_ns = io_now_ns(io);
    a->watched_first = a->watch != NULL && a->watch->finals > 0;
}

/* L9: both are due; the bytes come first. */
static void data_beats_timeout(void)
{
    struct link l;
    struct seen rx = { 0 };
    struct alarm_clock a = { .watch = &rx }, never = { 0 };

    link_open(&l);
    io_recv(l.io, &rx.op, l.fd, 0, note);
    io_turn(t.io, 0);
    io_timer_set(l.io, &never.timer, MS, on_alarm);
    io_timer_stop(l.io, &never.timer);
    io_timer_set(l.io, &a.timer, 20 * MS, on_alarm);
    io_turn(t.io, MS);
    if (!t.sim)
        usleep(50000);
    peer_put(&l, "x", 1);
    UNTIL(a.fired == 1);
    MUST(a.watched_first && rx.r.res == 1);
    io_recv(l.io, &rx.op, l.fd, 0, note); /* now only the timer */
    io_timer_set(l.io, &a.timer, 20 * MS, on_alarm);
    UNTIL(a.fired == 2);
    MUST(rx.finals == 1 && never.fired == 0);
    link_shut(&l);
}

static void timers_fire_in_order(void)
{
    enum { TIMERS = 5000 };
    struct alarm_clock *a = calloc(TIMERS, sizeof *a);
    uint64_t start = io_now_ns(t.io), state = 88172645463325252u;
    int live = 0, fired = 0;

    for (int i = 0; i < TIMERS; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint64_t after = state % (100 * MS);

        a[i].due_ns = start + after;
        io_timer_set(t.io, &a[i].timer, after, on_alarm);
        live++;
    }
    for (int i = 0; i < TIMERS; i += 3) { /* some are stopped, some moved both ways */
        io_timer_stop(t.io, &a[i].timer);
        live--;
        if (i + 1 < TIMERS) {
            uint64_t after = (a[i].due_ns - start) / 2 + 25 * MS;

            a[i + 1].due_ns = start + after;
            io_timer_set(t.io, &a[i + 1].timer, after, on_alarm);
        }
    }
    do {
        UNTIL(io_turn(t.io, 5 * MS) > 0);
        fired = 0;
        for (int i = 0; i < TIMERS; i++)
            fired += a[i].fired;
    } while (fired < live);
    MUST(fired == live);
    for (int i = 0; i < TIMERS; i++) {
        MUST(a[i].fired == (i % 3 != 0));
        MUST(i % 3 == 0 || a[i].at_ns >= a[i].due_ns);
        MUST(a[i].timer.slot == 0);
    }
    free(a);
}

/* A deadline that every request moves later fires once, and not before its last value. */
static void timer_moved_later(void)
{
    struct alarm_clock a = { 0 };
    uint64_t start = io_now_ns(t.io);

    io_timer_set(t.io, &a.timer, 10 * MS, on_alarm);
    for (int i = 0; i < 30; i++) {
        io_timer_set(t.io, &a.timer, 40 * MS, on_alarm);
        io_turn(t.io, 2 * MS);
    }
    io_timer_set(t.io, &a.timer, 40 * MS, on_alarm);
    uint64_t due = io_now_ns(t.io) + 40 * MS;
    MUST(a.fired == 0 && due > start);
    UNTIL(a.fired == 1);
    MUST(a.at_ns >= due);
    io_timer_set(t.io, &a.timer, 500 * MS, on_alarm);
    io_timer_set(t.io, &a.timer, 5 * MS, on_alarm); /* earlier counts at once */
    due = io_now_ns(t.io) + 400 * MS;
    UNTIL(a.fired == 2);
    MUST(a.at_ns < due);
}

static int ticks;

static void on_tick(struct io *io, struct io_timer *timer)
{
    ticks++;
    io_timer_set(io, timer, 0, on_tick);
}

/* A timer that sets itself again fires once a turn: the loop is not its prisoner. */
static void timer_sets_itself(void)
{
    struct io_timer timer = { 0 };

    ticks = 0;
    io_timer_set(t.io, &timer, 0, on_tick);
    for (int i = 0; i < 10; i++)
        io_turn(t.io, 100 * MS);
    MUST(ticks >= 5 && ticks <= 11);
    io_timer_stop(t.io, &timer);
}

static struct io_timer pair[2];
static int pair_fired;

static void on_pair(struct io *io, struct io_timer *timer)
{
    pair_fired++;
    io_timer_stop(io, &pair[timer == &pair[0]]);
}

/* Both are due; the first stops the second. */
static void timer_stopped_by_another(void)
{
    pair_fired = 0;
    io_timer_set(t.io, &pair[0], MS, on_pair);
    io_timer_set(t.io, &pair[1], MS, on_pair);
    if (!t.sim)
        usleep(5000);
    UNTIL(pair_fired > 0);
    settle();
    MUST(pair_fired == 1);
}

/* ---- waking ------------------------------------------------------------------------------ */

static void *ringer(void *arg)
{
    usleep(30000);
    io_wake(arg);
    return NULL;
}

static void woken_by_a_thread(void)
{
    pthread_t thread;
    uint64_t start = clock_mono_ns();

    HAVE(pthread_create(&thread, NULL, ringer, t.io) == 0);
    while (clock_mono_ns() - start < 25u * MS)
        io_turn(t.io, 3000 * (uint64_t)MS);
    pthread_join(thread, NULL);
    MUST(clock_mono_ns() - start < 2000u * MS);
    io_wake(t.io); /* before the wait counts, too */
    start = clock_mono_ns();
    io_turn(t.io, 3000 * (uint64_t)MS);
    MUST(clock_mono_ns() - start < 2000u * MS);
}

static void on_signal(int number)
{
    (void)number;
    io_wake(t.io);
}

static void woken_by_a_signal(void)
{
    struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, old;
    struct itimerval soon = { .it_value = { 0, 30000 } };
    uint64_t start = clock_mono_ns();

    HAVE(sigaction(SIGALRM, &act, &old) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
    while (clock_mono_ns() - start < 25u * MS)
        io_turn(t.io, 3000 * (uint64_t)MS);
    MUST(clock_mono_ns() - start < 2000u * MS);
    HAVE(sigaction(SIGALRM, &old, NULL) == 0);
}

static void *storm(void *arg)
{
    for (int i = 0; i < 20000; i++)
        io_wake(arg);
    return NULL;
}

static void storm_of_wakes(void)
{
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    struct link l;
    struct seen rx = { 0 };

    link_open(&l);
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
    for (int i = 0; i < THREADS; i++)
        HAVE(pthread_create(&thread[i], NULL, storm, t.io) == 0);
    for (unsigned i = 1; i <= 50; i++) {
        peer_put(&l, "x", 1);
        UNTIL(rx.bytes == i);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    link_shut(&l);
}

static struct seen *late_op;

static void on_late(struct io *io, struct io_timer *timer)
{
    (void)timer;
    io_cancel(io, &late_op->op);
}

/* A loop that waits for one thing is told of another, at whatever moment: a send, a cancel, an
 * earlier timer. On branches this is where a wake-up could be lost. */
static void waiting_loop_is_told(void)
{
    int rounds = t.branches ? 300 : 1500; /* there the home loop sleeps through the answers */
    struct link l;
    struct seen rx = { 0 }, tx = { 0 };
    struct io_timer soon = { 0 }, later = { 0 };
    struct iovec v = { (void *)(uintptr_t) "x", 1 };
    uint32_t hash = 0;

    link_open(&l);
    late_op = &rx;
    io_timer_set(l.io, &later, 3600u * 1000u * (uint64_t)MS, on_late);
    for (int i = 1; i <= rounds; i++) {
        if (!io_busy(&rx.op))
            io_recv(l.io, &rx.op, l.fd, i & 1 ? IO_MULTI : 0, note);
        if (i % 3 == 0)
            io_turn(t.io, i % 2 ? MS / 10 : 0);
        io_send(l.io, &tx.op, l.fd, &v, 1, 0, note);
        UNTIL(tx.finals == i);
        UNTIL(peer_drain(&l, &hash, 1) == 1);
        if (i % 5 == 0)
            io_cancel(l.io, &rx.op);
        if (i % 7 == 0) {
            io_timer_set(l.io, &soon, 1000, on_late);
            UNTIL(!io_busy(&rx.op));
        }
        if (i % 5 == 0)
            UNTIL(!io_busy(&rx.op));
    }
    io_timer_stop(l.io, &later);
    io_timer_stop(l.io, &soon);
    link_shut(&l);
}

/* ---- turns ------------------------------------------------------------------------------- */

/* With nothing to do, a turn waits as long as it was told, and no longer. */
static void turns_wait(void)
{
    uint64_t start, spent;

    settle();
    start = clock_mono_ns();
    MUST(io_turn(t.io, 0) == 0);
    MUST(clock_mono_ns() - start < 500u * MS);
    start = clock_mono_ns();
    MUST(io_turn(t.io, 40 * MS) == 0);
    spent = clock_mono_ns() - start;
    MUST(spent >= 39u * MS && spent < 2000u * MS);
}

/* An idle loop with links does not spin, nor does one with bytes that nobody asked for. */
static void idle_does_not_spin(void)
{
    struct link l[3];
    struct seen rx[3] = { 0 };

    for (int i = 0; i < 3; i++)
        link_open_tcp(&l[i]);
    io_recv(l[0].io, &rx[0].op, l[0].fd, IO_MULTI, note);
    io_recv(l[1].io, &rx[1].op, l[1].fd, 0, note);
    peer_put(&l[1], "x", 1);
    UNTIL(rx[1].finals == 1);
    io_recv(l[2].io, &rx[2].op, l[2].fd, 0, note);
    settle();
    io_cancel(l[2].io, &rx[2].op);
    UNTIL(rx[2].finals == 1);
    peer_put(&l[1], "y", 1); /* nobody waits for these bytes, nor for a reset */
    peer_reset(&l[2]);
    settle();
    MUST_NOT_SPIN();
    for (int i = 0; i < 3; i++)
        link_shut(&l[i]);
}

/* A descriptor goes from a thread's loop to the home loop and on to another thread's. */
static void a_descriptor_moves(void)
{
    struct link l, other;
    struct seen one = { 0 }, two = { 0 }, three = { 0 };

    link_open(&l);
    link_open(&other);
    io_recv(l.io, &one.op, l.fd, 0, note);
    peer_put(&l, "a", 1);
    UNTIL(one.finals == 1 && one.bytes == 1);
    io_recv(l.io, &two.op, l.fd, 0, note);
    io_cancel(l.io, &two.op);
    UNTIL(two.finals == 1);
    io_leave(l.io, l.fd);
    io_recv(other.io, &three.op, l.fd, 0, note);
    peer_put(&l, "b", 1);
    UNTIL(three.finals == 1 && three.bytes == 1);
    io_leave(other.io, l.fd);
    MUST_NOT_SPIN();
    link_shut(&l);
    link_shut(&other);
}

static void stats_add_up(void)
{
    struct link l;
    struct seen rx = { 0 };
    uint64_t turn = io_turn_number(t.io);

    link_open(&l);
    io_recv(l.io, &rx.op, l.fd, IO_MULTI, note);
    peer_put(&l, "x", 1);
    UNTIL(rx.bytes == 1);
    MUST(t.branches || io_turn_number(t.io) > turn);
    const struct io_stats *s = io_stats(t.io);
    MUST(s->submitted == s->completed + 1 && s->turns > 0);
    MUST(io_home(l.io) == t.io && io_stats(l.io) == s);
    link_shut(&l);
    MUST(s->submitted == s->completed && s->cancelled == 1);
    MUST(strcmp(io_engine_name(io_engine_find("epoll")), "epoll") == 0);
    MUST(io_engine_find("kqueue") == NULL && strcmp(io_kind_name(IO_SENDFILE), "sendfile") == 0);
}

const struct test_case loop_cases[] = {
    { .name = "data_beats_timeout", .run = data_beats_timeout },
    { .name = "timers_fire_in_order", .run = timers_fire_in_order },
    { .name = "timer_moved_later", .run = timer_moved_later },
    { .name = "timer_sets_itself", .run = timer_sets_itself },
    { .name = "timer_stopped_by_another", .run = timer_stopped_by_another },
    { .name = "woken_by_a_thread", .run = woken_by_a_thread, .flags = NO_SIM },
    { .name = "woken_by_a_signal", .run = woken_by_a_signal, .flags = NO_SIM },
    { .name = "storm_of_wakes", .run = storm_of_wakes, .flags = NO_SIM },
    { .name = "waiting_loop_is_told", .run = waiting_loop_is_told },
    { .name = "turns_wait", .run = turns_wait, .flags = NO_SIM },
    { .name = "idle_does_not_spin", .run = idle_does_not_spin },
    { .name = "a_descriptor_moves", .run = a_descriptor_moves },
    { .name = "stats_add_up", .run = stats_add_up },
    { 0 },
};
