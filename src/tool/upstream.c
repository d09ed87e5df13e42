/* upstream.c - asks the API at the admin socket, and prints what it says. */
#include "tool/upstream.h"

#include "server/config.h"
#include "tool/ask.h"
#include "tool/upstream_print.h"
#include "wire/uri.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { DONE_WELL = 0, REFUSED = 1, BAD_COMMAND = 2, WORDS_MAX = 16, PATH_SIZE = 2048 };

static const char usage[] =
    "usage: weir upstream [-c FILE] [-p PREFIX] [-g DIRECTIVES] [--socket PATH] [--json] COMMAND\n"
    "\n"
    "Servers of the upstreams of a running weir, without a reload.\n"
    "\n"
    "  list                                 all upstreams\n"
    "  show UPSTREAM                        its servers, and how they are doing\n"
    "  add UPSTREAM ADDRESS [NAME=VALUE...] one server more; backup, down and drain may be said,\n"
    "                                       too\n"
    "  set UPSTREAM SERVER NAME=VALUE...    weight, max_conns, max_fails, fail_timeout,\n"
    "                                       slow_start, route\n"
    "  weight UPSTREAM SERVER NUMBER        how large its share is\n"
    "  drain UPSTREAM SERVER                only sessions that it has by now\n"
    "  down UPSTREAM SERVER                 nothing at all\n"
    "  up UPSTREAM SERVER                   neither drain nor down any more\n"
    "  remove UPSTREAM SERVER               requests that it has are finished\n"
    "\n"
    "SERVER is an address as show prints it, or its ID. Changes need an upstream with a zone, and\n"
    "are forgotten at a restart unless it has a state file.\n";

struct asking {
    struct options options;
    const char *socket;
    char socket_said[OPTION_PATH_MAX];
    bool json;
    char *words[WORDS_MAX];
    unsigned count;
    char path[PATH_SIZE];
};

/* ---- asking -------------------------------------------------------------------------------- */

static int complain(struct asking *k, int error)
{
    fprintf(stderr, "weir: %s: %s\n", k->socket, strerror(-error));
    if (error == -ENOENT || error == -ECONNREFUSED)
        fprintf(stderr, "weir: no server with this configuration runs, or it has `admin off;`\n");
    if (error == -EACCES)
        fprintf(stderr, "weir: the socket is for the user who started the server\n");
    return REFUSED;
}

/* DONE_WELL with the answer's JSON (NULL: it is none), or REFUSED after a message. */
static int call(struct asking *k, const char *method, const char *body, json_t **ret)
{
    struct asked a;
    int error = ask_unix(k->socket, method, k->path, body, &a), status = DONE_WELL;

    *ret = NULL;
    if (error != 0) {
        asked_done(&a);
        return complain(k, error);
    }
    *ret = json_loadb(a.body.size > 0 ? a.body.at : "", a.body.size, 0, NULL);
    if (a.status >= 300) {
        const char *text =
            json_string_value(json_object_get(json_object_get(*ret, "error"), "text"));

        fprintf(stderr, "weir: %s\n", text != NULL ? text : "the server refused");
        status = REFUSED;
    }
    asked_done(&a);
    return status;
}

/* "/api/9/http/upstreams/NAME/servers/ID": the name is encoded; either may be left out. */
static void set_path(struct asking *k, const char *name, const char *behind)
{
    struct gather g;

    gather_init(&g, k->path, sizeof k->path - 1, NULL, 0);
    gather_printf(&g, "/api/9/http/upstreams");
    if (name != NULL) {
        gather_byte(&g, '/');
        uri_encode_path(&g, slice_str(name));
    }
    gather_str(&g, behind);
    k->path[g.used] = '\0';
}

static int answer(const struct asking *k, json_t *said, void (*print)(const json_t *))
{
    if (k->json)
        json_dumpf(said, stdout, JSON_INDENT(2)), putchar('\n');
    else
        print(said);
    json_decref(said);
    return DONE_WELL;
}

/* ---- which server ---------------------------------------------------------------------------- */

static const json_t *with_address(const json_t *servers, const char *address)
{
    size_t i;
    json_t *s;

    json_array_foreach(servers, i, s)
    {
        const char *is = json_string_value(json_object_get(s, "server"));

        if (is != NULL && strcmp(is, address) == 0)
            return s;
    }
    return NULL;
}

