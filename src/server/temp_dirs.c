/* temp_dirs.c - makes the directories for request bodies. */
#include "server/temp_dirs.h"

#include "handler/client_body.h"
#include "server/privileges.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY_MODE = 0700 };

static int make(const char *path, uid_t user)
{
    struct stat s;

    if (mkdir(path, DIRECTORY_MODE) != 0 && errno != EEXIST)
        return -errno;
    if (stat(path, &s) != 0)
        return -errno;
    if (!S_ISDIR(s.st_mode))
        return -ENOTDIR;
    if (geteuid() != 0)
        return 0;
    if (s.st_uid != user && chown(path, user, (gid_t)-1) != 0)
        return -errno;
    return (s.st_mode & 0700) == 0700 || chmod(path, s.st_mode | 0700) == 0 ? 0 : -errno;
}

/* The scope that says what this one inherits has been seen to before. */
static bool inherited(const struct scope *s, const struct client_body_conf *c)
{
    const struct client_body_conf *outer =
        s->parent != NULL ? scope_conf(s->parent, &feature_client_body) : NULL;

    return outer != NULL && outer->temp_path.at == c->temp_path.at;
}

/* The next scope of the tree, parents first. */
static const struct scope *next_scope(const struct scope *s)
{
    if (s->children != NULL)
        return s->children;
    while (s != NULL && s->next == NULL)
        s = s->parent;
    return s != NULL ? s->next : NULL;
}

bool temp_dirs_make(const struct config *config, char *text, size_t size)
{
    uid_t user = privileges_user(config->main);

    for (const struct scope *s = config->root; s != NULL; s = next_scope(s)) {
        const struct client_body_conf *c = scope_conf(s, &feature_client_body);

        if (inherited(s, c))
            continue;
        int error = make(c->temp_path.at, user);

        if (error == 0 || !c->temp_path_said)
            continue;
        snprintf(text, size, "the directory \"%.*s\" for request bodies cannot be made (%d: %s)",
                 SLICE_FMT(c->temp_path), -error, strerror(-error));
        return false;
    }
    return true;
}
