/* lab.c - `weir lab` hands over to the Python programs of the lab. */
#include "tool/lab.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PYTHON "/usr/bin/python3"

enum { WORDS_MAX = 64 };

/* What the environment already says stays. */
static void tell_where(void)
{
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

    if (size > 0) {
        self[size] = '\0';
        setenv("WEIR", self, 0);
    }
    setenv("WEIR_LAB_PROGRAMS", WEIR_LAB_PROGRAMS, 0);
}

int tool_lab(int argc, char **argv)
{
    char *words[WORDS_MAX + 3] = { PYTHON, "-B" };
    char *home = getenv("WEIR_LAB");

    if (home == NULL)
        home = WEIR_LAB_HOME;
    if (access(home, R_OK) != 0) {
        fprintf(stderr,
                "weir lab: %s: %s; expected the installed lab there, or its directory "
                "in WEIR_LAB\n",
                home, strerror(errno));
        return 1;
    }
    if (argc > WORDS_MAX) {
        fprintf(stderr, "weir lab: %d arguments; expected at most %d\n", argc - 1, WORDS_MAX - 1);
        return 1;
    }
    words[2] = home;
    for (int i = 1; i < argc; i++)
        words[i + 2] = argv[i];
    tell_where();
    execv(PYTHON, words);
    fprintf(stderr, "weir lab: " PYTHON ": %s; expected Python 3.11 or later there\n",
            strerror(errno));
    return 1;
}
