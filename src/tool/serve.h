/* serve.h - `weir serve [DIR]`: a directory on the web, without a configuration file.
 *
 *   weir serve                       the current directory on http://127.0.0.1:8080/
 *   weir serve ~/public -l 0.0.0.0:9000
 *   weir serve --print-config        the equivalent weir.conf, to grow from
 */
#ifndef TOOL_SERVE_H
#define TOOL_SERVE_H

#include "base/slice.h"

enum { SERVE_TEXT_SIZE = 16 * 1024, SERVE_PATH_SIZE = 4096 };

struct serve_wish {
    char config[SERVE_TEXT_SIZE]; /* what to run                                      */
    char prefix[SERVE_PATH_SIZE]; /* a directory of the user's for what must be written */
};

/* argv[0] is "serve". Negative: run wish->config in the foreground; else the exit status of a
 * command that is done (help, --print-config, a mistake). Prints the URLs it will be found at. */
int tool_serve(struct serve_wish *, int argc, char **argv);

#endif
