/* pid_file.c - writes and reads the master's process id. */
#include "server/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { PID_MODE = 0644, STAT_SIZE = 1024, STARTED_AT = 19 /* fields behind the name */ };

int pid_file_write(const char *path)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, PID_MODE), error = 0;

    if (fd < 0)
        return -errno;
    if (write(fd, text, (size_t)n) != n)
        error = errno != 0 ? -errno : -EIO;
    close(fd);
    return error;
}

static int read_file(const char *path, char *into, size_t size, struct slice *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, into, size);
    int error = n < 0 ? -errno : 0;

    close(fd);
    *ret = slice_of(into, n > 0 ? (size_t)n : 0);
    return error;
}

int pid_file_read(const char *path, pid_t *ret)
{
    char text[32];
    struct slice s;
    uint64_t pid;
    int error = read_file(path, text, sizeof text, &s);

    if (error != 0)
        return error;
    if (!slice_to_u64(slice_cut(&s, '\n'), INT32_MAX, &pid) || pid == 0)
        return -EINVAL;
    *ret = (pid_t)pid;
    return 0;
}

/* A process id alone may be in use in several containers that share a network: the time it was
 * started at tells them apart. */
bool pid_command_name(pid_t pid, char name[PID_NAME_SIZE])
{
    char path[64], text[STAT_SIZE];
    struct slice s;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_file(path, text, sizeof text, &s) != 0)
        return false;
    for (size_t i = s.size; i > 0; i--) {
        if (s.at[i - 1] != ')')
            continue;
        s = slice_skip(s, i + 1 < s.size ? i + 1 : s.size);
        break;
    }
    for (int i = 0; i < STARTED_AT; i++)
        slice_cut(&s, ' ');
    struct slice started = slice_cut(&s, ' ');

    snprintf(name, PID_NAME_SIZE, "weir-%d-%.*s", (int)pid, (int)(started.size & 31), started.at);
    return started.size > 0;
}