/* The path of one server, by its ID or its address. */
static int find(struct asking *k, const char *name, const char *server)
{
    uint64_t id;
    char behind[64], with_port[256];
    json_t *all;
    const json_t *s;
    int status = DONE_WELL;

    if (!slice_to_u64(slice_str(server), UINT32_MAX, &id)) {
        set_path(k, name, "/servers");
        status = call(k, "GET", NULL, &all);
        snprintf(with_port, sizeof with_port, "%s:80", server);
        s = with_address(all, server);
        if (s == NULL)
            s = with_address(all, with_port);
        id = (uint64_t)json_integer_value(json_object_get(s, "id"));
        if (status == DONE_WELL && s == NULL) {
            fprintf(stderr, "weir: upstream \"%s\" has no server \"%s\"\n", name, server);
            status = REFUSED;
        }
        json_decref(all);
    }
    snprintf(behind, sizeof behind, "/servers/%llu", (unsigned long long)id);
    set_path(k, name, behind);
    return status;
}

/* ---- commands ------------------------------------------------------------------------------ */

static int list(struct asking *k)
{
    json_t *said;

    set_path(k, NULL, "");
    return call(k, "GET", NULL, &said) == DONE_WELL ? answer(k, said, upstream_print_list)
                                                    : (json_decref(said), REFUSED);
}

static int show(struct asking *k)
{
    json_t *said;

    set_path(k, k->words[1], "");
    return call(k, "GET", NULL, &said) == DONE_WELL ? answer(k, said, upstream_print_peers)
                                                    : (json_decref(said), REFUSED);
}

/* "weight=2" or "backup", into the body. */
static bool put_word(json_t *body, char *word)
{
    static const char *const numbers[] = { "weight", "max_conns", "max_fails" };
    static const char *const texts[] = { "fail_timeout", "slow_start", "route", "service" };
    static const char *const flags[] = { "backup", "down", "drain" };
    char *value = strchr(word, '=');
    uint64_t n;

    if (value != NULL)
        *value++ = '\0';
    for (size_t i = 0; i < COUNT_OF(flags) && value == NULL; i++)
        if (strcmp(word, flags[i]) == 0)
            return json_object_set_new(body, word, json_true()) == 0;
    for (size_t i = 0; i < COUNT_OF(texts) && value != NULL; i++)
        if (strcmp(word, texts[i]) == 0)
            return json_object_set_new(body, word, json_string(value)) == 0;
    for (size_t i = 0; i < COUNT_OF(numbers) && value != NULL; i++)
        if (strcmp(word, numbers[i]) == 0 && slice_to_u64(slice_str(value), INT32_MAX, &n))
            return json_object_set_new(body, word, json_integer((json_int_t)n)) == 0;
    fprintf(stderr, "weir: \"%s%s%s\" is nothing that a server has\n", word,
            value != NULL ? "=" : "", value != NULL ? value : "");
    return false;
}

/* Takes the body. */
static int send_body(struct asking *k, const char *method, json_t *body)
{
    char *text = json_dumps(body, 0);
    json_t *said;
    int status = call(k, method, text, &said);

    free(text);
    json_decref(body);
    if (status == DONE_WELL)
        return answer(k, said, upstream_print_server);
    json_decref(said);
    return status;
}

static int send_words(struct asking *k, const char *method, json_t *body)
{
    for (unsigned i = 3; i < k->count; i++)
        if (!put_word(body, k->words[i])) {
            json_decref(body);
            return BAD_COMMAND;
        }
    return send_body(k, method, body);
}

static int add(struct asking *k)
{
    set_path(k, k->words[1], "/servers");
    return send_words(k, "POST", json_pack("{s:s}", "server", k->words[2]));
}

static int set(struct asking *k)
{
    int status = find(k, k->words[1], k->words[2]);

    return status == DONE_WELL ? send_words(k, "PATCH", json_object()) : status;
}

static int weight(struct asking *k)
{
    int status = find(k, k->words[1], k->words[2]);
    uint64_t n;

    if (!slice_to_u64(slice_str(k->words[3]), INT32_MAX, &n)) {
        fprintf(stderr, "weir: \"%s\" is no weight\n", k->words[3]);
        return BAD_COMMAND;
    }
    if (status != DONE_WELL)
        return status;
    return send_body(k, "PATCH", json_pack("{s:I}", "weight", (json_int_t)n));
}

