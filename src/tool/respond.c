/* respond.c - writes the configuration that answers all requests alike. */
#include "tool/respond.h"

#include "conf/load.h"

#include <stdio.h>

enum { HEADERS_MAX = 32, PORT_DEFAULT = 8080, STATUS_DEFAULT = 200, FAIL_DEFAULT = 500 };
enum { STATUS_MIN = 200, STATUS_MAX = 599, ALL = 10000, GO_ON = -1 };

struct responding {
    const char *listen, *body, *engine, *delay, *size;
    const char *headers[HEADERS_MAX];
    unsigned header_count, status, fail_status;
    unsigned fail, reset; /* of 10000 requests */
    struct addr addr;
    bool print_only, help;
};

static int usage(FILE *to, int status)
{
    fprintf(to,
            "usage: weir respond LISTEN [--status N] [--body TEXT] [--header 'NAME: VALUE']...\n"
            "                  [--size SIZE] [--delay TIME]\n"
            "                  [--fail RATE%%] [--fail-status N] [--reset RATE%%]\n"
            "                  [--engine ENGINE] [--print-config]\n\n"
            "  LISTEN          a port (of all addresses), or address:port\n"
            "  --status        of the answers, by default 200\n"
            "  --body          of the answers, by default empty\n"
            "  --size          of a body that is made up, such as 64k, instead of --body\n"
            "  --delay         before each answer, such as 20ms\n"
            "  --header        a field of the answers\n"
            "  --fail          that share of the requests is answered 500, or --fail-status\n"
            "  --reset         that share of the connections is closed without an answer\n"
            "  --engine        auto, io_uring, epoll, poll, select or threads\n"
            "  --print-config  prints the equivalent weir.conf\n");
    return status;
}

/* A configuration would take "$" for the start of a variable. */
static bool is_text(const char *word, const char *value)
{
    if (strchr(value, '$') == NULL && strpbrk(value, "\r\n") == NULL)
        return true;
    fprintf(stderr, "weir: %s \"%s\" has a \"$\" or a line end; expected text without\n", word,
            value);
    return false;
}

/* Redirects are left out: what stands behind them is no body. */
static bool read_status(const char *word, const char *value, unsigned *to)
{
    uint64_t n;

    if (slice_to_u64(slice_str(value), STATUS_MAX, &n) && n >= STATUS_MIN && n / 100 != 3 &&
        n != 444) {
        *to = (unsigned)n;
        return true;
    }
    fprintf(stderr, "weir: %s \"%s\": expected 200 to 299 or 400 to 599, but not 444\n", word,
            value);
    return false;
}

/* "5%", "0.25%". */
static bool read_rate(const char *word, const char *value, unsigned *to)
{
    unsigned whole = 0, part = 0;
    char digits[3] = "00", end;

    if (sscanf(value, "%3u%c", &whole, &end) == 2 && end == '%' &&
        strcspn(value, "%") + 1 == strlen(value) && value[0] >= '0' && value[0] <= '9')
        part = 0;
    else if (sscanf(value, "%3u.%2[0-9]%c", &whole, digits, &end) == 3 && end == '%' &&
             strcspn(value, "%") + 1 == strlen(value) && value[0] >= '0' && value[0] <= '9')
        part = (unsigned)(digits[0] - '0') * 10 +
               (digits[1] != '\0' ? (unsigned)(digits[1] - '0') : 0);
    else
        whole = ALL;
    if (whole * 100 + part <= ALL) {
        *to = whole * 100 + part;
        return true;
    }
    fprintf(stderr, "weir: %s \"%s\": expected 0%% to 100%%, such as 5%% or 0.25%%\n", word, value);
    return false;
}

/* Kept as it is written, for the configuration. */
static bool read_number(const char *word, const char *value, bool (*parse)(struct slice, int64_t *),
                        const char *such_as, const char **to)
{
    int64_t n;

    *to = value;
    if (parse(slice_str(value), &n) && n >= 0)
        return true;
    fprintf(stderr, "weir: %s \"%s\": expected a value such as %s\n", word, value, such_as);
    return false;
}

static bool read_header(struct responding *r, const char *value)
{
    const char *colon = strchr(value, ':');

    if (colon == NULL || colon == value || strcspn(value, " \t\"\\;{}") < (size_t)(colon - value)) {
        fprintf(stderr, "weir: --header \"%s\": expected 'Name: value'\n", value);
        return false;
    }
    if (r->header_count == HEADERS_MAX) {
        fprintf(stderr, "weir: more than %d --header\n", HEADERS_MAX);
        return false;
    }
    r->headers[r->header_count++] = value;
    return is_text("--header", value);
}

