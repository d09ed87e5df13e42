/* log_files.c - opens log files and syslog sockets. */
#include "server/log_files.h"

#include "base/log_ring.h"
#include "net/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_MODE = 0644, SECRET_MODE = 0600, SYSLOG_PORT = 514, HOST_SIZE = 256, PATH_SIZE = 4096 };

bool log_target_travels(const struct log_target *t)
{
    return t->kind != LOG_TO_STDERR;
}

static int fd_of(const struct log_target *t)
{
    return atomic_load_explicit(&t->sink.fd, memory_order_relaxed);
}

static void set_fd(struct log_target *t, int fd)
{
    atomic_store_explicit(&t->sink.fd, fd, memory_order_release);
}

static int fd_again(const struct log_target *t)
{
    int fd = fcntl(fd_of(t), F_DUPFD_CLOEXEC, 0);

    return fd >= 0 ? fd : -errno;
}

/* The descriptor of a log in memory is mapped where it comes to. */
static bool take_fd(struct log_target *t, int fd)
{
    set_fd(t, fd);
    if (t->kind == LOG_TO_MEMORY)
        t->sink.ring = log_ring_map(fd);
    return t->kind != LOG_TO_MEMORY || t->sink.ring != NULL;
}

static void give_up(struct log_target *t)
{
    log_ring_unmap(t->sink.ring);
    t->sink.ring = NULL;
    if (log_target_travels(t) && fd_of(t) >= 0)
        close(fd_of(t));
    set_fd(t, -1);
}

/* ---- syslog ----------------------------------------------------------------------------- */

static int connected(int family, const struct sockaddr *to, socklen_t size)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (connect(fd, to, size) == 0)
        return fd;
    int error = -errno;

    close(fd);
    return error;
}

static int open_unix(struct slice path)
{
    struct sockaddr_storage to;
    char text[PATH_SIZE];
    socklen_t size;
    int error;

    snprintf(text, sizeof text, "%.*s", SLICE_FMT(path));
    error = addr_unix(text, &to, &size);
    return error != 0 ? error : connected(AF_UNIX, (struct sockaddr *)&to, size);
}

/* Only the master comes here, before anything is served: it may wait for a name server. */
static int open_named(struct slice server)
{
    struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *found;
    struct slice port = server, host = slice_cut(&port, ':');
    char name[HOST_SIZE], service[HOST_SIZE];

    snprintf(name, sizeof name, "%.*s", SLICE_FMT(host));
    snprintf(service, sizeof service, "%.*s", SLICE_FMT(port.size > 0 ? port : SLICE("514")));
    if (getaddrinfo(name, service, &hints, &found) != 0)
        return -EHOSTUNREACH;
    int fd = connected(found->ai_family, found->ai_addr, found->ai_addrlen);

    freeaddrinfo(found);
    return fd;
}

static int open_syslog(struct slice server)
{
    struct sockaddr_storage to;
    struct addr a;

    if (slice_starts(server, SLICE("unix:")))
        return open_unix(slice_skip(server, 5));
    if (!addr_parse(server, SYSLOG_PORT, &a))
        return open_named(server);
    socklen_t size = addr_to_sockaddr(&a, &to);

    return connected(a.family, (struct sockaddr *)&to, size);
}

/* ---- any -------------------------------------------------------------------------------- */

/* It may have been there before, for everybody. */
static int hide(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 &&
        (!S_ISREG(st.st_mode) || (st.st_mode & 077) == 0 || fchmod(fd, SECRET_MODE) == 0))
        return fd;
    int error = errno;

    close(fd);
    return -error;
}

int log_file_open(const struct log_target *t)
{
    char path[PATH_SIZE];

    if (t->kind == LOG_TO_SYSLOG) {
        int fd = open_syslog(t->syslog.server);

        /* A syslog daemon that is down now may be up at the next reopen: nothing is lost but
         * lines. A place is kept for it. */
        return fd >= 0 ? fd : open("/dev/null", O_WRONLY | O_CLOEXEC);
    }
    if (t->kind == LOG_TO_MEMORY) /* opened again, it is the same memory */
        return fd_of(t) >= 0 ? fd_again(t) : log_ring_file((size_t)t->memory_size);
    snprintf(path, sizeof path, "%.*s", SLICE_FMT(t->path));
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
                  t->secret ? SECRET_MODE : LOG_MODE);

    if (fd < 0)
        return -errno;
    return t->secret ? hide(fd) : fd;
}

