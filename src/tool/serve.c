/* serve.c - writes the configuration that serves one directory. */
#include "tool/serve.h"

#include "base/gather.h"
#include "net/addr.h"
#include "tool/authority.h"

#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PORT_DEFAULT = 8080, PORT_TLS = 8443, GO_ON = -1 };

#define LISTEN_DEFAULT "127.0.0.1:8080"
#define LISTEN_TLS "127.0.0.1:8443"

struct serving {
    const char *dir, *listen, *cert, *key;
    char root[PATH_MAX], cert_path[PATH_MAX], key_path[PATH_MAX];
    struct authority authority; /* who signed, if it is ours */
    struct addr addr;
    bool tls, ours, print_only, help;
};

/* What a browser needs to show a file instead of saving it. */
static const char types[] = "    types {\n"
                            "        \"text/html; charset=utf-8\" html htm;\n"
                            "        \"text/css; charset=utf-8\" css;\n"
                            "        \"text/plain; charset=utf-8\" txt log md conf c h py sh;\n"
                            "        \"text/xml; charset=utf-8\" xml;\n"
                            "        \"text/csv; charset=utf-8\" csv;\n"
                            "        \"text/javascript; charset=utf-8\" js mjs;\n"
                            "        application/json json map;\n"
                            "        application/wasm wasm;\n"
                            "        application/pdf pdf;\n"
                            "        application/zip zip;\n"
                            "        application/gzip gz;\n"
                            "        application/manifest+json webmanifest;\n"
                            "        image/svg+xml svg;\n"
                            "        image/png png;\n"
                            "        image/jpeg jpg jpeg;\n"
                            "        image/gif gif;\n"
                            "        image/webp webp;\n"
                            "        image/avif avif;\n"
                            "        image/x-icon ico;\n"
                            "        font/woff woff;\n"
                            "        font/woff2 woff2;\n"
                            "        font/ttf ttf;\n"
                            "        font/otf otf;\n"
                            "        audio/mpeg mp3;\n"
                            "        audio/ogg ogg oga opus;\n"
                            "        audio/flac flac;\n"
                            "        audio/wav wav;\n"
                            "        video/mp4 mp4 m4v;\n"
                            "        video/webm webm;\n"
                            "        video/quicktime mov;\n"
                            "    }\n";

static int usage(FILE *to, int status)
{
    fprintf(to, "usage: weir serve [DIR] [-l ADDRESS[:PORT] | -l PORT] [--print-config]\n"
                "                  [--tls [--cert FILE --key FILE]]\n\n"
                "Serves DIR (default: the current directory) on " LISTEN_DEFAULT ", with lists\n"
                "of directories and ranges. --print-config prints the equivalent weir.conf.\n"
                "--tls serves by https, on " LISTEN_TLS ": with that certificate, or one from\n"
                "this user's own authority (see weir cert --help).\n");
    return status;
}

static bool read_words(struct serving *s, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-l") == 0 && i + 1 < argc)
            s->listen = argv[++i];
        else if (strcmp(argv[i], "--cert") == 0 && i + 1 < argc)
            s->cert = argv[++i];
        else if (strcmp(argv[i], "--key") == 0 && i + 1 < argc)
            s->key = argv[++i];
        else if (strcmp(argv[i], "--tls") == 0)
            s->tls = true;
        else if (strcmp(argv[i], "--print-config") == 0)
            s->print_only = true;
        else if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            s->help = true;
        else if (argv[i][0] != '-' && s->dir == NULL)
            s->dir = argv[i];
        else
            return false;
    }
    s->tls |= s->cert != NULL;
    if (s->listen == NULL)
        s->listen = s->tls ? LISTEN_TLS : LISTEN_DEFAULT;
    return (s->cert != NULL) == (s->key != NULL);
}

void wish_quoted(struct gather *g, const char *text)
{
    gather_byte(g, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            gather_byte(g, '\\');
        gather_byte(g, *text);
    }
    gather_byte(g, '"');
}

void wish_address(struct gather *g, const struct addr *a)
{
    if (a->family == AF_INET6)
        gather_byte(g, '[');
    addr_print(a, g);
    if (a->family == AF_INET6)
        gather_byte(g, ']');
    gather_byte(g, ':');
    gather_u64(g, a->port);
}

void wish_begin(struct serve_wish *wish, struct gather *g, const char *title, bool print_only)
{
    const char *scratch = getenv("TMPDIR");

    snprintf(wish->prefix, sizeof wish->prefix, "%s",
             scratch != NULL && scratch[0] == '/' ? scratch : "/tmp");
    gather_init(g, wish->config, sizeof wish->config - 1, NULL, 0);
    gather_printf(g, "# %s\ndaemon off;\nerror_log stderr notice;\npid ", title);
    wish_quoted(g, print_only ? "weir.pid" : wish->prefix);
    if (!print_only) {
        g->used--; /* the closing quote: the file is in that directory */
        gather_printf(g, "/weir-serve-%d.pid\"", (int)getpid());
    }
    gather_lit(g, ";\n");
    if (geteuid() == 0)
        gather_lit(g, "user root;\n");
}

