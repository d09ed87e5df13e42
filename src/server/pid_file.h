/* pid_file.h - the file that says which process the master is. */
#ifndef SERVER_PID_FILE_H
#define SERVER_PID_FILE_H

#include "base/slice.h"

#include <sys/types.h>

enum { PID_PATH_SIZE = 4096 };

/* While the next binary takes over, the old one's file has this behind its name. */
#define PID_OLD_SUFFIX ".oldbin"

/* 0 or -errno. */
int pid_file_write(const char *path) MUST_USE;
/* The number in it; 0 or -errno (-EINVAL: no number). */
int pid_file_read(const char *path, pid_t *ret) MUST_USE;

/* The name under which the master `pid` takes commands: an abstract unix socket, so that no
 * file is left behind. At most PID_NAME_SIZE bytes with the NUL; false: there is no such
 * process. */
enum { PID_NAME_SIZE = 64 };
bool pid_command_name(pid_t pid, char name[PID_NAME_SIZE]);

#endif
