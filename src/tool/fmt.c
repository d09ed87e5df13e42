/* fmt.c - `weir fmt`: reads each file, and puts the formatted text in its place. */
#include "tool/fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_SIZE = 64 * 1024, PATH_SIZE = 4096 };
enum { STATUS_GOOD = 0, STATUS_CHANGES = 1, STATUS_BROKEN = 2 };

struct wish {
    struct conf_source *source;
    bool check, print;
};

static const char usage[] =
    "usage: weir fmt [--check] [--stdout] FILE...\n"
    "  --check    change nothing; name the files that would change, exit 1 if there are any\n"
    "  --stdout   change nothing; print the formatted text\n"
    "Exit status 2: a file is broken, or cannot be read or written.\n";

static int failed(const char *what, const char *path)
{
    fprintf(stderr, "weir: cannot %s \"%s\": %s\n", what, path, strerror(errno));
    return STATUS_BROKEN;
}

/* ---- writing ---------------------------------------------------------------------------- */

static bool write_all(int fd, struct slice s)
{
    while (s.size > 0) {
        ssize_t n = write(fd, s.at, s.size);

        if (n < 0 && errno != EINTR)
            return false;
        s = slice_skip(s, n > 0 ? (size_t)n : 0);
    }
    return true;
}

/* The new file is the old one's equal in mode and owner. The mode comes last: a change of owner
 * may take bits away. */
static bool fill(int fd, struct slice text, const struct stat *old)
{
    struct stat now;

    if (!write_all(fd, text) || fstat(fd, &now) != 0)
        return false;
    if ((now.st_uid != old->st_uid || now.st_gid != old->st_gid) &&
        fchown(fd, old->st_uid, old->st_gid) != 0)
        return false;
    return fchmod(fd, old->st_mode & 07777) == 0 && fsync(fd) == 0;
}

static void sync_directory(const char *path)
{
    char dir[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    int fd;

    snprintf(dir, sizeof dir, "%.*s", (int)(slash - path) + 1, path);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

/* Whoever reads the file finds the old text or the new one, never a part. */
static int replace(const char *path, struct slice text)
{
    char real[PATH_SIZE], fresh[PATH_SIZE + 16];
    struct stat old;
    int fd, error;
    bool good;

    if (realpath(path, real) == NULL || stat(real, &old) != 0)
        return failed("find", path);
    if (!S_ISREG(old.st_mode)) {
        fprintf(stderr, "weir: \"%s\" is no regular file: it can only be printed (--stdout)\n",
                path);
        return STATUS_BROKEN;
    }
    snprintf(fresh, sizeof fresh, "%s.XXXXXX", real);
    fd = mkostemp(fresh, O_CLOEXEC);
    if (fd < 0)
        return failed("make a new file beside", path);
    good = fill(fd, text, &old);
    error = errno;
    good = close(fd) == 0 && good;
    if (good && rename(fresh, real) == 0) {
        sync_directory(real);
        return STATUS_GOOD;
    }
    errno = good ? errno : error;
    error = failed("replace", path);
    (void)unlink(fresh);
    return error;
}

static int settle(const struct wish *wish, const char *path, struct slice old, struct slice text)
{
    bool same = slice_eq(old, text);

    if (wish->print)
        return write_all(STDOUT_FILENO, text) ? STATUS_GOOD : failed("print", path);
    if (same)
        return STATUS_GOOD;
    if (!wish->check)
        return replace(path, text);
    printf("%s\n", path);
    return STATUS_CHANGES;
}

/* ---- files ------------------------------------------------------------------------------ */

static void print_complaint(void *arg, struct slice text, enum conf_severity severity)
{
    (void)severity;
    fwrite(text.at, 1, text.size, arg);
}

static int format(const struct registry *registry, const struct wish *wish, const char *path)
{
    struct arena arena;
    struct gather g;
    int status = STATUS_BROKEN;

    arena_init(&arena, NULL, 0, BLOCK_SIZE, SIZE_MAX);
    struct conf_load *load = conf_load_create(registry, wish->source, &arena, ".");

    (void)conf_load_parse(load, path, false);
    conf_load_report(load, isatty(STDERR_FILENO) == 1, print_complaint, stderr);
    if (conf_load_errors(load) == 0) {
        struct slice text = conf_load_files(load)->text;

        gather_init(&g, NULL, 0, &arena, SIZE_MAX);
        fmt_text(text, &g);
        CHECK(!g.full);
        status = settle(wish, path, text, gather_get(&g));
    }
    conf_load_destroy(load);
    arena_done(&arena);
    return status;
}

/* ---- the command ------------------------------------------------------------------------ */

static int refuse(const char *what, const char *word)
{
    fprintf(stderr, "weir: %s%s%s%s\n%s", what, word[0] != '\0' ? " \"" : "", word,
            word[0] != '\0' ? "\"" : "", usage);
    return STATUS_BROKEN;
}

int tool_fmt(const struct registry *registry, struct conf_source *source, int argc, char **argv)
{
    struct wish wish = { .source = source };
    int status = STATUS_GOOD, at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--check") == 0) {
            wish.check = true;
        } else if (strcmp(argv[at], "--stdout") == 0) {
            wish.print = true;
        } else if (strcmp(argv[at], "--help") == 0) {
            fputs(usage, stdout);
            return STATUS_GOOD;
        } else {
            return refuse("fmt has no option", argv[at]);
        }
    }
    if (wish.check && wish.print)
        return refuse("--check and --stdout exclude each other", "");
    if (at == argc)
        return refuse("fmt needs the name of a file", "");
    for (; at < argc; at++) {
        int one = format(registry, &wish, argv[at]);

        status = one > status ? one : status;
    }
    return status;
}
