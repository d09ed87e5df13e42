/* options.h - the command line, the same as nginx's. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include "base/slice.h"

enum { OPTION_PATH_MAX = 4096 };

struct options {
    const char *conf_path; /* as said; NULL: the built-in one                      */
    const char *prefix_said;
    const char *error_log; /* -e                                                   */
    const char *globals;   /* -g                                                   */
    const char *signal;    /* -s                                                   */
    const char *conf_text; /* not from a file: `weir serve`                        */
    bool test, dump, quiet, show_version, show_build, show_help;
    char **argv;                  /* the whole command line, for the binary upgrade        */
    char prefix[OPTION_PATH_MAX]; /* absolute, with a slash at its end                     */
    char conf[OPTION_PATH_MAX];   /* absolute                                              */
};

/* False after a message on stderr. Borrows argv. */
bool options_read(struct options *, int argc, char **argv) MUST_USE;

/* Works out prefix and conf from what was said; false after a message. */
bool options_paths(struct options *) MUST_USE;

void options_help(void);
void options_version(bool build_too);

#endif
