/* directive.h - the registry: every directive is one row, every feature one table of rows.
 *
 * A feature (file handler/static.c, say) declares a struct with what it can be told, and the
 * rows that fill it:
 *
 *      struct static_conf { bool sendfile; uint64_t max_chunk; struct slice root; };
 *
 *      static const struct directive rows[] = {
 *          { "sendfile", CTX_HTTP | CTX_SERVER | CTX_LOCATION, 1, 1, CONF_FLAG,
 *            offsetof(struct static_conf, sendfile), "off", .help = "…" },
 *          …
 *      };
 *      const struct feature feature_static = { "static", rows, COUNT_OF(rows),
 *          .size = sizeof(struct static_conf) };
 *
 * The loader makes one such struct per scope (http, each server, each location …), fills it
 * from the file, then merges downwards by each row's rule. At run time:
 *
 *      const struct static_conf *c = scope_conf(location->scope, &feature_static);
 *
 * Parser, suggestions, -T, help, manual and the compatibility table all read these rows.
 */
#ifndef CONF_DIRECTIVE_H
#define CONF_DIRECTIVE_H

#include "base/slice.h"

struct arena;
struct conf_load;
struct directive;
struct conf_node;
struct scope;
struct variable;

/* Contexts, as bits. The words in messages and the manual are nginx's. */
enum {
    CTX_MAIN = 1 << 0,
    CTX_EVENTS = 1 << 1,
    CTX_HTTP = 1 << 2,
    CTX_SERVER = 1 << 3,
    CTX_LOCATION = 1 << 4,
    CTX_LIMIT_EXCEPT = 1 << 5,
    CTX_IF_SERVER = 1 << 6,
    CTX_IF_LOCATION = 1 << 7,
    CTX_UPSTREAM = 1 << 8,
    CTX_TYPES = 1 << 9,
    CTX_MAP = 1 << 10,
    CTX_GEO = 1 << 11,
    CTX_SPLIT_CLIENTS = 1 << 12,
    CTX_STREAM = 1 << 13,
    CTX_STREAM_SERVER = 1 << 14,
    CTX_MAIL = 1 << 15,
    CTX_MATCH = 1 << 16,
    CTX_STREAM_UPSTREAM = 1 << 17,
    CTX_MAIL_SERVER = 1 << 18,
    CTX_MGMT = 1 << 19,
};
#define CTX_ANY_HTTP (CTX_HTTP | CTX_SERVER | CTX_LOCATION)

/* What a row's single value is, and the C type at `offset`. */
enum conf_type {
    CONF_CUSTOM, /* set() does it; offset is its own affair                          */
    CONF_BLOCK,  /* opens a block; set() must call conf_enter() or read its children  */
    CONF_FLAG,   /* on | off                         bool                            */
    CONF_NUMBER, /* decimal, min..max                int64_t                         */
    CONF_SIZE,   /* bytes, k, m (g where max allows) int64_t                         */
    CONF_MSEC,   /* 1h 30m, 10s, 500ms               int64_t milliseconds            */
    CONF_SEC,    /* the same without ms              int64_t seconds                 */
    CONF_ENUM,   /* one of words                     int                             */
    CONF_STRING, /* as written                       struct slice                    */
    CONF_EXPR,   /* text with variables              struct expr *                   */
    CONF_PATH,   /* as CONF_STRING, made absolute below the prefix                   */
    CONF_FILE,   /* … below the directory of the configuration: certificates, say    */
};

/* What a scope that does not say it takes from the scope around it. (An `if` in a location
 * takes everything: it is the same location, said again.) */
enum conf_inherit {
    INHERIT,     /* the value (lists: the whole list, if the scope adds none)        */
    INHERIT_NOT, /* nothing: the default                                             */
};

struct conf_word { /* CONF_ENUM: ends with { NULL, 0 } */
    const char *word;
    int value;
};

/* Sets what the directive says into `conf` (the feature's struct in this scope; it is zero
 * where nothing was set, and NULL if the feature has none). Complains through conf_complain()
 * and returns false if it cannot. */
