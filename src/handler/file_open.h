/* file_open.h - opening one path under a rule about symbolic links, by system calls alone: for
 * the loop and for helper threads.
 *
 *   struct file_place p = { path, root_size, 0, LINKS_BENEATH };
 *   int fd = file_open_at(&p, true, &stat);     -EAGAIN: only a thread that may wait can tell
 */
#ifndef HANDLER_FILE_OPEN_H
#define HANDLER_FILE_OPEN_H

#include "base/slice.h"

#include <sys/stat.h>

enum links {
    LINKS_BENEATH, /* those that stay below the root                                   */
    LINKS_FREE,    /* all                                                              */
    LINKS_NONE,    /* none behind the trusted part of the path                         */
    LINKS_OWNED,   /* there, those that belong to the owner of what they point at      */
};

/* A path and how it may be walked. Two places are the same file only if all of it is equal. */
struct file_place {
    struct slice path;     /* NUL-terminated                                           */
    uint32_t root_size;    /* how much of it is the root, without a final slash         */
    uint32_t trusted_size; /* LINKS_NONE, LINKS_OWNED: how much is not looked at        */
    enum links links;
};

static inline bool file_place_eq(const struct file_place *a, const struct file_place *b)
{
    return a->root_size == b->root_size && a->links == b->links &&
           a->trusted_size == b->trusted_size && slice_eq(a->path, b->path);
}

/* Errors that the file system does not have: a link leads out of the root; the rule allows no
 * link here. */
enum { FILE_LEADS_OUT = 18 /* EXDEV */, FILE_IS_LINKED = 31 /* EMLINK */ };

/* The fd (close-on-exec, non-blocking) and its fstat, or -errno. Directories are opened too;
 * what is neither file nor directory is -EACCES. cached_only: never waits for a disk, but says
 * -EAGAIN; else that is never said. */
int file_open_at(const struct file_place *, bool cached_only, struct stat *ret);

/* The mode of what the path (NUL-terminated) names, wherever links lead, or -errno; nothing is
 * opened for reading. cached_only as above. */
int file_mode_at(const char *path, bool cached_only, unsigned *ret_mode);

/* Reads [offset, offset + size) so that it is in the page cache. Waits for the disk. 0 or
 * -errno. */
int file_warm(int fd, uint64_t offset, uint64_t size);

/* Is every byte of it likely to be in the page cache? Looks at both ends, never waits. */
bool file_is_warm(int fd, uint64_t offset, uint64_t size);

#endif
