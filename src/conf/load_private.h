/* load_private.h - what the files of conf/ share while a configuration is loaded. */
#ifndef CONF_LOAD_PRIVATE_H
#define CONF_LOAD_PRIVATE_H

#include "base/map.h"
#include "conf/expr.h"
#include "conf/load.h"
#include "conf/regex.h"
#include "conf/zone.h"

/* Something that stands at a place of a file. No file: about the configuration as a whole. */
struct place {
    const struct conf_file *file;
    uint32_t line, column;
    bool inside; /* in the middle of a word                         */
};

struct conf_load {
    const struct registry *registry;
    struct conf_source *source;
    struct arena *arena;
    const char *prefix, *dir;
    const char *main_path;
    const char *globals;
    uint32_t extra_context; /* of conf_load_extra(); 0: there is none               */
    const char *extra_name, *extra;

    struct map files_by_path; /* of the first struct conf_file of each path      */
    struct conf_file *files, **files_end;
    uint32_t file_count, include_count;
    struct conf_node *nodes; /* of the main context                             */

    struct scope *root, *scope; /* scope: the one being filled                     */
    void *defaults[FEATURES_MAX];

    struct complaint *complaints[CONF_COMPLAINTS_MAX];
    unsigned complaint_count, error_count;
    unsigned dropped;         /* beyond CONF_COMPLAINTS_MAX                      */
    unsigned said;            /* all, with those that were said before           */
    struct complaint *latest; /* where hints go; NULL: the latest was dropped    */

    struct map variables; /* declared by the configuration                   */
    struct map places;    /* conf_place() of each name, counted from 1       */
    unsigned place_count;
    struct map excused; /* names that a refused directive would have made  */
    struct pending_use *pending, **pending_end;
    bool alone;    /* include is not followed                        */
    bool resolved; /* names must be known by now                      */
    struct regex *regexes;
    struct load_end *ends; /* of conf_at_end(), the latest first */
    struct conf_zone *zones, **zones_end;
    struct zone_use *zone_uses, **zone_uses_end;
};

/* ---- complain.c ---------------------------------------------------------------------- */

void complain_at(struct conf_load *, enum conf_severity, struct place, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* No further error would be kept: time to stop looking for them. */
bool complaints_full(const struct conf_load *);
/* The place of the name (CONF_AT_NAME) or of an argument. */
struct place node_place(const struct conf_node *, int arg);
/* From byte (line, column) of the file to its end. */
struct slice file_from(const struct conf_file *, uint32_t line, uint32_t column);

/* ---- parse.c ------------------------------------------------------------------------- */

/* Reads the main file and all it includes into a list of directives. */
struct conf_node *parse_main(struct conf_load *);
/* Reads a text that is not included: -g, a default, or what a directive (NULL: none) stands for. */
struct conf_node *parse_text(struct conf_load *, const char *name, struct slice text,
                             uint32_t context, const struct conf_node *);

/* ---- env.c ---------------------------------------------------------------------------- */

/* Puts the environment's values into args, which are the node's own. */
void env_expand(struct conf_load *, const struct conf_node *, struct conf_arg *args);

/* ---- include.c ------------------------------------------------------------------------- */

typedef void include_fn(void *arg, const struct conf_file *);

/* Calls each() for every file that the directive means, in order. */
void include_files(struct conf_load *, const struct conf_node *, include_fn *each, void *arg);
/* The main file, or NULL after a complaint. */
const struct conf_file *include_main(struct conf_load *);

/* ---- set.c --------------------------------------------------------------------------- */

/* Stores what the node says at the row's offset of conf. False after a complaint. */
bool set_value(struct conf_load *, const struct conf_node *, void *conf, const struct directive *);
/* Bytes at the row's offset; 0: none of merge's business. */
size_t row_size(const struct directive *);

/* ---- unknown.c ----------------------------------------------------------------------- */

/* No row of that name is allowed in context: says which mistake that most likely is. */
void complain_unknown(struct conf_load *, const struct conf_node *, uint32_t context);

/* ---- merge.c ------------------------------------------------------------------------- */

void merge_defaults(struct conf_load *);
void merge_scopes(struct conf_load *, struct scope *root);
/* Notes that a row was set in a scope. */
void scope_note_set(struct conf_load *, struct scope *, const struct feature *,
                    const struct directive *);

/* ---- variable.c ---------------------------------------------------------------------- */

/* Fills use with what name stands for: now, or at the end of the run. */
void variable_want(struct conf_load *, struct variable_use *, struct slice name,
                   const struct conf_node *, unsigned arg, size_t offset);
/* The row that captures are read through, or NULL. */
const struct variable *variable_captures(const struct conf_load *);
/* A regex has a group of that name; its conf_place(). False: a variable has the name already. */
bool variable_declare_capture(struct conf_load *, struct slice name, unsigned *ret_place);
/* The directive was refused. The variables it names may be of its making (map, set): that they
 * are unknown is said no more. */
void variables_excuse(struct conf_load *, const struct conf_node *);
void variables_resolve(struct conf_load *);

/* ---- zone.c -------------------------------------------------------------------------- */

/* All directives were read: complains about zones that nobody declared. */
void zones_resolve(struct conf_load *);

#endif
