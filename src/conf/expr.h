/* expr.h - text with variables, compiled once, evaluated in one bounded pass.
 *
 *   struct expr *e = expr_compile(load, node, arg_index, 0);    "$scheme://$host$uri"
 *   struct slice s;
 *   if (expr_eval(e, &env, &arena, EXPR_MAX, &s)) ...           false: bound or memory reached
 *
 * A variable is a row of a feature's table: a name and a function that appends its value to
 * a gather. The subject (a request) is opaque here. Captures ($1 … $9, $name) are frozen by
 * whoever matched the regex and read through the subject. Nothing is measured first and
 * copied later: a value that changes between two looks cannot overrun anything.
 */
#ifndef CONF_EXPR_H
#define CONF_EXPR_H

#include "base/gather.h"

struct conf_load;
struct conf_node;
struct expr;
struct variable_use;

enum { EXPR_MAX = 64 * 1024 };

/* Variables may evaluate expressions themselves (map, set). More than EXPR_DEPTH_MAX of these
 * inside one another, or more than EXPR_STEPS_MAX variables within the outermost, make every
 * evaluation fail as if the bound were reached: cycles end. */
enum { EXPR_DEPTH_MAX = 16, EXPR_STEPS_MAX = 10000 };

/* Appends the value for `subject`. False: the variable has no value ("not found"), which
 * counts as empty and, in access logs, as "-". */
typedef bool variable_get_fn(void *subject, const struct variable_use *use, struct gather *);

/* How one expression uses a variable: the row, and for prefix rows ($arg_x) the rest of the
 * name, lower-cased as written. `number` is row->arg, or n for a capture $n. */
struct variable_use {
    const struct variable *row;
    struct slice rest;
    uintptr_t number;
};

/* Changes the value for `subject`, on behalf of the directive set; borrows what the subject's
 * memory holds. False: it cannot have that value. */
typedef bool variable_set_fn(void *subject, const struct variable *row, struct slice value);

/* A prefix row with the name "" is what captures are read through: $1 … $9 (and ${10} …
 * ${15}) use it with number = n, and a name that some regex of the configuration declared as
 * (?<name>…) with number = CAPTURES_MAX + its place (see conf_place()) and rest = the name. One
 * feature has it. */
struct variable {
    const char *name; /* "uri", or "arg_" for a prefix                          */
    variable_get_fn *get;
    uintptr_t arg;
    bool prefix;
    const char *help;
    variable_set_fn *set; /* NULL: it is not for the directive set to change    */
};

/* Compiles argument `arg` of node (0: the first after the name). NULL after complaining about
 * a stray `$` or an unclosed `${`. Names may be declared after their use, so unknown ones are
 * complained about (with a suggestion) when the whole configuration was read; until then the
 * expression must not be evaluated. Lives in the load's arena. A text without variables
 * compiles too. */
struct expr *expr_compile(struct conf_load *, const struct conf_node *, unsigned arg);

/* The same for a piece of text inside an argument (path=…, say). */
struct expr *expr_compile_text(struct conf_load *, const struct conf_node *, unsigned arg,
                               struct slice text);

/* Constant text, at no cost at run time: true and *ret borrows from the expression. */
bool expr_constant(const struct expr *, struct slice *ret);

/* The source text, for messages. */
struct slice expr_text(const struct expr *);

/* Evaluates into the arena (constant expressions are not copied). False if the result would
 * exceed max bytes or memory ran out. */
bool expr_eval(const struct expr *, void *subject, struct arena *, size_t max,
               struct slice *ret) MUST_USE;

/* Appends to g instead; `missing` (may be "") stands for variables without a value, and
 * `escape` (may be NULL) is applied to every variable's value: how access logs are written. */
typedef void expr_escape_fn(struct gather *into, struct slice value);
void expr_append(const struct expr *, void *subject, struct gather *g, struct slice missing,
                 expr_escape_fn *escape);

/* The same, but `escape` (may be NULL) is applied to captures by number alone, and no value
 * counts as empty: how rewrite builds its targets. */
void expr_append_captures(const struct expr *, void *subject, struct gather *g,
                          expr_escape_fn *escape);

/* ---- variables that the configuration itself makes ----------------------------------- */

/* Declares $name (without the `$`) for map, geo …, before or after its uses: get is then
 * called with use->number == number. Gives the row; if the same get declared the name before,
 * that row with its first number, so that several declarations share one. NULL if the name is
 * taken by something else (the caller complains), or is no name. */
const struct variable *conf_declare_variable(struct conf_load *, struct slice name,
                                             variable_get_fn *get, uintptr_t number) MUST_USE;

/* The same for the name that an argument says, with its `$`. NULL after complaining; `form`, as
 * in "map text $name { … }", is what was expected. */
const struct variable *conf_declare_argument(struct conf_load *, const struct conf_node *,
                                             unsigned arg, variable_get_fn *get, uintptr_t number,
                                             const char *form) MUST_USE;

/* The same for what set gives a value to. The name may be declared as above, too, before or
 * after: then get is asked first, and its false means that the other one computes the value. */
const struct variable *conf_declare_given(struct conf_load *, struct slice name,
                                          variable_get_fn *get, uintptr_t number) MUST_USE;

/* The place of $name in a list of values that each subject has for itself: for what set and
 * regular expressions with (?<name>…) give a value to. One name has one place, counted from 0;
 * conf_place_count() says how many there are. Load time only. */
unsigned conf_place(struct conf_load *, struct slice name);
unsigned conf_place_count(const struct conf_load *);

/* What $name (without the `$`, in lower case) stands for, at run time: for names that come with a
 * page. Call ret->row->get(subject, ret, g). False: nothing has that name. */
bool conf_use_variable(const struct conf_load *, struct slice name, struct variable_use *ret);

/* The row that $name stands for so far, or NULL. Captures and prefixes do not count. */
const struct variable *conf_find_variable(const struct conf_load *, struct slice name);

#endif
