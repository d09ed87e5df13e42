/* spool.h - a file that content is written to, in order, while it is read back behind that.
 *
 *   struct spool *s = spool_create(r, &plan, &ops, me);        no file yet
 *   if (spool_room(s)) spool_put(s, bytes);                    copied
 *   switch (spool_read(s, offset, max, &piece))                from the file, or what waits for it
 *   case SPOOL_PIECE:  …piece
 *   case SPOOL_LATER:  ops.ready(me)
 *   spool_close(s);                                            and the file is gone, or …
 *   spool_keep(s, &keep);                                      … becomes a file for good
 *
 * Helper threads write and read; the loop never waits for a disk. A spool outlives its request: it
 * holds the request's memory while something is in flight, and frees itself. When the disk is full,
 * what is in memory stays there and can be read; ops.failed() is told once, and there is no room
 * any more.
 */
#ifndef UPSTREAM_SPOOL_H
#define UPSTREAM_SPOOL_H

#include "handler/temp_file.h"
#include "http/request.h"

struct spool;

struct spool_plan {
    struct temp_place place; /* of a file without a name, if path is NULL               */
    const char *path;        /* what it will be kept as; copied                          */
    unsigned mode, directory_mode;
    uint64_t skip; /* bytes left free at the beginning, for spool_keep()       */
    size_t piece;  /* bytes written at a time                                  */
};

struct spool_ops {
    void (*ready)(void *owner);             /* there is room, or more to be read       */
    void (*failed)(void *owner, int error); /* an errno; what was put can still be read */
};

/* The end of a spool that becomes a file. */
struct spool_keep {
    char *head; /* what goes to the beginning: of malloc(), taken; NULL: nothing       */
    size_t head_size;
    int64_t modified; /* its time, seconds since 1970; -1: now                            */
    /* It has its name, or an errno says why not. The arg is whoever's who keeps it. */
    void (*done)(void *arg, int error);
    void *arg;
};

enum spool_status { SPOOL_PIECE, SPOOL_LATER, SPOOL_FAILED };

/* Borrows ops and owner until it is closed or kept. NULL: no memory. */
struct spool *spool_create(struct request *, const struct spool_plan *, const struct spool_ops *,
                           void *owner) MUST_USE;

/* More would be taken without much of it waiting in memory. */
bool spool_room(const struct spool *);
/* Takes it in any case. False: no memory. */
bool spool_put(struct spool *, struct slice) MUST_USE;
/* Bytes that were put. */
uint64_t spool_size(const struct spool *);

/* Bytes from `at` on, at most max; lent until the next call. `at` is below spool_size(). */
enum spool_status spool_read(struct spool *, uint64_t at, size_t max, struct slice *ret);

/* All was read: what is put next is at offset 0 again. False: not now, or it failed. */
bool spool_rewind(struct spool *) MUST_USE;

void spool_close(struct spool *);

/* Everything was put: writes what is left, then the head, and renames. */
void spool_keep(struct spool *, const struct spool_keep *);

#endif