static int flags(struct asking *k, json_t *body)
{
    int status = find(k, k->words[1], k->words[2]);

    if (status == DONE_WELL)
        return send_body(k, "PATCH", body);
    json_decref(body);
    return status;
}

static int drain(struct asking *k)
{
    return flags(k, json_pack("{s:b}", "drain", 1));
}

static int down(struct asking *k)
{
    return flags(k, json_pack("{s:b}", "down", 1));
}

static int up(struct asking *k)
{
    return flags(k, json_pack("{s:b,s:b}", "drain", 0, "down", 0));
}

static int drop(struct asking *k)
{
    int status = find(k, k->words[1], k->words[2]);
    json_t *said;

    if (status != DONE_WELL)
        return status;
    status = call(k, "DELETE", NULL, &said);
    if (status == DONE_WELL)
        return answer(k, said, upstream_print_servers);
    json_decref(said);
    return status;
}

static const struct {
    const char *name;
    unsigned least, most; /* words, the name included */
    int (*run)(struct asking *);
} commands[] = {
    { "list", 1, 1, list },     { "show", 2, 2, show },   { "add", 3, WORDS_MAX, add },
    { "weight", 4, 4, weight }, { "drain", 3, 3, drain }, { "down", 3, 3, down },
    { "up", 3, 3, up },         { "remove", 3, 3, drop }, { "set", 4, WORDS_MAX, set },
};

static int run(struct asking *k)
{
    for (size_t i = 0; i < COUNT_OF(commands) && k->count > 0; i++) {
        if (strcmp(k->words[0], commands[i].name) != 0)
            continue;
        if (k->count >= commands[i].least && k->count <= commands[i].most)
            return commands[i].run(k);
        fprintf(stderr, "weir: %s: too %s words\n\n%s", commands[i].name,
                k->count < commands[i].least ? "few" : "many", usage);
        return BAD_COMMAND;
    }
    fprintf(stderr, "weir: %s%s%s\n\n%s", k->count > 0 ? "\"" : "which command?",
            k->count > 0 ? k->words[0] : "", k->count > 0 ? "\" is no command" : "", usage);
    return BAD_COMMAND;
}

/* ---- the command line ------------------------------------------------------------------------ */

static bool read_words(struct asking *k, int argc, char **argv)
{
    const struct {
        const char *name;
        const char **into;
    } valued[] = { { "-c", &k->options.conf_path },
                   { "-p", &k->options.prefix_said },
                   { "-g", &k->options.globals },
                   { "--socket", &k->socket } };

    for (int i = 1; i < argc; i++) {
        const char **into = NULL;

        for (size_t o = 0; o < COUNT_OF(valued); o++)
            if (strcmp(argv[i], valued[o].name) == 0)
                into = valued[o].into;
        if (into != NULL && i + 1 < argc)
            *into = argv[++i];
        else if (strcmp(argv[i], "--json") == 0)
            k->json = true;
        else if (argv[i][0] != '-' && k->count < WORDS_MAX)
            k->words[k->count++] = argv[i];
        else {
            fprintf(stderr, "weir: \"%s\" is not understood\n\n%s", argv[i], usage);
            return false;
        }
    }
    return true;
}

/* Where the configuration says that it is. */
static bool find_socket(struct asking *k, const struct registry *registry)
{
    struct config_place place = { k->options.prefix, k->options.conf, k->options.globals };
    struct config *c;
    bool good;

    if (k->socket != NULL)
        return true;
    c = config_create(registry, &place, true);
    config_read(c);
    config_print(c, true);
    good = config_good(c);
    if (good) {
        struct slice path = main_conf_admin(c->main, &c->arena);

        snprintf(k->socket_said, sizeof k->socket_said, "%.*s", SLICE_FMT(path));
        k->socket = k->socket_said;
        good = path.size > 0;
        if (!good)
            fprintf(stderr, "weir: the configuration has no admin socket: `admin off;`, or the "
                            "path of the pid file is too long\n");
    }
    config_destroy(c);
    return good;
}

int tool_upstream(const struct registry *registry, int argc, char **argv)
{
    static struct asking k;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-h") != 0)
            continue;
        fputs(usage, stdout);
        return DONE_WELL;
    }
    if (!read_words(&k, argc, argv))
        return BAD_COMMAND;
    return options_paths(&k.options) && find_socket(&k, registry) ? run(&k) : REFUSED;
}