/* Nobody asked for it by name: it is where the build puts logs. */
static bool implied(const struct log_target *t)
{
    return t->kind == LOG_TO_FILE && (slice_eq(t->path, slice_str(LOG_ACCESS_DEFAULT)) ||
                                      slice_eq(t->path, slice_str(LOG_ERROR_DEFAULT)));
}

/* A machine without that directory is no reason not to serve. */
static void warn_of_default(const struct log_target *t, int error)
{
    fprintf(stderr, "weir: [warn] open() \"%.*s\" failed (%d: %s); %s\n", SLICE_FMT(t->path),
            -error, strerror(-error),
            t->error_log ? "errors go to the standard error stream until error_log says where"
                         : "requests are not logged until access_log says where");
}

static struct slice name_of(const struct log_target *t)
{
    return t->kind == LOG_TO_MEMORY ? SLICE("memory:") : t->path;
}

/* Logs in memory of one size are one log, as files of one name are. */
static void keep(struct log_target *t, const struct log_targets *from)
{
    const struct log_target *old = from->first;

    while (old != NULL && (fd_of(old) < 0 || !log_target_same(old, t)))
        old = old->next;
    int fd = old != NULL ? fd_again(old) : -1;

    if (fd >= 0 && !take_fd(t, fd))
        give_up(t);
}

void log_files_keep(struct log_targets *list, const struct log_targets *before)
{
    for (struct log_target *t = list->first; t != NULL; t = t->next)
        if (t->kind == LOG_TO_MEMORY)
            keep(t, before);
}

bool log_files_open(struct log_targets *list, char *text, size_t size)
{
    for (struct log_target *t = list->first; t != NULL; t = t->next) {
        if (t->kind == LOG_TO_MEMORY && fd_of(t) < 0)
            keep(t, list);
        if (t->kind == LOG_TO_STDERR && fd_of(t) < 0)
            set_fd(t, STDERR_FILENO);
        if (fd_of(t) >= 0)
            continue;
        int fd = log_file_open(t);

        if (fd < 0 && implied(t) && (fd == -ENOENT || fd == -EACCES)) {
            warn_of_default(t, fd);
            fd = t->error_log ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
                              : open("/dev/null", O_WRONLY | O_CLOEXEC);
        }
        if (fd < 0) {
            snprintf(text, size, "open() \"%.*s\" failed (%d: %s)", SLICE_FMT(name_of(t)), -fd,
                     strerror(-fd));
            return false;
        }
        if (!take_fd(t, fd)) {
            snprintf(text, size, "there is no memory for the log in memory");
            return false;
        }
    }
    return true;
}

void log_files_close(struct log_targets *list)
{
    for (struct log_target *t = list->first; t != NULL; t = t->next)
        give_up(t);
}

uint32_t log_files_count(const struct log_targets *list)
{
    uint32_t count = 0;

    for (const struct log_target *t = list->first; t != NULL; t = t->next)
        count += log_target_travels(t);
    return count;
}

void log_files_list(const struct log_targets *list, int *into)
{
    for (const struct log_target *t = list->first; t != NULL; t = t->next)
        if (log_target_travels(t))
            *into++ = fd_of(t);
}

void log_files_take(struct log_targets *list, const int *fds)
{
    for (struct log_target *t = list->first; t != NULL; t = t->next) {
        if (t->kind == LOG_TO_STDERR)
            set_fd(t, STDERR_FILENO);
        if (log_target_travels(t) && !take_fd(t, *fds++))
            give_up(t);
    }
}

void log_files_swap(struct log_targets *list, const struct log_target *fresh, int fd)
{
    for (struct log_target *t = list->first; t != NULL; t = t->next)
        if (log_target_travels(t) && fd_of(t) >= 0 && log_target_same(t, fresh))
            (void)dup3(fd, fd_of(t), O_CLOEXEC);
}
