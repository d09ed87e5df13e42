/* temp_dirs.c - makes the directories for bodies that wait in files. */
#include "server/temp_dirs.h"

#include "handler/client_body.h"
#include "server/privileges.h"
#include "upstream/gateways.h"
#include "upstream/proxy.h"

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

/* A directory that a scope wants. */
struct wish {
    const char *path, *what;
    bool said; /* not only by default */
};

typedef struct wish wish_fn(const void *conf);

static struct wish of_client_body(const void *conf)
{
    const struct client_body_conf *c = conf;

    return (struct wish){ c->temp_path.at, "request bodies", c->temp_path_said };
}

/* The structs of these features begin with a struct relay_conf. */
static struct wish of_relay(const void *conf)
{
    const struct relay_temp *t = &((const struct relay_conf *)conf)->temp;

    return (struct wish){ t->path.at, "answers", t->said };
}

static const struct {
    const struct feature *feature;
    wish_fn *wish;
} wishes[] = {
    { &feature_client_body, of_client_body },
    { &feature_proxy, of_relay },
    { &feature_fastcgi, of_relay },
    { &feature_uwsgi, of_relay },
    { &feature_scgi, of_relay },
};

/* The next scope of the tree, parents first. */
static const struct scope *next_scope(const struct scope *s)
{
    if (s->children != NULL)
        return s->children;
    while (s != NULL && s->next == NULL)
        s = s->parent;
    return s != NULL ? s->next : NULL;
}

/* The scope that says what this one inherits has been seen to before. */
static bool grant(const struct scope *s, size_t i, uid_t user, char *text, size_t size)
{
    struct wish w = wishes[i].wish(scope_conf(s, wishes[i].feature)), outer = { 0 };
    int error;

    if (s->parent != NULL)
        outer = wishes[i].wish(scope_conf(s->parent, wishes[i].feature));
    if (w.path == outer.path)
        return true;
    error = make(w.path, user);
    if (error == 0 || !w.said)
        return true;
    snprintf(text, size, "the directory \"%s\" for %s cannot be made (%d: %s)", w.path, w.what,
             -error, strerror(-error));
    return false;
}

static bool grant_caches(const struct scope *s, const struct relay_conf *c, uid_t user, char *text,
                         size_t size)
{
    for (const struct cache_place *p = c->cache.places; p != NULL; p = p->next) {
        int error = s->context == CTX_HTTP ? make(p->path, user) : 0;

        if (error == 0)
            continue;
        snprintf(text, size, "the directory \"%s\" of a cache cannot be made (%d: %s)", p->path,
                 -error, strerror(-error));
        return false;
    }
    return true;
}

bool temp_dirs_make(const struct config *config, char *text, size_t size)
{
    uid_t user = privileges_user(config->main);

    for (const struct scope *s = config->root; s != NULL; s = next_scope(s))
        for (size_t i = 0; i < COUNT_OF(wishes); i++)
            if (!grant(s, i, user, text, size) ||
                (wishes[i].wish == of_relay &&
                 !grant_caches(s, scope_conf(s, wishes[i].feature), user, text, size)))
                return false;
    return true;
}
