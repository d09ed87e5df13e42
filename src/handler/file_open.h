/* file_open.h - opening one file beneath its root. */
#ifndef HANDLER_FILE_OPEN_H
#define HANDLER_FILE_OPEN_H

#include "base/slice.h"

#include <sys/stat.h>

enum links { LINKS_BENEATH, LINKS_FREE, LINKS_NONE };

/* Opens root/below; below is "" for the root itself. cached_only: -EAGAIN instead of waiting
 * for a disk. The fd (close-on-exec, non-blocking), or -errno; *ret is its fstat. Directories
 * are opened too; what is neither file nor directory is -EACCES. */
int file_open_beneath(const char *root, const char *below, enum links, bool cached_only,
                      struct stat *ret);

#endif
