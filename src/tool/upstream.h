/* upstream.h - `weir upstream`: servers of a running server's upstreams, seen and changed.
 *
 *   weir upstream list
 *   weir upstream add backend 10.0.0.7:8080 weight=2
 *   weir upstream drain backend 10.0.0.7:8080
 */
#ifndef TOOL_UPSTREAM_H
#define TOOL_UPSTREAM_H

#include "conf/directive.h"

/* argv[0] is "upstream". The exit status. */
int tool_upstream(const struct registry *, int argc, char **argv);

#endif
