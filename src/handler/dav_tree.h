/* dav_tree.h - what dav does to files and trees: for helper threads, all may wait.
 *
 * Paths are walked below a root that no symbolic link leads out of (openat2(2),
 * RESOLVE_BENEATH); the last name is never followed. Trees are walked without recursion, at
 * most TREE_DEPTH_MAX deep. All return 0 or -errno.
 */
#ifndef HANDLER_DAV_TREE_H
#define HANDLER_DAV_TREE_H

#include "handler/file_open.h"

enum { TREE_DEPTH_MAX = 64, DAV_NAME_MAX = 255 };

/* A name in an open directory. */
struct dav_spot {
    int dir; /* O_PATH, or -1 */
    char name[DAV_NAME_MAX + 1];
};

/* Opens the directory that the place is in; -ENOENT if it is not there, unless `make` makes it,
 * with that mode. Final slashes of the path mean nothing here. */
int dav_spot_open(const struct file_place *, bool make, mode_t mode, struct dav_spot *ret);
void dav_spot_close(struct dav_spot *);

/* fstatat(2) of the name itself. */
int dav_spot_stat(const struct dav_spot *, struct stat *ret);

/* A new file beside the spot, written by fill(fd, arg) (0 or -errno), then renamed over it: nobody
 * sees half of it. Directories are not replaced (-EISDIR). */
int dav_spot_fill(const struct dav_spot *, mode_t mode, int (*fill)(int fd, void *arg), void *arg);

/* Unlinks a file, a link, or a whole tree. */
int dav_remove(const struct dav_spot *);

/* Copies a file, a link (as a link), or a tree (`deep`: with what is in it) to a spot that is
 * free, or, for files, may be there. */
int dav_copy(const struct dav_spot *from, const struct dav_spot *to, bool deep);

/* Renames; where that cannot be done over the border of file systems, copies and removes. */
int dav_move(const struct dav_spot *from, const struct dav_spot *to);

/* Copies bytes [0, size) of one file to another (copy_file_range(2), else by hand). */
int dav_copy_bytes(int from, int to, uint64_t size);

#endif
