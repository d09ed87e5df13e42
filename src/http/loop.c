/* loop.c - what time it is, for everybody on one loop thread: the wall clock follows the loop's
 * monotonic time and is put right once a second; each text of a date is made once a second. */
#include "http/loop.h"

#include "base/clock.h"
#include "wire/date.h"

#include <time.h>

/* A clock that somebody sets is noticed after at most this long. */
#define RESYNC_NS ((uint64_t)NS_PER_SEC)

/* A connection of the threads engine has its own loop, which turns while its home loop sleeps:
 * the latest instant that any of them has shown is now. */
static uint64_t latest_ns(struct loop *loop)
{
    uint64_t now = loop->now(loop->io);

    return now > loop->seen_ns ? now : loop->seen_ns;
}

int64_t loop_wall_ns(struct loop *loop)
{
    uint64_t now = latest_ns(loop);

    if (loop->wall_synced_ns == 0 || now - loop->wall_synced_ns >= RESYNC_NS) {
        loop->wall_offset_ns = clock_wall_ns() - (int64_t)clock_mono_ns();
        loop->wall_synced_ns = now;
    }
    return (int64_t)now + loop->wall_offset_ns;
}

static int64_t wall_sec(struct loop *loop)
{
    return loop_wall_ns(loop) / NS_PER_SEC;
}

struct slice loop_date(struct loop *loop)
{
    int64_t sec = wall_sec(loop);

    if (sec != loop->date_sec) {
        date_http(sec, loop->date_text);
        loop->date_sec = sec;
    }
    return slice_of(loop->date_text, DATE_HTTP_SIZE);
}

int loop_zone_min(int64_t unix_sec)
{
    time_t when = (time_t)unix_sec;
    struct tm local;

    return localtime_r(&when, &local) != NULL ? (int)(local.tm_gmtoff / 60) : 0;
}

static void make_log_dates(struct loop *loop)
{
    int64_t sec = wall_sec(loop);

    if (sec == loop->log_date_sec)
        return;
    int zone = loop_zone_min(sec);

    date_log(sec, zone, loop->log_date_text);
    date_iso(sec, zone, loop->iso_date_text);
    loop->log_date_sec = sec;
}

struct slice loop_log_date(struct loop *loop)
{
    make_log_dates(loop);
    return slice_of(loop->log_date_text, DATE_LOG_SIZE);
}

struct slice loop_iso_date(struct loop *loop)
{
    make_log_dates(loop);
    return slice_of(loop->iso_date_text, DATE_ISO_SIZE);
}
