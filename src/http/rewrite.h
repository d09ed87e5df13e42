/* rewrite.h - the list of instructions that a server or location runs before anything else
 * looks at the request: set, if, break, rewrite, return.
 *
 * Directives add instructions in the order they are written; step_server_rewrite and
 * step_rewrite run them. NEXT from the last one lets the request go on; any other verdict ends
 * the list, and so does r->script_over. After WAIT the same instruction is run again. An
 * instruction embeds struct rewrite_op as its first member.
 *
 * An `if` has a list of its own, which runs in its place when its condition is true. In a
 * location, its block is a scope like a location's: from then on it is in force.
 */
#ifndef HTTP_REWRITE_H
#define HTTP_REWRITE_H

#include "http/request.h"

struct rewrite_op {
    enum verdict (*run)(struct request *, const struct rewrite_op *);
    const struct conf_node *node; /* what it was made from                            */
    bool last;                    /* nothing behind it is ever reached                */
    struct rewrite_op *next;
};

/* Of one scope; not inherited. */
struct rewrite_script {
    struct rewrite_op *first, **end;
};

/* What a scope is told about rewriting. */
struct rewrite_conf {
    struct rewrite_script script;
    bool log;              /* rewrite_log                                       */
    bool warn_of_no_value; /* uninitialized_variable_warn                       */
};

extern const struct feature feature_rewrite;

/* Puts op behind what the scope being loaded already has; warns if it cannot be reached. */
void rewrite_add(struct conf_load *, struct rewrite_script *, struct rewrite_op *);

/* Runs the instructions from `op` on (NULL: none) until they end. */
enum verdict rewrite_run(struct request *, const struct rewrite_op *op);

/* Does rewrite_log want lines? They go to the error log as notices. */
bool rewrite_logs(const struct request *);

/* Tells who explains a request what an instruction did. */
void rewrite_tell(struct request *, const struct rewrite_op *, struct slice what);

/* The answer when an instruction cannot be carried out: says why, with its place. DONE, 500. */
enum verdict rewrite_failed(struct request *, const struct rewrite_op *, const char *why);

/* Matches a pattern of an instruction and keeps its captures. REGEX_LIMIT has been logged; the
 * instruction ends with rewrite_failed() then. */
enum regex_verdict rewrite_match(struct request *, const struct regex *, struct slice subject,
                                 const struct rewrite_op *);

/* The directives, each in a file of its own. conf is the scope's struct rewrite_conf. */
conf_set_fn rewrite_set_return; /* return.c       */
conf_set_fn rewrite_set_if;     /* rewrite_if.c   */
conf_set_fn rewrite_set_rule;   /* rewrite_rule.c */
conf_set_fn rewrite_set_set;    /* rewrite_set.c  */

/* Gives the block of an `if` in a location what answers for the location (rewrite_if.c). */
void rewrite_inherit_content(struct scope *);

#endif
