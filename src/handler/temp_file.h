/* temp_file.h - the files that bodies are kept in: for helper threads, all may wait.
 *
 *   struct temp_place p = { "/var/lib/weir/body", { 1, 2, 0 }, TEMP_NAMELESS };
 *   int fd = temp_file_open(&p, name, sizeof name);
 */
#ifndef HANDLER_TEMP_FILE_H
#define HANDLER_TEMP_FILE_H

#include "base/slice.h"

#include <stdint.h>
#include <sys/types.h>

enum { TEMP_LEVELS = 3 };

struct temp_place {
    const char *directory;       /* absolute, NUL-terminated                              */
    uint8_t levels[TEMP_LEVELS]; /* digits of each level of directories; 0: no more       */
    bool named;                  /* it shall keep a name                                   */
};

/* A new file, mode 0600, open for reading and writing; or -errno. With O_TMPFILE where the file
 * system has that (open(2)), else unlinked at once. If place->named, name[0..size) is its path
 * (directory, levels, ten digits), else "", and size may be 0. Missing directories are made. */
int temp_file_open(const struct temp_place *, char *name, size_t size);

/* A new file next to `path`, under its name with a dot and ten digits behind it, which goes to
 * name[0..size): to be renamed to path once it is whole. Missing directories are made. The fd, or
 * -errno. */
int temp_file_beside(const char *path, mode_t mode, mode_t directory_mode, char *name, size_t size);

/* Writes all of it at offset (pwrite(2)). 0 or -errno. */
int temp_file_write(int fd, const char *at, size_t size, uint64_t offset);

#endif
