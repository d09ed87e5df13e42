/* source.h - a conf_source that remembers what it gave out.
 *
 * The master's reads from the disk; what was read travels to the worker in the bundle, where
 * the same configuration is read a second time from memory. So the worker needs no right to
 * read the files, and both sides see the same bytes even if a file changes in between.
 */
#ifndef SERVER_SOURCE_H
#define SERVER_SOURCE_H

#include "conf/load.h"

enum source_kind { SOURCE_FILE, SOURCE_GLOB };

/* One answer: a file's bytes, or the paths a pattern stands for (each with a NUL behind). */
struct source_item {
    enum source_kind kind;
    char *name;
    int error; /* 0 or -errno                                           */
    struct slice bytes;
    bool owned; /* bytes are freed with the item                          */
    struct source_item *next;
};

struct source {
    struct conf_source base; /* first: the loader's view                               */
    bool disk;               /* unknown names are looked up on the disk               */
    struct source_item *items, **end;
    const struct source *before; /* of the configuration in force; NULL: there is none     */
};

void source_init(struct source *, bool disk);
void source_done(struct source *);

/* The next one who asks for the file is given what is in it by now; bytes given out before stay. */
void source_read_again(struct source *, const char *path);

/* Puts an answer in by hand. Copies the name; borrows bytes unless owned. */
void source_add(struct source *, enum source_kind, const char *name, int error, struct slice bytes,
                bool owned);

#endif
