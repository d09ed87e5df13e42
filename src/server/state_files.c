/* state_files.c - directories for state files, and state files read again. */
#include "server/state_files.h"

#include "server/privileges.h"
#include "upstream/group.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY_MODE = 0755 };

static const struct group *first_group(const struct config *c)
{
    return c->site->http != NULL ? group_first(c->site->http) : NULL;
}

/* May the worker make files there? 0, or -errno. Groups of the user count as others. */
static int writable(const char *directory, uid_t user)
{
    struct stat s;

    if (geteuid() != 0)
        return access(directory, W_OK | X_OK) == 0 ? 0 : -errno;
    if (stat(directory, &s) != 0)
        return -errno;
    if (user == 0 || (s.st_uid == user && (s.st_mode & 0300) == 0300) || (s.st_mode & 03) == 03)
        return 0;
    return -EACCES;
}

static int prepare(const char *directory, uid_t user)
{
    if (mkdir(directory, DIRECTORY_MODE) == 0 && geteuid() == 0 &&
        chown(directory, user, (gid_t)-1) != 0)
        return -errno;
    return writable(directory, user);
}

void states_prepare(const struct config *c)
{
    uid_t user = privileges_user(c->main);
    char path[PATH_MAX];

    for (const struct group *g = first_group(c); g != NULL; g = g->next) {
        if (g->state == NULL)
            continue;
        snprintf(path, sizeof path, "%s", g->state);
        int error = prepare(dirname(path), user);

        if (error != 0)
            log_write(c->site->log, LOG_WARN, -error,
                      "changes of upstream \"%.*s\" will not be remembered: user %d cannot make "
                      "\"%s\"",
                      SLICE_FMT(g->name), (int)user, g->state);
    }
}

void states_read_again(struct config *c)
{
    for (const struct group *g = first_group(c); g != NULL; g = g->next)
        if (g->state != NULL)
            source_read_again(&c->source, g->state);
}
