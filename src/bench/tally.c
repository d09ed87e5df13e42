/* tally.c - adds up what loops count; prints the line that shows a run while it goes on. */
#include "bench/tally.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 64, SPARKS = 30, SPARK_LEVELS = 8, US = 1000 };

const char *const bench_error_names[BENCH_ERROR_COUNT] = {
#define X(up, low) [BENCH_##up] = #low,
    BENCH_ERRORS(X)
#undef X
};

uint64_t tally_errors(const struct tally *t)
{
    uint64_t sum = 0;

    for (int i = 0; i < BENCH_ERROR_COUNT; i++)
        sum += t->errors[i];
    return sum;
}

void tally_merge(struct tally *into, const struct tally *from)
{
    into->requests += from->requests;
    into->bytes += from->bytes;
    into->connections += from->connections;
    into->side_lost += from->side_lost;
    for (int i = 0; i < BENCH_ERROR_COUNT; i++)
        into->errors[i] += from->errors[i];
    into->handshakes += from->handshakes;
    into->resumed += from->resumed;
    histogram_merge(&into->latency, &from->latency);
    histogram_merge(&into->handshake, &from->handshake);
}

/* ---- the live line ------------------------------------------------------------------------ */

static void print_sparks(const struct board *b)
{
    static const char *const sparks[SPARK_LEVELS] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    size_t from = b->count > SPARKS ? b->count - SPARKS : 0;
    uint64_t most = 1;

    for (size_t i = from; i < b->count; i++)
        if (b->seconds[i].requests > most)
            most = b->seconds[i].requests;
    for (size_t i = from; i < b->count; i++)
        fputs(sparks[b->seconds[i].requests * (SPARK_LEVELS - 1) / most], stdout);
}

static void print_live(const struct board *b, const struct second *s)
{
    printf("\r\033[K%5zu s  %8llu/s  errors %llu  p50 %llu  p99 %llu  p99.9 %llu us  ", b->count,
           (unsigned long long)s->requests, (unsigned long long)b->live_errors,
           (unsigned long long)(s->p50_ns / US), (unsigned long long)(s->p99_ns / US),
           (unsigned long long)(s->p999_ns / US));
    print_sparks(b);
    fflush(stdout);
}

/* ---- the board ---------------------------------------------------------------------------- */

void board_init(struct board *b, unsigned loops, bool live)
{
    memset(b, 0, sizeof *b);
    b->loops = loops;
    b->live = live;
    CHECK(pthread_mutex_init(&b->lock, NULL) == 0);
}

static bool seconds_grow(struct board *b)
{
    size_t room = b->room == 0 ? ROOM_FIRST : 2 * b->room;
    struct second *seconds = realloc(b->seconds, room * sizeof *seconds);

    if (seconds == NULL)
        return false;
    b->seconds = seconds;
    b->room = room;
    return true;
}

/* The oldest pending second is whole. Without memory it is only part of the total. */
static void close_second(struct board *b)
{
    struct tally *t = &b->pending[b->first_pending % BOARD_PENDING];

    if (b->count < b->room || seconds_grow(b)) {
        struct second *s = &b->seconds[b->count++];
        *s = (struct second){
            .requests = t->requests,
            .bytes = t->bytes,
            .errors = tally_errors(t),
            .p50_ns = histogram_at(&t->latency, 0.5),
            .p99_ns = histogram_at(&t->latency, 0.99),
            .p999_ns = histogram_at(&t->latency, 0.999),
        };
        b->live_errors += s->errors;
        if (b->live)
            print_live(b, s);
    }
    tally_merge(&b->total, t);
    memset(t, 0, sizeof *t);
    b->posted[b->first_pending % BOARD_PENDING] = 0;
    b->first_pending++;
}

void board_post(struct board *b, size_t second, const struct tally *t)
{
    pthread_mutex_lock(&b->lock);
    while (second >= b->first_pending + BOARD_PENDING)
        close_second(b); /* a loop is far behind: nobody waits for it */
    if (second < b->first_pending)
        second = b->first_pending;
    tally_merge(&b->pending[second % BOARD_PENDING], t);
    b->posted[second % BOARD_PENDING]++;
    while (b->posted[b->first_pending % BOARD_PENDING] >= b->loops)
        close_second(b);
    pthread_mutex_unlock(&b->lock);
}

void board_note(struct board *b, enum bench_error error, const char *why)
{
    if (why == NULL)
        return;
    pthread_mutex_lock(&b->lock);
    if (b->why[error][0] == '\0')
        snprintf(b->why[error], sizeof b->why[error], "%s", why);
    pthread_mutex_unlock(&b->lock);
}

void board_finish(struct board *b)
{
    for (int i = 0; i < BOARD_PENDING; i++)
        if (b->posted[b->first_pending % BOARD_PENDING] > 0)
            close_second(b);
    if (b->live)
        printf("\r\033[K");
}

void board_done(struct board *b)
{
    free(b->seconds);
    pthread_mutex_destroy(&b->lock);
}
