/* file_open.c - openat2(2), and what to do where it is missing or says too little.
 *
 * RESOLVE_BENEATH refuses every absolute link, also one that points into the root, and kernels
 * before 5.6 and some sandboxes do not have the call at all. Then the path is opened without
 * rights (O_PATH), and where it really is decides. Without /proc to ask, no link is followed. */
#include "handler/file_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    FLAGS = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
    NO_RIGHTS = O_PATH | O_CLOEXEC,
    RACES_MAX = 8, /* a rename beside a ".." makes the kernel ask for another try */
    WARM_STEP = 64 * 1024,
};

_Static_assert((int)FILE_LEADS_OUT == EXDEV && (int)FILE_IS_LINKED == EMLINK, "numbers of Linux");

/* -ENOSYS where there is no openat2 (a sandbox may also say EPERM, which opening for reading
 * never does), or no RESOLVE_CACHED. */
static int open_how(int dir, const char *path, int flags, uint64_t resolve)
{
    struct open_how how = { .flags = (unsigned)flags, .resolve = resolve };
    bool cached = (resolve & RESOLVE_CACHED) != 0;

    for (int tries = 1;; tries++) {
        long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);

        if (fd >= 0)
            return (int)fd;
        if (errno == EAGAIN && !cached && tries < RACES_MAX)
            continue;
        return errno == EPERM || (errno == EINVAL && cached) ? -ENOSYS : -errno;
    }
}

static int open_old(int dir, const char *path, int flags)
{
    int fd = openat(dir, path, flags);

    return fd < 0 ? -errno : fd;
}

/* Wherever links lead. */
static int open_free(int dir, const char *path, int flags, bool cached)
{
    int fd = open_how(dir, path, flags, RESOLVE_NO_MAGICLINKS | (cached ? RESOLVE_CACHED : 0));

    if (fd != -ENOSYS)
        return fd;
    return cached ? -EAGAIN : open_old(dir, path, flags);
}

/* ---- component by component ---------------------------------------------------------- */

/* The next name of *path into name[]; false at the end. *last: nothing but slashes follow. */
static bool next_name(const char **path, char name[NAME_MAX + 2], bool *last, bool *slash)
{
    const char *p = *path;
    size_t size = 0;

    while (*p == '/')
        p++;
    while (p[size] != '\0' && p[size] != '/')
        size++;
    size_t kept = size <= NAME_MAX ? size : NAME_MAX + 1; /* too long stays too long */

    memcpy(name, p, kept);
    name[kept] = '\0';
    p += size;
    *slash = *p == '/';
    while (*p == '/')
        p++;
    *last = *p == '\0';
    *path = p;
    return kept > 0;
}

static int open_linked(int dir, const char *name, int flags, const struct stat *link)
{
    struct stat target;
    int fd = openat(dir, name, flags);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &target) == 0 && target.st_uid == link->st_uid)
        return fd;
    close(fd);
    return -FILE_IS_LINKED;
}

static int open_name(int dir, const char *name, int flags, bool owned)
{
    struct stat s;

    if (strcmp(name, "..") == 0)
        return -FILE_LEADS_OUT;
    if (fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    if (!S_ISLNK(s.st_mode)) {
        /* one that becomes a link just now is not followed */
        int fd = open_old(dir, name, flags | O_NOFOLLOW);

        return fd == -ELOOP ? -FILE_IS_LINKED : fd;
    }
    return owned ? open_linked(dir, name, flags, &s) : -FILE_IS_LINKED;
}

/* Takes dir. */
static int walk(int dir, const char *path, bool owned)
{
    char name[NAME_MAX + 2];
    bool last = false, slash;

    if (*path == '\0')
        path = ".";
    while (dir >= 0 && !last && next_name(&path, name, &last, &slash)) {
        int flags = !last ? NO_RIGHTS : slash ? FLAGS | O_DIRECTORY : FLAGS;
        int next = open_name(dir, name, flags, owned);

        close(dir);
        dir = next;
    }
    return dir;
}

/* ---- beneath the root ---------------------------------------------------------------- */

static bool real_path(int fd, char into[PATH_MAX])
{
    char link[32];
    ssize_t size;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, into, PATH_MAX - 1);
    if (size <= 0 || size >= PATH_MAX - 1)
        return false;
    into[size] = '\0';
    return into[0] == '/';
}

