/* help.h - `weir help`: the registry of directives, for people.
 *
 *   weir help                     the features and their directives
 *   weir help root                one directive: syntax, default, contexts, what it does
 *   weir help --manual DIR        writes the manual: one Markdown page a feature, and an index
 */
#ifndef TOOL_HELP_H
#define TOOL_HELP_H

#include "conf/directive.h"

/* argv[0] is "help". Returns the exit status. */
int tool_help(const struct registry *, int argc, char **argv);

#endif
