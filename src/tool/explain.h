/* explain.h - `weir explain`: what a configuration does with one request, and why.
 *
 *   weir explain [-X METHOD] [-H 'Name: value']... [-c FILE] [-p PREFIX] URL
 *
 * The request runs down the very steps and filters that a server runs it down, in this process;
 * nothing listens, nobody is asked, nothing is written: where the request would be passed on,
 * this is said, and an empty 200 stands for the answer.
 */
#ifndef TOOL_EXPLAIN_H
#define TOOL_EXPLAIN_H

#include "conf/load.h"

/* argv[0] is "explain". Returns the exit status: 0 (explained), 1 (the configuration is broken, or
 * nothing listens there) or 2 (the command line is). */
int tool_explain(const struct registry *, int argc, char **argv);

#endif