static bool is_below(const char *path, const char *root)
{
    size_t size = strlen(root);

    if (size == 1)
        return true;
    return strncmp(path, root, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

/* From no rights to the right to read; devices and pipes are not touched. */
static int open_again(int place)
{
    char link[32];
    struct stat s;

    if (fstat(place, &s) != 0)
        return -errno;
    if (!S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode))
        return -EACCES;
    snprintf(link, sizeof link, "/proc/self/fd/%d", place);
    return open_old(AT_FDCWD, link, FLAGS);
}

static int open_and_look(int dir, const char *below)
{
    char root[PATH_MAX], found[PATH_MAX];
    int place, fd;

    if (!real_path(dir, root))
        return walk(dup(dir), below, false);
    place = open_old(dir, below, NO_RIGHTS);
    if (place < 0)
        return place;
    fd = real_path(place, found) && is_below(found, root) ? open_again(place) : -FILE_LEADS_OUT;
    close(place);
    return fd;
}

/* ---- one function a rule ------------------------------------------------------------- */

/* What is behind the first `size` bytes, without a slash in front. */
static const char *behind(const struct file_place *p, uint32_t size)
{
    const char *rest = p->path.at + size;

    while (*rest == '/')
        rest++;
    return rest;
}

/* The directory that the first `size` bytes name. */
static int open_part(const struct file_place *p, uint32_t size, bool cached)
{
    char part[PATH_MAX];

    if (size >= sizeof part)
        return -ENAMETOOLONG;
    memcpy(part, p->path.at, size);
    part[size] = '\0';
    return open_free(AT_FDCWD, part, NO_RIGHTS | O_DIRECTORY, cached);
}

static int open_any(const struct file_place *p, bool cached)
{
    return open_free(AT_FDCWD, p->path.at, FLAGS, cached);
}

static int open_beneath(const struct file_place *p, bool cached)
{
    const char *below = behind(p, p->root_size);
    int dir, fd;

    if (*below == '\0') /* the root itself, or an alias that names a file */
        return open_any(p, cached);
    dir = open_part(p, p->root_size, cached);
    if (dir < 0)
        return dir;
    fd = open_how(dir, below, FLAGS,
                  RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (cached ? RESOLVE_CACHED : 0));
    if (fd == -FILE_LEADS_OUT || fd == -ENOSYS)
        fd = cached ? -EAGAIN : open_and_look(dir, below);
    close(dir);
    return fd;
}

/* The directory where looking begins: the trusted part, or where the path itself begins. */
static int open_start(const struct file_place *p, bool cached)
{
    if (p->trusted_size > 0)
        return open_part(p, p->trusted_size, cached);
    return open_free(AT_FDCWD, p->path.at[0] == '/' ? "/" : ".", NO_RIGHTS | O_DIRECTORY, cached);
}

static int open_unlinked(const struct file_place *p, bool cached)
{
    const char *rest = behind(p, p->trusted_size);
    int dir = open_start(p, cached), fd;

    if (dir < 0)
        return dir;
    fd = open_how(dir, *rest != '\0' ? rest : ".", FLAGS,
                  RESOLVE_NO_SYMLINKS | (cached ? RESOLVE_CACHED : 0));
    if (fd == -ENOSYS && !cached)
        return walk(dir, rest, false);
    close(dir);
    if (fd == -ENOSYS)
        return -EAGAIN;
    return fd == -ELOOP ? -FILE_IS_LINKED : fd;
}

static int open_owned(const struct file_place *p, bool cached)
{
    if (cached) /* a stat and an open a name: not for the loop */
        return -EAGAIN;
    return walk(open_start(p, false), behind(p, p->trusted_size), true);
}

static int (*const openers[])(const struct file_place *, bool cached) = {
    [LINKS_BENEATH] = open_beneath,
    [LINKS_FREE] = open_any,
    [LINKS_NONE] = open_unlinked,
    [LINKS_OWNED] = open_owned,
};

/* Has it a ".." among its names? Requests have none, but what a configuration makes of them may
 * (try_files /$arg_name). */
static bool climbs(const char *path)
{
    for (const char *p = path; (p = strstr(p, "..")) != NULL; p += 2)
        if ((p == path || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
            return true;
    return false;
}

int file_open_at(const struct file_place *p, bool cached_only, struct stat *ret)
{
    int fd;

    /* the kernel sees to it only for LINKS_BENEATH */
    if (p->links != LINKS_BENEATH && climbs(behind(p, p->root_size)))
        return -FILE_LEADS_OUT;
    fd = openers[p->links](p, cached_only);
    if (fd < 0)
        return fd == -EAGAIN && !cached_only ? -EBUSY : fd;
    if (fstat(fd, ret) == 0 && (S_ISREG(ret->st_mode) || S_ISDIR(ret->st_mode)))
        return fd;
    close(fd);
    return -EACCES;
}

int file_mode_at(const char *path, bool cached_only, unsigned *ret_mode)
{
    int fd = open_free(AT_FDCWD, path, NO_RIGHTS, cached_only), error;
    struct stat s;

    if (fd < 0)
        return fd == -EAGAIN && !cached_only ? -EBUSY : fd;
    error = fstat(fd, &s) == 0 ? 0 : -errno;
    close(fd);
    if (error == 0)
        *ret_mode = s.st_mode;
    return error;
}

/* ---- what is in memory --------------------------------------------------------------- */

int file_warm(int fd, uint64_t offset, uint64_t size)
{
    char bytes[WARM_STEP];

    for (uint64_t end = offset + size; offset < end;) {
        size_t step = end - offset < sizeof bytes ? (size_t)(end - offset) : sizeof bytes;
        ssize_t n = pread(fd, bytes, step, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        offset += (uint64_t)n;
    }
    return 0;
}

static bool byte_is_warm(int fd, uint64_t offset)
{
    char byte;
    struct iovec into = { &byte, 1 };

    return preadv2(fd, &into, 1, (off_t)offset, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

bool file_is_warm(int fd, uint64_t offset, uint64_t size)
{
    return byte_is_warm(fd, offset) && (size < 2 || byte_is_warm(fd, offset + size - 1));
}
