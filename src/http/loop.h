/* loop.h - what one loop thread owns and every request on it may use.
 *
 * One struct loop per loop thread (`worker_processes N` makes N). Nothing in it is shared with
 * other loops; on the threads engine, its lock is the home loop's. Made and turned by server/.
 */
#ifndef HTTP_LOOP_H
#define HTTP_LOOP_H

#include "base/list.h"
#include "base/log.h"
#include "base/slab.h"
#include "base/slice.h"
#include "http/reasons.h"

struct io;
struct loop;
struct site;
struct pipeline;
struct auth_desk;
struct channels;
struct cache_keeper;
struct coders;
struct file_cache;
struct log_book;
struct resolver;
struct sleepers;
struct tls_home;
struct tls_ring;

/* Counters; read by the status pages through the atomics' relaxed loads. */
struct loop_stats {
    _Atomic uint64_t accepted, handled, requests, bytes_out;
    _Atomic uint64_t active, reading, writing, waiting;
    /* HTTP/2: streams reset by either side, frames that brought nothing forward, answers that
     * their client did not take. */
    _Atomic uint64_t h2_resets, h2_glitches, h2_stalled;
    _Atomic uint64_t closed[CLOSE_REASON_COUNT];
    _Atomic uint64_t handshakes, handshakes_failed; /* of TLS, with clients */
    _Atomic uint64_t status[6];                     /* by first digit of the answer */
};

/* Something to be run on another loop: embedded in what it is about, which stays until then. */
struct loop_call {
    void (*run)(struct loop *, struct loop_call *);
    struct loop_call *next; /* the loop's */
};

struct loop {
    struct io *io;
    uint64_t (*now)(const struct io *);       /* io_now_ns */
    char *(*real_path)(const char *, char *); /* realpath(3); NULL: $realpath_root is empty   */
    unsigned index;
    struct loop *next; /* the worker's loops, in a ring; NULL: it is alone     */
    struct site *site; /* the generation that new requests start on    */
    /* No request of this loop runs on that older site any more. */
    void (*site_unused)(struct loop *, struct site *);
    /* From any loop: gives it something to run. False: it has ended. */
    bool (*call)(struct loop *, struct loop_call *);
    const struct pipeline *pipeline;
    struct file_cache *files;           /* handler/file_cache.h                          */
    struct auth_desk *auth;             /* handler/auth_desk.h                           */
    struct coders *coders;              /* filter/coding.h: compressors ready for use    */
    struct channels *channels;          /* upstream/channel.h: connections to other servers   */
    struct resolver *resolver;          /* net/resolver.h                                */
    struct staples *staples;            /* upstream/staple.h: NULL until they are wanted     */
    struct cache_keeper *cache_keepers; /* upstream/cache_keeper.c: of this loop's          */
    struct tls_home *tls;               /* net/tls_home.h: NULL until TLS is met             */
    struct tls_ring *tls_ring;          /* … ticket keys, the worker's                       */
    struct log_book *log_book;          /* server/log_book.h: access log buffers         */
    struct sleepers *sleepers;          /* http/sleep.h; NULL: no request has slept yet      */

    struct list conns;             /* every connection                              */
    struct list idle;              /* those between requests, longest idle first    */
    uint32_t conn_count, conn_max; /* worker_connections                            */
    uint32_t detached;             /* sub-requests that nobody waits for             */
    bool draining;                 /* no keep-alive any more                        */

    struct slab conn_slab, request_slab, out_slab;
    uint64_t conn_numbers; /* next $connection, steps by the loop count     */
    uint64_t conn_number_step;

    uint64_t seen_ns;       /* the latest monotonic time shown by any io here */
    int64_t wall_offset_ns; /* wall = monotonic + this                       */
    uint64_t wall_synced_ns;
    int64_t date_sec;                          /* what date_text says                           */
    char date_text[32];                        /* RFC 9110 date, DATE_HTTP_SIZE bytes           */
    int64_t log_date_sec;                      /* what the next two say, in local time          */
    char log_date_text[32], iso_date_text[32]; /* DATE_LOG_SIZE and DATE_ISO_SIZE bytes      */

    struct loop_stats stats;
};

/* Monotonic, as of this turn of the connection's loop `io` (server/ installs the way to it:
 * http/ does no I/O). */
static inline uint64_t loop_now_ns(struct loop *loop, const struct io *io)
{
    uint64_t now = loop->now(io);

    if (now > loop->seen_ns)
        loop->seen_ns = now;
    return now;
}

/* The wall clock as of this turn, nanoseconds since 1970. */
int64_t loop_wall_ns(struct loop *);

/* The Date field's value for this second. */
struct slice loop_date(struct loop *);

/* The same instant in local time, as access logs write it: $time_local, $time_iso8601. */
struct slice loop_log_date(struct loop *);
struct slice loop_iso_date(struct loop *);

/* Minutes that local time is ahead of UTC at that moment. */
int loop_zone_min(int64_t unix_sec);

static inline void stat_add(_Atomic uint64_t *counter, uint64_t n)
{
    /* One writer: a plain load and store, no locked instruction. */
    __atomic_store_n((uint64_t *)counter,
                     __atomic_load_n((uint64_t *)counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void stat_sub(_Atomic uint64_t *counter, uint64_t n)
{
    stat_add(counter, (uint64_t)-n);
}

#endif