/* False, having said why: the word has no such value, or is none of these. */
static bool read_valued(struct responding *r, const char *word, const char *value)
{
    if (value == NULL) {
        usage(stderr, 1);
        return false;
    }
    if (strcmp(word, "--status") == 0)
        return read_status(word, value, &r->status);
    if (strcmp(word, "--fail-status") == 0)
        return read_status(word, value, &r->fail_status);
    if (strcmp(word, "--fail") == 0)
        return read_rate(word, value, &r->fail);
    if (strcmp(word, "--reset") == 0)
        return read_rate(word, value, &r->reset);
    if (strcmp(word, "--header") == 0)
        return read_header(r, value);
    if (strcmp(word, "--body") == 0) {
        r->body = value;
        return is_text(word, value);
    }
    if (strcmp(word, "--size") == 0)
        return read_number(word, value, conf_parse_size, "64k", &r->size);
    if (strcmp(word, "--delay") == 0)
        return read_number(word, value, conf_parse_msec, "20ms", &r->delay);
    if (strcmp(word, "--engine") == 0 && strpbrk(value, " \t\r\n;{}\"'\\$#") == NULL) {
        r->engine = value;
        return value[0] != '\0';
    }
    usage(stderr, 1);
    return false;
}

static bool read_words(struct responding *r, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--print-config") == 0)
            r->print_only = true;
        else if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            r->help = true;
        else if (argv[i][0] != '-' && r->listen == NULL)
            r->listen = argv[i];
        else if (!read_valued(r, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
            return false;
        else
            i++;
    }
    if (r->help || r->listen != NULL)
        return true;
    usage(stderr, 1);
    return false;
}

static void write_share(struct gather *g, unsigned share, const char *fate)
{
    if (share != 0)
        gather_printf(g, "        %u.%02u%% %s;\n", share / 100, share % 100, fate);
}

static void write_fields(const struct responding *r, struct gather *g)
{
    for (unsigned i = 0; i < r->header_count; i++) {
        const char *colon = strchr(r->headers[i], ':');

        gather_printf(g, "        add_header %.*s ", (int)(colon - r->headers[i]), r->headers[i]);
        wish_quoted(g, colon + 1 + strspn(colon + 1, " "));
        gather_lit(g, " always;\n");
    }
}

static void write_answer(const struct responding *r, struct gather *g)
{
    if (r->size == NULL && r->delay == NULL) {
        gather_printf(g, "        return %u ", r->status);
        wish_quoted(g, r->body);
        gather_lit(g, ";\n");
        return;
    }
    gather_lit(g, "        location / {\n            respond");
    if (r->size != NULL)
        gather_printf(g, " size=%s", r->size);
    if (r->delay != NULL)
        gather_printf(g, " delay=%s", r->delay);
    gather_lit(g, ";\n        }\n");
}

static bool write_config(const struct responding *r, struct serve_wish *wish)
{
    struct gather g;
    bool fates = r->fail + r->reset != 0;

    wish_begin(wish, &g, "weir respond: the same answer to all", r->print_only);
    gather_printf(&g,
                  "worker_processes auto;\n\nevents {\n    use %s;\n"
                  "    worker_connections 4096;\n}\n\n"
                  "http {\n    access_log off;\n    default_type text/plain;\n\n",
                  r->engine);
    if (fates) {
        gather_lit(&g, "    split_clients $request_id $fate {\n");
        write_share(&g, r->fail, "fail");
        write_share(&g, r->reset, "reset");
        if (r->fail + r->reset < ALL)
            gather_lit(&g, "        * answer;\n");
        gather_lit(&g, "    }\n\n");
    }
    gather_lit(&g, "    server {\n        listen ");
    wish_address(&g, &r->addr);
    gather_lit(&g, ";\n");
    write_fields(r, &g);
    if (fates)
        gather_printf(&g,
                      "        if ($fate = fail) {\n            return %u;\n        }\n"
                      "        if ($fate = reset) {\n            return 444;\n        }\n",
                      r->fail_status);
    write_answer(r, &g);
    gather_lit(&g, "    }\n}\n");
    wish->config[g.used] = '\0';
    return !g.full;
}

int tool_respond(struct serve_wish *wish, int argc, char **argv)
{
    struct responding r = {
        .engine = "auto", .body = "", .status = STATUS_DEFAULT, .fail_status = FAIL_DEFAULT
    };

    if (!read_words(&r, argc, argv))
        return 1;
    if (r.help)
        return usage(stdout, 0);
    if (!addr_parse(slice_str(r.listen), PORT_DEFAULT, &r.addr)) {
        fprintf(stderr, "weir: \"%s\" is not an address; try 8080 or 0.0.0.0:80\n", r.listen);
        return 1;
    }
    if (r.fail + r.reset > ALL) {
        fprintf(stderr, "weir: --fail and --reset together are more than 100%%\n");
        return 1;
    }
    if ((r.size != NULL || r.delay != NULL) && (r.body[0] != '\0' || r.status != STATUS_DEFAULT)) {
        fprintf(stderr, "weir: --size and --delay go with neither --body nor --status\n");
        return 1;
    }
    if (!write_config(&r, wish)) {
        fprintf(stderr, "weir: that is too much for one line\n");
        return 1;
    }
    if (r.print_only) {
        fputs(wish->config, stdout);
        return 0;
    }
    printf("weir answers requests; Ctrl-C ends it.\n");
    fflush(stdout);
    return GO_ON;
}
