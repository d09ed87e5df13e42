/* temp_file.c - temporary files: without a name if that can be had, else with a number. */
#include "handler/temp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES_MAX = 100, DIRECTORY_MODE = 0700, FILE_MODE = 0600, DIGITS = 10 };

/* Begins somewhere, so that a worker that was replaced does not meet its forerunner's names. */
static uint32_t next_number(void)
{
    static atomic_uint next;
    static atomic_bool begun;

    if (!atomic_exchange(&begun, true)) {
        unsigned first = 0;

        (void)!getrandom(&first, sizeof first, GRND_NONBLOCK);
        atomic_fetch_add(&next, first);
    }
    return atomic_fetch_add(&next, 1);
}

/* directory/7/45/0000123457: levels take their digits from the number's end. */
static bool write_name(const struct temp_place *p, char *name, size_t size, size_t ends[],
                       unsigned *ret_levels)
{
    char digits[DIGITS + 1];
    size_t at = (size_t)snprintf(name, size, "%s", p->directory), from = DIGITS;

    snprintf(digits, sizeof digits, "%010u", next_number());
    *ret_levels = 0;
    for (unsigned i = 0; i < TEMP_LEVELS && p->levels[i] > 0 && at < size; i++) {
        from -= p->levels[i];
        at += (size_t)snprintf(name + at, size - at, "/%.*s", p->levels[i], digits + from);
        ends[(*ret_levels)++] = at;
    }
    if (at < size)
        at += (size_t)snprintf(name + at, size - at, "/%s", digits);
    return at < size;
}

static void make_directories(char *name, const size_t ends[], unsigned levels)
{
    for (unsigned i = 0; i < levels; i++) {
        name[ends[i]] = '\0';
        (void)mkdir(name, DIRECTORY_MODE); /* what went wrong, open() says */
        name[ends[i]] = '/';
    }
}

static int open_named(const struct temp_place *p, char *name, size_t size)
{
    size_t ends[TEMP_LEVELS];
    unsigned levels;

    for (unsigned i = 0; i < TRIES_MAX; i++) {
        if (!write_name(p, name, size, ends, &levels))
            return -ENAMETOOLONG;
        int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);

        if (fd < 0 && errno == ENOENT) {
            (void)mkdir(p->directory, DIRECTORY_MODE);
            make_directories(name, ends, levels);
            fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
        }
        if (fd >= 0 || errno != EEXIST)
            return fd >= 0 ? fd : -errno;
    }
    return -EEXIST;
}

/* Where there is no O_TMPFILE: it has a name for a moment. */
static int open_nameless(const struct temp_place *p)
{
    char name[PATH_MAX];
    int fd = open_named(p, name, sizeof name), error;

    if (fd < 0 || unlink(name) == 0)
        return fd;
    error = -errno;
    close(fd);
    return error;
}

int temp_file_open(const struct temp_place *p, char *name, size_t size)
{
    int fd;

    if (p->named)
        return open_named(p, name, size);
    if (size > 0)
        name[0] = '\0';
    fd = open(p->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
    return fd >= 0 ? fd : open_nameless(p);
}

/* Those above the last part of the name, from the top. */
static void make_parents(char *name, mode_t mode)
{
    for (char *at = strchr(name + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(name, mode);
        *at = '/';
    }
}

int temp_file_beside(const char *path, mode_t mode, mode_t directory_mode, char *name, size_t size)
{
    enum { FLAGS = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW };

    for (unsigned i = 0; i < TRIES_MAX; i++) {
        int at = snprintf(name, size, "%s.%010u", path, next_number());

        if (at < 0 || (size_t)at >= size)
            return -ENAMETOOLONG;
        int fd = open(name, FLAGS, mode);

        if (fd < 0 && errno == ENOENT) {
            make_parents(name, directory_mode);
            fd = open(name, FLAGS, mode);
        }
        if (fd >= 0 || errno != EEXIST)
            return fd >= 0 ? fd : -errno;
    }
    return -EEXIST;
}

int temp_file_write(int fd, const char *at, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, at, size, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        at += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}
