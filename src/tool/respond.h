/* respond.h - `weir respond`: a back end that answers all requests alike, for tests.
 *
 *   weir respond 3000 --body hello
 *   weir respond 3000 --fail 5% --reset 1%    some requests go wrong
 *   weir respond 3000 --print-config          the equivalent weir.conf, to grow from
 */
#ifndef TOOL_RESPOND_H
#define TOOL_RESPOND_H

#include "tool/serve.h"

/* argv[0] is "respond". As tool_serve(). */
int tool_respond(struct serve_wish *, int argc, char **argv);

#endif
