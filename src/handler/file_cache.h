/* file_cache.h - open files of one loop: looked up by path, checked for change, shared by
 * requests, the hot small ones with their contents.
 *
 *   switch (file_open(r, path, below, &f)) {
 *   case FILE_OPEN:    f is open until file_close(f)
 *   case FILE_WAIT:    return WAIT; the step is run again and asks again
 *   case FILE_FAILED:  f->… nothing; file_status(r) says which answer, and it was logged
 *   }
 *
 * A path is opened beneath its root: no "..", no symbolic link leads out of it (openat2(2),
 * RESOLVE_BENEATH), unless disable_symlinks says otherwise. The disk is never waited for: what
 * the kernel cannot open from its caches is opened by a helper thread. An entry is compared
 * with the file system (stat(2)) before it is used again in a later instant, so a change is
 * seen at once; with open_file_cache, at its `valid`.
 */
#ifndef HANDLER_FILE_CACHE_H
#define HANDLER_FILE_CACHE_H

#include "base/list.h"
#include "base/map.h"
#include "http/request.h"

enum { FILE_CONTENT_MAX = 64 * 1024, FILE_ENTRIES_MAX = 4096, FILE_BYTES_MAX = 64 * 1024 * 1024,
       FILE_ETAG_MAX = 40 };

struct file {
    struct slice path;              /* behind the struct                                    */
    int fd;                         /* of a regular file; -1: a directory                    */
    bool directory, cached;
    uint32_t refs;                  /* requests, and the cache itself                        */
    uint32_t uses;
    uint64_t size, dev, ino;
    int64_t mtime_sec, mtime_ns, ctime_sec, ctime_ns;
    uint64_t checked_ns;            /* when it was last compared                             */
    char *content;                  /* size bytes, or NULL                                   */
    struct slice etag, modified;    /* pre-rendered                                          */
    char etag_text[FILE_ETAG_MAX], modified_text[32];
    struct file_cache *cache;
    struct link recent;             /* in cache->recent, least recently used first           */
};

struct file_cache {
    struct map by_path;
    struct list recent;
    uint32_t count;
    uint64_t bytes;
};

enum file_result { FILE_OPEN, FILE_WAIT, FILE_FAILED };

/* path: "root/below", NUL-terminated, below pointing into it (map_path()). On FILE_FAILED,
 * *ret_error is the errno. Gives *ret with a reference. */
enum file_result file_open(struct request *, struct slice path, struct slice below,
                           struct file **ret, int *ret_error);
void file_close(void *file);

/* The answer for an errno of file_open(): 404, 403, 503 or 500. */
unsigned file_status(int error);

/* Writes what went wrong to the error log, as the levels and log_not_found want it. */
void file_log(struct request *, struct slice path, int error);

void file_cache_init(struct file_cache *);
void file_cache_done(struct file_cache *);

extern const struct feature feature_file_cache;

#endif
