/* listing.c - reading a directory on a helper thread. */
#include "handler/listing.h"

#include "http/map_path.h"
#include "http/pipeline.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- on a helper thread -------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    bool x_first = x->kind == ENTRY_DIRECTORY, y_first = y->kind == ENTRY_DIRECTORY;

    if (x_first != y_first)
        return x_first ? -1 : 1;
    return slice_cmp(x->name, y->name);
}

/* False: no room for more. Names that vanish meanwhile are left out, and so are links that
 * lead nowhere. */
static bool take_entry(struct listing *l, int dir, const char *name)
{
    struct entry *e = &l->entries[l->count];
    struct stat s;

    if (name[0] == '.' || fstatat(dir, name, &s, 0) != 0)
        return true;
    if (l->count == ENTRIES_MAX)
        return false;
    e->name = arena_copy(&l->arena, slice_str(name));
    if (e->name.at == NULL)
        return false;
    e->kind = S_ISDIR(s.st_mode) ? ENTRY_DIRECTORY : S_ISREG(s.st_mode) ? ENTRY_FILE : ENTRY_OTHER;
    e->mtime = s.st_mtim.tv_sec;
    e->size = s.st_size;
    l->count++;
    return true;
}

static int read_names(struct listing *l, DIR *dir)
{
    const struct dirent *d;

    l->entries = arena_alloc(&l->arena, ENTRIES_MAX * sizeof *l->entries);
    if (l->entries == NULL)
        return -ENOMEM;
    errno = 0;
    while (!l->cut && (d = readdir(dir)) != NULL) {
        l->cut = !take_entry(l, dirfd(dir), d->d_name);
        errno = 0; /* of a stat: only readdir's counts */
    }
    if (errno != 0)
        return -errno;
    qsort(l->entries, l->count, sizeof *l->entries, by_name);
    return 0;
}

/* Opened as a file of that path would be: a listing shows no more than one may fetch. */
static int32_t read_directory(struct io_op *op)
{
    struct listing *l = container_of(op, struct listing, op);
    struct stat s;
    int fd = file_open_at(&l->place, false, &s);
    DIR *dir;
    int error;

    if (fd < 0)
        return fd;
    dir = S_ISDIR(s.st_mode) ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        error = S_ISDIR(s.st_mode) ? -errno : -ENOTDIR;
        close(fd);
        return error;
    }
    error = read_names(l, dir);
    closedir(dir);
    return error;
}

/* ---- on the loop --------------------------------------------------------------------- */

static void drop_listing(void *listing)
{
    struct listing *l = listing;

    if (!l->flying)
        arena_done(&l->arena);
}

static void directory_read(struct io *io, struct io_op *op, struct io_result result)
{
    struct listing *l = container_of(op, struct listing, op);
    struct request *r = l->request;

    (void)io;
    l->error = result.res < 0 ? -result.res : 0;
    l->flying = false;
    if (r->ended)
        drop_listing(l);
    if (!request_unpin(r))
        request_resume(r);
}

enum verdict listing_begin(struct request *r)
{
    struct listing *l = arena_zalloc(&r->arena, sizeof *l);
    struct slice path, below;

    if (l == NULL)
        return request_fail(r, 500);
    if (!map_path(r, r->uri, &path, &below))
        return request_fail(r, 404);
    if (!file_place_of(r, request_conf(r, &feature_file_cache), path, below, &l->place))
        return request_fail(r, 500);
    arena_init(&l->arena, NULL, 0, 65536, LISTING_MEMORY_MAX);
    if (!request_at_end(r, drop_listing, l))
        return request_fail(r, 500);
    l->request = r;
    l->flying = true;
    r->slots[SLOT_LISTING] = l;
    request_pin(r);
    io_work(r->io, &l->op, read_directory, directory_read);
    return WAIT;
}
