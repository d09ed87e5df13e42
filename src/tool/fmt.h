/* fmt.h - `weir fmt`: brings configuration files into one form.
 *
 *   weir fmt FILE...              replaces the files that change
 *   weir fmt --check FILE...      names the files that would change, and exits 1 if any
 *   weir fmt --stdout FILE...     prints the new text and leaves the files alone
 *
 * What a file means is not touched: its words, comments and their order stay as written.
 */
#ifndef TOOL_FMT_H
#define TOOL_FMT_H

#include "base/gather.h"
#include "conf/load.h"

/* Files are read through the source. argv[0] is "fmt". Returns the exit status: 0, 1 (--check:
 * something would change) or 2 (a file is broken or cannot be read or written; the others are done
 * all the same). */
int tool_fmt(const struct registry *, struct conf_source *, int argc, char **argv);

/* Appends the text in its one form to g. The text is one that the parser accepts. */
void fmt_text(struct slice text, struct gather *g);

#endif
