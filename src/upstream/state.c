/* state.c - the state file of a group, written: a temporary file, fsync, rename. */
#include "upstream/state.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { BLOCK_SIZE = 16 * 1024, TEXT_MAX = 4 * 1024 * 1024, FILE_MODE = 0644 };

static int write_all(int fd, struct slice text)
{
    while (text.size > 0) {
        ssize_t n = write(fd, text.at, text.size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        text = slice_skip(text, (size_t)n);
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

/* So that the new name is on the disk, too. */
static int sync_directory(const char *path)
{
    char copy[PATH_MAX];
    int fd, error;

    snprintf(copy, sizeof copy, "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    error = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return error;
}

static int replace(const char *path, struct slice text)
{
    char fresh[PATH_MAX];
    int n = snprintf(fresh, sizeof fresh, "%s.%d", path, (int)getpid()), fd, error;

    if (n < 0 || (size_t)n >= sizeof fresh)
        return -ENAMETOOLONG;
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return -errno;
    error = write_all(fd, text);
    close(fd);
    if (error == 0 && rename(fresh, path) != 0)
        error = -errno;
    if (error == 0)
        return sync_directory(path);
    (void)unlink(fresh);
    return error;
}

/* Whoever comes later writes what is true later. */
int state_write(struct group *g)
{
    struct arena arena;
    struct gather text;
    int error;

    arena_init(&arena, NULL, 0, BLOCK_SIZE, 2 * TEXT_MAX);
    gather_init(&text, NULL, 0, &arena, TEXT_MAX);
    pthread_mutex_lock(&g->state_lock);
    pthread_mutex_lock(&g->lock);
    servers_print(&text, g);
    pthread_mutex_unlock(&g->lock);
    error = text.full ? -ENOMEM : replace(g->state, gather_get(&text));
    pthread_mutex_unlock(&g->state_lock);
    arena_done(&arena);
    return error;
}
