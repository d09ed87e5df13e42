/* main.c - the program: a server like nginx, or one of the commands named by the first word. */
#include "server/features.h"
#include "server/master.h"
#include "server/source.h"
#include "server/tell.h"
#include "tool/bench.h"
#include "tool/cert.h"
#include "tool/compat.h"
#include "tool/explain.h"
#include "tool/fmt.h"
#include "tool/help.h"
#include "tool/lab.h"
#include "tool/lint.h"
#include "tool/proxy.h"
#include "tool/respond.h"
#include "tool/serve.h"
#include "tool/upstream.h"

#include <malloc.h>
#include <stdio.h>

static int serve(const struct registry *registry, int argc, char **argv);
static int proxy(const struct registry *registry, int argc, char **argv);
static int respond(const struct registry *registry, int argc, char **argv);
static int help(const struct registry *registry, int argc, char **argv);
static int lab(const struct registry *registry, int argc, char **argv);
static int bench(const struct registry *registry, int argc, char **argv);
static int fmt(const struct registry *registry, int argc, char **argv);
static int lint(const struct registry *registry, int argc, char **argv);
static int compat(const struct registry *registry, int argc, char **argv);
static int cert(const struct registry *registry, int argc, char **argv);

static const struct {
    const char *word;
    int (*run)(const struct registry *, int argc, char **argv); /* argv[0] is the word */
} commands[] = {
    { "serve", serve },
    { "proxy", proxy },
    { "help", help },
    { "bench", bench },
    { "fmt", fmt },
    { "lint", lint },
    { "lab", lab },
    { "compat", compat },
    { "explain", tool_explain },
    { "respond", respond },
    { "upstream", tool_upstream },
    { "cert", cert },
};

static int help(const struct registry *registry, int argc, char **argv)
{
    return tool_help(registry, argc, argv);
}

static int lab(const struct registry *registry, int argc, char **argv)
{
    (void)registry;
    return tool_lab(argc, argv);
}

static int bench(const struct registry *registry, int argc, char **argv)
{
    (void)registry;
    return tool_bench(argc, argv);
}

static int fmt(const struct registry *registry, int argc, char **argv)
{
    struct source source;

    source_init(&source, true);
    int status = tool_fmt(registry, &source.base, argc, argv);
    source_done(&source);
    return status;
}

static int lint(const struct registry *registry, int argc, char **argv)
{
    struct source source;

    source_init(&source, true);
    int status = tool_lint(registry, &source.base, argc, argv);
    source_done(&source);
    return status;
}

static int compat(const struct registry *registry, int argc, char **argv)
{
    struct source source;

    source_init(&source, true);
    int status = tool_compat(registry, &source.base, argc, argv);
    source_done(&source);
    return status;
}

static int cert(const struct registry *registry, int argc, char **argv)
{
    struct source source;

    source_init(&source, true);
    int status = tool_cert(registry, &source.base, argc, argv);
    source_done(&source);
    return status;
}

/* The tool writes a configuration; it runs like any other. */
static int run_wish(const struct registry *registry, char **argv, const char *name, int status,
                    const struct serve_wish *made)
{
    static struct options options;
    static struct serve_wish wish;

    if (status >= 0)
        return status;
    wish = *made;
    options.argv = argv - 1;
    options.conf_path = name;
    options.conf_text = wish.config;
    options.prefix_said = wish.prefix;
    return options_paths(&options) ? master_run(&options, registry) : 1;
}

static int serve(const struct registry *registry, int argc, char **argv)
{
    struct serve_wish wish;
    int status = tool_serve(&wish, argc, argv);

    return run_wish(registry, argv, "weir-serve.conf", status, &wish);
}

static int proxy(const struct registry *registry, int argc, char **argv)
{
    struct serve_wish wish;
    int status = tool_proxy(&wish, argc, argv);

    return run_wish(registry, argv, "weir-proxy.conf", status, &wish);
}

static int respond(const struct registry *registry, int argc, char **argv)
{
    struct serve_wish wish;
    int status = tool_respond(&wish, argc, argv);

    return run_wish(registry, argv, "weir-respond.conf", status, &wish);
}

static int server(const struct registry *registry, int argc, char **argv)
{
    static struct options options;

    if (!options_read(&options, argc, argv))
        return 1;
    if (options.show_help) {
        options_help();
        return 0;
    }
    if (options.show_version || options.show_build) {
        options_version(options.show_build);
        return 0;
    }
    if (!options_paths(&options))
        return 1;
    if (options.error_log != NULL)
        log_error_default =
            strcmp(options.error_log, "stderr") == 0 ? "/dev/stderr" : options.error_log;
    if (options.test)
        return tell_test(&options, registry);
    if (options.signal != NULL)
        return tell_signal(&options, registry);
    return master_run(&options, registry);
}

/* The heaps of threads grow and shrink by a system call for every few pages, and what shrank comes
 * back as page faults: each TLS handshake paid for three of them. */
static void keep_heaps(void)
{
    enum { GROW_BY = 128 * 1024, SHRINK_ABOVE = 2 * 1024 * 1024, MAPPED_ALONE = 1024 * 1024 };

    (void)mallopt(M_TOP_PAD, GROW_BY);
    (void)mallopt(M_TRIM_THRESHOLD, SHRINK_ABOVE);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_ALONE);
}

int main(int argc, char **argv)
{
    keep_heaps();
    struct registry *registry = registry_create(features);

    int (*run)(const struct registry *, int argc, char **argv) = server;
    int skipped = 0, status;

    for (size_t i = 0; argc > 1 && i < COUNT_OF(commands); i++) {
        if (strcmp(argv[1], commands[i].word) != 0)
            continue;
        run = commands[i].run;
        skipped = 1;
    }
    status = run(registry, argc - skipped, argv + skipped);
    registry_destroy(registry);
    return status;
}
