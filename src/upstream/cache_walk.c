/* cache_walk.c - a stack of open directories. */
#include "upstream/cache_walk.h"

#include <stdio.h>

static void enter(struct cache_walk *w)
{
    if (w->depth == WALK_DEPTH_MAX)
        return;
    w->ends[w->depth] = strlen(w->path);
    w->open[w->depth] = opendir(w->path);
    if (w->open[w->depth] != NULL)
        w->depth++;
}

void cache_walk_begin(struct cache_walk *w, const char *path)
{
    w->depth = 0;
    w->begun = false; /* the loop does not wait for a disk */
    snprintf(w->path, sizeof w->path, "%s", path);
}

enum walk_found cache_walk_next(struct cache_walk *w, struct cache_name *ret)
{
    if (!w->begun)
        enter(w);
    w->begun = true;
    while (w->depth > 0) {
        size_t end = w->ends[w->depth - 1];
        const struct dirent *e = readdir(w->open[w->depth - 1]);

        if (e == NULL) {
            closedir(w->open[--w->depth]);
            continue;
        }
        if (e->d_name[0] == '.' || strlen(e->d_name) + end + 2 > sizeof w->path)
            continue;
        snprintf(w->path + end, sizeof w->path - end, "/%s", e->d_name);
        if (cache_name_read(slice_str(e->d_name), ret))
            return WALK_FILE;
        if (strlen(e->d_name) > 2)
            return WALK_OTHER;
        enter(w); /* a level: one or two digits */
    }
    return WALK_END;
}

void cache_walk_end(struct cache_walk *w)
{
    while (w->depth > 0)
        closedir(w->open[--w->depth]);
}