typedef bool conf_set_fn(struct conf_load *, const struct conf_node *, void *conf,
                         const struct directive *);

/* For rows that mean something elsewhere and nothing here (accept_mutex): a notice that it is
 * ignored, with the row's help as the reason. */
conf_set_fn conf_set_ignored;

/* How a row comes to its value in a scope that does not set it:
 *   a type other than CUSTOM and BLOCK   INHERIT: the enclosing scope's; else the fallback
 *   CUSTOM with size > 0                 the same, with the `size` bytes at `offset` copied;
 *                                        its fallback is given to set(), once a load
 *   CUSTOM with size 0, BLOCK            nothing: it stays zero, and feature->merge sees to
 *                                        it; a fallback is words for the manual only
 * Rows of a feature at the same offset are one setting with several names: one that is set
 * keeps the others from being inherited. */
struct directive {
    const char *name; /* "*": any word (inside types, map …)               */
    uint32_t contexts;
    uint8_t args_min, args_max; /* ARGS_MANY: no upper bound                          */
    enum conf_type type;
    size_t offset;
    const char *fallback; /* the default, as one would write it; NULL: zero     */
    enum conf_inherit inherit;
    int64_t min, max; /* bounds of numbers, sizes, times; max 0: none       */
    const struct conf_word *words;
    conf_set_fn *set;
    size_t size;        /* custom rows with INHERIT: bytes at offset to copy    */
    bool repeats;       /* may stand several times in one scope (lists)       */
    const char *syntax; /* arguments as the manual shows them                 */
    const char *help;   /* one sentence                                       */
    const char *example;
    const char *since; /* weir's version; NULL: the first                    */
};

enum { ARGS_MANY = 255 };

struct feature {
    const char *name; /* "static", "autoindex": also the manual's page      */
    const struct directive *rows;
    size_t row_count;
    size_t size;                 /* of its conf struct; 0: it has none                 */
    const struct variable *vars; /* what it adds to expressions; see expr.h            */
    size_t var_count;
    /* Called for each scope after the rows of all features were merged there, parents first
     * (parent is NULL for the root). Not called when there were errors before. May be NULL. */
    bool (*merge)(struct conf_load *, struct scope *, const void *parent, void *conf);
    const char *about; /* the manual page's first paragraph                  */
    /* Set by registry_init(): its place in scope->conf[]. */
    uint32_t *index;
};

/* Each feature defines: static uint32_t index; … .index = &index. */

enum { FEATURES_MAX = 96 };

/* One block of the configuration: http{}, a server{}, a location{} … Immutable after load. */
struct scope {
    uint32_t context; /* one CTX_ bit                                       */
    struct scope *parent;
    const struct conf_node *node; /* the directive that opened it; NULL for the root    */
    void *object;                 /* what the opener made: struct server, location …    */
    struct scope *children, *next;
    struct scope **children_end;
    void *conf[FEATURES_MAX];
    uint64_t *set[FEATURES_MAX]; /* bit i: row i was set here; NULL: none (load time)  */
};

/* Borrowed from the scope. Never NULL for a feature with size > 0. */
static inline void *scope_conf(const struct scope *s, const struct feature *f)
{
    return s->conf[*f->index];
}

/* Was this row set in this very scope (not inherited)? Load time only. */
bool scope_is_set(const struct scope *, const struct feature *, const char *directive);

struct registry {
    const struct feature *const *features;
    size_t feature_count;
    /* Rows by name, chained; built once. */
    struct registry_names *names;
};

/* Borrows features (NULL-terminated) for good. Gives each its index. */
struct registry *registry_create(const struct feature *const *features);
void registry_destroy(struct registry *);

/* The row of that name allowed in context; if none is, NULL and *ret_elsewhere (may be NULL
 * itself) is a row of that name for another context, or NULL if the name is unknown. */
const struct directive *registry_find(const struct registry *, struct slice name, uint32_t context,
                                      const struct feature **ret_feature,
                                      const struct directive **ret_elsewhere);

/* "http", "server", …: the words of a set of contexts, separated by ", ". */
void ctx_words(uint32_t contexts, char *into, size_t size);

#endif
