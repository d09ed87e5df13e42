/* load.h - from files to a tree of scopes.
 *
 *   struct conf_load *load = conf_load_create(registry, &source, arena, prefix);
 *   struct scope *root = conf_load_run(load, "/etc/weir/weir.conf");
 *   conf_load_report(load, write_fn, arg);          every complaint, in order of place
 *   if (conf_load_errors(load)) ...                 nothing of root may be used
 *
 * Files come through `source`, so the disk, a bundle sent by the master, or a fuzzer can
 * provide them. All errors of a run are collected (up to CONF_COMPLAINTS_MAX), each with
 * file:line:column, the line, a caret, what was expected and, where one is near, a suggestion.
 * Everything made lives in the arena.
 */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "base/arena.h"
#include "conf/directive.h"

enum {
    CONF_COMPLAINTS_MAX = 200,
    CONF_DEPTH_MAX = 64,
    CONF_FILE_MAX = 64 * 1024 * 1024,
    CONF_INCLUDE_DEPTH_MAX = 16,
    CONF_INCLUDES_MAX = 20000
};

/* read() of "env:NAME" gives the environment variable of that name, or -ENOENT. */
#define CONF_ENVIRONMENT "env:"

/* Where configuration files come from. Returned bytes live as long as the source. */
struct conf_source {
    /* Reads a whole file. 0 or -errno. */
    int (*read)(struct conf_source *, const char *path, struct slice *ret);
    /* Calls each() for every path that matches the pattern, sorted as glob(3). 0 or -errno
     * (-ENOENT: a pattern without wildcards that names nothing). */
    int (*glob)(struct conf_source *, const char *pattern,
                void (*each)(void *arg, const char *path), void *arg);
    /* From now on the file is what the configuration in force read of it, if there is one (a
     * reload) and it could. 0 or -ENOENT. NULL: there is none. */
    int (*stay)(struct conf_source *, const char *path, struct slice *ret);
    /* Only what the directives say is asked for (where the pid file is, for `-s`): what is in the
     * files that they name is nobody's concern now. */
    bool words_only;
};

/* A directive as written. `args` excludes the name; quotes and escapes are already undone,
 * except that `\$`-style escapes stay for the expression compiler as nginx has them. */
struct conf_arg {
    struct slice text;
    uint32_t line, column; /* 1-based, column in bytes */
    bool quoted;
};

struct conf_node {
    struct slice name;
    const struct conf_arg *args;
    uint32_t arg_count;
    uint32_t line, column;
    const struct conf_file *file;
    struct conf_node *children, *next; /* children: only of a block                 */
    bool block;
};

/* One for each time a file is included; those of the same path share text and order. */
struct conf_file {
    const char *path;
    struct slice text;
    const struct conf_file *included_by;
    uint32_t included_at;   /* the line of that include                  */
    uint32_t order;         /* files count in the order they were read   */
    struct conf_file *next; /* the next path: see conf_load_files()      */
};

enum conf_severity { CONF_NOTICE, CONF_WARN, CONF_EMERG };

/* Borrows all but the prefix. The prefix is what relative paths are below of; "/" is added. */
struct conf_load *conf_load_create(const struct registry *, struct conf_source *, struct arena *,
                                   const char *prefix);
/* More directives for the main context, from -g; borrows text. Once, before the run. */
void conf_load_globals(struct conf_load *, const char *text);
/* Directives of our own at the end of each block of that context; borrows both. Once, before the
 * run. */
void conf_load_extra(struct conf_load *, uint32_t context, const char *name, const char *text);
/* Reads path (relative: below the prefix) and what it includes, fills the scopes, resolves the
 * variables and, if all of that was right, merges. Once. Never NULL. */
struct scope *conf_load_run(struct conf_load *, const char *path);

/* Reads path like a run, but only into directives as they are written: unknown ones are as good
 * as others, nothing is set. Without `follow` a directive include is one like any other, and no
 * other file is read. Once, instead of a run; the tree is the arena's. NULL: it is empty. */
const struct conf_node *conf_load_parse(struct conf_load *, const char *path, bool follow);

unsigned conf_load_errors(const struct conf_load *);
/* Calls write(arg, text, severity) once per complaint; text ends with a newline. `colour`
 * adds terminal colours. */
