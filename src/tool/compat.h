/* compat.h - `weir compat`: what of nginx configurations weir has, counted by directive.
 *
 *   weir compat [--json] PATH...
 */
#ifndef TOOL_COMPAT_H
#define TOOL_COMPAT_H

#include "conf/load.h"

/* Files are read through the source, folders from the disk. argv[0] is "compat". Returns the exit
 * status: 0 (weir has all of it), 1 (something is missing), 2 (a path or option is wrong). */
int tool_compat(const struct registry *, struct conf_source *, int argc, char **argv);

#endif
