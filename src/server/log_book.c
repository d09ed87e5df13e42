/* log_book.c - writes access log lines. */
#include "server/log_book.h"

#include "base/clock.h"
#include "http/site.h"
#include "io/io.h"
#include "server/config.h"
#include "server/generation.h"
#include "server/log_paths.h"
#include "server/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum {
    GZIP_WINDOW = 15 + 16,
    GZIP_MEMORY = 8,
    GZIP_SLACK = 1024,
    HOST_SIZE = 64,
    SYSLOG_HEAD_SIZE = 192
};

/* The lines of one access_log directive that are not written yet. */
struct log_buffer {
    const struct log_policy *policy;
    char *bytes;
    size_t used, size;
    uint64_t since_ns; /* when its first line came                              */
    struct log_buffer *next;
};

struct log_book {
    struct loop_thread *owner;
    struct log_buffer *buffers;
    struct log_paths paths;
    struct io_timer flush;
    bool flush_wanted; /* an errand that arms the timer is on its way           */
    z_stream gzip;
    int gzip_level; /* that `gzip` is set up for; 0: it is not               */
    char *packed;
    size_t packed_size;
};

static struct log_limit limit_dropped;

/* ---- writing ---------------------------------------------------------------------------- */

static void dropped(struct loop *loop, struct log_sink *sink, struct slice path, int error)
{
    uint32_t held;

    atomic_fetch_add_explicit(&sink->dropped, 1, memory_order_relaxed);
    if (log_limit_pass(&limit_dropped, &held))
        log_write(loop->site->log, LOG_ALERT, error,
                  "write() to \"%.*s\" failed; lines of the access log are lost (%u more since "
                  "the last time this was said)",
                  SLICE_FMT(path), held);
}