/* Who forgot the s is sent on. */
static void write_tls(const struct serving *s, struct gather *g)
{
    wish_quoted(g, s->cert_path);
    gather_lit(g, ";\n        ssl_certificate_key ");
    wish_quoted(g, s->key_path);
    gather_lit(g, ";\n        error_page 497 =301 https://$host:$server_port$request_uri;\n"
                  "        root ");
}

static bool write_config(const struct serving *s, struct serve_wish *wish)
{
    struct gather g;

    wish_begin(wish, &g, "weir serve: a directory on the web", s->print_only);
    gather_lit(&g, "worker_processes 1;\n");
    gather_lit(&g, "\nevents {\n    worker_connections 1024;\n}\n\nhttp {\n");
    gather_str(&g, types);
    gather_lit(&g, "    default_type application/octet-stream;\n"
                   "    access_log /dev/stdout;\n\n    server {\n        listen ");
    wish_address(&g, &s->addr);
    gather_str(&g, s->tls ? " ssl;\n        ssl_certificate " : ";\n        root ");
    if (s->tls)
        write_tls(s, &g);
    wish_quoted(&g, s->root);
    gather_lit(&g, ";\n        index index.html index.htm;\n        autoindex on;\n    }\n}\n");
    wish->config[g.used] = '\0';
    return !g.full;
}

/* ---- where it will be found ------------------------------------------------------------- */

static void print_url(const struct serving *s, const struct addr *a)
{
    char text[ADDR_TEXT_MAX + 16];
    struct gather g;

    gather_init(&g, text, sizeof text - 1, NULL, 0);
    wish_address(&g, a);
    text[g.used] = '\0';
    printf("  http%s://%s/\n", s->tls ? "s" : "", text);
}

/* All interfaces: each address that others in the network may use. */
static void print_interfaces(const struct serving *s)
{
    struct ifaddrs *all;

    if (getifaddrs(&all) != 0)
        return;
    for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        struct addr a;

        if (i->ifa_addr == NULL || !(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK) ||
            i->ifa_addr->sa_family != s->addr.family)
            continue;
        addr_from_sockaddr(&a, i->ifa_addr, sizeof(struct sockaddr_storage));
        if (a.family == AF_INET6 && a.ip[0] == 0xfe && (a.ip[1] & 0xc0) == 0x80)
            continue; /* link-local: of no use in a URL */
        a.port = s->addr.port;
        print_url(s, &a);
    }
    freeifaddrs(all);
}

static void print_places(const struct serving *s)
{
    struct addr here = s->addr;

    printf("weir serves %s at\n", s->root);
    if (!addr_is_any(&here)) {
        print_url(s, &here);
    } else {
        memset(here.ip, 0, sizeof here.ip);
        here.ip[here.family == AF_INET ? 0 : 15] = here.family == AF_INET ? 127 : 1;
        if (here.family == AF_INET)
            here.ip[3] = 1;
        print_url(s, &here);
        print_interfaces(s);
    }
    if (s->ours)
        authority_note(&s->authority, stdout);
    printf("Ctrl-C ends it.\n");
    fflush(stdout);
}

/* The user's files, or ours. */
static bool find_certificate(struct serving *s)
{
    char why[AUTHORITY_WHY];
    bool fine;

    if (!s->tls)
        return true;
    if (s->cert != NULL) {
        fine = realpath(s->cert, s->cert_path) != NULL;
        if (!fine || realpath(s->key, s->key_path) == NULL) {
            fprintf(stderr, "weir: \"%s\": %s\n", fine ? s->key : s->cert, strerror(errno));
            return false;
        }
        return true;
    }
    fine = authority_open(&s->authority, why) &&
           authority_local(&s->authority, s->cert_path, s->key_path, why);
    s->ours = fine;
    if (!fine)
        fprintf(stderr, "weir: %s\n", why);
    return fine;
}

int tool_serve(struct serve_wish *wish, int argc, char **argv)
{
    struct serving s = { 0 };
    struct stat st;

    if (!read_words(&s, argc, argv))
        return usage(stderr, 1);
    if (s.help)
        return usage(stdout, 0);
    if (s.dir == NULL)
        s.dir = ".";
    if (realpath(s.dir, s.root) == NULL || stat(s.root, &st) != 0 || !S_ISDIR(st.st_mode)) {
        fprintf(stderr, "weir: \"%s\" is not a directory that can be served: %s\n", s.dir,
                errno != 0 ? strerror(errno) : "it is a file");
        return 1;
    }
    if (!addr_parse(slice_str(s.listen), s.tls ? PORT_TLS : PORT_DEFAULT, &s.addr)) {
        fprintf(stderr, "weir: \"%s\" is not an address; try -l 8000 or -l 0.0.0.0:8080\n",
                s.listen);
        return 1;
    }
    if (!find_certificate(&s)) {
        authority_done(&s.authority);
        return 1;
    }
    if (!write_config(&s, wish)) {
        authority_done(&s.authority);
        fprintf(stderr, "weir: the path is too long\n");
        return 1;
    }
    if (s.print_only) {
        fputs(wish->config, stdout);
        authority_done(&s.authority);
        return 0;
    }
    print_places(&s);
    authority_done(&s.authority);
    return GO_ON;
}
