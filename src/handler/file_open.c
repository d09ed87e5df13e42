/* file_open.c - openat2(2), and what to do without it. */
#include "handler/file_open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

enum { FLAGS = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY };

static int open_how(int dir, const char *path, uint64_t resolve)
{
    struct open_how how = { .flags = FLAGS, .resolve = resolve };
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);

    return fd < 0 ? -errno : (int)fd;
}

static const uint64_t resolve_of[] = {
    [LINKS_BENEATH] = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    [LINKS_FREE] = RESOLVE_NO_MAGICLINKS,
    [LINKS_NONE] = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
};

/* `root` may be AT_FDCWD with an absolute path. */
static int open_below(int root, const char *below, enum links links, bool cached_only)
{
    const char *path = below[0] != '\0' ? below : ".";
    int fd = open_how(root, path, resolve_of[links] | (cached_only ? RESOLVE_CACHED : 0));

    /* Kernels before 5.12 do not know RESOLVE_CACHED: waiting is all they can do. */
    if (fd == -EINVAL && cached_only)
        fd = open_how(root, path, resolve_of[links]);
    if (fd == -ENOSYS) {
        fd = openat(root, path, FLAGS | (links == LINKS_FREE ? 0 : O_NOFOLLOW));
        fd = fd < 0 ? -errno : fd;
    }
    return fd;
}

int file_open_beneath(const char *root, const char *below, enum links links, bool cached_only,
                      struct stat *ret)
{
    int dir = open_below(AT_FDCWD, root, LINKS_FREE, cached_only);
    bool directory_root;

    if (dir < 0)
        return dir;
    if (fstat(dir, ret) != 0) {
        int error = errno;

        close(dir);
        return -error;
    }
    directory_root = S_ISDIR(ret->st_mode);
    if (below[0] == '\0' && (directory_root || S_ISREG(ret->st_mode)))
        return dir;             /* the root itself, or an alias that names a file */
    int fd = directory_root ? open_below(dir, below, links, cached_only) : -ENOTDIR;

    close(dir);
    if (fd < 0)
        return fd;
    if (fstat(fd, ret) == 0 && (S_ISREG(ret->st_mode) || S_ISDIR(ret->st_mode)))
        return fd;
    close(fd);
    return -EACCES;
}
