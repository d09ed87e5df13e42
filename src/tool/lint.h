/* lint.h - `weir lint`: finds what a configuration may say and should not.
 *
 *   weir lint [-c FILE] [--format text|json|sarif] [--rule NAME]... [--no-rule NAME]...
 *   weir lint --rules             the rules, one a line
 *
 * It looks at directives as they are written, with all includes, before anybody asks whether weir
 * has them. `# weir-lint: off NAME` behind a directive or on the line above it keeps the rule
 * quiet there.
 */
#ifndef TOOL_LINT_H
#define TOOL_LINT_H

#include "conf/load.h"

/* Files are read through the source. argv[0] is "lint". Returns the exit status: 0 (nothing above a
 * note), 1 (findings) or 2 (the configuration or the command line is broken). */
int tool_lint(const struct registry *, struct conf_source *, int argc, char **argv);

#endif
