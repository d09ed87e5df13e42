/* dav_tree.c - files and trees, by system calls alone. */
#include "handler/dav_tree.h"

#include "handler/temp_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, COPY_STEP = 1 << 20, BY_HAND = 64 * 1024, TRIES_MAX = 100 };

/* ---- spots ---------------------------------------------------------------------------- */

static int open_beneath(int dir, const char *path, enum links links)
{
    struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

    if (links == LINKS_NONE || links == LINKS_OWNED)
        how.resolve |= RESOLVE_NO_SYMLINKS;
    for (;;) {
        long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);

        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            return fd >= 0 ? (int)fd : -errno;
    }
}

/* Makes what is missing of path below dir, one directory after the other. */
static int make_way(int root, char *path, const struct file_place *p, mode_t mode)
{
    for (char *end = strchr(path, '/');; end = strchr(end + 1, '/')) {
        if (end != NULL)
            *end = '\0';
        int fd = open_beneath(root, path, p->links);

        if (fd == -ENOENT) {
            char *last = strrchr(path, '/');
            int dir = root;

            if (last != NULL) {
                *last = '\0';
                dir = open_beneath(root, path, p->links);
                *last = '/';
            }
            int error = dir < 0 ? dir : 0;

            if (dir >= 0 && mkdirat(dir, last != NULL ? last + 1 : path, mode) != 0 &&
                errno != EEXIST)
                error = -errno;
            if (dir >= 0 && dir != root)
                close(dir);
            if (error != 0)
                return error;
        } else if (fd < 0) {
            return fd;
        } else {
            close(fd);
        }
        if (end == NULL)
            return 0;
        *end = '/';
    }
}

