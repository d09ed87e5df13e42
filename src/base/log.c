/* log.c - composes one line, makes it harmless, and writes it to every sink that wants it. */
#include "base/log.h"

#include "base/clock.h"
#include "base/gather.h"
#include "base/log_ring.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { HOST_MAX = 64, SYSLOG_HEAD_MAX = 192 };

static const char *const LEVEL_NAMES[] = {
    [LOG_STDERR] = "stderr", [LOG_EMERG] = "emerg", [LOG_ALERT] = "alert",
    [LOG_CRIT] = "crit",     [LOG_ERROR] = "error", [LOG_WARN] = "warn",
    [LOG_NOTICE] = "notice", [LOG_INFO] = "info",   [LOG_DEBUG] = "debug",
};

void log_sink_init(struct log_sink *sink, int fd, enum log_level level)
{
    *sink = (struct log_sink){ .level = level, .syslog_facility = -1 };
    atomic_init(&sink->fd, fd);
}

void log_add_sink(struct log *log, struct log_sink *sink)
{
    struct log_sink **last = &log->sinks;
    while (*last != NULL)
        last = &(*last)->next;
    *last = sink;
    sink->next = NULL;
    if (sink->level > log->level)
        log->level = sink->level;
}

struct log_ring *log_ring_of(const struct log *log)
{
    const struct log_sink *sink = log != NULL ? log->sinks : NULL;

    while (sink != NULL && sink->ring == NULL)
        sink = sink->next;
    return sink != NULL ? sink->ring : NULL;
}

/* Escapes control bytes, whoever they come from: one event is one line. */
static void gather_safe(struct gather *g, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c >= 0x20 && c != 0x7f) {
            gather_byte(g, (char)c);
            continue;
        }
        char escape[] = { '\\', 'x', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15] };
        gather_bytes(g, escape, sizeof escape);
    }
}

static void gather_now(struct gather *g, const char *format)
{
    char text[32];
    time_t now = (time_t)(clock_wall_ns() / NS_PER_SEC);
    struct tm local;
    if (localtime_r(&now, &local) == NULL)
        return;
    gather_bytes(g, text, strftime(text, sizeof text, format, &local));
}

/* "*5, client: …" -> "*5"; empty if it does not begin like that. */
static struct slice cut_number(struct slice *about)
{
    size_t end = 1;
    if (about->size < 2 || about->at[0] != '*')
        return (struct slice){ 0 };
    while (end < about->size && about->at[end] >= '0' && about->at[end] <= '9')
        end++;
    struct slice number = slice_head(*about, end);
    *about = slice_skip(*about, end);
    if (slice_starts(*about, SLICE(", ")))
        *about = slice_skip(*about, 2);
    return number;
}

static void gather_error(struct gather *g, int error)
{
    if (error == 0)
        return;
    gather_lit(g, " (");
    gather_i64(g, error);
    gather_lit(g, ": ");
    gather_str(g, strerror(error)); /* glibc's is thread-safe since 2.32 */
    gather_lit(g, ")");
}

static void write_counted(struct log_sink *sink, int fd, struct slice line)
{
    ssize_t n;
    do
        n = write(fd, line.at, line.size);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)line.size)
        atomic_fetch_add_explicit(&sink->dropped, 1, memory_order_relaxed);
}

/* RFC 3164; the line's final LF is not part of a datagram. */
static void write_syslog(struct log_sink *sink, int fd, enum log_level level, struct slice line)
{
    char space[SYSLOG_HEAD_MAX + LOG_LINE_MAX], host[HOST_MAX];
    struct gather g;
    if (gethostname(host, sizeof host) != 0)
        host[0] = '\0';
    host[sizeof host - 1] = '\0';
    int severity = level > LOG_STDERR ? (int)level - 1 : 0;
    gather_init(&g, space, sizeof space, NULL, 0);
    gather_lit(&g, "<");
    gather_i64(&g, sink->syslog_facility * 8 + severity);
    gather_lit(&g, ">");
    gather_now(&g, "%b %e %H:%M:%S ");
    gather_str(&g, host);
    gather_lit(&g, " ");
    gather_bytes(&g, sink->syslog_tag, strnlen(sink->syslog_tag, sizeof sink->syslog_tag));
    gather_lit(&g, ": ");
    gather_bytes(&g, line.at, line.size - 1);
    write_counted(sink, fd, gather_get(&g));
}

static void write_sinks(const struct log *log, enum log_level level, struct slice line)
{
    for (struct log_sink *sink = log->sinks; sink != NULL; sink = sink->next) {
        int fd = atomic_load_explicit(&sink->fd, memory_order_acquire);
        if ((fd < 0 && sink->ring == NULL) || level > sink->level)
            continue;
        if (sink->ring != NULL)
            log_ring_add(sink->ring, line);
        else if (sink->syslog_facility < 0)
            write_counted(sink, fd, line);
        else
            write_syslog(sink, fd, level, line);
    }
}

static void gather_prefix(struct gather *g, enum log_level level)
{
    gather_now(g, "%Y/%m/%d %H:%M:%S ");
    gather_lit(g, "[");
    gather_str(g, log_level_name(level));
    gather_lit(g, "] ");
    gather_i64(g, getpid());
    gather_lit(g, "#");
    gather_i64(g, gettid());
    gather_lit(g, ": ");
}

void log_about(const struct log *log, enum log_level level, int error, struct slice about,
               const char *format, ...)
{
    if (log == NULL || !log_wants(log, level))
        return;
    int errno_before = errno;
    char text[LOG_LINE_MAX], line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t text_size = size < 0 ? 0 : (size_t)size;
    if (text_size > sizeof text - 1)
        text_size = sizeof text - 1;

    struct gather g;
    gather_init(&g, line, sizeof line - 1, NULL, 0); /* the LF always fits */
    gather_prefix(&g, level);
    struct slice number = cut_number(&about);
    if (number.size > 0) {
        gather_slice(&g, number);
        gather_lit(&g, " ");
    }
    gather_safe(&g, slice_of(text, text_size));
    gather_error(&g, error);
    if (about.size > 0) {
        gather_lit(&g, ", ");
        gather_safe(&g, about);
    }
    line[g.used++] = '\n';
    write_sinks(log, level, gather_get(&g));
    errno = errno_before;
}

int log_level_from(struct slice name)
{
    for (unsigned i = LOG_EMERG; i < COUNT_OF(LEVEL_NAMES); i++)
        if (slice_eq(name, slice_str(LEVEL_NAMES[i])))
            return (int)i;
    return -1;
}

const char *log_level_name(enum log_level level)
{
    return (unsigned)level < COUNT_OF(LEVEL_NAMES) ? LEVEL_NAMES[level] : "unknown";
}

bool log_limit_pass(struct log_limit *limit, uint32_t *ret_held)
{
    int64_t now = (int64_t)clock_mono_ns();
    int64_t next = atomic_load_explicit(&limit->next_ns, memory_order_relaxed);
    if (now < next || !atomic_compare_exchange_strong(&limit->next_ns, &next, now + NS_PER_SEC)) {
        atomic_fetch_add_explicit(&limit->held_back, 1, memory_order_relaxed);
        return false;
    }
    *ret_held = atomic_exchange(&limit->held_back, 0);
    return true;
}
