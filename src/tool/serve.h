/* serve.h - `weir serve [DIR]`: a directory on the web, without a configuration file.
 *
 *   weir serve                       the current directory on http://127.0.0.1:8080/
 *   weir serve ~/public -l 0.0.0.0:9000
 *   weir serve --print-config        the equivalent weir.conf, to grow from
 */
#ifndef TOOL_SERVE_H
#define TOOL_SERVE_H

#include "base/gather.h"
#include "net/addr.h"

enum { SERVE_TEXT_SIZE = 16 * 1024, SERVE_PATH_SIZE = 4096 };

struct serve_wish {
    char config[SERVE_TEXT_SIZE]; /* what to run                                      */
    char prefix[SERVE_PATH_SIZE]; /* a directory of the user's for what must be written */
};

/* argv[0] is "serve". Negative: run wish->config in the foreground; else the exit status of a
 * command that is done (help, --print-config, a mistake). Prints the URLs it will be found at. */
int tool_serve(struct serve_wish *, int argc, char **argv);

/* For commands that make configurations: into wish->config, what stands before events{} (the
 * title is a comment); a quoted word; "1.2.3.4:80" or "[::1]:80". Where nothing is only printed,
 * the pid file is in wish->prefix, which is set here. */
void wish_begin(struct serve_wish *, struct gather *, const char *title, bool print_only);
void wish_quoted(struct gather *, const char *text);
void wish_address(struct gather *, const struct addr *);

#endif