int dav_spot_open(const struct file_place *p, bool make, mode_t mode, struct dav_spot *ret)
{
    char path[PATH_SIZE];
    size_t size = p->path.size, root_size = p->root_size > 0 ? p->root_size : 1;

    ret->dir = -1;
    while (size > root_size && p->path.at[size - 1] == '/')
        size--;
    if (size >= sizeof path)
        return -ENAMETOOLONG;
    if (size <= root_size)
        return -EBUSY; /* the root itself stays as it is */
    memcpy(path, p->path.at, size);
    path[size] = '\0';
    char *name = strrchr(path + (p->root_size > 0 ? p->root_size : 0), '/');
    size_t name_size = strlen(name + 1);

    if (name_size > DAV_NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(ret->name, name + 1, name_size + 1);
    *name = '\0';
    char *below = path + p->root_size;

    while (*below == '/')
        *below++ = '\0';
    int root = open(p->root_size > 0 ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        return -errno;
    if (*below == '\0') {
        ret->dir = root;
        return 0;
    }
    int error = make ? make_way(root, below, p, mode) : 0;

    if (error == 0)
        ret->dir = open_beneath(root, below, p->links);
    close(root);
    return error != 0 ? error : ret->dir < 0 ? ret->dir : 0;
}

void dav_spot_close(struct dav_spot *s)
{
    if (s->dir >= 0)
        close(s->dir);
    s->dir = -1;
}

int dav_spot_stat(const struct dav_spot *s, struct stat *ret)
{
    return fstatat(s->dir, s->name, ret, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

/* ---- files ---------------------------------------------------------------------------- */

int dav_copy_bytes(int from, int to, uint64_t size)
{
    uint64_t done = 0;
    char bytes[BY_HAND];

    while (done < size) {
        off_t in = (off_t)done, out = (off_t)done;
        size_t most = size - done < COPY_STEP ? (size_t)(size - done) : COPY_STEP;
        ssize_t n = copy_file_range(from, &in, to, &out, most, 0);

        if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
            return -errno;
        if (n <= 0) { /* not between these two */
            n = pread(from, bytes, most < sizeof bytes ? most : sizeof bytes, (off_t)done);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return n < 0 ? -errno : -ENODATA;
            int error = temp_file_write(to, bytes, (size_t)n, done);

            if (error != 0)
                return error;
        }
        done += (uint64_t)n;
    }
    return 0;
}

static int open_beside(const struct dav_spot *s, char *name, size_t size)
{
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        uint64_t number = 0;

        (void)!getrandom(&number, sizeof number, GRND_NONBLOCK);
        snprintf(name, size, ".weir-%016llx", (unsigned long long)number + i);
        int fd = openat(s->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd >= 0 || errno != EEXIST)
            return fd >= 0 ? fd : -errno;
    }
    return -EEXIST;
}

int dav_spot_fill(const struct dav_spot *s, mode_t mode, int (*fill)(int fd, void *arg), void *arg)
{
    char beside[32];
    int fd = open_beside(s, beside, sizeof beside), error;

    if (fd < 0)
        return fd;
    error = fill(fd, arg);
    if (error == 0 && fchmod(fd, mode) != 0)
        error = -errno;
    close(fd);
    if (error == 0 && renameat(s->dir, beside, s->dir, s->name) != 0)
        error = -errno;
    if (error != 0)
        (void)unlinkat(s->dir, beside, 0);
    return error;
}

struct copying {
    int from;
    uint64_t size;
};

static int fill_copy(int fd, void *arg)
{
    const struct copying *c = arg;

    return dav_copy_bytes(c->from, fd, c->size);
}

static int copy_file(const struct dav_spot *from, const struct dav_spot *to)
{
    struct stat s;
    int fd = openat(from->dir, from->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), error;

    if (fd < 0)
        return -errno;
    error = fstat(fd, &s) != 0 ? -errno : !S_ISREG(s.st_mode) ? -EACCES : 0;
    if (error == 0) {
        struct copying c = { fd, (uint64_t)s.st_size };

        error = dav_spot_fill(to, s.st_mode & 0777, fill_copy, &c);
    }
    close(fd);
    return error;
}

static int copy_link(const struct dav_spot *from, const struct dav_spot *to)
{
    char text[PATH_SIZE];
    ssize_t size = readlinkat(from->dir, from->name, text, sizeof text - 1);

    if (size < 0)
        return -errno;
    text[size] = '\0';
    if (symlinkat(text, to->dir, to->name) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (unlinkat(to->dir, to->name, 0) != 0 || symlinkat(text, to->dir, to->name) != 0)
        return -errno;
    return 0;
}

/* ---- trees ---------------------------------------------------------------------------- */

/* One directory on the way down. */
struct level {
    DIR *dir;
    int to; /* where its entries are copied; -1: they are removed */
    char name[DAV_NAME_MAX + 1];
};

struct walk {
    struct level levels[TREE_DEPTH_MAX];
    unsigned depth;
};

/* The directory dir/name becomes the level that is walked. `to` is taken. */
static int push(struct walk *w, int dir, const char *name, int to)
{
    struct level *l = &w->levels[w->depth];
    int error = -ELOOP;

    if (w->depth < TREE_DEPTH_MAX) {
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        l->dir = fd >= 0 ? fdopendir(fd) : NULL;
        error = l->dir != NULL ? 0 : -errno;
        if (l->dir == NULL && fd >= 0)
            close(fd);
    }
    if (error != 0) {
        if (to >= 0)
            close(to);
        return error;
    }
    l->to = to;
    snprintf(l->name, sizeof l->name, "%s", name);
    w->depth++;
    return 0;
}

static void pop(struct walk *w)
{
    struct level *l = &w->levels[--w->depth];

    closedir(l->dir);
    if (l->to >= 0)
        close(l->to);
}

/* Makes the directory and opens it for what is put in. */
static int make_open(int dir, const char *name, mode_t mode)
{
    if (mkdirat(dir, name, (mode & 0777) | 0700) != 0)
        return -errno;
    int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd >= 0 ? fd : -errno;
}

static int remove_entry(struct walk *w, struct level *l, const char *name)
{
    int dir = dirfd(l->dir);

    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    return errno == EISDIR || errno == EPERM ? push(w, dir, name, -1) : -errno;
}

static int copy_entry(struct walk *w, struct level *l, const char *name)
{
    struct dav_spot from = { .dir = dirfd(l->dir) }, to = { .dir = l->to };
    struct stat s;
    int error;

    snprintf(from.name, sizeof from.name, "%s", name);
    memcpy(to.name, from.name, sizeof to.name);
    error = dav_spot_stat(&from, &s);
    if (error != 0)
        return error == -ENOENT ? 0 : error;
    if (S_ISREG(s.st_mode))
        return copy_file(&from, &to);
    if (S_ISLNK(s.st_mode))
        return copy_link(&from, &to);
    if (!S_ISDIR(s.st_mode))
        return 0; /* sockets and the like are nobody's content */
    int inner = make_open(to.dir, to.name, s.st_mode);

    return inner < 0 ? inner : push(w, from.dir, name, inner);
}

/* Visits every entry below what was pushed; `leave` when a level is done. */
static int walk_on(struct walk *w, int (*entry)(struct walk *, struct level *, const char *name),
                   int (*leave)(struct walk *, int top), int top)
{
    int error = 0;

    while (w->depth > 0 && error == 0) {
        struct level *l = &w->levels[w->depth - 1];
        const struct dirent *d;

        errno = 0;
        d = readdir(l->dir);
        if (d == NULL) {
            error = errno != 0 ? -errno : leave(w, top);
            continue;
        }
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            error = entry(w, l, d->d_name);
    }
    while (w->depth > 0)
        pop(w);
    return error;
}

static int leave_removed(struct walk *w, int top)
{
    char name[DAV_NAME_MAX + 1];

    memcpy(name, w->levels[w->depth - 1].name, sizeof name);
    pop(w);
    int dir = w->depth > 0 ? dirfd(w->levels[w->depth - 1].dir) : top;

    return unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

static int leave_copied(struct walk *w, int top)
{
    (void)top;
    pop(w);
    return 0;
}

int dav_remove(const struct dav_spot *s)
{
    struct stat st;
    int error = dav_spot_stat(s, &st);

    if (error != 0)
        return error;
    if (!S_ISDIR(st.st_mode))
        return unlinkat(s->dir, s->name, 0) == 0 ? 0 : -errno;
    struct walk *w = calloc(1, sizeof *w);

    if (w == NULL)
        return -ENOMEM;
    error = push(w, s->dir, s->name, -1);
    if (error == 0)
        error = walk_on(w, remove_entry, leave_removed, s->dir);
    free(w);
    return error;
}

static int copy_tree(const struct dav_spot *from, const struct dav_spot *to, mode_t mode, bool deep)
{
    int inner = make_open(to->dir, to->name, mode), error;

    if (inner < 0)
        return inner;
    struct walk *w = deep ? calloc(1, sizeof *w) : NULL;

    if (w == NULL) {
        close(inner);
        return deep ? -ENOMEM : 0;
    }
    error = push(w, from->dir, from->name, inner);
    if (error == 0)
        error = walk_on(w, copy_entry, leave_copied, -1);
    free(w);
    return error;
}

int dav_copy(const struct dav_spot *from, const struct dav_spot *to, bool deep)
{
    struct stat s;
    int error = dav_spot_stat(from, &s);

    if (error != 0)
        return error;
    if (S_ISREG(s.st_mode))
        return copy_file(from, to);
    if (S_ISLNK(s.st_mode))
        return copy_link(from, to);
    return S_ISDIR(s.st_mode) ? copy_tree(from, to, s.st_mode, deep) : -EACCES;
}

int dav_move(const struct dav_spot *from, const struct dav_spot *to)
{
    if (renameat(from->dir, from->name, to->dir, to->name) == 0)
        return 0;
    if (errno != EXDEV)
        return -errno;
    int error = dav_copy(from, to, true);

    return error != 0 ? error : dav_remove(from);
}
