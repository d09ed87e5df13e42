/* log.h - the error log: what happened, how bad, about whom.
 *
 *   struct log log = { 0 };  struct log_sink sink;
 *   log_sink_init(&sink, fd, LOG_ERROR);
 *   log_add_sink(&log, &sink);
 *   log_write(&log, LOG_ERROR, errno, "open() \"%s\" failed", path);
 *
 * A line:  2026/11/23 04:45:00 [error] 123#124: *5 text (2: No such file or directory), about
 *
 * One line an event, one write(2) a line, at most LOG_LINE_MAX bytes; control bytes are
 * escaped as \xNN, so a peer cannot forge lines. A log that cannot be written (a full disk)
 * drops the line and counts it. Levels and their names are nginx's. Thread-safe.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/slice.h"

enum log_level {
    LOG_STDERR,
    LOG_EMERG,
    LOG_ALERT,
    LOG_CRIT,
    LOG_ERROR,
    LOG_WARN,
    LOG_NOTICE,
    LOG_INFO,
    LOG_DEBUG
};

enum { LOG_LINE_MAX = 4096 };

struct log_ring;

/* Where lines go. The fd is an atomic so that a reopen can swap it under running threads. */
struct log_sink {
    _Atomic int fd;       /* -1: nowhere                                         */
    enum log_level level; /* the most talkative level it takes                   */
    int syslog_facility;  /* -1: a file; else lines are framed for syslog (RFC 3164) */
    char syslog_tag[32];
    struct log_ring *ring;    /* not NULL: lines stay in memory (base/log_ring.h)     */
    struct log_sink *next;    /* further sinks of the same log                       */
    _Atomic uint64_t dropped; /* lines lost to errors                                */
};

struct log {
    enum log_level level; /* most talkative level of any sink: check it first    */
    struct log_sink *sinks;
};

#define log_wants(log, lvl) ((lvl) <= (log)->level)

/* A file, or stderr. For syslog, make fd a connected datagram socket and set the facility and
 * tag; lines are then "<PRI>Mon dd hh:mm:ss host tag: line". */
void log_sink_init(struct log_sink *, int fd, enum log_level);

/* Lends the sink to the log for as long as the log is used. Not while others write. */
void log_add_sink(struct log *, struct log_sink *);

/* The first ring among its sinks; NULL: no line stays in memory. */
struct log_ring *log_ring_of(const struct log *);

/* Writes one line: time, level, pid#thread, the text, then ": strerror" if error (an errno
 * value) is not 0. `about` (may be empty) is added behind: "client: …, request: …". If it
 * begins with a connection's number, "*5, client: …", that one goes before the text. */
void log_about(const struct log *, enum log_level, int error, struct slice about,
               const char *format, ...) PRINTF_LIKE(5, 6);
#define log_write(log, level, error, ...) \
    log_about((log), (level), (error), (struct slice){ 0 }, __VA_ARGS__)

/* "error" -> LOG_ERROR; -1 if there is no such level. */
int log_level_from(struct slice name);
const char *log_level_name(enum log_level);

/* At most one line a second for each limiter; says how many were left out. */
struct log_limit {
    _Atomic int64_t next_ns;
    _Atomic uint32_t held_back;
};
/* True when a line may be written now; *ret_held: how many were not since the last. */
bool log_limit_pass(struct log_limit *, uint32_t *ret_held);

#endif