void conf_load_report(struct conf_load *, bool colour,
                      void (*write)(void *arg, struct slice text, enum conf_severity), void *arg);
/* The files read, in order, each path once: for -T and for the bundle. */
const struct conf_file *conf_load_files(const struct conf_load *);
/* The tree stays: it is the arena's. Runs what conf_at_end() asked for: nobody uses it any more. */
void conf_load_destroy(struct conf_load *);

struct arena *conf_arena(struct conf_load *);
const char *conf_prefix(const struct conf_load *); /* ends in "/" */
/* The directory of the main configuration file, ends in "/": certificates, password files and
 * includes with relative paths are looked for there. */
const char *conf_dir(const struct conf_load *);

/* A file that the configuration names, for looking at what is in it; path is absolute. Borrowed
 * from the source. 0 or -errno. */
int conf_read(struct conf_load *, const char *path, struct slice *ret) MUST_USE;

/* The file that was read is of no use: gives what the configuration in force has in its place,
 * which stays in its place for the worker, too. -ENOENT: there is nothing of that kind. */
int conf_stay(struct conf_load *, const char *path, struct slice *ret) MUST_USE;

/* See conf_source: certificates and their like need not be looked at. */
bool conf_words_only(const struct conf_load *);

/* run(arg) when the load is destroyed, the latest first: for what is not the arena's. */
void conf_at_end(struct conf_load *, void (*run)(void *arg), void *arg);

/* ---- for set() functions ------------------------------------------------------------- */

/* Opens a scope for the node's children and loads them in it; set() of a CONF_BLOCK row calls
 * it with the object the block stands for. NULL only when memory ran out. */
struct scope *conf_enter(struct conf_load *, const struct conf_node *, uint32_t context,
                         void *object);
/* Loads a text as if it stood in place of the node, in the scope being filled. Borrows both. */
void conf_load_text(struct conf_load *, const struct conf_node *, const char *name, struct slice);
/* The scope being filled now, and its nearest ancestor (or itself) of a context. */
struct scope *conf_scope(const struct conf_load *);
struct scope *conf_scope_of(const struct conf_load *, uint32_t context);

/* arg: index of the argument the caret shall point at; CONF_AT_NAME: the directive's name. */
enum { CONF_AT_NAME = -1 };
void conf_complain(struct conf_load *, enum conf_severity, const struct conf_node *, int arg,
                   const char *format, ...) PRINTF_LIKE(5, 6);
/* The same, pointing at byte `offset` of the argument's text. */
void conf_complain_inside(struct conf_load *, enum conf_severity, const struct conf_node *,
                          unsigned arg, size_t offset, const char *format, ...) PRINTF_LIKE(6, 7);
/* Adds a line under the last complaint: "  = expected: …", "  = help: …" or "  = note: …".
 * "help: " is put before a text that begins with none of the three. */
void conf_hint(struct conf_load *, const char *format, ...) PRINTF_LIKE(2, 3);

/* The line of the node's name or argument, and below it a line with the mark, as complaints
 * show them. In the arena. */
struct slice conf_snippet(struct conf_load *, const struct conf_node *, int arg, bool colour);
/* Line `line` of the file, without its end; borrowed. Empty beyond the last. */
struct slice conf_line(const struct conf_file *, uint32_t line);

/* Argument i, or an empty slice. */
struct slice conf_arg(const struct conf_node *, unsigned i);
/* "name=value" among the arguments from `first`: the value, or at == NULL. */
struct slice conf_option(const struct conf_node *, unsigned first, const char *name,
                         unsigned *ret_index);

/* Values in the language's notation; false for anything else (no complaint is made). Sizes are
 * bytes or take k, m, g; times take y M w d h m s ms, and bare numbers are seconds. */
bool conf_parse_size(struct slice, int64_t *ret_bytes) MUST_USE;
bool conf_parse_msec(struct slice, int64_t *ret_ms) MUST_USE;
bool conf_parse_sec(struct slice, int64_t *ret_sec) MUST_USE;

/* The nearest of the candidates by edit distance, or NULL if none is near. */
const char *conf_nearest(struct slice word, const char *const *candidates, size_t count);

#endif
