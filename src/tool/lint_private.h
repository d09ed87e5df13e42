/* lint_private.h - what the files of the lint share: rules, findings, the walk. */
#ifndef TOOL_LINT_PRIVATE_H
#define TOOL_LINT_PRIVATE_H

#include "base/gather.h"
#include "base/map.h"
#include "tool/lint.h"
#include "tool/lint_regex.h"

#include <stdio.h>

enum lint_level { LINT_NOTE, LINT_WARNING, LINT_ERROR };

enum { LINT_FINDINGS_MAX = 10000 }; /* what is found beyond that is not kept */

struct lint;

/* A directive and the blocks around it. Lives on the walk's stack. */
struct spot {
    const struct conf_node *node;
    const struct spot *outer; /* NULL: the main context */
};

struct lint_rule {
    const char *name;
    enum lint_level level;
    const char *about; /* one sentence */
    const char *on;    /* the directives it looks at, one blank between; NULL: all */
    void (*look)(struct lint *, const struct spot *);
};

struct lint_finding {
    const struct lint_rule *rule;
    const struct conf_node *node;
    int arg; /* CONF_AT_NAME, or what the caret points at */
    uint32_t line, column;
    struct slice text, help;
};

struct lint {
    struct conf_load *load;
    struct arena *arena;
    const struct conf_node *root;
    const struct lint_rule *rule; /* the one that looks now */
    struct lint_finding *findings[LINT_FINDINGS_MAX];
    unsigned count;
    struct map seen; /* places of findings: a file may be included many times */
};

extern const struct lint_rule lint_rules[];
extern const size_t lint_rule_count;
extern const char *const lint_level_words[];

/* ---- lint.c: for rules ------------------------------------------------------------------- */

/* Keeps a finding at the node's name (CONF_AT_NAME) or argument, unless the file says not to.
 * help: how to write it instead; copied. */
void lint_tell(struct lint *, const struct conf_node *, int arg, const char *help,
               const char *format, ...) PRINTF_LIKE(5, 6);
/* A text for help; lives as long as the run. */
const char *lint_printf(struct lint *, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- lint_tree.c ------------------------------------------------------------------------- */

bool node_is(const struct conf_node *, const char *name);
/* Is the name one of those words, with one blank between? */
bool node_among(const struct conf_node *, const char *words);
bool arg_is(const struct conf_node *, unsigned i, const char *text);
/* Does some argument say that? */
bool arg_any(const struct conf_node *, const char *text);
/* The first directive of that name among the siblings, or NULL. */
const struct conf_node *node_find(const struct conf_node *siblings, const char *name);
/* What stands in the same block, this one included. */
const struct conf_node *spot_siblings(const struct lint *, const struct spot *);
/* The nearest directive of that name that holds here: in the block or around it. NULL: none. */
const struct conf_node *spot_inherited(const struct lint *, const struct spot *, const char *name);
/* The nearest block of that name around the spot, or NULL. */
const struct spot *spot_around(const struct spot *, const char *name);
/* Where $name or ${name} begins in text, or text.size. */
size_t find_variable(struct slice text, struct slice name);

enum place_kind { PLACE_PREFIX, PLACE_EXACT, PLACE_FINAL /* ^~ */, PLACE_REGEX, PLACE_NAMED };

/* What a location is for. */
struct place_words {
    enum place_kind kind;
    bool nocase;
    int arg; /* that holds the text */
    struct slice text;
};

struct place_words place_read(const struct conf_node *location);

/* A regular expression of a directive. */
struct node_regex {
    int arg; /* that holds it; CONF_AT_NAME: the name itself */
    struct slice pattern;
    bool nocase;
};

/* The directive's i-th regular expression; false: it has no more. */
bool node_regex(const struct spot *, unsigned i, struct node_regex *ret);

/* ---- lint_report.c ----------------------------------------------------------------------- */

typedef void lint_report_fn(struct lint *, FILE *);

lint_report_fn lint_report_text, lint_report_json, lint_report_sarif;

/* ---- the rules --------------------------------------------------------------------------- */

typedef void lint_look_fn(struct lint *, const struct spot *);

lint_look_fn look_alias_slash, look_add_header, look_dead_location, look_dead_rewrite,
    look_server_name_twice, look_default_server, look_line_feed, look_if_trap, look_if_file,
    look_if_host, look_regex_risky, look_regex_dot, look_php_any, look_tls, look_server_tokens,
    look_autoindex, look_root_system, look_root_location, look_host_header, look_merge_slashes,
    look_access_order, look_referer_none, look_resolver, look_api;

#endif
