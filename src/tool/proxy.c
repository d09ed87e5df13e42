/* proxy.c - writes the configuration that passes requests on to some servers. */
#include "tool/proxy.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { BACKENDS_MAX = 64, PORT_DEFAULT = 8080, GO_ON = -1 };

struct proxying {
    const char *listen, *health, *engine;
    char authorities[PATH_MAX]; /* "": they are not verified                        */
    const char *backends[BACKENDS_MAX];
    unsigned count;
    const char *balance; /* a line of upstream{}; "": round robin */
    struct addr addr;
    struct slice name; /* of back ends over TLS; size 0: without                  */
    bool backend_host, print_only, help;
};

static const struct {
    const char *word, *line;
} methods[] = {
    { "round_robin", "" },
    { "least_conn", "        least_conn;\n" },
    { "ip_hash", "        ip_hash;\n" },
    { "random", "        random two least_conn;\n" },
    { "hash", "        hash $request_uri consistent;\n" },
};

static int usage(FILE *to, int status)
{
    fprintf(to,
            "usage: weir proxy LISTEN BACKEND... [--balance METHOD] [--health PATH]\n"
            "                  [--ca FILE] [--backend-host] [--engine ENGINE] [--print-config]\n\n"
            "  LISTEN          a port (of all addresses), or address:port\n"
            "  BACKEND         a port of this machine, name:port, unix:/path, or https://name:\n"
            "                  all of them, then, by that name\n"
            "  --balance       round_robin, least_conn, ip_hash, hash (of the URI) or random\n"
            "  --health        asks each backend for that path, and uses those that are well\n"
            "  --ca            verifies https back ends with these authorities (PEM)\n"
            "  --backend-host  Host is the backend's name, not what the client said\n"
            "  --engine        auto, io_uring, epoll, poll, select or threads\n"
            "  --print-config  prints the equivalent weir.conf\n");
    return status;
}

/* A word that needs no quotes in a configuration. */
static bool is_plain(const char *text)
{
    return text[0] != '\0' && strpbrk(text, " \t\r\n;{}\"'\\$#") == NULL;
}

static bool read_balance(struct proxying *p, const char *word)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (strcmp(methods[i].word, word) == 0) {
            p->balance = methods[i].line;
            return true;
        }
    fprintf(stderr, "weir: \"%s\" is no way to balance\n", word);
    return false;
}

/* Made absolute: the configuration stands in no directory. */
static bool read_authorities(struct proxying *p, const char *path)
{
    if (realpath(path, p->authorities) == NULL) {
        fprintf(stderr, "weir: %s: %s\n", path, strerror(errno));
        return false;
    }
    return is_plain(p->authorities);
}

/* False: the word has no value, or is none of these. */
static bool read_valued(struct proxying *p, const char *word, const char *value)
{
    if (value == NULL || !is_plain(value))
        return false;
    if (strcmp(word, "--balance") == 0)
        return read_balance(p, value);
    if (strcmp(word, "--health") == 0 && value[0] == '/')
        p->health = value;
    else if (strcmp(word, "--engine") == 0)
        p->engine = value;
    else if (strcmp(word, "--ca") == 0)
        return read_authorities(p, value);
    else
        return false;
    return true;
}

static bool read_place(struct proxying *p, const char *word)
{
    if (!is_plain(word))
        return false;
    if (p->listen == NULL)
        p->listen = word;
    else if (p->count < BACKENDS_MAX)
        p->backends[p->count++] = word;
    else
        return false;
    return true;
}

static bool read_words(struct proxying *p, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--print-config") == 0)
            p->print_only = true;
        else if (strcmp(argv[i], "--backend-host") == 0)
            p->backend_host = true;
        else if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            p->help = true;
        else if (argv[i][0] != '-') {
            if (!read_place(p, argv[i]))
                return false;
        } else if (!read_valued(p, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
            return false;
        else
            i++;
    }
    return p->help || p->count > 0;
}

/* "https://" or "http://" and a "/" behind it are cut off. True: it is https. */
static bool cut_url(struct slice *s)
{
    bool tls = slice_starts(*s, SLICE("https://"));

    if (tls || slice_starts(*s, SLICE("http://")))
        *s = slice_skip(*s, tls ? 8 : 7);
    if (slice_ends(*s, SLICE("/")) && !slice_starts(*s, SLICE("unix:")))
        s->size--;
    return tls;
}

static struct slice host_of(struct slice address)
{
    size_t end = address.at[0] == '[' ? slice_find(address, ']') + 1 : slice_find(address, ':');

    return slice_starts(address, SLICE("unix:")) ? SLICE("localhost") : slice_head(address, end);
}

/* One upstream is asked by one name, and all of it in one way. */
static bool read_name(struct proxying *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        struct slice s = slice_str(p->backends[i]);
        struct slice name = cut_url(&s) && s.size > 0 ? host_of(s) : (struct slice){ 0 };

        if (i == 0)
            p->name = name;
        if (slice_eq(name, p->name))
            continue;
        fprintf(stderr, "weir: back ends of https have one name: \"%s\" is another one\n",
                p->backends[i]);
        return false;
    }
    return true;
}

