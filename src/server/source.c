/* source.c - reads configuration files, once each, and keeps what was read. */
#include "server/source.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_ROOM = 16 * 1024 };

static void *must(void *p)
{
    CHECK(p != NULL); /* boot and configuration: no memory is the end */
    return p;
}

void source_add(struct source *s, enum source_kind kind, const char *name, int error,
                struct slice bytes, bool owned)
{
    struct source_item *item = must(calloc(1, sizeof *item));

    *item = (struct source_item){ kind, must(strdup(name)), error, bytes, owned, NULL };
    *s->end = item;
    s->end = &item->next;
}

static const struct source_item *find(const struct source *s, enum source_kind kind,
                                      const char *name)
{
    for (const struct source_item *i = s->items; i != NULL; i = i->next)
        if (i->kind == kind && strcmp(i->name, name) == 0)
            return i;
    return NULL;
}

/* ---- files ------------------------------------------------------------------------------ */

/* Reads to the end, whatever kind of file it is (a pipe has no size to ask for). */
static int read_all(int fd, struct slice *ret)
{
    size_t used = 0, room = FIRST_ROOM;
    char *bytes = must(malloc(room));

    for (;;) {
        if (used == room) {
            room *= 2;
            bytes = must(realloc(bytes, room));
        }
        ssize_t n = read(fd, bytes + used, room - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || used + (size_t)n > CONF_FILE_MAX) {
            int error = n < 0 ? -errno : n > 0 ? -EFBIG : 0;

            if (error == 0)
                *ret = slice_of(bytes, used);
            else
                free(bytes);
            return error;
        }
        used += (size_t)n;
    }
}

static int read_disk(const char *path, struct slice *ret)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), error;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        error = -EISDIR;
    else
        error = read_all(fd, ret);
    close(fd);
    return error;
}

static int read_environment(const char *name, struct slice *ret)
{
    const char *value = getenv(name);

    if (value == NULL)
        return -ENOENT;
    *ret = slice_str(must(strdup(value)));
    return 0;
}

static int source_read(struct conf_source *base, const char *path, struct slice *ret)
{
    struct source *s = container_of(base, struct source, base);
    const struct source_item *known = find(s, SOURCE_FILE, path);
    struct slice bytes = { 0 };
    int error = -ENOENT;

    if (known != NULL) {
        *ret = known->bytes;
        return known->error;
    }
    if (!s->disk)
        return error;
    if (strncmp(path, CONF_ENVIRONMENT, strlen(CONF_ENVIRONMENT)) == 0)
        error = read_environment(path + strlen(CONF_ENVIRONMENT), &bytes);
    else
        error = read_disk(path, &bytes);
    source_add(s, SOURCE_FILE, path, error, bytes, error == 0);
    *ret = bytes;
    return error;
}

void source_read_again(struct source *s, const char *path)
{
    struct source_item *fresh = must(calloc(1, sizeof *fresh));
    struct slice bytes = { 0 };
    int error = read_disk(path, &bytes);

    *fresh =
        (struct source_item){ SOURCE_FILE, must(strdup(path)), error, bytes, error == 0, s->items };
    if (s->items == NULL)
        s->end = &fresh->next;
    s->items = fresh; /* in front of the older one */
}

/* ---- patterns --------------------------------------------------------------------------- */

static int glob_disk(const char *pattern, struct slice *ret)
{
    glob_t found;
    size_t size = 0, at = 0;
    int verdict = glob(pattern, 0, NULL, &found);

    if (verdict == GLOB_NOMATCH)
        return strpbrk(pattern, "*?[") != NULL ? 0 : -ENOENT;
    if (verdict != 0)
        return verdict == GLOB_NOSPACE ? -ENOMEM : -EACCES;
    for (size_t i = 0; i < found.gl_pathc; i++)
        size += strlen(found.gl_pathv[i]) + 1;
    char *paths = must(malloc(size + 1));

    for (size_t i = 0; i < found.gl_pathc; i++) {
        size_t length = strlen(found.gl_pathv[i]) + 1;

        memcpy(paths + at, found.gl_pathv[i], length);
        at += length;
    }
    globfree(&found);
    *ret = slice_of(paths, size);
    return 0;
}

static int source_glob(struct conf_source *base, const char *pattern,
                       void (*each)(void *arg, const char *path), void *arg)
{
    struct source *s = container_of(base, struct source, base);
    const struct source_item *known = find(s, SOURCE_GLOB, pattern);
    struct slice paths = { 0 };
    int error = -ENOENT;

    if (known != NULL) {
        paths = known->bytes;
        error = known->error;
    } else if (s->disk) {
        error = glob_disk(pattern, &paths);
        source_add(s, SOURCE_GLOB, pattern, error, paths, paths.at != NULL);
    }
    for (size_t at = 0; error == 0 && at < paths.size; at += strlen(paths.at + at) + 1)
        each(arg, paths.at + at);
    return error;
}

/* ---- what was there before --------------------------------------------------------------- */

static int source_stay(struct conf_source *base, const char *path, struct slice *ret)
{
    struct source *s = container_of(base, struct source, base);
    struct source_item *item = (struct source_item *)(uintptr_t)find(s, SOURCE_FILE, path);
    const struct source_item *old = s->before != NULL ? find(s->before, SOURCE_FILE, path) : NULL;
    char *copy;

    if (item == NULL || old == NULL || old->error != 0 || slice_eq(item->bytes, old->bytes))
        return -ENOENT;
    if (item->owned)
        free((void *)(uintptr_t)item->bytes.at);
    copy = must(malloc(old->bytes.size + 1));
    memcpy(copy, old->bytes.at, old->bytes.size);
    item->bytes = slice_of(copy, old->bytes.size);
    item->owned = true;
    item->error = 0;
    *ret = item->bytes;
    return 0;
}

/* ---- life ------------------------------------------------------------------------------- */

void source_init(struct source *s, bool disk)
{
    *s = (struct source){ .base = { .read = source_read, .glob = source_glob, .stay = source_stay },
                          .disk = disk };
    s->end = &s->items;
}

void source_done(struct source *s)
{
    while (s->items != NULL) {
        struct source_item *item = s->items;

        s->items = item->next;
        if (item->owned)
            free((void *)(uintptr_t)item->bytes.at);
        free(item->name);
        free(item);
    }
    s->end = &s->items;
}
