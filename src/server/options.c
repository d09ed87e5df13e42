/* options.c - reads the command line from a table of letters. */
#include "server/options.h"

#include "io/io.h"

#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

struct letter {
    char letter;
    bool valued;
    size_t offset; /* of a bool, or of a const char *                          */
    const char *value, *help;
};

#define AT(member) offsetof(struct options, member)

static const struct letter letters[] = {
    { '?', false, AT(show_help), "", "this help" },
    { 'h', false, AT(show_help), "", "this help" },
    { 'v', false, AT(show_version), "", "show the version and exit" },
    { 'V', false, AT(show_build), "", "show version, build and engines, and exit" },
    { 't', false, AT(test), "", "test the configuration and exit; changes nothing" },
    { 'T', false, AT(dump), "", "test the configuration, print every file of it and exit" },
    { 'q', false, AT(quiet), "", "print only errors while testing" },
    { 's', true, AT(signal), "signal", "send a signal to the master: stop, quit, reopen, reload" },
    { 'p', true, AT(prefix_said), "prefix", "directory that relative paths start from" },
    { 'e', true, AT(error_log), "file", "error log until the configuration names another" },
    { 'c', true, AT(conf_path), "file", "configuration file" },
    { 'g', true, AT(globals), "directives", "directives for the main context" },
};

static const struct letter *find(char c)
{
    for (size_t i = 0; i < COUNT_OF(letters); i++)
        if (letters[i].letter == c)
            return &letters[i];
    return NULL;
}

static bool *flag_at(struct options *o, const struct letter *l)
{
    return (bool *)(void *)((char *)o + l->offset);
}

static const char **value_at(struct options *o, const struct letter *l)
{
    return (const char **)(void *)((char *)o + l->offset);
}

/* One word of letters ("-tq", "-c", "-c/path"). Steps *at over a value in the next word. */
static bool read_word(struct options *o, char **argv, int *at)
{
    for (const char *p = argv[*at] + 1; *p != '\0'; p++) {
        const struct letter *l = find(*p);

        if (l == NULL) {
            fprintf(stderr, "weir: invalid option: \"%c\"; weir -h lists them\n", *p);
            return false;
        }
        if (!l->valued) {
            *flag_at(o, l) = true;
            continue;
        }
        const char *value = p[1] != '\0' ? p + 1 : argv[++*at];

        if (value == NULL || value[0] == '\0') {
            fprintf(stderr, "weir: option \"-%c\" requires %s\n", l->letter, l->value);
            return false;
        }
        *value_at(o, l) = value;
        return true;
    }
    return true;
}

static bool signal_known(const char *word)
{
    static const char *const words[] = { "stop", "quit", "reopen", "reload" };

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    fprintf(stderr, "weir: invalid option: \"-s %s\"; expected stop, quit, reopen or reload\n",
            word);
    return false;
}

bool options_read(struct options *o, int argc, char **argv)
{
    memset(o, 0, sizeof *o);
    o->argv = argv;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            fprintf(stderr, "weir: invalid option: \"%s\"; weir -h lists them\n", argv[i]);
            return false;
        }
        if (!read_word(o, argv, &i))
            return false;
    }
    o->test |= o->dump;
    return o->signal == NULL || signal_known(o->signal);
}

static bool absolute(char into[OPTION_PATH_MAX], const char *base, const char *path,
                     const char *end)
{
    int n = path[0] == '/' ? snprintf(into, OPTION_PATH_MAX, "%s%s", path, end)
                           : snprintf(into, OPTION_PATH_MAX, "%s%s%s", base, path, end);

    if (n > 0 && n < OPTION_PATH_MAX)
        return true;
    fprintf(stderr, "weir: the path \"%s\" is too long\n", path);
    return false;
}

/* A configuration that was named is looked for below -p, or else where the user is. */
bool options_paths(struct options *o)
{
    const char *prefix = o->prefix_said != NULL ? o->prefix_said : WEIR_PREFIX;
    char here[OPTION_PATH_MAX - 1];

    if (getcwd(here, sizeof here) == NULL) {
        fprintf(stderr, "weir: getcwd() failed: %s\n", strerror(errno));
        return false;
    }
    size_t size = strlen(here);

    here[size] = '/';
    here[size + 1 < sizeof here ? size + 1 : size] = '\0';
    return absolute(o->prefix, here, prefix, prefix[strlen(prefix) - 1] == '/' ? "" : "/") &&
           absolute(o->conf, o->prefix_said == NULL && o->conf_path != NULL ? here : o->prefix,
                    o->conf_path != NULL ? o->conf_path : WEIR_CONF_PATH, "");
}

void options_help(void)
{
    printf("weir " WEIR_VERSION ": a web server that reads the nginx.conf language\n\n"
           "usage: weir [-?hvVtTq] [-s signal] [-p prefix] [-e file] [-c file] [-g directives]\n"
           "       weir serve [DIR] [-l ADDRESS]    serve a directory, no configuration needed\n"
           "       weir proxy LISTEN BACKEND...     passes requests on, no configuration needed\n"
           "       weir respond LISTEN              a back end for tests: answers all alike\n"
           "       weir fmt [--check] FILE...       brings configuration files into one form\n"
           "       weir lint [-c FILE]              what a configuration should not say\n"
           "       weir explain [-c FILE] URL       what happens to a request, and why\n"
           "       weir compat PATH...              what of nginx configurations weir has\n"
           "       weir upstream list               servers of upstreams, seen and changed\n"
           "       weir lab list                    the experiments; see weir lab --help\n"
           "       weir help [DIRECTIVE]            what a directive does\n\noptions:\n");
    for (size_t i = 0; i < COUNT_OF(letters); i++)
        printf("  -%c %-12s %s\n", letters[i].letter, letters[i].value, letters[i].help);
    printf("\ndefaults:\n  prefix " WEIR_PREFIX "\n  configuration file " WEIR_CONF_PATH "\n"
           "  error log " WEIR_ERROR_LOG_PATH "\n  pid file " WEIR_PID_PATH "\n");
}

void options_version(bool build_too)
{
    static const char *const engines[] = { "io_uring", "epoll", "poll", "select", "threads" };
    struct utsname machine;

    fprintf(stderr, "weir version: weir/" WEIR_VERSION "\n");
    if (!build_too)
        return;
    fprintf(stderr, "built by a compiler that calls itself " __VERSION__ "\n");
    fprintf(stderr, "with zlib %s\nengines:", zlibVersion());
    for (size_t i = 0; i < COUNT_OF(engines); i++)
        if (io_engine_find(engines[i]) != NULL)
            fprintf(stderr, " %s", engines[i]);
    if (uname(&machine) == 0)
        fprintf(stderr, "\nrunning on %s %s %s\n", machine.sysname, machine.release,
                machine.machine);
    fprintf(stderr, "paths: prefix=" WEIR_PREFIX " conf=" WEIR_CONF_PATH " pid=" WEIR_PID_PATH
                    " error-log=" WEIR_ERROR_LOG_PATH " http-log=" WEIR_HTTP_LOG_PATH "\n");
}