static int write_all(int fd, struct slice bytes)
{
    while (bytes.size > 0) {
        ssize_t n = write(fd, bytes.at, bytes.size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        bytes = slice_skip(bytes, (size_t)n);
    }
    return 0;
}

/* RFC 3164; every line is a datagram. */
static int write_syslog(struct loop *loop, const struct log_target *t, int fd, struct slice line)
{
    char head[SYSLOG_HEAD_SIZE], host[HOST_SIZE] = "", stamp[32];
    time_t now = (time_t)(loop_wall_ns(loop) / NS_PER_SEC);
    struct gather g;
    struct tm local;

    gather_init(&g, head, sizeof head, NULL, 0);
    gather_byte(&g, '<');
    gather_i64(&g, t->syslog.facility * 8 + t->syslog.severity);
    gather_byte(&g, '>');
    if (localtime_r(&now, &local) != NULL)
        gather_bytes(&g, stamp, strftime(stamp, sizeof stamp, "%b %e %H:%M:%S ", &local));
    if (!t->syslog.no_hostname && gethostname(host, sizeof host - 1) == 0) {
        gather_str(&g, host);
        gather_byte(&g, ' ');
    }
    gather_slice(&g, t->syslog.tag);
    gather_lit(&g, ": ");
    struct iovec iov[] = { { g.at, g.used }, { (void *)(uintptr_t)line.at, line.size - 1 } };
    ssize_t n;

    do
        n = writev(fd, iov, COUNT_OF(iov));
    while (n < 0 && errno == EINTR);
    return n < 0 ? errno : 0;
}

static void write_target(struct loop *loop, const struct log_policy *policy, struct slice bytes)
{
    struct log_target *t = (struct log_target *)(uintptr_t)policy->target;
    int fd = atomic_load_explicit(&t->sink.fd, memory_order_acquire), error;

    if (fd < 0)
        return;
    error = t->kind == LOG_TO_SYSLOG ? write_syslog(loop, t, fd, bytes) : write_all(fd, bytes);
    if (error != 0)
        dropped(loop, &t->sink, t->kind == LOG_TO_SYSLOG ? t->syslog.server : t->path, error);
}

/* ---- compressing ------------------------------------------------------------------------ */

static bool gzip_ready(struct log_book *book, int level, size_t size)
{
    if (book->gzip_level != level) {
        if (book->gzip_level != 0)
            deflateEnd(&book->gzip);
        memset(&book->gzip, 0, sizeof book->gzip);
        book->gzip_level = deflateInit2(&book->gzip, level, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                                        Z_DEFAULT_STRATEGY) == Z_OK
                               ? level
                               : 0;
    }
    size_t room = size + size / 8 + GZIP_SLACK;

    if (book->packed_size < room) {
        free(book->packed);
        book->packed = malloc(room);
        book->packed_size = book->packed != NULL ? room : 0;
    }
    return book->gzip_level != 0 && book->packed != NULL;
}

/* A gzip member of its own: members behind one another are a gzip file (RFC 1952 §2.2). */
static struct slice pack(struct log_book *book, const struct log_buffer *b)
{
    if (!gzip_ready(book, b->policy->gzip_level, b->used) || deflateReset(&book->gzip) != Z_OK)
        return (struct slice){ 0 };
    book->gzip.next_in = (Bytef *)b->bytes;
    book->gzip.avail_in = (uInt)b->used;
    book->gzip.next_out = (Bytef *)book->packed;
    book->gzip.avail_out = (uInt)book->packed_size;
    if (deflate(&book->gzip, Z_FINISH) != Z_STREAM_END)
        return (struct slice){ 0 };
    return slice_of(book->packed, book->packed_size - book->gzip.avail_out);
}

/* ---- buffers ---------------------------------------------------------------------------- */

static void buffer_write(struct loop *loop, struct log_buffer *b)
{
    struct slice bytes = slice_of(b->bytes, b->used);

    if (b->used == 0)
        return;
    if (b->policy->gzip_level > 0)
        bytes = pack(loop->log_book, b);
    if (bytes.size > 0)
        write_target(loop, b->policy, bytes);
    b->used = 0;
}

static struct log_buffer *buffer_of(struct log_book *book, const struct log_policy *policy)
{
    struct log_buffer *b = book->buffers;

    while (b != NULL && b->policy != policy)
        b = b->next;
    if (b != NULL)
        return b;
    b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->size = (size_t)policy->buffer_size;
    b->bytes = malloc(b->size);
    if (b->bytes == NULL) {
        free(b);
        return NULL;
    }
    b->policy = policy;
    b->next = book->buffers;
    book->buffers = b;
    return b;
}

static void buffer_free(struct log_buffer *b)
{
    free(b->bytes);
    free(b);
}

static io_fire_fn on_flush;

/* Writes the buffers whose time has come; sets the timer for the next. */
static void flush_due(struct loop_thread *t)
{
    struct loop *loop = &t->loop;
    uint64_t now = io_now_ns(loop->io), next = UINT64_MAX;

    for (struct log_buffer *b = loop->log_book->buffers; b != NULL; b = b->next) {
        uint64_t after = (uint64_t)b->policy->flush_ms * NS_PER_MS;

        if (b->used == 0 || b->policy->flush_ms <= 0)
            continue;
        uint64_t age = now > b->since_ns ? now - b->since_ns : 0;

        if (age >= after)
            buffer_write(loop, b);
        else if (after - age < next)
            next = after - age;
    }
    if (next != UINT64_MAX)
        io_timer_set(loop->io, &loop->log_book->flush, next, on_flush);
}

static void on_flush(struct io *io, struct io_timer *timer)
{
    struct log_book *book = container_of(timer, struct log_book, flush);

    (void)io;
    flush_due(book->owner);
}

static void arm_flush(struct loop_thread *t, void *arg)
{
    (void)arg;
    t->loop.log_book->flush_wanted = false;
    flush_due(t);
}

/* A line may come from a connection's own thread (threads engine), where the home loop's timers
 * are out of reach: an errand sets them. */
static void want_flush(struct loop *loop)
{
    struct log_book *book = loop->log_book;

    if (book->flush_wanted || book->flush.at_ns != 0)
        return;
    book->flush_wanted = loop_post(book->owner, arm_flush, NULL);
}

/* ---- lines ------------------------------------------------------------------------------ */

static void write_path(struct loop *loop, const struct log_policy *policy, struct slice path,
                       struct slice line)
{
    static struct log_sink lost;
    struct log_book *book = loop->log_book;
    bool kept;
    int fd = log_paths_open(&book->paths, path, &policy->cache, loop_now_ns(loop, loop->io), &kept);
    int error = fd < 0 ? -fd : write_all(fd, line);

    if (error != 0)
        dropped(loop, &lost, path, error);
    if (fd >= 0 && !kept)
        close(fd);
}

static void line(struct loop *loop, const struct log_policy *policy, struct slice path,
                 struct slice text)
{
    struct log_buffer *b;

    if (policy->target == NULL) {
        write_path(loop, policy, path, text);
        return;
    }
    if (policy->buffer_size <= 0 || policy->target->kind == LOG_TO_SYSLOG ||
        (b = buffer_of(loop->log_book, policy)) == NULL) {
        write_target(loop, policy, text);
        return;
    }
    if (b->used + text.size > b->size)
        buffer_write(loop, b);
    if (text.size > b->size && policy->gzip_level == 0) {
        write_target(loop, policy, text);
        return;
    }
    text = slice_head(text, b->size);
    memcpy(b->bytes + b->used, text.at, text.size);
    if (b->used == 0) {
        b->since_ns = loop_now_ns(loop, loop->io);
        if (policy->flush_ms > 0)
            want_flush(loop);
    }
    b->used += text.size;
}

const struct log_writer log_book_writer = { line };

/* ---- life ------------------------------------------------------------------------------- */

struct log_book *log_book_create(struct loop *loop)
{
    struct log_book *book = calloc(1, sizeof *book);

    if (book != NULL)
        book->owner = thread_of(loop);
    return book;
}

void log_book_flush(struct loop *loop)
{
    struct log_book *book = loop->log_book;

    for (struct log_buffer *b = book->buffers; b != NULL; b = b->next)
        buffer_write(loop, b);
    log_paths_close(&book->paths);
}

static bool target_of(const struct site *site, const struct log_target *target)
{
    const struct log_target *t = site->generation->config->logs->first;

    while (t != NULL && t != target)
        t = t->next;
    return t != NULL;
}

void log_book_forget(struct loop *loop, const struct site *site)
{
    for (struct log_buffer **at = &loop->log_book->buffers; *at != NULL;) {
        struct log_buffer *b = *at;

        if (!target_of(site, b->policy->target)) {
            at = &b->next;
            continue;
        }
        buffer_write(loop, b);
        *at = b->next;
        buffer_free(b);
    }
}

void log_book_destroy(struct loop *loop)
{
    struct log_book *book = loop->log_book;

    log_book_flush(loop);
    io_timer_stop(loop->io, &book->flush);
    while (book->buffers != NULL) {
        struct log_buffer *b = book->buffers;

        book->buffers = b->next;
        buffer_free(b);
    }
    if (book->gzip_level != 0)
        deflateEnd(&book->gzip);
    free(book->packed);
    free(book);
    loop->log_book = NULL;
}
