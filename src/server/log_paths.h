/* log_paths.h - log files whose names are made per line: opened, and kept open for a while. */
#ifndef SERVER_LOG_PATHS_H
#define SERVER_LOG_PATHS_H

#include "http/log_target.h"

struct log_path;

/* Zero-initialised: empty. Belongs to one loop. */
struct log_paths {
    struct log_path *first; /* the one used last                                     */
    uint32_t count;
};

/* A descriptor to append to, or -errno. *ret_kept: it stays open here; else the caller closes
 * it. A path that climbs ("/../") or has a NUL is -EINVAL: its parts may come from a client. */
int log_paths_open(struct log_paths *, struct slice path, const struct log_file_cache *,
                   uint64_t now_ns, bool *ret_kept);
void log_paths_close(struct log_paths *);

#endif
