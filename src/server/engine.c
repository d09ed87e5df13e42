/* engine.c - tries io_uring as it would be used, and falls back where it cannot be had. */
#include "server/engine.h"

#include "server/main_conf.h"

#include <stdlib.h>
#include <sys/resource.h>

/* The kernel hands out io_uring buffers in turn, so each of them costs a page sooner or later; a
 * turn completes far fewer receives than there are of them. */
/* What a receive brings at most: a large answer of another server goes on in one send of that
 * size. Only pages that are written to cost memory. */
enum { BUFS = 256, BUF_SIZE = 64 * 1024, FDS_MAX = 1 << 20, WHY_SIZE = 256 };

struct io_limits engine_limits(void)
{
    struct rlimit files;
    uint32_t fds = 1024;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        fds = files.rlim_cur < FDS_MAX ? (uint32_t)files.rlim_cur : FDS_MAX;
    return (struct io_limits){ .fds = fds, .bufs = BUFS, .buf_size = BUF_SIZE };
}

static bool probe(unsigned loops, const struct io_limits *limits, char *why, size_t size)
{
    why[0] = '\0';
    return io_uring_probe(loops, limits, why, size) == 0;
}

const struct io_engine *engine_choose(int use, unsigned loops, const struct io_limits *limits,
                                      const struct log *log)
{
    static const char *const names[] = {
        [USE_AUTO] = "io_uring", [USE_URING] = "io_uring", [USE_EPOLL] = "epoll",
        [USE_POLL] = "poll",     [USE_SELECT] = "select",  [USE_THREADS] = "threads"
    };
    const char *off = getenv("WEIR_NO_IO_URING");
    const struct io_engine *wanted = io_engine_find(names[use]);
    char why[WHY_SIZE];

    if (use != USE_AUTO && use != USE_URING) {
        uint32_t most;

        CHECK(wanted != NULL);
        most = io_engine_fds_max(wanted);

        if (most != 0 && limits->fds > most)
            log_write(log, LOG_NOTICE, 0, "%s can watch %u descriptors at most", names[use], most);
        log_write(log, LOG_NOTICE, 0, "using the \"%s\" event method", names[use]);
        return wanted;
    }
    if (use == USE_AUTO && off != NULL && off[0] == '1') {
        log_write(log, LOG_NOTICE, 0, "using the \"epoll\" event method: WEIR_NO_IO_URING is set");
        return &io_engine_epoll;
    }
    if (probe(loops, limits, why, sizeof why)) {
        log_write(log, LOG_NOTICE, 0, "using the \"io_uring\" event method");
        return wanted;
    }
    log_write(log, use == USE_URING ? LOG_WARN : LOG_NOTICE, 0,
              "using the \"epoll\" event method: io_uring cannot be had: %s", why);
    return &io_engine_epoll;
}
