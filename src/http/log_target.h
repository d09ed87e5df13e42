/* log_target.h - the log files a configuration names, before and after they are opened.
 *
 * Set functions (access_log) call log_target_want(); server/ opens each target in
 * the master, hands the descriptors to the worker, and swaps them on reopen. Lines are written
 * through loop->log_book by server/log_book.c, which knows buffers, gzip and full disks.
 */
#ifndef HTTP_LOG_TARGET_H
#define HTTP_LOG_TARGET_H

#include "base/log.h"
#include "conf/load.h"

struct expr;
struct loop;

enum log_target_kind { LOG_TO_FILE, LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_MEMORY };

struct log_syslog {      /* syslog:server=…,facility=…,tag=…,severity=…,nohostname */
    struct slice server; /* "unix:/dev/log" or "host:port"                    */
    int facility, severity;
    struct slice tag;
    bool no_hostname;
};

/* One per distinct destination and load: two access logs of the same path are one target. An
 * error log is one per list of error_log lines, since its sink is a member of that one log:
 * servers with the same lines share it, others open the file once more. */
struct log_target {
    enum log_target_kind kind;
    bool error_log;
    bool secret;       /* nobody but the owner may read a file that is made for it        */
    struct slice path; /* absolute; LOG_TO_FILE                             */
    struct log_syslog syslog;
    int64_t memory_size;  /* LOG_TO_MEMORY: of the ring                             */
    struct log_sink sink; /* sink.fd: -1 until server/ opened it; stderr too    */
    unsigned id;          /* 0, 1, … in order of first use                      */
    const struct conf_node *node;
    struct log_target *next;
};

/* The list of a configuration: the main scope's struct of feature_logs. */
struct log_targets {
    struct log_target *first, **end;
    unsigned count;
};
extern const struct feature feature_logs; /* rows error_log; http/error_log.c */

/* Where logs are when the configuration does not say: the build decides. */
#define LOG_ACCESS_DEFAULT WEIR_HTTP_LOG_PATH
#define LOG_ERROR_DEFAULT WEIR_ERROR_LOG_PATH
/* LOG_ERROR_DEFAULT, unless the command line said otherwise (-e): set before the first load. */
extern const char *log_error_default;

/* Finds or makes the target for what stands in argument `arg` ("/path", "syslog:…"; for error
 * logs also "stderr" and "memory:size"). NULL after a complaint. */
struct log_target *log_target_want(struct conf_load *, const struct conf_node *, unsigned arg,
                                   bool error_log);
/* The same for a file named by the program; relative paths are below the prefix. */
struct log_target *log_target_want_file(struct conf_load *, struct scope *,
                                        const struct conf_node *, struct slice path);
/* … that nobody but its owner may read. */
struct log_target *log_target_want_secret(struct conf_load *, struct scope *,
                                          const struct conf_node *, struct slice path);

/* For error_log.c: reads without entering it in the list, compares, and enters. */
struct log_target *log_target_read(struct conf_load *, const struct conf_node *, unsigned arg,
                                   bool error_log);
struct log_target *log_target_read_file(struct conf_load *, const struct conf_node *,
                                        struct slice path, bool error_log);
bool log_target_same(const struct log_target *, const struct log_target *);
void log_target_enter(struct log_targets *, struct log_target *);
/* The list of the configuration that a scope belongs to. */
struct log_targets *log_targets_of(struct scope *);

/* The configured error log of a scope, never NULL; valid as long as the generation. */
const struct log *log_of_scope(const struct scope *);
/* True if lines of that log stay in memory; also before the ring is made. */
bool log_scope_in_memory(const struct scope *);

/* open_log_file_cache: how many files of changing names are kept open. */
struct log_file_cache {
    int64_t max; /* 0: off                                             */
    int64_t inactive_ms, valid_ms, min_uses;
};

/* How one access_log directive wants its lines written. */
struct log_policy {
    const struct log_target *target; /* NULL when path_expr is set                        */
    struct expr *path_expr;          /* a path with variables: opened per line, cached     */
    int64_t buffer_size;             /* 0: one write a line                                */
    int64_t flush_ms;                /* 0: only when the buffer is full                    */
    int gzip_level;                  /* 0: not compressed                                  */
    struct log_file_cache cache;     /* for path_expr: of the scope with the access_log     */
};

/* The longest line an access log writes, its newline included. */
enum { LOG_RECORD_MAX = 64 * 1024 };

/* Implemented by server/log_book.c, installed once at boot; tests may install their own. The
 * pointer itself is defined by http/access_log.c.
 * `line` includes the newline; path is the evaluated path_expr (absolute) or empty. Never blocks
 * on a peer; a line that cannot be written is dropped and counted. */
struct log_writer {
    void (*line)(struct loop *, const struct log_policy *, struct slice path, struct slice line);
};
extern const struct log_writer *log_writer;

#endif
