/* listing.h - what a directory holds, read by a helper thread.
 *
 *   if (r->slots[SLOT_LISTING] == NULL)
 *       return listing_begin(r);                the step runs again when it is read
 *   l = r->slots[SLOT_LISTING];
 *   r->slots[SLOT_LISTING] = NULL;
 */
#ifndef HANDLER_LISTING_H
#define HANDLER_LISTING_H

#include "handler/file_cache.h"
#include "http/request.h"

enum { ENTRIES_MAX = 10000, LISTING_MEMORY_MAX = 16 * 1024 * 1024 };

enum entry_kind { ENTRY_DIRECTORY, ENTRY_FILE, ENTRY_OTHER };

struct entry {
    struct slice name;
    enum entry_kind kind;
    int64_t mtime, size;
};

/* Its own memory, because a helper thread fills it. Directories come first, each kind by name;
 * names that begin with a dot are left out. */
struct listing {
    struct io_op op;
    struct request *request;
    struct file_place place;
    struct arena arena;
    struct entry *entries;
    unsigned count;
    bool cut; /* there are more */
    bool flying;
    int error; /* errno, or 0 */
};

/* Begins to read the directory that r's URI means. WAIT, with it in r's SLOT_LISTING; it lives as
 * long as r. DONE: it could not begin, and r is answered with 404 or 500. */
enum verdict listing_begin(struct request *);

#endif
