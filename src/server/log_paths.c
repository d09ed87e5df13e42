/* log_paths.c - open_log_file_cache: a list of open files, the one used last in front. */
#include "server/log_paths.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, LOG_MODE = 0644, KEPT_MAX = 4096 };

struct log_path {
    int fd;        /* -1: used too rarely to be kept open                   */
    uint32_t uses; /* since `since_ns`                                      */
    uint64_t since_ns, used_ns, checked_ns;
    int64_t inactive_ms;
    struct log_path *next;
    char path[];
};

static int open_path(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, LOG_MODE);

    return fd >= 0 ? fd : -errno;
}

static bool harmless(struct slice path)
{
    return path.size > 0 && path.size < PATH_SIZE && path.at[0] == '/' &&
           slice_find(path, '\0') == path.size && slice_search(path, SLICE("/../")) == path.size &&
           !slice_ends(path, SLICE("/.."));
}

static void drop(struct log_paths *p, struct log_path **at)
{
    struct log_path *gone = *at;

    *at = gone->next;
    if (gone->fd >= 0)
        close(gone->fd);
    free(gone);
    p->count--;
}

/* Closes what nobody wrote to for its `inactive`, and the oldest beyond `most`. */
static void expire(struct log_paths *p, uint64_t now_ns, int64_t most)
{
    int64_t nth = 0;

    for (struct log_path **at = &p->first; *at != NULL;) {
        if (nth++ >= most || now_ns - (*at)->used_ns > (uint64_t)(*at)->inactive_ms * NS_PER_MS)
            drop(p, at);
        else
            at = &(*at)->next;
    }
}

static struct log_path *find(struct log_paths *p, struct slice path)
{
    for (struct log_path **at = &p->first; *at != NULL; at = &(*at)->next) {
        struct log_path *found = *at;

        if (!slice_eq(slice_str(found->path), path))
            continue;
        *at = found->next;
        found->next = p->first;
        p->first = found;
        return found;
    }
    return NULL;
}

static struct log_path *enter(struct log_paths *p, const char *path, uint64_t now_ns)
{
    size_t size = strlen(path) + 1;
    struct log_path *e = calloc(1, sizeof *e + size);

    if (e == NULL)
        return NULL;
    memcpy(e->path, path, size);
    e->fd = -1;
    e->since_ns = now_ns;
    e->next = p->first;
    p->first = e;
    p->count++;
    return e;
}

/* Somebody may have moved the file away. */
static void check(struct log_path *e, uint64_t now_ns, int64_t valid_ms)
{
    struct stat ours, named;

    if (e->fd < 0 || now_ns - e->checked_ns < (uint64_t)valid_ms * NS_PER_MS)
        return;
    e->checked_ns = now_ns;
    if (fstat(e->fd, &ours) == 0 && stat(e->path, &named) == 0 && ours.st_ino == named.st_ino &&
        ours.st_dev == named.st_dev)
        return;
    close(e->fd);
    e->fd = -1;
}

int log_paths_open(struct log_paths *p, struct slice path, const struct log_file_cache *cache,
                   uint64_t now_ns, bool *ret_kept)
{
    char text[PATH_SIZE];

    *ret_kept = false;
    if (!harmless(path))
        return -EINVAL;
    memcpy(text, path.at, path.size);
    text[path.size] = '\0';
    if (cache->max <= 0)
        return open_path(text);
    struct log_path *e = find(p, path);

    if (e == NULL)
        e = enter(p, text, now_ns);
    if (e == NULL)
        return open_path(text);
    if (now_ns - e->since_ns > (uint64_t)cache->inactive_ms * NS_PER_MS) {
        e->since_ns = now_ns;
        e->uses = 0;
    }
    e->uses++;
    e->used_ns = now_ns;
    e->inactive_ms = cache->inactive_ms;
    expire(p, now_ns, cache->max < KEPT_MAX ? cache->max : KEPT_MAX);
    check(e, now_ns, cache->valid_ms);
    if (e->fd >= 0) {
        *ret_kept = true;
        return e->fd;
    }
    int fd = open_path(text);

    if (fd >= 0 && e->uses >= (uint64_t)cache->min_uses) {
        e->fd = fd;
        e->checked_ns = now_ns;
        *ret_kept = true;
    }
    return fd;
}

void log_paths_close(struct log_paths *p)
{
    while (p->first != NULL)
        drop(p, &p->first);
}