/* "3000" is a port of this machine; http:// before a name says nothing new. */
static void write_backend(struct gather *g, const char *text)
{
    struct slice s = slice_str(text);
    bool tls = cut_url(&s);
    uint64_t port;

    gather_printf(g, "        server %s%.*s%s;\n",
                  slice_to_u64(s, UINT16_MAX, &port) ? "127.0.0.1:" : "", SLICE_FMT(s),
                  tls && host_of(s).size == s.size ? ":443" : "");
}

static void write_tls(const struct proxying *p, struct gather *g)
{
    gather_printf(g,
                  "            proxy_ssl_server_name on;\n"
                  "            proxy_ssl_name %.*s;\n"
                  "            proxy_ssl_verify %s;\n",
                  SLICE_FMT(p->name), p->authorities[0] != '\0' ? "on" : "off");
    if (p->authorities[0] != '\0')
        gather_printf(g,
                      "            proxy_ssl_verify_depth 4;\n"
                      "            proxy_ssl_trusted_certificate %s;\n",
                      p->authorities);
}

static void write_location(const struct proxying *p, struct gather *g)
{
    const char *own = p->backend_host ? "$proxy_host" : "$http_host";
    bool named = p->backend_host && p->name.size > 0;

    gather_printf(g,
                  "        location / {\n"
                  "            proxy_pass http%s://backends;\n"
                  "            proxy_http_version 1.1;\n"
                  "            proxy_set_header Host %.*s;\n"
                  "            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
                  "            proxy_set_header X-Forwarded-Host $host;\n"
                  "            proxy_set_header X-Forwarded-Proto $scheme;\n"
                  "            proxy_set_header Upgrade $http_upgrade;\n"
                  "            proxy_set_header Connection $connection_upgrade;\n",
                  p->name.size > 0 ? "s" : "", SLICE_FMT(named ? p->name : slice_str(own)));
    if (p->name.size > 0)
        write_tls(p, g);
    if (p->health != NULL)
        gather_printf(g, "            health_check uri=%s;\n", p->health);
    gather_lit(g, "        }\n");
}

static bool write_config(const struct proxying *p, struct serve_wish *wish)
{
    struct gather g;

    wish_begin(wish, &g, "weir proxy: requests passed on", p->print_only);
    gather_printf(&g,
                  "worker_processes auto;\n\nevents {\n    use %s;\n"
                  "    worker_connections 4096;\n}\n\n"
                  "http {\n    access_log /dev/stdout;\n    client_max_body_size 0;\n\n"
                  "    map $http_upgrade $connection_upgrade {\n        default upgrade;\n"
                  "        \"\" \"\";\n    }\n\n    upstream backends {\n%s",
                  p->engine, p->balance);
    for (unsigned i = 0; i < p->count; i++)
        write_backend(&g, p->backends[i]);
    gather_lit(&g, "    }\n\n    server {\n        listen ");
    wish_address(&g, &p->addr);
    gather_lit(&g, ";\n\n");
    write_location(p, &g);
    gather_lit(&g, "    }\n}\n");
    wish->config[g.used] = '\0';
    return !g.full;
}

int tool_proxy(struct serve_wish *wish, int argc, char **argv)
{
    struct proxying p = { .engine = "auto", .balance = "" };

    if (!read_words(&p, argc, argv))
        return usage(stderr, 1);
    if (p.help)
        return usage(stdout, 0);
    if (!read_name(&p))
        return 1;
    if (!addr_parse(slice_str(p.listen), PORT_DEFAULT, &p.addr)) {
        fprintf(stderr, "weir: \"%s\" is not an address; try 8080 or 0.0.0.0:80\n", p.listen);
        return 1;
    }
    if (!write_config(&p, wish)) {
        fprintf(stderr, "weir: that is too much for one line\n");
        return 1;
    }
    if (p.print_only) {
        fputs(wish->config, stdout);
        return 0;
    }
    printf("weir passes requests on; Ctrl-C ends it.\n");
    fflush(stdout);
    return GO_ON;
}
