/* cache_walk.h - the files of a cache, one by one, for helper threads.
 *
 *   cache_walk_begin(&w, place->path);
 *   while ((found = cache_walk_next(&w, &name)) != WALK_END) …w.path is the file's
 *   cache_walk_end(&w);                                       also before the end
 */
#ifndef UPSTREAM_CACHE_WALK_H
#define UPSTREAM_CACHE_WALK_H

#include "upstream/cache_index.h"

#include <dirent.h>
#include <limits.h>

enum { WALK_DEPTH_MAX = 4 };

struct cache_walk {
    DIR *open[WALK_DEPTH_MAX];
    size_t ends[WALK_DEPTH_MAX]; /* of the directories' names in path                     */
    unsigned depth;
    bool begun;
    char path[PATH_MAX];
};

enum walk_found {
    WALK_END,
    WALK_FILE,  /* with a name of the cache                                             */
    WALK_OTHER, /* a file that is being written, or is nobody's                         */
};

void cache_walk_begin(struct cache_walk *, const char *path);
enum walk_found cache_walk_next(struct cache_walk *, struct cache_name *ret);
void cache_walk_end(struct cache_walk *);

#endif
