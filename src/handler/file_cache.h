/* file_cache.h - open files of one loop: looked up by path, compared with the file system,
 * shared by requests; the hot small ones with their contents.
 *
 *   switch (file_open(r, path, below, &f, &error)) {
 *   case FILE_OPEN:    f is there until file_close(f)
 *   case FILE_WAIT:    return WAIT; the step is run again and asks again
 *   case FILE_FAILED:  file_log(r, path, error); return request_fail(r, file_status(error));
 *   }
 *
 * Which links a path may have is the policy's affair (file_policy.h). The disk is never waited
 * for: what the
 * kernel cannot open from its caches is opened, and its beginning read, by a helper thread. An
 * entry is compared with the file system (stat(2)) once in each turn of the loop that wants it,
 * so that a change is seen at once; with open_file_cache it is trusted for as long as that says.
 *
 * Contents are copies, never mappings: a file that is cut cannot kill us. Only files that have
 * not been written to for FILE_SETTLED_MS are copied: two changes within one tick of the file
 * system's clock look like one.
 */
#ifndef HANDLER_FILE_CACHE_H
#define HANDLER_FILE_CACHE_H

#include "base/list.h"
#include "handler/file_policy.h"
#include "io/io.h"

enum {
    FILE_CONTENT_MAX = 64 * 1024,      /* larger files are not copied                     */
    FILE_BYTES_MAX = 32 * 1024 * 1024, /* of contents                                     */
    FILE_ENTRIES_MAX = 1024,           /* unless open_file_cache wants more               */
    FILE_ENTRIES_TOP = 16 * 1024,      /* … at the most                                   */
    FILE_BUCKETS = 4096,
    FILE_DESCRIPTORS_SHARE = 16, /* this part of the process's descriptors          */
    FILE_DESCRIPTORS_MIN = 16,
    FILE_SETTLED_MS = 2000,
    FILE_IDLE_MS = 60 * 1000, /* unless open_file_cache says otherwise           */
    FILE_SWEEP_MS = 10 * 1000,
    FILE_ETAG_MAX = 40,
};

struct file {
    struct file *next; /* in its bucket                                          */
    uint64_t hash;
    struct file_place place; /* its path is behind the struct                          */
    int fd;                  /* -1: a directory, an empty file, contents, an error     */
    int error;               /* why it cannot be opened, or 0                          */
    bool directory;
    uint32_t refs; /* requests, and the cache itself                         */
    uint32_t uses;
    uint64_t size, dev, ino;
    int64_t mtime_sec, mtime_ns, ctime_sec, ctime_ns;
    uint64_t checked_ns, checked_turn; /* when it was last compared                     */
    uint64_t used_ns, idle_ns;         /* when it was last wanted, how long it is kept  */
    uint64_t copy_ns;                  /* not to be copied before                       */
    char *content;                     /* size bytes, or NULL                           */
    struct slice etag, modified;       /* pre-rendered                                  */
    char etag_text[FILE_ETAG_MAX], modified_text[32];
    struct file_cache *cache;
    struct link recent; /* in cache->opened or ->light, least recently used first  */
};

struct file_cache {
    struct file *buckets[FILE_BUCKETS];
    struct list opened, light; /* entries with and without a descriptor                 */
    uint32_t count, count_max;
    uint32_t descriptors, descriptors_max;
    uint64_t bytes;
    struct loop *loop; /* whose sweep timer runs, or NULL                       */
    struct io_timer sweep;
};

enum file_result { FILE_OPEN, FILE_WAIT, FILE_FAILED };

/* path: "root/below", NUL-terminated, below pointing into it (map_path()). On FILE_FAILED,
 * *ret_error is the errno. Gives *ret with a reference. */
enum file_result file_open(struct request *, struct slice path, struct slice below,
                           struct file **ret, int *ret_error);
/* The same under another policy than the scope's. */
enum file_result file_open_by(struct request *, const struct file_policy *, struct slice path,
                              struct slice below, struct file **ret, int *ret_error);
void file_close(void *file);

/* Another reference. */
static inline struct file *file_hold(struct file *f)
{
    f->refs++;
    return f;
}

/* The answer for an errno of file_open(): 404, 403, 503 or 500. */
unsigned file_status(int error);

/* Writes what went wrong to the error log, as the levels and log_not_found want it. */
void file_log(struct request *, struct slice path, int error);

void file_cache_init(struct file_cache *);
void file_cache_done(struct file_cache *);

#endif
